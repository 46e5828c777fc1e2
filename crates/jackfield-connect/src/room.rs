//! A room as a native program is in it: who is there, and a peer connection with each of them.
//!
//! What `web/assets/sdk-room.js` and `sdk-peer.js` do for browsers, so that a program is a member
//! like a page. A [`Room`] is a handle; a task does the work, and ends when the room is left.

mod actor;
mod call;
mod calls;
mod event;
mod member;
mod members;
mod preparing;
mod queue;
#[cfg(test)]
mod tests;

use jackfield_proxy::ProxyRules;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::channel::Channel;
use crate::connection::{ConnectionError, Connector};
use crate::server::{RoomName, Server};
use crate::trust::Trust;

use actor::Actor;
pub use event::RoomEvent;
use queue::EventReceiver;

/// Where to go, and how to appear there.
#[derive(Debug, Clone)]
pub struct RoomOptions {
    /// The server.
    pub server: Server,
    /// Which of its certificates are trusted.
    pub trust: Trust,
    /// By which proxy the server is reached, if by any. One on this machine is reached directly.
    pub proxies: ProxyRules,
    /// The room.
    pub room: RoomName,
    /// What others see; the server adds a number to one that is taken.
    pub name: String,
    /// What a server that asks for one lets in by.
    pub token: Option<String>,
    /// The program's purpose: `pipe`, `send`, `receive` or `forward`. The others in the room see
    /// it.
    pub purpose: &'static str,
    /// Seeds marks and retries.
    pub seed: [u8; 16],
}

/// A person or program of the room, for as long as there is a call with them: coming back on
/// another connection to the server does not change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub(crate) u64);

/// A room that this program is in.
#[derive(Debug)]
pub struct Room {
    events: EventReceiver,
    handle: RoomHandle,
    task: JoinHandle<()>,
}

/// A way to say something in a room; as many as wanted.
#[derive(Debug, Clone)]
pub struct RoomHandle(mpsc::UnboundedSender<Command>);

#[derive(Debug)]
enum Command {
    Open {
        peer: PeerId,
        label: String,
        protocol: String,
        reply: oneshot::Sender<Result<Channel, ConnectionError>>,
    },
    Chat(String),
    Tell(PeerId, Value),
    Leave,
}

impl Room {
    /// Enters a room. What comes of it is in [`Room::next`].
    pub fn enter<C: Connector>(options: RoomOptions, connector: C) -> Self {
        let (commands, to_do) = mpsc::unbounded_channel();
        let (happened, events) = queue::queue();
        let (actor, internals) = Actor::new(options, connector, happened);
        let task = tokio::spawn(actor.run(to_do, internals));
        Self {
            events,
            handle: RoomHandle(commands),
            task,
        }
    }

    /// Returns what happens next; `None` when the room was left. Dropping the future loses nothing.
    ///
    /// Of a program that does not call it, the members and the server are slowed down: a bounded
    /// number of events waits. Commands of a [`RoomHandle`] are carried out all the same.
    pub async fn next(&mut self) -> Option<RoomEvent> {
        self.events.next().await
    }

    /// Returns a handle.
    #[must_use]
    pub fn handle(&self) -> RoomHandle {
        self.handle.clone()
    }

    /// Says goodbye to everybody and leaves; resolves when that is done.
    pub async fn leave(self) {
        // A task that has ended has left.
        let _ended = self.handle.0.send(Command::Leave);
        drop(self.events);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "The task of a room failed");
        }
    }
}

impl RoomHandle {
    /// Opens a reliable, ordered channel to somebody.
    ///
    /// # Errors
    /// When they are gone, or the connection is not one that takes a channel now.
    pub async fn open_channel(
        &self,
        peer: PeerId,
        label: &str,
        protocol: &str,
    ) -> Result<Channel, ConnectionError> {
        let (reply, answer) = oneshot::channel();
        let gone = || ConnectionError("the room was left".to_owned());
        let (label, protocol) = (label.to_owned(), protocol.to_owned());
        self.0
            .send(Command::Open {
                peer,
                label,
                protocol,
                reply,
            })
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Says something in the chat.
    pub fn chat(&self, text: impl Into<String>) {
        // A room that was left has no chat.
        let _left = self.0.send(Command::Chat(text.into()));
    }

    /// Tells one member something through the server, byte for byte; lost while the server is out
    /// of reach, or when they are gone.
    pub fn tell(&self, peer: PeerId, data: Value) {
        // A room that was left has no member to tell.
        let _left = self.0.send(Command::Tell(peer, data));
    }
}
