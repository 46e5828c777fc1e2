//! A world with one hub, a clock that is moved by hand, and what each member received.

#![expect(
    dead_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "each test file uses its part; a test may panic"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jackfield_signal::{
    AckId, CloseReason, Hub, HubConfig, IceServerList, IceServers, MemberId, NewMember, Output,
};
use jackfield_testing::epoch;
use serde_json::Value;

pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) now: Instant,
    inbox: BTreeMap<MemberId, Vec<String>>,
    acks: BTreeMap<u64, String>,
    pub(crate) closed: Vec<(MemberId, CloseReason)>,
    /// Connections for which no name is held any more.
    pub(crate) released: Vec<MemberId>,
}

/// Mints credentials that hold the member, the host that was asked for, and a serial number.
#[derive(Debug)]
pub(crate) struct Numbered {
    pub(crate) ttl: Duration,
    pub(crate) count: u32,
}

impl IceServers for Numbered {
    fn mint(&mut self, _now: Instant, name: &str, host: Option<&str>) -> IceServerList {
        self.count += 1;
        let host = host.unwrap_or("?");
        let (count, ttl) = (self.count, self.ttl);
        let json =
            format!(r#"[{{"urls":"turn:{host}","username":"{name}","credential":"{count}"}}]"#);
        IceServerList { json, ttl }
    }
}

/// Only the type: a payload may hold what `Value` cannot, as a number beyond every float.
#[derive(serde::Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(HubConfig::default())
    }

    pub(crate) fn with(config: HubConfig) -> Self {
        Self::minting(config, Duration::from_secs(3600))
    }

    pub(crate) fn minting(config: HubConfig, ttl: Duration) -> Self {
        let ice = Numbered { ttl, count: 0 };
        Self {
            hub: Hub::new(config, Box::new(ice), [3; 32]),
            now: epoch(),
            inbox: BTreeMap::new(),
            acks: BTreeMap::new(),
            closed: Vec::new(),
            released: Vec::new(),
        }
    }

    /// A member as the SDK is one.
    pub(crate) fn connect(&mut self) -> MemberId {
        self.connect_as(NewMember {
            host: Some("example.org:3478".to_owned()),
            lobby: false,
            network: None,
        })
    }

    /// A client of MDN's sample.
    pub(crate) fn connect_mdn(&mut self) -> MemberId {
        self.connect_as(NewMember {
            host: None,
            lobby: true,
            network: None,
        })
    }

    pub(crate) fn connect_as(&mut self, new: NewMember) -> MemberId {
        let member = self.hub.handle_connect(self.now, new);
        self.drain();
        member
    }

    /// A member that is in a room, with what it was told so far thrown away.
    pub(crate) fn in_room(&mut self, room: &str, name: &str) -> MemberId {
        let member = self.connect();
        self.join(member, room, name);
        self.forget_all();
        member
    }

    pub(crate) fn join(&mut self, member: MemberId, room: &str, name: &str) {
        let json = serde_json::json!({ "type": "join", "room": room, "name": name });
        self.say(member, &json.to_string());
    }

    /// Has a new connection join a room as the SDK does, which wants to be able to come back;
    /// returns it and what it was answered.
    pub(crate) fn join_by(
        &mut self,
        room: &str,
        name: &str,
        session: Option<&str>,
    ) -> (MemberId, Value) {
        let member = self.connect();
        let body = serde_json::json!({ "room": room, "name": name, "session": session });
        let answer = self.ask(member, "join", &body.to_string());
        (member, answer)
    }

    pub(crate) fn say(&mut self, member: MemberId, text: &str) {
        self.hub.handle_message(self.now, member, text);
        self.drain();
    }

    /// Sends a message and returns how many messages come of it, and how many texts those are.
    pub(crate) fn texts(&mut self, member: MemberId, text: &str) -> (usize, usize) {
        self.hub.handle_message(self.now, member, text);
        let mut texts = Vec::new();
        while let Output::Send { json, .. } = self.hub.poll_output() {
            texts.push(json);
        }
        let count = texts.len();
        texts.sort_by_key(|text| text.as_ptr());
        texts.dedup_by_key(|text| text.as_ptr());
        (count, texts.len())
    }

    /// Sends an event and returns what its acknowledgement carries.
    pub(crate) fn ask(&mut self, member: MemberId, kind: &str, body: &str) -> Value {
        let ack = AckId(self.acks.len() as u64);
        self.hub
            .handle_event(self.now, member, kind, body, Some(ack));
        self.drain();
        serde_json::from_str(&self.acks[&ack.0]).unwrap()
    }

    /// Tells the hub that a member has read what waited for it; returns whether there is more.
    pub(crate) fn drained(&mut self, member: MemberId) -> bool {
        let more = self.hub.handle_drained(self.now, member);
        self.drain();
        more
    }

    pub(crate) fn disconnect(&mut self, member: MemberId) {
        self.hub.handle_disconnect(self.now, member);
        self.drain();
    }

    /// Lets time pass and every timer fire at its moment.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.drain().filter(|at| *at <= end) {
            self.now = at;
            self.hub.handle_timeout(at);
        }
        self.now = end;
    }

    /// Returns what a member received since the last look, as text.
    pub(crate) fn heard(&mut self, member: MemberId) -> Vec<String> {
        self.inbox.remove(&member).unwrap_or_default()
    }

    pub(crate) fn heard_one(&mut self, member: MemberId) -> Value {
        let heard = self.heard(member);
        assert_eq!(heard.len(), 1, "{heard:?}");
        serde_json::from_str(&heard[0]).unwrap()
    }

    pub(crate) fn heard_types(&mut self, member: MemberId) -> Vec<String> {
        let kind = |text: &String| {
            let message: Value = serde_json::from_str(text).unwrap();
            message["type"].as_str().unwrap().to_owned()
        };
        self.heard(member).iter().map(kind).collect()
    }

    pub(crate) fn refusal(&mut self, member: MemberId) -> String {
        let message = self.heard_one(member);
        assert_eq!(message["type"], "error", "{message}");
        message["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn forget_all(&mut self) {
        self.inbox.clear();
    }

    pub(crate) fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.hub.poll_output() {
                Output::Send { to, kind, json, .. } => {
                    let message: Typed = serde_json::from_str(&json).unwrap();
                    assert_eq!(message.kind, kind);
                    self.inbox.entry(to).or_default().push(json.to_string());
                }
                Output::Ack { ack, json, .. } => {
                    assert!(self.acks.insert(ack.0, json.to_string()).is_none());
                }
                Output::Close { member, why } => self.closed.push((member, why)),
                Output::NamesReleased { member } => self.released.push(member),
                Output::Wait(at) => return at,
            }
        }
    }
}
