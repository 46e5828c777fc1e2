//! A member of a room in this process, which does only what a test has it do.

use std::time::Duration;

use jackfield_connect::{Channel, PeerId, Room, RoomEvent, RoomOptions, Server, Trust, WebRtc};
use tokio::runtime::Runtime;

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

    /// Opens a channel to the first other member that is connected.
    pub(crate) fn open_channel(&mut self, protocol: &str) -> Channel {
        let Self {
            runtime,
            room,
            peer,
        } = self;
        runtime.block_on(async {
            let peer = match *peer {
                Some(peer) => peer,
                None => *peer.insert(connected(room).await),
            };
            let opened = room.handle().open_channel(peer, protocol, protocol).await;
            opened.unwrap()
        })
    }

    /// Returns whether the other side closes a channel.
    pub(crate) fn is_closed(&self, channel: &mut Channel) -> bool {
        let closed = async { tokio::time::timeout(PATIENCE, channel.receiver.recv()).await };
        self.runtime.block_on(closed) == Ok(None)
    }
}

async fn connected(room: &mut Room) -> PeerId {
    loop {
        if let RoomEvent::Connected { peer, .. } = room.next().await.unwrap() {
            return peer;
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
