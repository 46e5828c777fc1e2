//! A gatherer with hostile servers, sockets that come and go, and a jumping clock.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_ice::gather::{
    Event, GatherConfig, GatherLimits, Gatherer, Handled, IceServer, Output, RelaySockets,
};
use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::{Class, Message, Method, TransactionId};
use jackfield_testing::epoch;
use jackfield_turn::client::Credential;

use crate::turn::client_story::answer;
use crate::turn::input::Input;

/// Turns bytes into what servers, a driver and the clock do to a gatherer. Whatever it is, no table
/// grows past its limit, nothing is said or sent for a socket that is gone, and what is said to be
/// lost was found before.
pub fn run(data: &[u8]) {
    story(data);
}

/// Plays a story to its end; returns how often it led to what.
pub(super) fn story(data: &[u8]) -> BTreeMap<&'static str, u64> {
    let mut input = Input::new(data);
    let mut world = World::new(input.byte().unwrap_or_default());
    for _ in 0..400 {
        if world.step(&mut input).is_none() {
            break;
        }
        world.gatherer.check();
    }
    world.end();
    world.told
}

struct World {
    gatherer: Gatherer,
    now: Instant,
    /// Sockets, and addresses without one as port 0.
    bases: Vec<SocketAddr>,
    /// Requests that were not answered yet.
    requests: VecDeque<(FiveTuple, TransactionId, Method)>,
    /// Connections that are asked for.
    connecting: VecDeque<(u32, FiveTuple)>,
    connections: Vec<FiveTuple>,
    /// What was found and is not lost.
    reflexive: Vec<(SocketAddr, SocketAddr)>,
    relayed: Vec<SocketAddr>,
    has_all_sockets: bool,
    is_complete: bool,
    is_closed: bool,
    next_port: u16,
    told: BTreeMap<&'static str, u64>,
}

