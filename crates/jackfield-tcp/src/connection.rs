//! One connection: the machine that runs it, and the journal from which it can be rebuilt.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smoltcp::socket::tcp::State;

use super::event::ResetReason;
use super::limits::StackLimits;
use super::machine::{Machine, Setup};
use super::segment::{self, AckNumbers};

/// A connection and the events that its program has received.
///
/// smoltcp's sockets cannot be cloned, and a virtual internet with its stacks can. But smoltcp is
/// deterministic: the same inputs at the same times make the same connection. So each connection
/// records its inputs, up to a limit, and a clone replays them when it is first used. Most clones
/// are never used, so the replay is lazy.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) setup: Setup,
    /// `None` until the clone is first used.
    machine: Option<Box<Machine>>,
    /// `None` when the input exceeded the limit.
    journal: Option<Vec<Input>>,
    journal_bytes: usize,
    most_journal_bytes: usize,
    pub(super) snapshot: Snapshot,
    pub(super) notified: Notifications,
    /// When it began; times are in microseconds.
    began: i64,
    /// When a packet last came or went.
    last_active: i64,
    /// Since when the peer has been silent although it has something to acknowledge.
    waiting_since: Option<i64>,
    /// The numbers of the last acknowledgement that was sent.
    numbers: Option<AckNumbers>,
    /// The last SYN that was sent.
    syn: Option<Arc<[u8]>>,
    /// When a SYN within the connection was last answered.
    last_challenge: Option<i64>,
}

/// The state of the machine after its last input, which can be read without the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) state: State,
    pub(super) readable: usize,
    pub(super) room: usize,
    pub(super) next: Option<i64>,
}

/// The events that the program of a connection has received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Notifications {
    pub(super) connected: bool,
    pub(super) data: bool,
    pub(super) finished: bool,
    pub(super) closed: bool,
    /// A send did not take everything, so the program waits for
    /// [`Event::Writable`](super::Event::Writable).
    pub(super) wants_room: bool,
}

/// An input of the machine.
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

    /// Passes a packet, if any, to the machine and lets it do what is due; returns the packets to
    /// send.
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
        // A packet from the peer restarts the wait, even one that acknowledges nothing: the peer
        // is alive.
        let waits = self.machine().is_waiting();
        self.waiting_since = match self.waiting_since {
            _ if !waits => None,
            Some(since) if packet.is_none() => Some(since),
            _ => Some(at),
        };
        sent
    }

    /// Answers a SYN within the connection, at most once a second: its sender may have lost the
    /// connection, and the challenge makes it send a reset
    /// ([RFC 9293 §3.10.7.4](https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4)). smoltcp
    /// ignores such SYNs.
    pub(super) fn challenge(&mut self, at: i64) -> Option<Vec<u8>> {
        let recent = |last| at < CHALLENGE_INTERVAL.saturating_add(last);
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

    /// Adds data to the send buffer; returns how many bytes it took.
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

    /// Returns a clone, unless the journal exceeded its limit.
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

    /// Returns the machine; rebuilds it from the journal if this is the first use of a clone.
    fn machine(&mut self) -> &mut Machine {
        let (setup, journal) = (&self.setup, &self.journal);
        self.machine
            .get_or_insert_with(|| Box::new(replay(setup, journal.as_deref().unwrap_or_default())))
    }

    fn record(&mut self, step: impl FnOnce() -> Input) {
        // The machine of a clone is rebuilt from the inputs before this one.
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
        // The original has sent these packets already.
        while machine.outgoing().is_some() {}
    }
    machine
}

/// The interval between two answers, in microseconds.
const CHALLENGE_INTERVAL: i64 = 1_000_000;
