//! One connection: the machine that runs it, and the journal it can be made again from.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smoltcp::socket::tcp::State;

use super::event::ResetReason;
use super::limits::StackLimits;
use super::machine::{Machine, Setup};
use super::segment::{self, AckNumbers};

/// A connection and what its program has been notified.
///
/// smoltcp's sockets cannot be copied. They are deterministic, though: the same inputs at the same times make the same
/// connection. So each connection keeps its inputs, and a clone replays them when it is first used.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) setup: Setup,
    /// `None` until a clone is first used.
    machine: Option<Box<Machine>>,
    /// `None` when there was too much to remember.
    journal: Option<Vec<Input>>,
    journal_bytes: usize,
    most_journal_bytes: usize,
    pub(super) snapshot: Snapshot,
    pub(super) notified: Notifications,
    /// When it began, in microseconds, like all times here.
    began: i64,
    /// When a packet last came or went.
    last_active: i64,
    /// Since when the peer has been silent although it has something to acknowledge.
    waiting_since: Option<i64>,
    /// The numbers of the last acknowledgement that was sent.
    numbers: Option<AckNumbers>,
    /// The last SYN that was sent.
    syn: Option<Arc<[u8]>>,
    /// When a SYN in the middle of the connection was last answered.
    last_challenge: Option<i64>,
}

/// What is known of a connection without its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) state: State,
    pub(super) readable: usize,
    pub(super) room: usize,
    pub(super) next: Option<i64>,
}

/// What a connection's program has been notified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Notifications {
    pub(super) connected: bool,
    pub(super) data: bool,
    pub(super) finished: bool,
    pub(super) closed: bool,
    /// A send did not take everything, and the program waits to hear of room.
    pub(super) wants_room: bool,
}

/// An input.
#[derive(Debug, Clone)]
pub(super) enum Input {
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
            snapshot: Snapshot {
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
            notified: Notifications::default(),
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
        self.record(|| match packet {
            Some(bytes) => Input::Packet(at, bytes.into()),
            None => Input::Poll(at),
        });
        let machine = self.machine();
        machine.poll(at, packet);
        let sent: Vec<Vec<u8>> = std::iter::from_fn(|| machine.outgoing()).collect();
        for packet in &sent {
            self.numbers = AckNumbers::of(packet).or(self.numbers);
            if self.snapshot.state != State::Established && segment::is_syn(packet) {
                self.syn = Some(packet.as_slice().into());
            }
        }
        if packet.is_some() || !sent.is_empty() {
            self.last_active = at;
        }
        self.update_snapshot(at);
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
            Some(syn) if self.snapshot.state == State::SynReceived => Some(syn.to_vec()),
            _ => Some(self.numbers?.acknowledgement(local, remote)),
        }
    }

    /// Returns when the connection ends unless something happens, and why.
    pub(super) fn deadline(&self, limits: &StackLimits) -> (i64, ResetReason) {
        let after = |since: i64, limit| since.saturating_add(micros(limit));
        if !self.notified.connected {
            return (after(self.began, limits.handshake), ResetReason::TimedOut);
        }
        let idle = (after(self.last_active, limits.idle), ResetReason::Idle);
        let silent = self
            .waiting_since
            .map(|since| (after(since, limits.timeout), ResetReason::TimedOut));
        silent.filter(|silent| silent.0 < idle.0).unwrap_or(idle)
    }

    /// Puts data into the send buffer; returns how much of it.
    pub(super) fn send(&mut self, data: &[u8]) -> usize {
        let taken = self.machine().send(data);
        let data = data.get(..taken).unwrap_or_default();
        if taken > 0 {
            self.record(|| Input::Send(data.into()));
        }
        taken
    }

    pub(super) fn recv(&mut self, most: usize) -> Vec<u8> {
        let data = self.machine().recv(most);
        if !data.is_empty() {
            self.record(|| Input::Recv(data.len()));
        }
        data
    }

    pub(super) fn close(&mut self) {
        self.record(|| Input::Close);
        self.machine().close();
    }

    pub(super) fn abort(&mut self) {
        self.record(|| Input::Abort);
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
            snapshot: self.snapshot,
            notified: self.notified,
            began: self.began,
            last_active: self.last_active,
            waiting_since: self.waiting_since,
            numbers: self.numbers,
            syn: self.syn.clone(),
            last_challenge: self.last_challenge,
        })
    }

    fn update_snapshot(&mut self, at: i64) {
        let machine = self.machine();
        self.snapshot = Snapshot {
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

    fn record(&mut self, step: impl FnOnce() -> Input) {
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

impl Input {
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

fn replay(setup: &Setup, journal: &[Input]) -> Machine {
    let mut machine = Machine::new(setup);
    for step in journal {
        match step {
            Input::Poll(at) => machine.poll(*at, None),
            Input::Packet(at, bytes) => machine.poll(*at, Some(bytes)),
            Input::Send(data) => {
                machine.send(data);
            }
            Input::Recv(length) => {
                machine.recv(*length);
            }
            Input::Close => machine.close(),
            Input::Abort => machine.abort(),
        }
        while machine.outgoing().is_some() {}
    }
    machine
}

/// In microseconds.
const CHALLENGE_PACE: i64 = 1_000_000;