impl World {
    fn new(kind: u8) -> Self {
        let now = epoch();
        let config = GatherConfig {
            servers: servers().into(),
            reflexive: kind & 1 == 0,
            relay_sockets: match kind & 2 {
                0 => RelaySockets::Shared,
                _ => RelaySockets::Own,
            },
            fallback: Duration::from_millis(if kind & 4 == 0 { 0 } else { 250 }),
            limits: GatherLimits {
                sockets: 4,
                servers: 6,
                allocations: 5,
                peers: 3,
            },
            ..GatherConfig::default()
        };
        Self {
            gatherer: Gatherer::new(config, now, [3; 32]),
            now,
            bases: Vec::new(),
            requests: VecDeque::new(),
            connecting: VecDeque::new(),
            connections: Vec::new(),
            reflexive: Vec::new(),
            relayed: Vec::new(),
            has_all_sockets: false,
            is_complete: false,
            is_closed: false,
            next_port: 40_000,
            told: TOLD.into_iter().map(|what| (what, 0)).collect(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let now = self.now;
        match input.byte()? % 16 {
            0 | 1 => self.bases_change(input)?,
            2 => {
                self.has_all_sockets = true;
                self.gatherer.end_of_sockets(now);
            }
            3..=6 => self.respond(input)?,
            7 => self.connect(input)?,
            8 => {
                if let Some(path) = self.pick_connection(input)? {
                    self.connections.retain(|known| *known != path);
                    assert!(self.gatherer.handle_closed(now, path) || self.is_closed);
                }
            }
            9 => {
                let peer = pick(input, &PEERS)?.ip();
                match input.byte()? % 4 {
                    0 => self.gatherer.forget(peer),
                    _ => self.gatherer.permit(now, peer),
                }
            }
            10 => self.data(input)?,
            11 => self.forge(input)?,
            12 => match input.byte()? % 8 {
                0 => {
                    self.is_complete = false;
                    self.gatherer.restart(now);
                }
                1..=3 => {
                    if let Some((path, ..)) = self.requests.front() {
                        self.gatherer.handle_unreachable(now, *path);
                    }
                }
                4 => self.close(),
                _ => {}
            },
            13 => self.pass(Duration::from_millis(u64::from(input.byte()?))),
            _ => self.pass(Duration::from_millis(u64::from(input.short()?) * 16)),
        }
        self.drain();
        Some(())
    }

    fn bases_change(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (now, choice) = (self.now, input.byte()?);
        let local = pick(input, &LOCALS)?;
        let has_room = self.bases.len() < 4 && !self.is_closed;
        let base = match choice & 2 {
            0 => local,
            _ => SocketAddr::new(local.ip(), 0),
        };
        let is_known = self.bases.contains(&base);
        if choice & 1 == 0 && has_room && !is_known {
            self.bases.push(base);
        }
        if choice & 1 == 1 {
            self.bases.retain(|known| *known != base);
        }
        match choice & 3 {
            0 => self.gatherer.add_socket(now, local),
            1 => self.gatherer.remove_socket(now, local),
            2 => self.gatherer.add_address(now, local.ip()),
            _ => self.gatherer.remove_address(now, local.ip()),
        }
        self.drain();
        let is_gone = |gone: &SocketAddr| !self.bases.contains(gone);
        assert!(!self.reflexive.iter().any(|(base, _)| is_gone(base)));
        Some(())
    }

    /// Answers the oldest request that waits, rightly or not.
    fn respond(&mut self, input: &mut Input<'_>) -> Option<()> {
        let flags = input.byte()?;
        let Some((path, id, method)) = self.requests.front().copied() else {
            return Some(());
        };
        if flags & 16 == 0 {
            self.requests.pop_front();
        }
        let bytes = answer((id, method), flags, input)?;
        let copies = if flags & 8 == 0 { 1 } else { 2 };
        for _ in 0..copies {
            self.deliver(path, &bytes);
        }
        Some(())
    }

    /// Opens a connection that was asked for, or says that it cannot be.
    fn connect(&mut self, input: &mut Input<'_>) -> Option<()> {
        let is_refused = input.byte()? % 4 == 0;
        let Some((id, path)) = self.connecting.pop_front() else {
            return Some(());
        };
        if is_refused {
            assert!(self.gatherer.handle_connect_failed(self.now, id));
        } else {
            self.connections.push(path);
            assert!(self.gatherer.handle_connected(self.now, id, path));
        }
        Some(())
    }

    fn pick_connection(&self, input: &mut Input<'_>) -> Option<Option<FiveTuple>> {
        let index = usize::from(input.byte()?);
        let count = self.connections.len().max(1);
        Some(self.connections.get(index % count).copied())
    }

    /// Sends and asks for channels from a relayed address, or takes data of a peer.
    fn data(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (now, choice) = (self.now, input.byte()?);
        let peer = pick(input, &PEERS)?;
        let index = usize::from(choice >> 2) % self.relayed.len().max(1);
        let Some(relayed) = self.relayed.get(index).copied() else {
            return Some(());
        };
        match choice & 3 {
            0 => self.gatherer.bind_channel(now, relayed, peer),
            1 => {
                if let Ok(Some((path, _))) = self.gatherer.send(now, relayed, peer, b"data") {
                    self.check_path(path);
                }
            }
            _ => {
                if let Some(path) = self.gatherer.path(relayed) {
                    let bytes = [&[0x40, choice >> 4, 0, 4][..], b"data"].concat();
                    self.deliver(path, &bytes);
                    self.deliver(path, &indication(peer));
                }
            }
        }
        Some(())
    }

    /// Gives the gatherer any bytes, from a server or from elsewhere.
    fn forge(&mut self, input: &mut Input<'_>) -> Option<()> {
        let choice = input.byte()?;
        let bytes = input.bytes(usize::from(choice >> 2));
        let path = match choice & 1 {
            0 => self.requests.front().map(|(path, ..)| *path),
            _ => Some(FiveTuple {
                transport: Transport::Udp,
                local: pick(input, &LOCALS)?,
                remote: pick(input, &PEERS)?,
            }),
        };
        if let Some(path) = path {
            self.deliver(path, bytes);
        }
        Some(())
    }

    fn deliver(&mut self, path: FiveTuple, bytes: &[u8]) {
        if let Handled::Data {
            relayed,
            peer,
            data,
        } = self.gatherer.handle_datagram(self.now, path, bytes)
        {
            assert!(data.len() <= bytes.len());
            assert!(self.relayed.contains(&relayed), "{relayed} is not relayed");
            let is_known = PEERS.iter().any(|known| address(known).ip() == peer.ip());
            assert!(is_known, "nobody let {peer} in");
            self.tell("data");
        }
        self.drain();
    }

    fn close(&mut self) {
        self.gatherer.close(self.now);
        self.is_closed = true;
        self.bases.clear();
        self.drain();
        // The end of what was found is not said any more.
        self.reflexive.clear();
        self.relayed.clear();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut steps = 0;
        while let Some(due) = self.drain().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.gatherer.handle_timeout(self.now);
            steps += 1;
            // A thousand seconds; four bases, six servers, three peers.
            assert!(steps < 20_000, "the gatherer is busy with itself");
        }
        self.now = end;
    }

    fn drain(&mut self) -> Option<Instant> {
        for _ in 0..10_000 {
            match self.gatherer.poll_output() {
                Output::Transmit(transmit) => {
                    self.check_path(transmit.path);
                    self.note_request(transmit.path, &transmit.bytes);
                }
                Output::Connect {
                    id,
                    transport,
                    local,
                    remote,
                    ..
                } => {
                    assert!(self.bases.iter().any(|base| base.ip() == local));
                    self.tell("connects");
                    self.next_port = self.next_port.wrapping_add(1).max(40_000);
                    let path = FiveTuple {
                        transport,
                        local: SocketAddr::new(local, self.next_port),
                        remote,
                    };
                    self.connecting.push_back((id, path));
                }
                Output::Close(path) => self.connections.retain(|known| *known != path),
                Output::Event(event) => self.event(event),
                Output::Wait(until) => return until,
            }
        }
        panic!("a drain ends");
    }

    /// Checks that a packet leaves by a socket or a connection that is there.
    fn check_path(&self, path: FiveTuple) {
        let is_shared = path.transport == Transport::Udp && self.bases.contains(&path.local);
        let is_connected = self.connections.contains(&path);
        assert!(is_shared || is_connected || self.is_closed, "{path}");
    }

    fn note_request(&mut self, path: FiveTuple, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else {
            assert!(bytes.first().is_some_and(|first| *first >= 0x40));
            return;
        };
        let request = (path, message.transaction(), message.method());
        if message.class() == Class::Request && !self.requests.contains(&request) {
            self.requests.push_back(request);
        }
    }

    fn tell(&mut self, what: &'static str) {
        *self.told.entry(what).or_default() += 1;
    }

    fn event(&mut self, event: Event) {
        assert!(!self.is_closed, "{event:?} after the end");
        match event {
            Event::Reflexive { base, address, .. } => {
                self.tell("reflexive");
                assert!(self.bases.contains(&base) && base != address);
                assert!(
                    !self.reflexive.contains(&(base, address)),
                    "{address} again"
                );
                self.reflexive.push((base, address));
            }
            Event::ReflexiveLost { base, address } => {
                self.tell("reflexive_lost");
                let is_it = |known: &_| *known == (base, address);
                let at = self.reflexive.iter().position(is_it);
                self.reflexive.remove(at.expect("it was found"));
            }
            Event::Relayed { address, base, .. } => {
                self.tell("relayed");
                assert!(self.bases.contains(&base));
                self.relayed.push(address);
            }
            Event::RelayedLost { address } => {
                self.tell("relayed_lost");
                let at = self.relayed.iter().position(|known| *known == address);
                self.relayed.remove(at.expect("it was found"));
            }
            Event::PeerRefused { relayed, .. } => {
                self.tell("refused");
                assert!(self.relayed.contains(&relayed));
            }
            Event::Error(_) => self.tell("errors"),
            Event::Complete => {
                self.tell("complete");
                assert!(self.has_all_sockets && !self.is_complete);
                self.is_complete = true;
            }
            _ => {}
        }
    }

    /// Lets every server be silent, and then the gatherer end.
    fn end(&mut self) {
        if !self.is_closed {
            self.gatherer.end_of_sockets(self.now);
            self.has_all_sockets = true;
            self.pass(Duration::from_secs(60));
            assert!(self.is_complete, "nothing holds gathering up for a minute");
            self.gatherer.check();
            self.close();
        }
        self.pass(Duration::from_secs(60));
        assert!(
            self.gatherer.has_ended(),
            "closing takes no more than 39.5 s"
        );
        self.gatherer.check();
    }
}

fn servers() -> [IceServer; 7] {
    let turn = |transport, server| {
        let credential = Credential::new("u", "p").expect("short texts");
        IceServer::turn(transport, address(server), credential)
    };
    [
        turn(Transport::Tls, "198.51.100.1:5349"),
        turn(Transport::Udp, "198.51.100.1:3478"),
        IceServer::stun(address("198.51.100.1:3478")),
        IceServer::stun(address("[2001:db8::1]:3478")),
        turn(Transport::Tcp, "[2001:db8::1]:3478"),
        turn(Transport::Tcp, "198.51.100.1:3478"),
        // One more than is asked.
        IceServer::stun(address("198.51.100.3:3478")),
    ]
}

/// Returns a Data indication from a peer.
fn indication(peer: SocketAddr) -> Vec<u8> {
    use jackfield_turn::attribute::{Data, XorPeerAddress, method};
    let mut bytes = Vec::new();
    let id = TransactionId::new([1; 12]);
    let mut writer =
        jackfield_stun::MessageWriter::new(&mut bytes, Class::Indication, method::DATA, id);
    writer.attribute(&XorPeerAddress(peer));
    writer.attribute(&Data(b"data"));
    writer.finish().expect("a short message");
    bytes
}

fn pick(input: &mut Input<'_>, choices: &[&str]) -> Option<SocketAddr> {
    input.pick(choices).map(address)
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address of ours")
}

const LOCALS: [&str; 6] = [
    "192.168.1.2:50000",
    "192.168.1.2:50001",
    "10.1.2.3:50000",
    "[2001:db8:2::1]:50000",
    "127.0.0.1:50000",
    "[fe80::1]:50000",
];

const PEERS: [&str; 3] = ["198.41.0.4:9000", "199.7.91.13:9000", "[2a00:1450::1]:9000"];

/// What the corpus has to lead to.
const TOLD: [&str; 9] = [
    "reflexive",
    "reflexive_lost",
    "relayed",
    "relayed_lost",
    "refused",
    "errors",
    "complete",
    "connects",
    "data",
];
