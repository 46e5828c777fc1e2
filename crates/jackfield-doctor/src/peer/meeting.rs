//! Meets another machine in a room: tells it what this one found, connects and measures.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use jackfield_connect::{
    Connector, Events, PeerId, Preparation, Room, RoomEvent, RoomOptions, SignalingError, Stop,
    WebRtc, WebRtcConnection,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::probe::{Measured, Opening};
use super::{PeerFacts, Route, Sight};
use crate::examine::{Options, examine};
use crate::facts::Facts;

/// How to meet.
#[derive(Debug)]
pub struct MeetingOptions {
    /// The room; its purpose is set to `doctor`.
    pub room: RoomOptions,
    /// What makes connections.
    pub webrtc: WebRtc,
    /// What this machine examines by itself.
    pub examine: Options,
    /// How long to wait for the other machine.
    pub wait: Duration,
    /// Ends the meeting before it is done.
    pub stop: Stop,
}

/// Why two machines did not meet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeetingError {
    /// The server was never reached.
    #[error(transparent)]
    Server(#[from] SignalingError),
    /// The server does not let us in.
    #[error("the server does not let us into the room: {0}")]
    NotLetIn(String),
    /// No other machine that runs `jackfield doctor --peer` came into the room.
    #[error("no one came into the room with `jackfield doctor --peer` for {} seconds", .0.as_secs())]
    NoOne(Duration),
    /// The meeting was told to end, and has told the other side.
    #[error("stopped")]
    Stopped,
    /// The room ended.
    #[error("the room was left")]
    RoomLeft,
}

/// Examines this machine's network and, with the machine that does the same in the room, the path
/// between the two. Takes some twenty seconds once both are there.
///
/// Returns this machine's own facts, too.
///
/// # Errors
/// [`MeetingError`] says why no other machine was met. A path that did not come about is no error:
/// it is a conclusion.
pub async fn meet(options: MeetingOptions) -> Result<(Facts, PeerFacts), MeetingError> {
    let MeetingOptions {
        mut room,
        webrtc,
        examine: own,
        wait,
        stop,
    } = options;
    room.purpose = "doctor";
    let (made, connections) = mpsc::unbounded_channel();
    let connector = Watched {
        inner: webrtc.probing(),
        made,
    };
    let number = u64::from_be_bytes(*room.seed.first_chunk().unwrap_or(&[0; 8]));
    let mut meeting = Meeting {
        room: Room::enter(room, connector),
        connections,
        number,
        own: None,
        has_joined: false,
        members: BTreeMap::new(),
        partner: None,
    };
    let met = tokio::select! {
        met = meeting.run(&own, wait) => met,
        () = stop.stopped() => Err(MeetingError::Stopped),
    };
    meeting.room.leave().await;
    met
}

/// Makes connections, and keeps a way to measure each.
struct Watched {
    inner: WebRtc,
    made: mpsc::UnboundedSender<Opening>,
}

impl Connector for Watched {
    type Connection = WebRtcConnection;

    fn prepare(&mut self, servers: &Value) -> Preparation {
        self.inner.prepare(servers)
    }

    async fn connect(&mut self, servers: &Value, events: Events) -> io::Result<WebRtcConnection> {
        let connection = self.inner.connect(servers, events).await?;
        // A meeting that is over measures nothing.
        let _over = self.made.send(Opening::of(connection.peer()));
        Ok(connection)
    }
}

struct Meeting {
    room: Room,
    connections: mpsc::UnboundedReceiver<Opening>,
    /// Decides which side sends first.
    number: u64,
    own: Option<Facts>,
    has_joined: bool,
    members: BTreeMap<PeerId, Member>,
    /// The first member that told us what it found.
    partner: Option<Partner>,
}

#[derive(Default)]
struct Member {
    name: String,
    opening: Option<Opening>,
    is_connected: bool,
    route: Option<Route>,
}

struct Partner {
    peer: PeerId,
    sight: Sight,
    number: u64,
    is_gone: bool,
}

impl Meeting {
    async fn run(
        &mut self,
        own: &Options,
        wait: Duration,
    ) -> Result<(Facts, PeerFacts), MeetingError> {
        let facts = self.gather(own, wait).await?;
        self.connect().await?;
        let measured = self.measure().await?;
        let Some(partner) = self.partner.take() else {
            return Err(MeetingError::NoOne(wait));
        };
        let member = self.members.remove(&partner.peer).unwrap_or_default();
        let peer = PeerFacts {
            server: facts.server.clone(),
            peer: visible(&member.name),
            here: Sight::of(&facts),
            there: Some(partner.sight),
            // A partner that is done may be gone by now; the path was there.
            route: member.route,
            delay: measured.delay,
            loss: measured.loss,
            throughput: measured.throughput,
            mtu: measured.mtu.map(|mtu| mtu.min(local_mtu(&facts))),
        };
        Ok((facts, peer))
    }

