//! The lobby: where clients of MDN's `webrtc-from-chat` sample meet.
//!
//! It speaks the sample's dialect byte for byte and leaves its faults behind: the sender is who
//! sent it, not who the message says; a hang-up without a target ends the sender's own calls and
//! no others; nothing makes the server fail.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::envelope::{Envelope, string};
use crate::hub::{Hub, Origin, READER_COST, Reply};
use crate::name::Name;
use crate::relay::{Target, target};
use crate::scope::Scope;
use crate::write::{self, quoted};
use crate::{ErrorCode, MemberId};

impl Hub {
    /// Takes a chat message in the lobby: it goes to all members, the sender included, or to
    /// its target.
    pub(crate) fn lobby_message(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        let fields = &envelope.fields;
        let name = self.lobby_name(origin.member)?;
        let mut edit = envelope.edit().kind_first(origin.kind, fields.kind);
        if let Some(text) = string(fields.text)? {
            let stripped = without_tags(&text);
            if stripped != text {
                edit = edit.replace(fields.text, &quoted(&stripped));
            }
        } else if fields.data.is_none() {
            return Err(ErrorCode::BadField);
        }
        let json = edit
            // The sender's true number and name, whatever the message says.
            .replace(fields.id, &origin.member.to_string())
            .set("name", fields.name, &quoted(&name))
            .finish();
        self.send_in_lobby(origin, envelope, json.into())
    }

    /// Passes on a message of a type that is none of ours, as the sample's server does.
    pub(crate) fn lobby_other(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        if !self.lobby.has(origin.member) {
            return Err(ErrorCode::TypeUnknown);
        }
        let name = self.lobby_name(origin.member)?;
        let json = envelope
            .edit()
            .kind_first(origin.kind, envelope.fields.kind)
            .replace(envelope.fields.id, &origin.member.to_string())
            .replace(envelope.fields.name, &quoted(&name))
            .finish();
        self.send_in_lobby(origin, envelope, json.into())
    }

    pub(crate) fn enter_lobby(&mut self, member: MemberId, wanted: Option<&Name>) {
        let name = wanted.map(|wanted| self.free_lobby_name(member, wanted));
        match name {
            Some(name) if self.lobby.has(member) => self.lobby.rename(member, name),
            name => self.lobby.insert(member, name),
        }
    }

    pub(crate) fn leave_lobby(&mut self, member: MemberId) {
        if self.lobby.remove(member).is_some() {
            self.caught_up(member, None);
            self.notify_lobby();
        }
    }

    /// Notes that the members of the lobby need a new list.
    pub(crate) fn notify_lobby(&mut self) {
        self.counters.lobby_lists_merged += u64::from(self.lobby_list.has_changed);
        self.lobby_list.has_changed = self.lobby.len() > 0;
    }

    /// Sends the list of members to all members of the lobby, if it has changed and the last one
    /// was long enough ago.
    ///
    /// Each change would otherwise cost the square of the lobby's size.
    pub(crate) fn send_lobby_list(&mut self, now: Instant) {
        if !self.lobby_list.is_due(now) {
            return;
        }
        let json: Arc<str> = write::lobby_list(&self.lobby).into();
        let members: Vec<MemberId> = self.lobby.members().collect();
        self.send_change(&members, None, "userlist", &json);
        let bytes = members.len() * (json.len() + READER_COST);
        self.lobby_list.has_changed = false;
        // A rate of 0 stands for no limit.
        self.lobby_list.not_before = Duration::from_secs(bytes as u64)
            .checked_div(self.config.lobby_bytes_per_second)
            .and_then(|pause| now.checked_add(pause));
    }

    fn free_lobby_name(&mut self, member: MemberId, wanted: &Name) -> Name {
        let name = self
            .lobby
            .free_name(wanted, member, self.config.max_name_chars);
        if name != *wanted {
            self.counters.renamed += 1;
            let json = write::reject_username(member, None, name.as_str());
            self.send(member, "rejectusername", json.into());
        }
        name
    }

    fn lobby_name(&self, member: MemberId) -> Result<String, ErrorCode> {
        let name = self.lobby.name_of(member);
        name.map(str::to_owned).ok_or(ErrorCode::NameRequired)
    }

    fn send_in_lobby(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
        json: Arc<str>,
    ) -> Result<Reply, ErrorCode> {
        let to = lobby_receivers(&self.lobby, target(envelope)?.as_ref())?;
        self.relay(origin, &to, &json)
    }
}

/// When the members of the lobby get their next list.
#[derive(Debug, Default)]
pub(crate) struct LobbyList {
    has_changed: bool,
    not_before: Option<Instant>,
}

impl LobbyList {
    /// Returns when a list that waits can be sent.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.has_changed)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.has_changed && self.not_before.is_none_or(|at| at <= now)
    }
}

fn lobby_receivers(lobby: &Scope, target: Option<&Target>) -> Result<Vec<MemberId>, ErrorCode> {
    match target {
        None => Ok(lobby.members().collect()),
        Some(target) => Ok(vec![target.find(lobby).ok_or(ErrorCode::NoSuchUser)?]),
    }
}

/// Removes what the sample removes: `/(<([^>]+)>)/ig`.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        match after.split_once('>') {
            // No later tag is closed either.
            None => {
                out.push('<');
                out.push_str(after);
                return out;
            }
            Some(("", _)) => {
                out.push('<');
                rest = after;
            }
            Some((_, beyond)) => rest = beyond,
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_are_removed_as_the_sample_removes_them() {
        for (text, expected) in [
            ("hi <b>there</b>", "hi there"),
            ("1 < 2", "1 < 2"),
            ("1 < 2 > 0", "1  0"),
            ("<>", "<>"),
            ("<>a>", "<>a>"),
            ("<><b>", "<>"),
            ("<<b>>", ">"),
            ("<a\nb>c", "c"),
            ("<", "<"),
            (">", ">"),
            ("a<b<c", "a<b<c"),
            ("", ""),
        ] {
            assert_eq!(without_tags(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_stays_is_a_part_of_what_came_and_holds_no_tag(text in "[<>ab\n]{0,24}") {
            let stripped = without_tags(&text);
            let mut chars = text.chars();
            prop_assert!(stripped.chars().all(|c| chars.any(|d| d == c)));
            prop_assert_eq!(stripped == text, !has_tag(&text));
        }
    }

    fn has_tag(text: &str) -> bool {
        let bytes = text.as_bytes();
        (0..bytes.len()).any(|at| {
            let closes = bytes[at..].iter().position(|byte| *byte == b'>');
            bytes[at] == b'<' && closes.is_some_and(|length| length > 1)
        })
    }
}
