//! Two associations and the path between them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jackfield_peer::{
    Association, AssociationConfig, Certificate, ChannelConfig, ChannelId, CloseReason, DtlsRole,
    Event, Message, Output, ReceivedMessage, RemoteParameters,
};
use jackfield_testing::{SplitMix64, epoch};

/// One side of a [`Pair`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Alice,
    Bob,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Alice => Self::Bob,
            Self::Bob => Self::Alice,
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Alice is the DTLS client, Bob the server.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) ends: [Association; 2],
    pub(crate) events: [Vec<Event>; 2],
    /// Datagrams on their way to each side: when they arrive, and what they are.
    flying: [VecDeque<(Instant, Vec<u8>)>; 2],
    pub(crate) delay: Duration,
    /// How many of a hundred datagrams are lost.
    pub(crate) loss: u64,
    pub(crate) largest: usize,
    random: SplitMix64,
}

impl Pair {
    /// Returns two sides that have not begun.
    pub(crate) fn new(configure: impl Fn(Side, &mut AssociationConfig)) -> Self {
        let now = epoch();
        let end = |side: Side| {
            let mut config = AssociationConfig::new(certificate(side));
            configure(side, &mut config);
            Association::new(config, now)
        };
        Self {
            now,
            ends: [end(Side::Alice), end(Side::Bob)],
            events: [Vec::new(), Vec::new()],
            flying: [VecDeque::new(), VecDeque::new()],
            delay: Duration::from_millis(10),
            loss: 0,
            largest: 0,
            random: SplitMix64::new(7),
        }
    }

    /// Returns two sides that are connected.
    pub(crate) fn connected() -> Self {
        let mut pair = Self::new(|_, _| {});
        pair.start();
        pair.run_until("connected", |pair| {
            [Side::Alice, Side::Bob]
                .into_iter()
                .all(|side| pair.saw(side, |event| *event == Event::Connected))
        });
        pair
    }

    pub(crate) fn start(&mut self) {
        for side in [Side::Alice, Side::Bob] {
            self.start_side(side);
        }
    }

    pub(crate) fn start_side(&mut self, side: Side) {
        let role = match side {
            Side::Alice => DtlsRole::Client,
            Side::Bob => DtlsRole::Server,
        };
        let remote = self.remote(side);
        let now = self.now;
        self.end(side).start(now, role, remote);
    }

    /// What the signaling tells a side of the other.
    pub(crate) fn remote(&self, side: Side) -> RemoteParameters {
        let other = &self.ends[side.other().index()];
        RemoteParameters {
            init_chunk: other.init_chunk().map(<[u8]>::to_vec),
            max_message_size: other.config().max_message_size as u64,
            ..RemoteParameters::new(other.config().certificate.fingerprint().clone())
        }
    }

    pub(crate) fn end(&mut self, side: Side) -> &mut Association {
        &mut self.ends[side.index()]
    }

    pub(crate) fn open(&mut self, side: Side, config: ChannelConfig) -> ChannelId {
        let now = self.now;
        self.end(side).open_channel(now, config).expect("a channel")
    }

    /// Opens a channel from Alice and returns what each side calls it.
    pub(crate) fn channel(&mut self, config: ChannelConfig) -> (ChannelId, ChannelId) {
        let alice = self.open(Side::Alice, config);
        let before = self.incoming().len();
        self.run_until("the channel is there", |pair| {
            pair.incoming().len() > before
        });
        let bob = *self.incoming().last().expect("a channel");
        (alice, bob)
    }

    fn incoming(&self) -> Vec<ChannelId> {
        self.events[Side::Bob.index()]
            .iter()
            .filter_map(|event| match event {
                Event::ChannelOpened {
                    id, incoming: true, ..
                } => Some(*id),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn send(&mut self, side: Side, id: ChannelId, message: Message<'_>) {
        let now = self.now;
        self.end(side).write(now, id, message).expect("room");
    }

    pub(crate) fn messages(&self, side: Side) -> Vec<ReceivedMessage> {
        self.events[side.index()]
            .iter()
            .filter_map(|event| match event {
                Event::Message(_, message) => Some(message.clone()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn saw(&self, side: Side, what: impl Fn(&Event) -> bool) -> bool {
        self.events[side.index()].iter().any(what)
    }

    pub(crate) fn closed(&self, side: Side) -> Option<CloseReason> {
        self.events[side.index()]
            .iter()
            .find_map(|event| match event {
                Event::Closed(reason) => Some(*reason),
                _ => None,
            })
    }

    /// Lets time pass until something holds; fails after ten minutes of virtual time.
    pub(crate) fn run_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_secs(600);
        loop {
            self.drain();
            if holds(self) {
                return;
            }
            assert!(self.step(end), "never: {what}; {:?}", self.events);
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

    /// Goes to the next arrival or deadline; returns whether there is one before `end`.
    fn step(&mut self, end: Instant) -> bool {
        let arrivals = self
            .flying
            .iter()
            .filter_map(|queue| Some(queue.front()?.0));
        let deadlines: Vec<_> = [Side::Alice, Side::Bob]
            .into_iter()
            .filter_map(|side| match self.ends[side.index()].clone_wait() {
                Output::Wait(deadline) => deadline,
                other => panic!("{other:?} is left"),
            })
            .collect();
        let Some(next) = arrivals.chain(deadlines).min().filter(|next| *next <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        let now = self.now;
        for side in [Side::Alice, Side::Bob] {
            self.end(side).handle_timeout(now);
            let flying = &mut self.flying[side.index()];
            while flying.front().is_some_and(|(at, _)| *at <= now) {
                let Some((_, datagram)) = flying.pop_front() else {
                    break;
                };
                self.ends[side.index()].handle_datagram(now, &datagram);
            }
        }
        true
    }

    fn drain(&mut self) {
        for side in [Side::Alice, Side::Bob] {
            loop {
                match self.end(side).poll_output() {
                    Output::Transmit(datagram) => {
                        self.largest = self.largest.max(datagram.len());
                        if self.random.next_u64() % 100 >= self.loss {
                            let at = self.now + self.delay;
                            self.flying[side.other().index()].push_back((at, datagram));
                        }
                    }
                    Output::Event(event) => self.events[side.index()].push(event),
                    Output::Wait(_) => break,
                }
            }
        }
    }
}

/// What is left to do after a drain is to wait.
trait Waiting {
    fn clone_wait(&mut self) -> Output;
}

impl Waiting for Association {
    fn clone_wait(&mut self) -> Output {
        self.poll_output()
    }
}

pub(crate) fn certificate(side: Side) -> Certificate {
    Certificate::from_seed([side as u8 + 1; 32])
}
