//! Two whole peers, the signaling and the network between them, and bytes that choose what happens.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_peer::{
    Certificate, ChannelConfig, ChannelId, CloseReason, ConnectionState, Event, Message, Peer,
    PeerConfig, PeerEvent, PeerOutput, Reliability,
};
use jackfield_sansio::{FiveTuple, Transport};
use jackfield_testing::{epoch, held_bytes};

use super::model::Line;

/// Two peers live through what the bytes say: they offer, answer and restart, open channels, write
/// and close; signals and datagrams are lost, doubled, changed and overtaken; time passes.
///
/// Nothing panics and memory stays bounded. A channel delivers nothing twice and nothing that was
/// not sent, an ordered one nothing out of order, and a reliable one, between peers that are
/// connected once the disturbance is over, everything.
pub fn scenario(data: &[u8]) {
    play(data);
}

/// What came of a scenario.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "only tests read how far the seeds get")
)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome {
    /// Whether both peers were connected at the end.
    pub(super) connected: bool,
    /// How many messages arrived.
    pub(super) delivered: usize,
    /// How many channels were open at the end, on either side.
    pub(super) open: usize,
}

pub(super) fn play(data: &[u8]) -> Outcome {
    let before = held_bytes();
    let mut world = World::new();
    for step in data.chunks(2).take(MOST_STEPS) {
        let argument = step.get(1).copied().unwrap_or(0);
        world.step(step.first().copied().unwrap_or(0), argument);
        world.check(before);
    }
    world.settle();
    world.check(before);
    world.outcome()
}

struct World {
    now: Instant,
    sides: [Side; 2],
    /// Datagrams on their way: to which side, and when they arrive.
    wire: VecDeque<(usize, Instant, FiveTuple, Vec<u8>)>,
    signals: VecDeque<(usize, Signal)>,
    /// Whether a description was changed on its way: then DTLS may fail, and SCTP's INIT be wrong.
    forged: bool,
    lines: u32,
}

struct Side {
    peer: Peer,
    wait: Option<Instant>,
    lines: Vec<Line>,
    ended: bool,
}

#[derive(Clone)]
enum Signal {
    Offer(String),
    Answer(String),
    Candidate(String),
}

impl World {
    fn new() -> Self {
        let now = epoch();
        let mut world = Self {
            now,
            sides: [0, 1].map(|side| Side::new(side, now)),
            wire: VecDeque::new(),
            signals: VecDeque::new(),
            forged: false,
            lines: 0,
        };
        world.drain();
        world
    }

    fn step(&mut self, op: u8, argument: u8) {
        let who = usize::from(op & 1);
        match op / 2 % 32 {
            0..=3 => self.deliver(argument.into()),
            4 => self.pass(Duration::from_millis(u64::from(argument) * 8)),
            5 => self.run(Duration::from_millis(u64::from(argument) * 10)),
            6 => self.run(Duration::from_secs(u64::from(argument) / 8)),
            7 => self.pass(Duration::from_secs(argument.into())),
            8 => self.offer(who),
            9..=11 => self.signal(),
            12 => self.disturb_signals(argument),
            13 => self.open(who, argument),
            14..=17 => self.write(who, argument),
            18 => self.close_channel(who, argument),
            19 => self
                .wire
                .truncate(self.wire.len().saturating_sub(argument.into())),
            20 => {
                let at = self.at(argument);
                self.wire.remove(at);
            }
            21 => self.double(argument),
            22 => self.corrupt(argument),
            23 => {
                let at = self.at(argument);
                self.wire.rotate_left(at);
            }
            24 => {
                self.with(who, Peer::restart);
                self.offer(who);
            }
            25 => self.pause(who, argument),
            26 => self.with(who, |peer, now| {
                peer.agent_mut().add_socket(now, socket(who, argument));
            }),
            27 => self.with(who, |peer, now| {
                peer.agent_mut().remove_socket(now, socket(who, argument));
            }),
            28 => self.with(who, |peer, _| peer.rollback()),
            29 => self.make_up(who, argument),
            30 => self.with(who, |peer, now| peer.agent_mut().end_of_sockets(now)),
            _ => match argument {
                0 => self.with(who, Peer::close),
                1 => self.with(who, |peer, now| peer.association_mut().abort(now)),
                _ => {}
            },
        }
        self.drain();
    }

    /// Returns the index of a datagram on its way, or the length where there is none.
    fn at(&self, argument: u8) -> usize {
        usize::from(argument) % self.wire.len().max(1)
    }

