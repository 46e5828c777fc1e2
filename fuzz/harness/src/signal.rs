//! Fuzz targets: each takes bytes and asserts what must hold for all of them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a fuzz target panics on purpose"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use jackfield_signal::internals::{edited, is_envelope};
use jackfield_signal::{
    AckId, Hub, HubConfig, IceServerList, IceServers, MemberId, NewMember, Output, Queues,
};
use jackfield_testing::epoch;

/// An envelope is read, or refused; what is written into it reads back, and nothing else changes.
pub fn envelope(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Some(edited) = edited(text, "n\u{0}\"ä") else {
        return;
    };
    // `Value` refuses numbers beyond every float, which the envelope only carries.
    let Ok(mut expected) = serde_json::from_str::<Value>(text) else {
        assert!(is_envelope(&edited));
        return;
    };
    if expected.get("type").is_none() {
        expected["type"] = "message".into();
    }
    expected["name"] = "n\u{0}\"ä".into();
    expected["room"] = "r".into();
    if expected.get("id").is_some() {
        expected["id"] = 7.into();
    }
    assert_eq!(serde_json::from_str::<Value>(&edited).unwrap(), expected);
}

/// Bytes are a play of connections, messages, events, time and ends. No message leaves a room for
/// a member that is not in it, nothing is sent to a member that is gone, no member speaks under
/// another's name, nothing that a member says is sent to one that has no room for it, and when all
/// have left nothing is kept.
pub fn hub(data: &[u8]) {
    let mut play = Play::new();
    let mut rest = data;
    while let Some((op, more)) = rest.split_first() {
        rest = more;
        let length = more
            .first()
            .map_or(0, |length| usize::from(*length))
            .min(more.len());
        let argument = more.get(1..length).unwrap_or_default();
        if play.step(*op, argument) {
            rest = more.get(length.max(1)..).unwrap_or_default();
        }
    }
    play.end();
}

/// The hub, and what its outputs say about who is where.
struct Play {
    hub: Hub,
    now: Instant,
    alive: Vec<MemberId>,
    /// By what the hub told the members themselves: their name in each room.
    entries: BTreeMap<(MemberId, String), String>,
    /// The session that was given last to anybody.
    session: String,
    acks: BTreeSet<u64>,
    asked: u64,
    waiting: Arc<Mutex<Waiting>>,
}

/// What members said to each other since time last passed.
#[derive(Default)]
struct Waiting {
    bytes: BTreeMap<(MemberId, MemberId), usize>,
    /// Members that had no room for a change.
    owed: BTreeSet<MemberId>,
    refused: u64,
}

struct Shared(Arc<Mutex<Waiting>>);

impl Queues for Shared {
    fn have_room(&mut self, from: MemberId, to: MemberId, bytes: usize) -> bool {
        let mut waiting = self.0.lock().unwrap();
        let before = waiting.bytes.get(&(from, to)).copied().unwrap_or_default();
        let room = before + bytes <= MOST_WAITING;
        waiting.refused += u64::from(!room);
        room
    }

    fn have_room_for_change(&mut self, to: MemberId, bytes: usize) -> bool {
        let room = !bytes.is_multiple_of(8);
        if !room {
            self.0.lock().unwrap().owed.insert(to);
        }
        room
    }
}

const MOST_WAITING: usize = 300;

struct TenSeconds;

impl IceServers for TenSeconds {
    fn mint(&mut self, _now: Instant, name: &str, _host: Option<&str>) -> IceServerList {
        let json = serde_json::json!([{ "username": name }]).to_string();
        IceServerList {
            json,
            ttl: Duration::from_secs(10),
        }
    }
}

const NAMES: [&str; 4] = ["ann", "bob", "ann1", "\u{202e}"];
const ROOMS: [&str; 4] = ["r", "s", "t", ""];

impl Play {
    fn new() -> Self {
        let config = HubConfig {
            max_members: 6,
            max_rooms: 2,
            max_rooms_per_member: 2,
            max_room_members: 3,
            max_lobby_members: 3,
            message_burst: 60,
            messages_per_second: 10,
            max_message_bytes: 200,
            max_waiting_per_room: 2,
            max_held_names: 3,
            max_held_names_per_network: 3,
            ..HubConfig::default()
        };
        let waiting = Arc::<Mutex<Waiting>>::default();
        let mut hub = Hub::new(config, Box::new(TenSeconds), [0; 32]);
        hub.set_queues(Box::new(Shared(waiting.clone())));
        Self {
            hub,
            waiting,
            now: epoch(),
            alive: Vec::new(),
            entries: BTreeMap::new(),
            session: String::new(),
            acks: BTreeSet::new(),
            asked: 0,
        }
    }

