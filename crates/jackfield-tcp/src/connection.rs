//! One connection: the machine that runs it, and the journal it can be made again from.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smoltcp::socket::tcp::State;

use super::event::Reason;
use super::limits::Limits;
use super::machine::{Machine, Setup};
use super::segment::{self, Numbers};

/// A connection and what its program has been told.
///
/// smoltcp's sockets cannot be copied. They are deterministic, though: the same inputs at the same times make the same
/// connection. So each connection keeps its inputs, and a clone replays them when it is first used.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) setup: Setup,
    /// `None` until a clone is first used.
    machine: Option<Box<Machine>>,
    /// `None` when there was too much to remember.
    journal: Option<Vec<Step>>,
    journal_bytes: usize,
    most_journal_bytes: usize,
    pub(super) view: View,
    pub(super) told: Told,
    /// When it began, in microseconds, like all times here.
    began: i64,
    /// When a packet last came or went.
    last_active: i64,
    /// Since when the peer has been silent although it has something to acknowledge.
    waiting_since: Option<i64>,
    /// The numbers of the last acknowledgement that was sent.
    numbers: Option<Numbers>,
    /// The last SYN that was sent.
    syn: Option<Arc<[u8]>>,
    /// When a SYN in the middle of the connection was last answered.
    last_challenge: Option<i64>,
}

/// What is known of a connection without its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    pub(super) state: State,
    pub(super) readable: usize,
    pub(super) room: usize,
    pub(super) next: Option<i64>,
}

/// What a connection's program has been told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) connected: bool,
    pub(super) data: bool,
    pub(super) finished: bool,
    pub(super) closed: bool,
    /// A send did not take everything, and the program waits to hear of room.
    pub(super) wants_room: bool,
}

/// An input.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Poll(i64),
    Packet(i64, Arc<[u8]>),
    Send(Arc<[u8]>),
    Recv(usize),
    Close,
    Abort,
}

impl Connection {
    pub(super) fn new(setup: Setup, at: i64, most_journal_bytes: usize) -> Self {
        let machine = Box::new(Machine::new(&setup));
        Self {
            view: View {
                state: machine.state(),
                readable: 0,
                room: 0,
                next: None,
            },
            setup,
            machine: Some(machine),
            journal: (most_journal_bytes > 0).then(Vec::new),
            journal_bytes: 0,
            most_journal_bytes,
            told: Told::default(),
            began: at,
            last_active: at,
            waiting_since: None,
            numbers: None,
            syn: None,
            last_challenge: None,
        }
    }

    pub(super) fn path(&self) -> (SocketAddr, SocketAddr) {
        (self.setup.local, self.setup.remote)
    }

    /// Lets the machine do what is due, and take a packet if there is one; returns what it sends.
    pub(super) fn poll(&mut self, at: i64, packet: Option<&[u8]>) -> Vec<Vec<u8>> {
        self.remember(|| match packet {
            Some(bytes) => Step::Packet(at, bytes.into()),
            None => Step::Poll(at),
        });
        let machine = self.machine();
        machine.poll(at, packet);
        let sent: Vec<Vec<u8>> = std::iter::from_fn(|| machine.outgoing()).collect();
        for packet in &sent {
            self.numbers = Numbers::of(packet).or(self.numbers);
            if self.view.state != State::Established && segment::is_syn(packet) {
                self.syn = Some(packet.as_slice().into());
            }
        }
        if packet.is_some() || !sent.is_empty() {
            self.last_active = at;
        }
        self.look(at);
        let waits = self.machine().is_waiting();
        self.waiting_since = match self.waiting_since {
            _ if !waits => None,
            Some(since) if packet.is_none() => Some(since),
            _ => Some(at),
        };
        sent
    }

    /// Answers a SYN in the middle of the connection, whose sender may have forgotten it, at most once a second
    /// ([RFC 9293 §3.10.7.4](https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4)). smoltcp ignores such SYNs.
    pub(super) fn challenge(&mut self, at: i64) -> Option<Vec<u8>> {
        let recent = |last| at < CHALLENGE_PACE.saturating_add(last);
        if self.last_challenge.is_some_and(recent) {
            return None;
        }
        self.last_challenge = Some(at);
        let (local, remote) = self.path();
        match &self.syn {
            Some(syn) if self.view.state == State::SynReceived => Some(syn.to_vec()),
            _ => Some(self.numbers?.acknowledgement(local, remote)),
        }
    }