    /// Examines this machine's network until that is done and somebody has told us of theirs.
    async fn gather(&mut self, own: &Options, wait: Duration) -> Result<Facts, MeetingError> {
        let mut examination = std::pin::pin!(examine(own));
        let mut until = None;
        loop {
            if let (Some(facts), Some(_)) = (&self.own, &self.partner) {
                return Ok(facts.clone());
            }
            tokio::select! {
                facts = &mut examination, if self.own.is_none() => {
                    until = Some(Instant::now() + wait);
                    self.own = Some(facts);
                    let all: Vec<PeerId> = self.members.keys().copied().collect();
                    all.into_iter().for_each(|peer| self.tell(peer));
                }
                event = self.room.next() => self.handle(event)?,
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    return Err(MeetingError::NoOne(wait));
                }
            }
        }
    }

    /// Waits until a path is there, or none is to be expected any more.
    async fn connect(&mut self) -> Result<(), MeetingError> {
        let until = Instant::now() + CONNECT_WITHIN;
        while !self.is_path_known() && !self.is_partner_gone() {
            tokio::select! {
                event = self.room.next() => self.handle(event)?,
                () = sleep_until(until) => break,
            }
        }
        Ok(())
    }

    async fn measure(&mut self) -> Result<Measured, MeetingError> {
        let number = self.number;
        let Some(partner) = &self.partner else {
            return Ok(Measured::default());
        };
        let is_first = number > partner.number;
        let member = self.members.get_mut(&partner.peer);
        let opening = member
            .filter(|member| member.is_connected)
            .and_then(|member| member.opening.take());
        let Some(opening) = opening else {
            return Ok(Measured::default());
        };
        let mut measurement = std::pin::pin!(opening.measure(is_first));
        loop {
            tokio::select! {
                measured = &mut measurement => return Ok(measured),
                // The path may change in the middle, and the last one counts.
                event = self.room.next() => self.handle(event)?,
            }
        }
    }

    fn is_path_known(&self) -> bool {
        let partner = self.partner.as_ref();
        let member = partner.and_then(|partner| self.members.get(&partner.peer));
        member.is_some_and(|member| member.is_connected && member.route.is_some())
    }

    fn is_partner_gone(&self) -> bool {
        self.partner.as_ref().is_none_or(|partner| partner.is_gone)
    }

    fn handle(&mut self, event: Option<RoomEvent>) -> Result<(), MeetingError> {
        self.take_connections(None);
        match event.ok_or(MeetingError::RoomLeft)? {
            RoomEvent::Joined { .. } => self.has_joined = true,
            RoomEvent::ServerLost(error) if !self.has_joined => return Err(error.into()),
            RoomEvent::Refused { message, .. } => {
                return Err(MeetingError::NotLetIn(visible(&message)));
            }
            RoomEvent::Found { peer, name, .. } => {
                self.members.entry(peer).or_default().name = name;
                self.take_connections(Some(peer));
                self.tell(peer);
            }
            RoomEvent::Connected { peer, .. } => self.member(peer).is_connected = true,
            RoomEvent::Interrupted { peer } => self.member(peer).is_connected = false,
            RoomEvent::Path { peer, path, relay } => {
                self.member(peer).route = Some(Route {
                    relay,
                    local: path.local,
                    remote: path.remote,
                    protocol: path.protocol,
                });
            }
            RoomEvent::Told { peer, data } => self.hear(peer, &data),
            RoomEvent::Left { peer, .. } => {
                if let Some(partner) = self.partner.as_mut().filter(|it| it.peer == peer) {
                    partner.is_gone = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn member(&mut self, peer: PeerId) -> &mut Member {
        self.members.entry(peer).or_default()
    }

    /// Gives the connections that were made since to a member: to the one that was just found, or,
    /// where one was made anew, to the one that we meet.
    fn take_connections(&mut self, found: Option<PeerId>) {
        let Some(peer) = found.or_else(|| self.partner.as_ref().map(|partner| partner.peer)) else {
            return;
        };
        while let Ok(opening) = self.connections.try_recv() {
            self.member(peer).opening = Some(opening);
        }
    }

    /// Tells a member what this machine found, once it has found anything.
    fn tell(&self, peer: PeerId) {
        let Some(facts) = &self.own else {
            return;
        };
        let has_heard = self.partner.as_ref().is_some_and(|it| it.peer == peer);
        let message = json!({
            "doctor": Sight::of(facts),
            "number": self.number,
            "heard": has_heard,
        });
        self.room.handle().tell(peer, message);
    }

    fn hear(&mut self, peer: PeerId, data: &Value) {
        let sight = data.get("doctor").map(Sight::deserialize);
        let (Some(Ok(sight)), Some(number)) = (sight, data.get("number").and_then(Value::as_u64))
        else {
            return;
        };
        if self.partner.as_ref().is_some_and(|it| it.peer != peer) {
            // Two machines have one path; a third one finds somebody else.
            return;
        }
        self.partner = Some(Partner {
            peer,
            sight,
            number,
            is_gone: false,
        });
        if data.get("heard") != Some(&Value::Bool(true)) {
            self.tell(peer);
        }
    }
}

/// Returns the largest packet that leaves this machine whole: the system cuts larger ones into
/// fragments, which pass a path that they do not fit on.
fn local_mtu(facts: &Facts) -> u16 {
    let all = [facts.mtu_v4, facts.mtu_v6];
    let local = all.into_iter().flatten().map(|mtu| mtu.local).min();
    local.unwrap_or(u16::MAX)
}

/// Returns a text of the other side, or of the server, as a terminal may show it.
fn visible(text: &str) -> String {
    let visible = text.chars().filter(|it| !it.is_control()).take(100);
    visible.collect()
}

/// ICE has been at it since both were in the room: this is for a slow relay.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
