//! A client's side of a transaction: when to send a request again, and when to give up ([RFC 8489 §6.2.1]).
//!
//! [RFC 8489 §6.2.1]: https://www.rfc-editor.org/rfc/rfc8489#section-6.2.1

use std::time::{Duration, Instant};

use crate::{Message, TransactionId};

/// How often and for how long a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retransmission {
    /// The time before the second sending (RTO); it doubles from there. Default: 500 ms.
    pub rto: Duration,
    /// How often a request is sent in all (Rc). Default: 7.
    pub count: u32,
    /// How many RTOs to wait after the last sending (Rm). Default: 16.
    pub patience: u32,
    /// Whether the transport delivers by itself, so that a request is sent once.
    pub reliable: bool,
}

impl Default for Retransmission {
    fn default() -> Self {
        Self {
            rto: Duration::from_millis(500),
            count: 7,
            patience: 16,
            reliable: false,
        }
    }
}

/// What a transaction wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send the request (again).
    Send,
    /// Nothing before this instant.
    Wait(Instant),
    /// Nobody answered.
    TimedOut,
}

/// A request that waits for its answer.
#[derive(Debug, Clone)]
pub struct Transaction {
    id: TransactionId,
    retransmission: Retransmission,
    /// How often it was sent.
    sent: u32,
    /// When to send again or to give up.
    next: Instant,
}

impl Transaction {
    /// Starts one: the first [`poll`](Self::poll) at `now` says [`Step::Send`].
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use jackfield_stun::TransactionId;
    /// use jackfield_stun::transaction::{Step, Transaction};
    ///
    /// # let now = Instant::now();
    /// let mut transaction = Transaction::new(now, TransactionId::new([7; 12]), Default::default());
    /// assert_eq!(transaction.poll(now), Step::Send);
    /// assert_eq!(transaction.poll(now), Step::Wait(now + Duration::from_millis(500)));
    /// ```
    pub fn new(now: Instant, id: TransactionId, retransmission: Retransmission) -> Self {
        Self {
            id,
            retransmission,
            sent: 0,
            next: now,
        }
    }

    /// Returns its id.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// Returns whether `message` answers it.
    pub fn is_answered_by(&self, message: &Message<'_>) -> bool {
        use crate::Class::{Error, Success};
        message.transaction() == self.id && matches!(message.class(), Success | Error)
    }

    /// Returns what to do at `now`.
    pub fn poll(&mut self, now: Instant) -> Step {
        if now < self.next {
            return Step::Wait(self.next);
        }
        let count = if self.retransmission.reliable {
            1
        } else {
            self.retransmission.count.max(1)
        };
        if self.sent >= count {
            return Step::TimedOut;
        }
        self.next = now + self.pause(self.sent + 1 == count);
        self.sent += 1;
        Step::Send
    }

    /// Returns how long to wait after the sending that is about to be made.
    fn pause(&self, is_last: bool) -> Duration {
        let Retransmission {
            rto,
            count,
            patience,
            reliable,
        } = self.retransmission;
        if reliable {
            // As long as the whole schedule over UDP would take: 39.5 s with the defaults.
            let sendings = 2u32.saturating_pow(count.saturating_sub(1)) - 1;
            return rto.saturating_mul(sendings.saturating_add(patience));
        }
        if is_last {
            return rto.saturating_mul(patience);
        }
        rto.saturating_mul(2u32.saturating_pow(self.sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unanswered_request_is_sent_at_the_times_of_the_rfc() {
        let sent = schedule(Retransmission::default());
        assert_eq!(
            sent,
            ([0, 500, 1_500, 3_500, 7_500, 15_500, 31_500].into(), 39_500)
        );
    }

    #[test]
    fn over_a_stream_it_is_sent_once() {
        let reliable = Retransmission {
            reliable: true,
            ..Retransmission::default()
        };
        assert_eq!(schedule(reliable), (vec![0], 39_500));
    }

    /// Returns when a request was sent and when it was given up, in milliseconds.
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant")]
    fn schedule(retransmission: Retransmission) -> (Vec<u128>, u128) {
        let start = Instant::now();
        let mut now = start;
        let mut sent = Vec::new();
        let mut transaction = Transaction::new(start, TransactionId::new([0; 12]), retransmission);
        loop {
            let millis = (now - start).as_millis();
            match transaction.poll(now) {
                Step::Send => sent.push(millis),
                Step::Wait(until) => now = until,
                Step::TimedOut => return (sent, millis),
            }
        }
    }
}
