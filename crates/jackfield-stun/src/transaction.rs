//! A client's side of a transaction: when to send a request again, and when to give up
//! ([RFC 8489 §6.2.1]).
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

/// What a transaction wants done; take it with [`Transaction::poll_output`] until [`Output::Wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Send the request, for the first time or again.
    Transmit,
    /// No answer came in time; the transaction is over.
    TimedOut,
    /// Nothing more to do before this instant, or before a message comes; `None` once the
    /// transaction is over.
    ///
    /// Call [`Transaction::handle_timeout`] when the instant has come.
    Wait(Option<Instant>),
}

/// A request that waits for its answer.
///
/// It knows when to send the request, and not its bytes, which its owner keeps and may share.
#[derive(Debug, Clone)]
pub struct Transaction {
    id: TransactionId,
    retransmission: Retransmission,
    /// How often it was sent.
    sent: u32,
    /// When to send again or to give up; `None` once it is over.
    next: Option<Instant>,
    output: Option<Output>,
}

impl Transaction {
    /// Starts a transaction; its first output is [`Output::Transmit`].
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use jackfield_stun::TransactionId;
    /// use jackfield_stun::transaction::{Output, Transaction};
    ///
    /// # let now = Instant::now();
    /// let id = TransactionId::new([7; 12]);
    /// let mut transaction = Transaction::new(now, id, Default::default());
    /// assert_eq!(transaction.poll_output(), Output::Transmit);
    /// let again = now + Duration::from_millis(500);
    /// assert_eq!(transaction.poll_output(), Output::Wait(Some(again)));
    /// transaction.handle_timeout(again);
    /// assert_eq!(transaction.poll_output(), Output::Transmit);
    /// ```
    #[must_use]
    pub fn new(now: Instant, id: TransactionId, retransmission: Retransmission) -> Self {
        let mut transaction = Self {
            id,
            retransmission,
            sent: 0,
            next: Some(now),
            output: None,
        };
        transaction.handle_timeout(now);
        transaction
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// Returns whether `message` answers it.
    #[must_use]
    pub fn is_answered_by(&self, message: &Message<'_>) -> bool {
        use crate::Class::{Error, Success};
        // A request with our own id is a reflection of ours, and not an answer.
        message.transaction() == self.id && matches!(message.class(), Success | Error)
    }

    /// Takes a message; returns whether it is the answer, which ends the transaction.
    pub fn handle_message(&mut self, message: &Message<'_>) -> bool {
        let is_answered = self.is_answered_by(message);
        if is_answered {
            (self.next, self.output) = (None, None);
        }
        is_answered
    }

    /// Does what is due by `now`: sends again, or gives up.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        let count = match self.retransmission.reliable {
            true => 1,
            false => self.retransmission.count.max(1),
        };
        // The pause after the last sending is over, too: `next` has been set to its end.
        if self.sent >= count {
            (self.next, self.output) = (None, Some(Output::TimedOut));
            return;
        }
        self.next = Some(now + self.pause(self.sent + 1 == count));
        self.sent += 1;
        self.output = Some(Output::Transmit);
    }

    /// Returns the next thing to do; call it until it returns [`Output::Wait`].
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        self.output.take().unwrap_or(Output::Wait(self.next))
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
            // RFC 8489 §6.2.2 wants Ti to be as long as the whole schedule over UDP: 39.5 s with
            // the defaults.
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
    use jackfield_testing::epoch;

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

    #[test]
    fn nothing_is_sent_once_the_answer_is_there() {
        let (start, id) = (epoch(), TransactionId::new([7; 12]));
        let answer = |id| {
            let mut bytes = Vec::new();
            let (class, method) = (crate::Class::Error, crate::Method::BINDING);
            crate::MessageWriter::new(&mut bytes, class, method, id)
                .finish()
                .unwrap();
            bytes
        };
        let mut transaction = Transaction::new(start, id, Retransmission::default());
        assert_eq!(transaction.poll_output(), Output::Transmit);
        let another = answer(TransactionId::new([8; 12]));
        assert!(!transaction.handle_message(&Message::parse(&another).unwrap()));
        assert!(matches!(transaction.poll_output(), Output::Wait(Some(_))));
        assert!(transaction.handle_message(&Message::parse(&answer(id)).unwrap()));
        transaction.handle_timeout(start + Duration::from_secs(100));
        assert_eq!(transaction.poll_output(), Output::Wait(None));
    }

    /// Returns when a request was sent and when it was given up, in milliseconds.
    fn schedule(retransmission: Retransmission) -> (Vec<u128>, u128) {
        let start = epoch();
        let mut now = start;
        let mut sent = Vec::new();
        let mut transaction = Transaction::new(start, TransactionId::new([0; 12]), retransmission);
        loop {
            let millis = (now - start).as_millis();
            match transaction.poll_output() {
                Output::Transmit => sent.push(millis),
                Output::Wait(Some(until)) => {
                    now = until;
                    transaction.handle_timeout(now);
                }
                Output::TimedOut => return (sent, millis),
                Output::Wait(None) => panic!("it ends with a timeout"),
            }
        }
    }
}
