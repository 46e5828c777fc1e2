//! The messages that the hub itself writes.

use std::time::Duration;

use serde_json::Value;

use crate::hooks::IceServerList;
use crate::room::{Access, Room};
use crate::scope::Scope;
use crate::{ErrorCode, MemberId};

/// Returns `text` as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

pub(crate) fn id(member: MemberId) -> String {
    format!(r#"{{"type":"id","id":{member}}}"#)
}

pub(crate) fn error(code: ErrorCode, re: &str) -> String {
    format!(
        r#"{{"type":"error","code":"{}","message":{},"re":{}}}"#,
        code.as_str(),
        quoted(code.message()),
        quoted(re)
    )
}

/// An error about a room that comes when its cause is long past.
pub(crate) fn error_in(room: &str, code: ErrorCode, re: &str) -> String {
    let error = error(code, re);
    let fields = error.strip_suffix('}').unwrap_or(&error);
    format!(r#"{fields},"room":{}}}"#, quoted(room))
}

pub(crate) fn ok(re: &str) -> String {
    format!(r#"{{"type":"ok","re":{}}}"#, quoted(re))
}

/// Tells a member that its name was taken and what it is called here; in the lobby with MDN's
/// fields in MDN's order.
pub(crate) fn reject_username(member: MemberId, room: Option<&str>, name: &str) -> String {
    let name = quoted(name);
    match room {
        None => format!(r#"{{"id":{member},"type":"rejectusername","name":{name}}}"#),
        Some(room) => {
            let room = quoted(room);
            format!(r#"{{"id":{member},"type":"rejectusername","room":{room},"name":{name}}}"#)
        }
    }
}

/// MDN's user list: names in the order of connection, `null` for a member without one.
pub(crate) fn lobby_list(lobby: &Scope) -> String {
    let names: Vec<String> = lobby
        .entries()
        .map(|(_, name)| name.map_or_else(|| "null".to_owned(), quoted))
        .collect();
    format!(r#"{{"type":"userlist","users":[{}]}}"#, names.join(","))
}

pub(crate) fn room_list(room: &str, kept: &Room, reader: MemberId) -> String {
    format!(
        r#"{{"type":"userlist","room":{},"users":{}{}}}"#,
        quoted(room),
        others(&kept.scope, reader),
        door_fields(kept)
    )
}

pub(crate) fn joined(
    room: &str,
    kept: &Room,
    reader: MemberId,
    ice: &IceServerList,
    session: Option<&str>,
) -> String {
    let session = session.map_or_else(String::new, |session| {
        format!(r#","session":{}"#, quoted(session))
    });
    format!(
        r#"{{"type":"joined","room":{},"self":{},"users":{}{},{}{session}}}"#,
        quoted(room),
        person(&kept.scope, reader),
        others(&kept.scope, reader),
        door_fields(kept),
        ice_fields(ice)
    )
}

/// Tells the members who may come in from here on, and which of them says so.
pub(crate) fn access(room: &str, access: Access, member: MemberId, name: &str) -> String {
    format!(
        r#"{{"type":"access","room":{},"access":"{}","user":{}}}"#,
        quoted(room),
        access.as_str(),
        user(member, name)
    )
}

/// Tells a newcomer that it waits, and for how long at most.
pub(crate) fn waiting(room: &str, left: Duration) -> String {
    let seconds = left.as_millis().div_ceil(1000);
    format!(
        r#"{{"type":"waiting","room":{},"timeout":{seconds}}}"#,
        quoted(room)
    )
}

pub(crate) fn knock(room: &str, member: MemberId, name: &str) -> String {
    let user = user(member, name);
    format!(
        r#"{{"type":"knock","room":{},"user":{user}}}"#,
        quoted(room)
    )
}

pub(crate) fn knock_ended(room: &str, member: MemberId, name: &str) -> String {
    let user = user(member, name);
    format!(
        r#"{{"type":"knock-ended","room":{},"user":{user}}}"#,
        quoted(room)
    )
}

/// Tells the members of a room of a newcomer. All of them were there before, so none of them is
/// polite toward it, and one text does for all.
pub(crate) fn user_joined(room: &str, user: MemberId, name: &str) -> String {
    format!(
        r#"{{"type":"user-joined","room":{},"user":{{"name":{},"id":{user},"polite":false}}}}"#,
        quoted(room),
        quoted(name)
    )
}

pub(crate) fn user_renamed(room: &str, member: MemberId, name: &str) -> String {
    let user = user(member, name);
    format!(
        r#"{{"type":"user-renamed","room":{},"user":{user}}}"#,
        quoted(room)
    )
}

pub(crate) fn user_left(room: &str, member: MemberId, name: &str) -> String {
    let user = user(member, name);
    format!(
        r#"{{"type":"user-left","room":{},"user":{user}}}"#,
        quoted(room)
    )
}

pub(crate) fn ice_servers(ice: &IceServerList) -> String {
    format!(r#"{{"type":"ice-servers",{}}}"#, ice_fields(ice))
}

fn ice_fields(ice: &IceServerList) -> String {
    format!(
        r#""iceServers":{},"ttl":{}"#,
        ice.json,
        whole_seconds(ice.ttl)
    )
}

/// Who may come in and who waits; of a room that is open there is nothing to say.
fn door_fields(kept: &Room) -> String {
    if kept.access == Access::Open {
        return String::new();
    }
    let waiting: Vec<String> = kept
        .waiting
        .iter()
        .map(|(member, knock)| user(*member, &knock.shown))
        .collect();
    format!(
        r#","access":"{}","waiting":[{}]"#,
        kept.access.as_str(),
        waiting.join(",")
    )
}

fn whole_seconds(ttl: Duration) -> u64 {
    ttl.as_secs()
}

fn others(scope: &Scope, reader: MemberId) -> String {
    let people: Vec<String> = scope
        .members()
        .filter(|user| *user != reader)
        .map(|user| other(scope, user, reader))
        .collect();
    format!("[{}]", people.join(","))
}

fn person(scope: &Scope, member: MemberId) -> String {
    user(member, scope.name_of(member).unwrap_or_default())
}

fn user(member: MemberId, name: &str) -> String {
    format!(r#"{{"name":{},"id":{member}}}"#, quoted(name))
}

/// Another member, as `reader` sees it: `polite` is the part that the *reader* plays toward that
/// member.
fn other(scope: &Scope, user: MemberId, reader: MemberId) -> String {
    let name = quoted(scope.name_of(user).unwrap_or_default());
    let polite = scope.arrived_after(reader, user);
    format!(r#"{{"name":{name},"id":{user},"polite":{polite}}}"#)
}