    fn with(&mut self, who: usize, input: impl FnOnce(&mut Peer, Instant)) {
        let now = self.now;
        input(&mut self.side(who).peer, now);
        self.drain();
    }

    fn side(&mut self, who: usize) -> &mut Side {
        let [one, two] = &mut self.sides;
        if who == 0 { one } else { two }
    }

    fn offer(&mut self, who: usize) {
        let now = self.now;
        if let Ok(offer) = self.side(who).peer.create_offer(now) {
            self.signals.push_back((1 - who, Signal::Offer(offer)));
        }
        self.drain();
    }

    /// Delivers the first signal.
    fn signal(&mut self) {
        let now = self.now;
        let Some((who, signal)) = self.signals.pop_front() else {
            return;
        };
        let peer = &mut self.side(who).peer;
        match signal {
            Signal::Offer(text) => {
                if let Ok(answer) = peer.handle_offer(now, &text) {
                    self.signals.push_back((1 - who, Signal::Answer(answer)));
                }
            }
            // A refusal changes nothing; the settlement at the end negotiates anew.
            Signal::Answer(text) => drop(peer.handle_answer(now, &text)),
            Signal::Candidate(text) => drop(peer.add_remote_candidate(now, &text, None)),
        }
        self.drain();
    }

    fn disturb_signals(&mut self, argument: u8) {
        let at = usize::from(argument / 4) % self.signals.len().max(1);
        match argument % 4 {
            0 => drop(self.signals.remove(at)),
            1 => {
                if let Some((who, signal)) = self.signals.get(at) {
                    let again = (*who, signal.clone());
                    self.signals.push_back(again);
                }
            }
            2 => self.signals.rotate_left(at),
            _ => {
                if let Some((_, signal)) = self.signals.get_mut(at) {
                    signal.corrupt(argument);
                    self.forged = true;
                }
            }
        }
    }

    fn open(&mut self, who: usize, argument: u8) {
        let config = ChannelConfig {
            ordered: argument & 1 == 0,
            reliability: match argument / 2 % 4 {
                0 | 1 => Reliability::Reliable,
                2 => Reliability::MaxRetransmits(u16::from(argument / 32)),
                _ => Reliability::MaxLifetime(Duration::from_millis(argument.into())),
            },
            // Programs agree on such streams, and on ones that are opened by nobody else.
            negotiated: (argument & 0x80 != 0).then_some(1000 + u16::from(argument / 8 % 2)),
            ..ChannelConfig::new(self.lines.to_string())
        };
        let (now, number) = (self.now, self.lines);
        self.lines += 1;
        let side = self.side(who);
        if let Ok(id) = side.peer.open_channel(now, config.clone()) {
            side.lines.push(Line::new(id, number, &config));
        }
        self.drain();
    }

    fn write(&mut self, who: usize, argument: u8) {
        let now = self.now;
        let side = self.side(who);
        let at = usize::from(argument) % side.lines.len().max(1);
        let Some(line) = side.lines.get_mut(at) else {
            return;
        };
        let length = usize::from(argument) * 40;
        let message = line.sent.next(length);
        let written = side.peer.write(now, line.id, Message::Binary(&message));
        if written.is_ok() {
            line.sent.count += 1;
        }
        let buffered = side.peer.association_mut().buffered_amount(line.id);
        assert!(buffered <= MAX_BUFFERED, "{buffered} bytes are buffered");
        self.drain();
    }

    fn close_channel(&mut self, who: usize, argument: u8) {
        let now = self.now;
        let side = self.side(who);
        let at = usize::from(argument) % side.lines.len().max(1);
        if let Some(line) = side.lines.get_mut(at) {
            line.closing = true;
            side.peer.close_channel(now, line.id);
        }
        self.drain();
    }

    fn pause(&mut self, who: usize, argument: u8) {
        let now = self.now;
        let side = self.side(who);
        let at = usize::from(argument / 2) % side.lines.len().max(1);
        if let Some(line) = side.lines.get(at) {
            let association = side.peer.association_mut();
            match argument & 1 {
                0 => association.pause_channel(line.id),
                _ => association.resume_channel(now, line.id),
            }
        }
        self.drain();
    }

    fn double(&mut self, argument: u8) {
        if let Some(datagram) = self.wire.get(self.at(argument)).cloned() {
            self.wire.push_back(datagram);
        }
    }

