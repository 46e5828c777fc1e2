//! A room as the programs of this crate see it: who is connected, and how long no one was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::channel::Channel;
use crate::connection::Connector;
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::room::{PeerId, Room, RoomEvent, RoomHandle, RoomOptions};
use crate::stop::Stop;

/// How a program stays in its room.
#[derive(Debug, Clone)]
pub struct Stay {
    /// The room; its purpose is set by the program.
    pub room: RoomOptions,
    /// How long to wait while no member is connected, at the beginning and whenever they are gone.
    pub wait: Duration,
    /// Ends the program before it is done.
    pub stop: Stop,
}

/// A program's stay in a room.
pub(crate) struct Session {
    room: Room,
    page: String,
    room_name: String,
    peers: BTreeMap<PeerId, Peer>,
    /// What those were called who left last.
    left: BTreeMap<PeerId, String>,
    pub(crate) observer: Arc<dyn Observer>,
    wait: Duration,
    stop: Stop,
    /// Since when no member is connected.
    alone_since: Option<Instant>,
    /// Why the server is out of reach.
    server_trouble: Option<String>,
    has_joined: bool,
}

struct Peer {
    name: String,
    was_here: bool,
    is_connected: bool,
}

/// What a program has to act on.
pub(crate) enum Step {
    /// Channels to them work; those that were there before have ended.
    Connected(PeerId),
    /// They have said what they are here for.
    Purpose(PeerId, String),
    /// They have opened a channel.
    Channel {
        peer: PeerId,
        protocol: String,
        channel: Channel,
    },
    /// They wrote something in the chat.
    Chat { text: String },
    /// They are gone.
    Left {
        peer: PeerId,
        name: String,
        said_goodbye: bool,
    },
}

impl Session {
    pub(crate) fn enter<C: Connector>(
        stay: Stay,
        connector: C,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let Stay {
            room: options,
            wait,
            stop,
        } = stay;
        let page = options.server.page(&options.room);
        let room_name = options.room.to_string();
        let room = Room::enter(options, connector);
        let alone_since = Some(Instant::now());
        let peers = BTreeMap::new();
        Self {
            room,
            page,
            room_name,
            peers,
            left: BTreeMap::new(),
            observer,
            wait,
            stop,
            alone_since,
            server_trouble: None,
            has_joined: false,
        }
    }

    pub(crate) fn handle(&self) -> RoomHandle {
        self.room.handle()
    }

    pub(crate) fn tell(&self, event: Event) {
        self.observer.tell(event);
    }

    /// Returns what somebody is called, also after they have left.
    pub(crate) fn name(&self, peer: PeerId) -> String {
        let here = self.peers.get(&peer).map(|peer| &peer.name);
        let name = here.or_else(|| self.left.get(&peer));
        name.map_or_else(|| "somebody".to_owned(), Clone::clone)
    }