    /// Returns when the connection ends unless something happens, and why.
    pub(super) fn deadline(&self, limits: &Limits) -> (i64, Reason) {
        let after = |since: i64, limit| since.saturating_add(micros(limit));
        if !self.told.connected {
            return (after(self.began, limits.handshake), Reason::TimedOut);
        }
        let idle = (after(self.last_active, limits.idle), Reason::Idle);
        let silent = self
            .waiting_since
            .map(|since| (after(since, limits.timeout), Reason::TimedOut));
        silent.filter(|silent| silent.0 < idle.0).unwrap_or(idle)
    }

    /// Puts data into the send buffer; returns how much of it.
    pub(super) fn send(&mut self, data: &[u8]) -> usize {
        let taken = self.machine().send(data);
        let data = data.get(..taken).unwrap_or_default();
        if taken > 0 {
            self.remember(|| Step::Send(data.into()));
        }
        taken
    }

    pub(super) fn recv(&mut self, most: usize) -> Vec<u8> {
        let data = self.machine().recv(most);
        if !data.is_empty() {
            self.remember(|| Step::Recv(data.len()));
        }
        data
    }

    pub(super) fn close(&mut self) {
        self.remember(|| Step::Close);
        self.machine().close();
    }

    pub(super) fn abort(&mut self) {
        self.remember(|| Step::Abort);
        self.machine().abort();
    }

    /// Returns a copy, unless too much has happened to remember it.
    pub(super) fn try_clone(&self) -> Option<Self> {
        let journal = self.journal.clone()?;
        Some(Self {
            setup: self.setup.clone(),
            machine: None,
            journal: Some(journal),
            journal_bytes: self.journal_bytes,
            most_journal_bytes: self.most_journal_bytes,
            view: self.view,
            told: self.told,
            began: self.began,
            last_active: self.last_active,
            waiting_since: self.waiting_since,
            numbers: self.numbers,
            syn: self.syn.clone(),
            last_challenge: self.last_challenge,
        })
    }

    fn look(&mut self, at: i64) {
        let machine = self.machine();
        self.view = View {
            state: machine.state(),
            readable: machine.readable(),
            room: machine.room(),
            next: machine.next(at),
        };
    }

    /// Returns the machine, made again from the journal if this is a clone's first use.
    fn machine(&mut self) -> &mut Machine {
        let (setup, journal) = (&self.setup, &self.journal);
        self.machine
            .get_or_insert_with(|| Box::new(replay(setup, journal.as_deref().unwrap_or_default())))
    }

    fn remember(&mut self, step: impl FnOnce() -> Step) {
        // A clone's machine is made of what was before this step.
        self.machine();
        let Some(journal) = &mut self.journal else {
            return;
        };
        let step = step();
        self.journal_bytes += step.size();
        if self.journal_bytes > self.most_journal_bytes {
            self.journal = None;
        } else {
            journal.push(step);
        }
    }
}

impl Step {
    fn size(&self) -> usize {
        let data = match self {
            Self::Packet(_, data) | Self::Send(data) => data.len(),
            Self::Poll(_) | Self::Recv(_) | Self::Close | Self::Abort => 0,
        };
        size_of::<Self>() + data
    }
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn replay(setup: &Setup, journal: &[Step]) -> Machine {
    let mut machine = Machine::new(setup);
    for step in journal {
        match step {
            Step::Poll(at) => machine.poll(*at, None),
            Step::Packet(at, bytes) => machine.poll(*at, Some(bytes)),
            Step::Send(data) => {
                machine.send(data);
            }
            Step::Recv(length) => {
                machine.recv(*length);
            }
            Step::Close => machine.close(),
            Step::Abort => machine.abort(),
        }
        while machine.outgoing().is_some() {}
    }
    machine
}

/// In microseconds.
const CHALLENGE_PACE: i64 = 1_000_000;