    fn corrupt(&mut self, argument: u8) {
        let at = self.at(argument);
        if let Some((.., bytes)) = self.wire.get_mut(at) {
            let at = usize::from(argument) * 5 % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (argument % 8);
            }
        }
    }

    /// A datagram that the other side never sent comes from an address of its own.
    fn make_up(&mut self, who: usize, argument: u8) {
        let path = FiveTuple {
            transport: Transport::Udp,
            local: socket(who, 0),
            remote: socket(1 - who, 0),
        };
        // The first bytes are those of DTLS records and STUN messages.
        let mut bytes = vec![argument; usize::from(argument)];
        if let Some(first) = bytes.first_mut() {
            *first = 16 + argument % 48;
        }
        self.with(who, |peer, now| peer.handle_datagram(now, path, &bytes));
    }

    /// Delivers datagrams, whether it is their time or not.
    fn deliver(&mut self, count: usize) {
        for _ in 0..count {
            let Some((who, _, path, bytes)) = self.wire.pop_front() else {
                return;
            };
            self.with(who, |peer, now| peer.handle_datagram(now, path, &bytes));
        }
    }

    /// Lets time pass at once, as for a machine that sleeps.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        for who in [0, 1] {
            self.with(who, Peer::handle_timeout);
        }
    }

    /// Lets time pass as it does: datagrams arrive and deadlines are kept.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..MOST_EVENTS {
            let arrival = self.wire.iter().map(|(_, at, ..)| *at).min();
            let waits = self.sides.iter().filter_map(|side| side.wait);
            let Some(next) = waits.chain(arrival).min().filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            let now = self.now;
            self.wire.make_contiguous().sort_by_key(|(_, at, ..)| *at);
            let due = self.wire.iter().take_while(|(_, at, ..)| *at <= now);
            self.deliver(due.count());
            for who in [0, 1] {
                self.with(who, Peer::handle_timeout);
            }
        }
        panic!("time does not pass: {MOST_EVENTS} events in {time:?}");
    }

    /// Ends the disturbance: the peers negotiate once more, and have all the time they need.
    fn settle(&mut self) {
        self.signals.clear();
        for who in [0, 1] {
            let now = self.now;
            let side = self.side(who);
            for line in &side.lines {
                side.peer.association_mut().resume_channel(now, line.id);
            }
            side.peer.rollback();
            side.peer.agent_mut().add_socket(now, socket(who, 0));
            side.peer.agent_mut().end_of_sockets(now);
        }
        self.with(0, Peer::restart);
        self.offer(0);
        for _ in 0..200 {
            while !self.signals.is_empty() {
                self.signal();
            }
            self.run(Duration::from_millis(600));
        }
        let outcome = self.outcome();
        if outcome.connected {
            self.check_delivered();
        }
    }

    /// Nothing that was written on a reliable channel, which is open, is missing.
    fn check_delivered(&self) {
        let [one, two] = &self.sides;
        for (from, to) in [(one, two), (two, one)] {
            let open = from.lines.iter().filter(|line| line.is_open());
            for line in open.filter(|line| line.sent.is_reliable) {
                let received = to
                    .lines
                    .iter()
                    .find(|other| other.received.number == Some(line.sent.number))
                    .map_or(0, |other| other.received.count);
                assert_eq!(received, line.sent.count, "of channel {}", line.sent.number);
            }
        }
    }

    fn outcome(&self) -> Outcome {
        let lines = || self.sides.iter().flat_map(|side| &side.lines);
        Outcome {
            connected: self
                .sides
                .iter()
                .all(|side| side.peer.state() == ConnectionState::Connected),
            delivered: lines().map(|line| line.received.count as usize).sum(),
            open: lines().filter(|line| line.is_open()).count(),
        }
    }

    fn check(&self, before: i64) {
        for side in &self.sides {
            side.peer.agent().check();
        }
        // What is on its way belongs to the network, and what was noted to the model.
        let wire: usize = self.wire.iter().map(|(.., bytes)| bytes.len() + 100).sum();
        let held = held_bytes() - before - wire as i64;
        assert!(held <= MOST_MEMORY, "{held} bytes are held");
    }

    fn drain(&mut self) {
        for who in [0, 1, 0] {
            self.drain_side(who);
        }
        while self.wire.len() > LONGEST_QUEUE {
            self.wire.pop_front();
        }
        while self.signals.len() > LONGEST_QUEUE {
            self.signals.pop_front();
        }
    }

    fn drain_side(&mut self, who: usize) {
        for _ in 0..MOST_OUTPUTS {
            let (now, forged) = (self.now, self.forged);
            let side = self.side(who);
            match side.peer.poll_output() {
                PeerOutput::Transmit(transmit) => {
                    let path = FiveTuple {
                        local: transmit.path.remote,
                        remote: transmit.path.local,
                        ..transmit.path
                    };
                    let length = transmit.bytes.len();
                    // What looks for the path's MTU comes back as large from the other side.
                    assert!(length <= 1_472, "{length}");
                    let at = now + DELAY;
                    self.wire.push_back((1 - who, at, path, transmit.bytes));
                }
                PeerOutput::Connect { id, .. } => {
                    side.peer.agent_mut().handle_connect_failed(now, id);
                }
                PeerOutput::Event(PeerEvent::LocalCandidate(text)) => {
                    self.signals.push_back((1 - who, Signal::Candidate(text)));
                }
                PeerOutput::Event(PeerEvent::Association(event)) => side.take(event, forged),
                PeerOutput::Event(_) | PeerOutput::Close(_) | PeerOutput::Resolve(_) => {}
                PeerOutput::Wait(wait) => {
                    side.wait = wait;
                    return;
                }
            }
        }
        panic!("a peer says {MOST_OUTPUTS} things at once");
    }
}

