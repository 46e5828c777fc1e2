//! Which datagrams pass the path: a few sizes, the smallest first ([RFC 8899]).
//!
//! [RFC 8899]: https://www.rfc-editor.org/rfc/rfc8899

use std::time::{Duration, Instant};

/// One search along a path. Each size but the first is tried once: after an ICMP error the system
/// would cut a second datagram into fragments, and the search would go on with what the path does
/// not carry. What it finds is therefore a lower bound where packets get lost.
#[derive(Debug, Default)]
pub(super) struct PathProbe {
    /// Tells the answers of earlier probes, and of earlier paths, from that of the last one.
    number: u32,
    /// The place in [`SIZES`] of the probe that is out, or is to be sent.
    index: usize,
    /// How often the first size was tried.
    tries: u8,
    /// Whether the probe is to be sent.
    is_due: bool,
    /// The datagram that is out.
    size: usize,
    deadline: Option<Instant>,
    largest: Option<usize>,
}

impl PathProbe {
    /// Begins anew: the path is another one.
    pub(super) fn begin(&mut self) {
        *self = Self {
            number: self.number,
            is_due: true,
            ..Self::default()
        };
    }

    /// Ends the search, and keeps what it found.
    pub(super) fn end(&mut self) {
        self.is_due = false;
        self.deadline = None;
    }

    /// Returns the number and the size of the next datagram, if one is to be sent.
    pub(super) fn due(&self) -> Option<(u32, usize)> {
        let size = SIZES.get(self.index).filter(|_| self.is_due)?;
        Some((self.number.wrapping_add(1), *size))
    }

    /// Notes that a datagram of `size` bytes was sent.
    pub(super) fn sent(&mut self, now: Instant, size: usize) {
        self.is_due = false;
        self.number = self.number.wrapping_add(1);
        self.tries = self.tries.saturating_add(1);
        self.size = size;
        self.deadline = Some(now + PATIENCE);
    }

    /// Notes that a probe came back.
    pub(super) fn answered(&mut self, number: u32) {
        if number == self.number && self.deadline.take().is_some() {
            self.largest = Some(self.size);
            self.index += 1;
            self.is_due = self.index < SIZES.len();
        }
    }

    /// Ends the search if nothing came back. A path that is new may lose a packet, and the first
    /// size passes nearly every path whole.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|at| at <= now) {
            self.deadline = None;
            self.is_due = self.index == 0 && self.tries < FIRST_TRIES;
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns the largest datagram that came back so far, in bytes of the UDP payload.
    pub(super) fn largest(&self) -> Option<usize> {
        self.largest
    }
}

/// UDP payloads. With the headers of IPv4 or IPv6 they fill the 1,280 bytes that IPv6 asks for,
/// tunnels in tunnels, tunnels, PPPoE's 1,492 and Ethernet's 1,500.
const SIZES: [usize; 7] = [1232, 1312, 1372, 1412, 1440, 1464, 1472];

const FIRST_TRIES: u8 = 3;

/// Longer than the round trip of any path that a call is any good on.
const PATIENCE: Duration = Duration::from_secs(1);