    /// Returns whether somebody was in the room before us; of two programs this is true for one.
    pub(crate) fn came_before_us(&self, peer: PeerId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.was_here)
    }

    /// Returns what the program has to act on next. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When there is nothing to wait for, or the program was stopped.
    pub(crate) async fn next(&mut self) -> Result<Step, Error> {
        loop {
            let deadline = self
                .alone_since
                .and_then(|since| since.checked_add(self.wait));
            let event = tokio::select! {
                event = self.room.next() => event.ok_or(Error::RoomLeft)?,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    return Err(self.why_alone());
                }
                () = self.stop.stopped() => return Err(Error::Stopped),
            };
            if let Some(step) = self.handle_event(event)? {
                return Ok(step);
            }
        }
    }

    /// Returns whether channels to somebody work, as far as we know.
    pub(crate) fn is_connected(&self, peer: PeerId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.is_connected)
    }

    /// Says why no member is connected.
    fn why_alone(&self) -> Error {
        let wait = self.wait;
        let here = self.peers.values().next().map(|peer| peer.name.clone());
        if let Some(why) = self.server_trouble.clone() {
            return Error::ServerLost { why, wait };
        }
        let last = self.left.values().next_back().cloned();
        match (here, last) {
            (Some(peer), _) => Error::NoPath { peer, wait },
            (None, Some(peer)) => Error::Gone { peer, wait },
            (None, None) => Error::Nobody(wait),
        }
    }

    /// Says goodbye and leaves.
    pub(crate) async fn leave(self) {
        self.room.leave().await;
    }

    fn handle_event(&mut self, event: RoomEvent) -> Result<Option<Step>, Error> {
        match event {
            RoomEvent::Joined { name } => {
                let (room, page) = (self.room_name.clone(), self.page.clone());
                self.server_trouble = None;
                self.tell(Event::Room { room, page, name });
                if !std::mem::replace(&mut self.has_joined, true) {
                    self.tell(Event::Waiting);
                }
                Ok(None)
            }
            RoomEvent::ServerLost(error) if !self.has_joined => Err(error.into()),
            RoomEvent::ServerLost(error) => {
                let why = error.to_string();
                self.server_trouble = Some(why.clone());
                self.tell(Event::ServerLost { why });
                Ok(None)
            }
            RoomEvent::Knocking { .. } => {
                self.tell(Event::Knocking);
                Ok(None)
            }
            RoomEvent::Refused { code, message } => Err(Error::NotLetIn { code, message }),
            RoomEvent::Found {
                peer,
                name,
                was_here,
            } => {
                let found = Peer {
                    name: name.clone(),
                    was_here,
                    is_connected: false,
                };
                self.peers.insert(peer, found);
                self.tell(Event::Found { peer: name });
                Ok(None)
            }
            RoomEvent::Returned { peer, found_as } => {
                self.peers.remove(&found_as);
                self.tell(Event::Returned {
                    peer: self.name(peer),
                });
                Ok(None)
            }
            RoomEvent::Connected { peer, anew } => {
                self.set_connected(peer, true);
                self.tell(Event::Connected {
                    peer: self.name(peer),
                });
                Ok(anew.then_some(Step::Connected(peer)))
            }
            RoomEvent::Interrupted { peer } => {
                self.set_connected(peer, false);
                self.tell(Event::Interrupted {
                    peer: self.name(peer),
                });
                Ok(None)
            }
            RoomEvent::Purpose { peer, purpose } => Ok(Some(Step::Purpose(peer, purpose))),
            RoomEvent::Channel {
                peer,
                label: _,
                protocol,
                channel,
            } => Ok(Some(Step::Channel {
                peer,
                protocol,
                channel,
            })),
            RoomEvent::Path { peer, path, relay } => {
                self.tell(Event::path(self.name(peer), &path, relay));
                Ok(None)
            }
            // What programs tell each other is for those that know it.
            RoomEvent::Told { .. } => Ok(None),
            RoomEvent::Chat { name: _, text } => Ok(Some(Step::Chat { text })),
            RoomEvent::Left {
                peer,
                name,
                said_goodbye,
            } => {
                self.set_connected(peer, false);
                self.peers.remove(&peer);
                self.left.insert(peer, name.clone());
                if self.left.len() > MOST_REMEMBERED {
                    self.left.pop_first();
                }
                self.tell(Event::Left {
                    peer: name.clone(),
                    said_goodbye,
                });
                if self.peers.is_empty() {
                    self.tell(Event::Waiting);
                }
                Ok(Some(Step::Left {
                    peer,
                    name,
                    said_goodbye,
                }))
            }
        }
    }

    fn set_connected(&mut self, peer: PeerId, is_connected: bool) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.is_connected = is_connected;
        }
        if self.peers.values().any(|peer| peer.is_connected) {
            self.alone_since = None;
        } else {
            self.alone_since.get_or_insert_with(Instant::now);
        }
    }
}

/// How many of those who left have a name.
const MOST_REMEMBERED: usize = 100;
