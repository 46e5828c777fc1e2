//! A member of a room in this process, which does only what a test has it do.

use std::time::Duration;

use jackfield_connect::{
    Channel, Message, PeerId, Room, RoomEvent, RoomOptions, Server, Trust, WebRtc,
};
use jackfield_proxy::ProxyRules;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::command::Running;

/// A member of a room; it leaves without a goodbye when it is dropped.
pub(crate) struct Member {
    runtime: Runtime,
    room: Room,
    peer: Option<PeerId>,
}

impl Member {
    pub(crate) fn enter(server: &Running, room: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let server: Server = server.url().parse().unwrap();
        let trust = Trust::new(None).unwrap();
        let connector = WebRtc::near(&server).trusting(&trust);
        let options = RoomOptions {
            server,
            trust,
            proxies: ProxyRules::default(),
            room: room.parse().unwrap(),
            name: "member".to_owned(),
            token: None,
            purpose: "send",
            seed: [3; 16],
        };
        let room = runtime.block_on(async { Room::enter(options, connector) });
        Self {
            runtime,
            room,
            peer: None,
        }
    }

    /// Waits until another member is connected.
    pub(crate) fn meets_somebody(&mut self) -> PeerId {
        if let Some(peer) = self.peer {
            return peer;
        }
        let peer = self.until(|event| match event {
            RoomEvent::Connected { peer, .. } => Some(peer),
            _ => None,
        });
        *self.peer.insert(peer)
    }

    /// Opens a channel to the first other member that is connected.
    pub(crate) fn open_channel(&mut self, protocol: &str) -> Channel {
        let peer = self.meets_somebody();
        let handle = self.room.handle();
        let opened = handle.open_channel(peer, protocol, protocol);
        self.runtime.block_on(opened).unwrap()
    }

    /// Opens a channel to the next member that is connected.
    pub(crate) fn open_channel_to_next(&mut self, protocol: &str) -> Channel {
        self.peer = None;
        self.open_channel(protocol)
    }

    /// Takes the next channel that another member opens.
    pub(crate) fn accept_channel(&mut self) -> Channel {
        self.until(|event| match event {
            RoomEvent::Channel { channel, .. } => Some(channel),
            _ => None,
        })
    }

    pub(crate) fn say(&self, channel: &Channel, text: &str) {
        let message = Message::Text(text.to_owned());
        let said = channel.sender.send(message);
        self.runtime.block_on(said).unwrap();
    }

    /// Returns the next message on a channel; nothing if the channel ends first.
    pub(crate) fn hears(&self, channel: &mut Channel) -> Option<serde_json::Value> {
        match self.receive(channel)? {
            Message::Text(text) => Some(serde_json::from_str(&text).unwrap()),
            Message::Binary(_) => panic!("bytes come"),
        }
    }

    /// Returns whether the other side closes a channel without a word.
    pub(crate) fn is_closed(&self, channel: &mut Channel) -> bool {
        self.receive(channel).is_none()
    }

    /// Waits until somebody leaves, and returns whether they said so.
    pub(crate) fn sees_a_goodbye(&mut self) -> bool {
        self.until(|event| match event {
            RoomEvent::Left { said_goodbye, .. } => Some(said_goodbye),
            _ => None,
        })
    }

    pub(crate) fn leave(self) {
        self.runtime.block_on(self.room.leave());
    }

    fn receive(&self, channel: &mut Channel) -> Option<Message> {
        let received = async { timeout(PATIENCE, channel.receiver.recv()).await };
        self.runtime.block_on(received).unwrap()
    }

    fn until<T>(&mut self, wanted: impl Fn(RoomEvent) -> Option<T>) -> T {
        let Self { runtime, room, .. } = self;
        let found = async {
            loop {
                if let Some(found) = wanted(room.next().await.unwrap()) {
                    return found;
                }
            }
        };
        runtime
            .block_on(async { timeout(PATIENCE, found).await })
            .unwrap()
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