impl Side {
    fn new(who: usize, now: Instant) -> Self {
        let seed = [who as u8 + 1; 32];
        let mut config = PeerConfig::new(Certificate::from_seed(seed));
        config.polite = who == 1;
        config.probe_path = who == 0;
        config.association.max_channels = 6;
        config.association.max_message_size = 10_000;
        config.association.receive_buffer = 30_000;
        config.association.max_buffered = MAX_BUFFERED;
        let mut peer = Peer::new(config, now, seed);
        peer.agent_mut().add_socket(now, socket(who, 0));
        Self {
            peer,
            wait: None,
            lines: Vec::new(),
            ended: false,
        }
    }

    fn line(&mut self, id: ChannelId) -> &mut Line {
        let known = self.lines.iter_mut().find(|line| line.id == id);
        known.unwrap_or_else(|| panic!("channel {id} was never opened"))
    }

    fn take(&mut self, event: Event, forged: bool) {
        assert!(!self.ended, "{event:?} after the end");
        match event {
            Event::ChannelOpened {
                id,
                config,
                incoming: true,
            } => {
                let number = config.label.parse().unwrap();
                self.lines.push(Line::new(id, number, &config));
            }
            Event::ChannelOpened { id, .. } => assert!(self.line(id).is_open()),
            Event::Message(id, message) => {
                let line = self.line(id);
                assert!(!line.closed, "a message after the end of channel {id}");
                line.received.take(message.as_bytes());
            }
            Event::ChannelClosed(id) => {
                let line = self.line(id);
                assert!(!line.closed, "channel {id} is closed twice");
                line.closed = true;
            }
            Event::Closed(reason) => {
                self.ended = true;
                assert!(self.lines.iter().all(|line| line.closed));
                let broken = matches!(
                    reason,
                    CloseReason::Aborted | CloseReason::ReceiveBufferFull
                );
                assert!(forged || !broken, "{reason} between honest peers");
            }
            _ => {}
        }
    }
}

impl Signal {
    fn corrupt(&mut self, argument: u8) {
        let (Self::Offer(text) | Self::Answer(text) | Self::Candidate(text)) = self;
        let mut bytes = std::mem::take(text).into_bytes();
        let at = usize::from(argument) * 7 % bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << (argument % 7);
        }
        *text = String::from_utf8_lossy(&bytes).into_owned();
    }
}

fn socket(who: usize, argument: u8) -> SocketAddr {
    let last = if who == 0 { 1 } else { 2 };
    let port = 4000 + u16::from(argument % 3);
    SocketAddr::new(Ipv4Addr::new(198, 51, 100, last).into(), port)
}

const MAX_BUFFERED: usize = 40_000;
const DELAY: Duration = Duration::from_millis(20);

/// Enough for each kind of trouble to meet each other, and for a run in milliseconds.
const MOST_STEPS: usize = 300;
const LONGEST_QUEUE: usize = 2_000;
const MOST_OUTPUTS: usize = 10_000;
const MOST_EVENTS: usize = 200_000;

/// Two peers, each with six channels of full buffers and a full receive window, in fragments.
const MOST_MEMORY: i64 = 8 << 20;
