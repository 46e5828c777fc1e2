//! Binding requests to STUN servers ([RFC 8445 §5.1.1.2]).
//!
//! [RFC 8445 §5.1.1.2]: https://www.rfc-editor.org/rfc/rfc8445#section-5.1.1.2

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_sansio::Transmit;
use jackfield_stun::attribute::{ErrorCodeAttribute, MappedAddress, XorMappedAddress};
use jackfield_stun::transaction::{Output as TransactionOutput, Retransmission, Transaction};
use jackfield_stun::{Class, Message, MessageWriter, Method, TransactionId};

/// What one server is asked from one local address.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) base: SocketAddr,
    /// Its place in the configuration.
    pub(super) server: usize,
    pub(super) state: QueryState,
    /// The address that the server saw last.
    pub(super) mapped: Option<SocketAddr>,
    /// Whether gathering waits for the answer.
    pub(super) is_wanted: bool,
    /// How many transactions in a row the server has left without any answer.
    pub(super) silences: u32,
}

#[derive(Debug)]
pub(super) enum QueryState {
    /// It waits for its turn.
    Waiting,
    /// The server was asked, and at this instant is asked again or given up.
    Asking(Transaction, Instant),
    /// The server has answered, and is asked again at this instant; `None` where another server
    /// keeps the binding.
    Answered(Option<Instant>),
    /// The server gave no answer, or none that is good; one that was silent is asked again at this
    /// instant.
    Failed(Option<Instant>),
}

/// What came of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The address that the server sees.
    Mapped(SocketAddr),
    /// The server's error code.
    Refused(u16),
    /// An answer that says nothing.
    Malformed,
    /// No answer.
    Nothing,
}

impl Query {
    pub(super) fn new(base: SocketAddr, server: usize) -> Self {
        Self {
            base,
            server,
            state: QueryState::Waiting,
            mapped: None,
            is_wanted: true,
            silences: 0,
        }
    }

    /// Returns whether gathering waits for it: a server that has answered before, or was silent
    /// before, holds nothing up.
    pub(super) fn is_pending(&self) -> bool {
        match self.state {
            QueryState::Waiting | QueryState::Asking(..) => self.is_wanted,
            QueryState::Answered(_) | QueryState::Failed(_) => false,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, QueryState::Waiting)
    }

    /// Returns whether it keeps the binding of a base to an address.
    pub(super) fn keeps(&self, base: SocketAddr, mapped: SocketAddr) -> bool {
        self.base == base
            && self.mapped == Some(mapped)
            && !matches!(
                self.state,
                QueryState::Answered(None) | QueryState::Failed(_)
            )
    }

    pub(super) fn ask(&mut self, now: Instant, id: TransactionId, retransmission: Retransmission) {
        self.state = QueryState::Asking(Transaction::new(now, id, retransmission), now);
    }

    pub(super) fn is_answered_by(&self, message: &Message<'_>) -> bool {
        match &self.state {
            QueryState::Asking(transaction, _) => {
                transaction.is_answered_by(message) && message.method() == Method::BINDING
            }
            QueryState::Waiting | QueryState::Answered(_) | QueryState::Failed(_) => false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            QueryState::Asking(_, next) => Some(*next),
            QueryState::Answered(again) | QueryState::Failed(again) => *again,
            QueryState::Waiting => None,
        }
    }

    /// Sends what is due by `now`; returns the answer if it is that there is none.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        mut transmit: impl FnMut(Vec<u8>),
    ) -> Option<Answer> {
        let QueryState::Asking(transaction, next) = &mut self.state else {
            return None;
        };
        transaction.handle_timeout(now);
        loop {
            match transaction.poll_output() {
                TransactionOutput::Transmit => transmit(request(transaction.id())),
                TransactionOutput::TimedOut => return Some(Answer::Nothing),
                TransactionOutput::Wait(until) => {
                    *next = until.unwrap_or(now);
                    return None;
                }
            }
        }
    }
}

/// Reads an answer.
pub(super) fn read(message: &Message<'_>) -> Answer {
    if message.class() == Class::Error {
        let code: Option<ErrorCodeAttribute<'_>> = message.get().ok().flatten();
        return code.map_or(Answer::Malformed, |code| Answer::Refused(code.code.value()));
    }
    let xor: Option<XorMappedAddress> = message.get().ok().flatten();
    // Servers of RFC 3489 know no XOR-MAPPED-ADDRESS.
    let plain: Option<MappedAddress> = message.get().ok().flatten();
    let mapped = xor.map(|XorMappedAddress(address)| address);
    let mapped = mapped.or_else(|| plain.map(|MappedAddress(address)| address));
    mapped
        .filter(|address| is_address(*address))
        .map_or(Answer::Malformed, Answer::Mapped)
}

/// Returns whether packets can be sent there: servers can say anything.
pub(super) fn is_address(address: SocketAddr) -> bool {
    let ip = address.ip();
    let is_broadcast = matches!(ip, std::net::IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

fn request(id: TransactionId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(20);
    let writer = MessageWriter::new(&mut bytes, Class::Request, Method::BINDING, id);
    let finished = writer.finish();
    debug_assert!(finished.is_ok(), "no attributes are not too many");
    bytes
}

pub(super) fn transmit(base: SocketAddr, remote: SocketAddr, bytes: Vec<u8>) -> Transmit {
    Transmit {
        path: jackfield_sansio::FiveTuple {
            transport: jackfield_sansio::Transport::Udp,
            local: base,
            remote,
        },
        bytes,
    }
}