    /// Does one thing and returns whether it used the argument.
    fn step(&mut self, op: u8, argument: &[u8]) -> bool {
        let pick = usize::from(op >> 4);
        let text = String::from_utf8_lossy(argument);
        match op & 15 {
            0 => self.connect(pick % 2 == 0),
            1 => self.disconnect(pick),
            2 => self.say(
                pick,
                &format!(
                    r#"{{"type":"join","room":"{}","name":"{}"{}}}"#,
                    ROOMS[pick % 4],
                    NAMES[pick / 4],
                    [r#","session":null"#, ""][pick % 2]
                ),
            ),
            3 => self.say(
                pick,
                &format!(r#"{{"type":"leave","room":"{}"}}"#, ROOMS[pick / 4]),
            ),
            4 => self.say(
                pick,
                &format!(r#"{{"type":"username","name":"{}"}}"#, NAMES[pick / 4]),
            ),
            5 => self.say(
                pick,
                &format!(
                    r#"{{"type":"video-offer","target":"{}","name":"eve"}}"#,
                    NAMES[pick / 4]
                ),
            ),
            6 => self.say(
                pick,
                &format!(
                    r#"{{"type":"message","text":"<b>","room":"{}"}}"#,
                    ROOMS[pick / 4]
                ),
            ),
            7 => self.say(
                pick,
                r#"{"type":"message","data":[],"name":"eve","room":null}"#,
            ),
            8 => self.say(pick, r#"{"type":"hang-up","target":null}"#),
            9 => self.say(
                pick,
                &format!(
                    r#"{{"type":"new-ice-candidate","target":"{}"}}"#,
                    NAMES[pick / 4]
                ),
            ),
            10 => self.pass(Duration::from_millis(1 << pick)),
            11 if pick / 4 > 0 => self.say(
                pick,
                &format!(
                    r#"{{"type":"access","access":"{}"}}"#,
                    ["", "open", "knock", "locked"][pick / 4]
                ),
            ),
            11 => self.say(pick, r#"{"type":"userlist"}"#),
            12 if pick / 4 == 1 => self.come_back(pick),
            12 if pick / 4 == 2 => self.knock_at_door(pick, "admit"),
            12 if pick / 4 == 3 => self.knock_at_door(pick, "refuse"),
            12 => self.say(pick, r#"{"type":"ice-servers"}"#),
            13 => {
                self.ask(pick, "join", &text);
                return true;
            }
            14 => {
                self.ask(pick, &text, r#"{"room":"r","target":"ann"}"#);
                return true;
            }
            _ => {
                self.say(pick, &text);
                return true;
            }
        }
        false
    }

    fn connect(&mut self, lobby: bool) {
        let full = self.alive.len() == 6;
        let member = self.hub.handle_connect(
            self.now,
            NewMember {
                lobby,
                ..NewMember::default()
            },
        );
        self.alive.push(member);
        self.drain();
        assert_eq!(self.alive.contains(&member), !full);
    }

    fn disconnect(&mut self, pick: usize) {
        if let Some(member) = self.member(pick) {
            self.gone(member);
            self.hub.handle_disconnect(self.now, member);
            self.drain();
        }
    }

    fn say(&mut self, pick: usize, text: &str) {
        if let Some(member) = self.member(pick) {
            self.hub.handle_message(self.now, member, text);
            self.drain();
        }
    }

    /// Joins by the last session that was given, whoever has it.
    fn come_back(&mut self, pick: usize) {
        let (room, session) = (ROOMS[pick % 2], self.session.clone());
        self.say(
            pick,
            &format!(r#"{{"type":"join","room":"{room}","name":"ann","session":"{session}"}}"#),
        );
    }

    /// Has a member answer for whoever was connected last.
    fn knock_at_door(&mut self, pick: usize, answer: &str) {
        if let Some(last) = self.alive.last().copied() {
            self.say(pick, &format!(r#"{{"type":"{answer}","target":{last}}}"#));
        }
    }

    fn ask(&mut self, pick: usize, kind: &str, body: &str) {
        if let Some(member) = self.member(pick) {
            self.asked += 1;
            self.acks.insert(self.asked);
            let ack = Some(AckId(self.asked));
            self.hub.handle_event(self.now, member, kind, body, ack);
            self.drain();
            assert!(self.acks.is_empty(), "every question is answered at once");
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let owed = {
            let mut waiting = self.waiting.lock().unwrap();
            waiting.bytes.clear();
            std::mem::take(&mut waiting.owed)
        };
        for member in owed {
            while self.hub.handle_drained(self.now, member) {}
        }
        self.hub.handle_timeout(self.now);
        let next = self.drain();
        assert!(next.is_none_or(|at| at > self.now), "what is due is done");
    }

    fn end(mut self) {
        for member in std::mem::take(&mut self.alive) {
            self.gone(member);
            self.hub.handle_disconnect(self.now, member);
            // Those who are still there hear of it; that they are members is checked in `drain` of
            // the other steps.
            while !matches!(self.hub.poll_output(), Output::Wait(_)) {}
        }
        // Names are held for a while, and their rooms with them.
        self.now += Duration::from_secs(120);
        self.hub.handle_timeout(self.now);
        while let Output::NamesReleased { .. } = self.hub.poll_output() {}
        assert_eq!(self.hub.held_name_count(), 0);
        assert_eq!(self.hub.waiting_count(), 0);
        assert_eq!(self.hub.member_count(), 0);
        assert_eq!(self.hub.room_count(), 0);
        assert_eq!(self.hub.lobby_count(), 0);
        assert_eq!(self.hub.poll_output(), Output::Wait(None));
        let counters = self.hub.counters();
        assert_eq!(counters.connected, counters.disconnected);
        assert_eq!(counters.joined, counters.left);
    }

    fn member(&self, pick: usize) -> Option<MemberId> {
        self.alive.get(pick % 4).copied()
    }

    fn gone(&mut self, member: MemberId) {
        self.alive.retain(|alive| *alive != member);
        self.entries.retain(|(seated, _), _| *seated != member);
    }

    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.hub.poll_output() {
                Output::Send {
                    from,
                    to,
                    kind,
                    json,
                } => {
                    if let Some(from) = from {
                        self.relayed(from, to, kind.len() + json.len());
                    }
                    self.hear(to, &kind, &json);
                }
                Output::Ack { to, ack, json } => {
                    assert!(self.acks.remove(&ack.0));
                    if let Ok(message) = serde_json::from_str::<Value>(&json) {
                        let kind = message["type"].as_str().unwrap().to_owned();
                        self.hear(to, &kind, &json);
                    }
                }
                Output::Close { member, .. } => self.gone(member),
                Output::NamesReleased { member } => assert!(!self.alive.contains(&member)),
                Output::Wait(at) => {
                    self.check();
                    return at;
                }
            }
        }
    }

    fn relayed(&self, from: MemberId, to: MemberId, bytes: usize) {
        let mut waiting = self.waiting.lock().unwrap();
        let pair = waiting.bytes.entry((from, to)).or_default();
        *pair += bytes;
        assert!(*pair <= MOST_WAITING, "it was not asked for room");
    }

    fn hear(&mut self, to: MemberId, kind: &str, json: &str) {
        assert!(
            self.alive.contains(&to),
            "nothing is sent to members that are gone"
        );
        let Ok(message) = serde_json::from_str::<Value>(json) else {
            // Only a payload that is relayed can hold what `Value` refuses.
            assert!(is_envelope(json));
            return;
        };
        assert_eq!(message["type"], kind);
        let room = message["room"].as_str().unwrap_or_default().to_owned();
        let seat = (to, room.clone());
        match kind {
            "joined" => {
                let name = message["self"]["name"].as_str().unwrap().to_owned();
                self.entries.insert(seat, name);
                if let Some(session) = message["session"].as_str() {
                    session.clone_into(&mut self.session);
                }
            }
            "user-left" if message["user"]["id"] == to.number() => {
                assert!(self.entries.remove(&seat).is_some());
            }
            "rejectusername" => {
                if let Some(name) = self.entries.get_mut(&seat) {
                    *name = message["name"].as_str().unwrap().to_owned();
                }
            }
            "user-joined" | "user-left" | "user-renamed" | "userlist" | "access" | "knock"
            | "knock-ended"
                if !room.is_empty() =>
            {
                assert!(self.entries.contains_key(&seat), "{json} left its room");
            }
            "message" | "video-offer" | "video-answer" | "new-ice-candidate" | "hang-up"
                if !room.is_empty() =>
            {
                assert!(self.entries.contains_key(&seat), "{json} left its room");
                let name = message["name"].as_str().unwrap();
                let mut there = self.hub.members_of(&room);
                assert!(
                    there.any(|(_, seated)| seated == name),
                    "{json} is nobody's"
                );
            }
            _ => assert_ne!(message["name"], "eve"),
        }
    }

    fn check(&self) {
        let mut seated = 0;
        for (room, count) in self.hub.rooms() {
            assert!(count <= 3);
            assert!(
                count > 0 || self.hub.held_name_count() > 0,
                "{room} is empty"
            );
            seated += count;
            for (member, _) in self.hub.members_of(room) {
                assert!(self.entries.contains_key(&(member, room.to_owned())));
            }
        }
        assert_eq!(seated, self.entries.len());
        assert!(self.hub.held_name_count() <= 3);
        assert!(self.hub.waiting_count() <= 2 * 2);
        assert!(self.hub.room_count() <= 2 && self.hub.lobby_count() <= 3);
        assert_eq!(self.hub.member_count(), self.alive.len());
        let refused = self.waiting.lock().unwrap().refused;
        assert_eq!(self.hub.counters().receiver_busy, refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::replay;

    #[test]
    fn the_envelope_corpus_and_its_mutations_hold() {
        replay("signal_envelope", 6_000, envelope);
    }

    #[test]
    fn the_hub_corpus_and_its_mutations_hold() {
        replay("signal_hub", 6_000, hub);
    }
}
