//! Two peers, the network and the signaling between them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_peer::{
    Certificate, ChannelId, ConnectionState, Event, Peer, PeerConfig, PeerEvent, PeerOutput,
    ReceivedMessage,
};
use jackfield_sansio::Transmit;
use jackfield_testing::epoch;

pub(crate) const ALICE: usize = 0;
pub(crate) const BOB: usize = 1;

/// Alice is impolite, Bob polite.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) peers: [Peer; 2],
    pub(crate) events: [Vec<PeerEvent>; 2],
    /// Whether candidates reach the other side as they come.
    pub(crate) trickle: bool,
    flying: VecDeque<(Instant, Transmit)>,
    waits: [Option<Instant>; 2],
    delay: Duration,
    /// The largest datagram that the network carries.
    pub(crate) largest: usize,
    /// Whether the network carries nothing.
    pub(crate) is_cut: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_, _| {})
    }

    pub(crate) fn with(configure: impl Fn(usize, &mut PeerConfig)) -> Self {
        let now = epoch();
        let peers = [ALICE, BOB].map(|side| {
            let seed = [side as u8 + 1; 32];
            let mut config = PeerConfig::new(Certificate::from_seed(seed));
            config.polite = side == BOB;
            configure(side, &mut config);
            let mut peer = Peer::new(config, now, seed);
            peer.agent_mut().add_socket(now, address(side));
            peer.agent_mut().end_of_sockets(now);
            peer
        });
        let mut world = Self {
            now,
            peers,
            events: [Vec::new(), Vec::new()],
            trickle: true,
            flying: VecDeque::new(),
            waits: [None, None],
            delay: Duration::from_millis(10),
            largest: usize::MAX,
            is_cut: false,
        };
        world.drain();
        world
    }

    /// Offers from one side, has the other answer, and takes the answer.
    pub(crate) fn negotiate(&mut self, offerer: usize) {
        let now = self.now;
        let offer = self.peers[offerer].create_offer(now).expect("an offer");
        let answer = self.peers[1 - offerer]
            .handle_offer(now, &offer)
            .expect("an answer");
        self.peers[offerer]
            .handle_answer(now, &answer)
            .expect("a good answer");
        self.drain();
    }

    pub(crate) fn connect(&mut self) {
        self.negotiate(ALICE);
        self.run_until("connected", |world| {
            world.states() == [ConnectionState::Connected; 2]
        });
    }

    pub(crate) fn states(&self) -> [ConnectionState; 2] {
        [self.peers[ALICE].state(), self.peers[BOB].state()]
    }

    pub(crate) fn messages(&self, side: usize) -> Vec<ReceivedMessage> {
        self.events[side]
            .iter()
            .filter_map(|event| match event {
                PeerEvent::Association(Event::Message(_, message)) => Some(message.clone()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn opened(&self, side: usize) -> Option<ChannelId> {
        self.events[side].iter().find_map(|event| match event {
            PeerEvent::Association(Event::ChannelOpened { id, .. }) => Some(*id),
            _ => None,
        })
    }

    pub(crate) fn run_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_secs(120);
        self.drain();
        while !holds(self) {
            assert!(self.step(end), "never: {what}; {:?}", self.events);
            self.drain();
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.drain();
        while self.step(end) {
            self.drain();
        }
        self.now = end;
    }

    fn step(&mut self, end: Instant) -> bool {
        let arrival = self.flying.front().map(|(at, _)| *at);
        let deadlines = self.waits.iter().flatten().copied();
        let Some(next) = arrival
            .into_iter()
            .chain(deadlines)
            .min()
            .filter(|next| *next <= end)
        else {
            return false;
        };
        self.now = self.now.max(next);
        let now = self.now;
        for peer in &mut self.peers {
            peer.handle_timeout(now);
        }
        while self.flying.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, transmit)) = self.flying.pop_front() else {
                break;
            };
            let to = usize::from(transmit.path.remote == address(BOB));
            let mut path = transmit.path;
            std::mem::swap(&mut path.local, &mut path.remote);
            self.peers[to].handle_datagram(now, path, &transmit.bytes);
        }
        true
    }

    pub(crate) fn drain(&mut self) {
        for side in [ALICE, BOB, ALICE] {
            loop {
                match self.peers[side].poll_output() {
                    PeerOutput::Transmit(transmit)
                        if self.is_cut || transmit.bytes.len() > self.largest => {}
                    PeerOutput::Transmit(transmit) => {
                        self.flying.push_back((self.now + self.delay, transmit));
                    }
                    PeerOutput::Event(event) => {
                        if let (PeerEvent::LocalCandidate(text), true) = (&event, self.trickle) {
                            let now = self.now;
                            // Refused before the first offer; the descriptions carry it then.
                            let _ = self.peers[1 - side].add_remote_candidate(now, text, None);
                        }
                        self.events[side].push(event);
                    }
                    PeerOutput::Wait(deadline) => {
                        self.waits[side] = deadline;
                        break;
                    }
                    other => panic!("{other:?} has no place here"),
                }
            }
        }
    }
}

pub(crate) fn address(side: usize) -> SocketAddr {
    ([192, 0, 2, side as u8 + 1], 4000).into()
}
