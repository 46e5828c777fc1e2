//! Requests of a discovery and what becomes of them.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_sansio::Timers;
use sha2::{Digest, Sha256};

use super::config::DiscoveryConfig;
use super::discovery::{Output, SocketId};
use super::{filtering, fragments, hairpinning, lifetime, mapping};
use crate::attribute::{
    AttributeType, ChangeRequest, ErrorCodeAttribute, MappedAddress, OtherAddress, Padding,
    ResponsePort, XorMappedAddress,
};
use crate::transaction::{self, Transaction};
use crate::{Class, Message, MessageWriter, Method, TransactionId};

/// A request to send, and what for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    pub(super) from: SocketId,
    pub(super) to: SocketAddr,
    pub(super) change: ChangeRequest,
    pub(super) response_port: Option<u16>,
    pub(super) padding: Option<u16>,
    pub(super) purpose: Purpose,
}

impl Probe {
    /// A plain Binding request.
    pub(super) fn new(from: SocketId, to: SocketAddr, purpose: Purpose) -> Self {
        Self {
            from,
            to,
            change: ChangeRequest::default(),
            response_port: None,
            padding: None,
            purpose,
        }
    }
}

/// Which test a request is of, and which step of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Mapping(usize, mapping::Step),
    Filtering(usize, filtering::Step),
    Hairpinning(hairpinning::Step),
    Fragments(fragments::Step),
    Lifetime(lifetime::Step),
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered.
    Answered(Answer),
    /// It was answered with an error.
    Refused,
    /// It came back to one of our own sockets.
    Looped,
    /// No answer came in time.
    Silent,
}

/// The content of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// The socket that was asked from.
    pub(super) from: SocketId,
    /// The socket that it came to.
    pub(super) at: SocketId,
    /// Where it came from.
    pub(super) source: SocketAddr,
    /// Where the request seemed to come from.
    pub(super) mapped: SocketAddr,
    pub(super) in_the_clear: Option<SocketAddr>,
    pub(super) other: Option<SocketAddr>,
    /// Bytes of padding.
    pub(super) padding: u16,
}

/// The requests under way.
#[derive(Debug, Clone)]
pub(super) struct Exchanges {
    seed: [u8; 32],
    count: u64,
    config: DiscoveryConfig,
    /// The fastest round trip so far.
    pub(super) round_trip: Option<Duration>,
    under_way: BTreeMap<TransactionId, Exchange>,
    timers: Timers<TransactionId>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) outcomes: VecDeque<(Purpose, Outcome)>,
}

#[derive(Debug, Clone)]
struct Exchange {
    transaction: Transaction,
    from: SocketId,
    to: SocketAddr,
    bytes: Vec<u8>,
    purpose: Purpose,
    /// The time of sending, if the request was sent once. The answer to a repeated request may
    /// belong to any of its copies, so it gives no round-trip time (Karn's algorithm, RFC 6298 §3).
    sent: Option<Instant>,
    repeated: bool,
}

impl Exchanges {
    pub(super) fn new(config: DiscoveryConfig, seed: [u8; 32]) -> Self {
        Self {
            seed,
            count: 0,
            config,
            round_trip: None,
            under_way: BTreeMap::new(),
            timers: Timers::new(),
            outputs: VecDeque::new(),
            outcomes: VecDeque::new(),
        }
    }

    /// Sends a request; its outcome comes later.
    pub(super) fn ask(&mut self, now: Instant, ask: Probe) {
        let id = self.next_id();
        let bytes = request(id, &ask);
        let how = self.config.retransmission(self.round_trip);
        let exchange = Exchange {
            transaction: Transaction::new(now, id, how),
            from: ask.from,
            to: ask.to,
            bytes,
            purpose: ask.purpose,
            sent: None,
            repeated: false,
        };
        self.under_way.insert(id, exchange);
        self.drain(now, id);
    }

    /// Forgets the requests of some purposes.
    pub(super) fn forget(&mut self, of: impl Fn(Purpose) -> bool) {
        let timers = &mut self.timers;
        self.under_way.retain(|id, exchange| {
            let keep = !of(exchange.purpose);
            if !keep {
                timers.cancel(id);
            }
            keep
        });
    }

    /// Takes a datagram. It ignores all but answers to our requests, and those requests themselves
    /// (a NAT that hairpins sends them back).
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        at: SocketId,
        source: SocketAddr,
        bytes: &[u8],
    ) {
        let Ok(message) = Message::parse(bytes) else {
            return;
        };
        let Some(exchange) = self.under_way.get(&message.transaction()) else {
            return;
        };
        if message.method() != Method::BINDING {
            return;
        }
        let outcome = match message.class() {
            //= https://www.rfc-editor.org/rfc/rfc8489#section-6.3.3
            //# If the success response contains unknown comprehension-required
            //# attributes, the response is discarded and the transaction is
            //# considered to have failed.
            Class::Success if message.unknown(KNOWN).next().is_some() => Some(Outcome::Refused),
            Class::Success => read(&message, exchange.from, at, source).map(Outcome::Answered),
            Class::Error => {
                let code = message.get::<ErrorCodeAttribute<'_>>().ok().flatten();
                code.map(|_| Outcome::Refused)
            }
            Class::Request if message.as_bytes() == exchange.bytes => Some(Outcome::Looped),
            Class::Request | Class::Indication => None,
        };
        let Some(outcome) = outcome else {
            return;
        };
        if let Some(exchange) = self.under_way.remove(&message.transaction()) {
            self.timers.cancel(&message.transaction());
            self.measure(now, &exchange);
            self.outcomes.push_back((exchange.purpose, outcome));
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.timers.expire(now) {
            if let Some(exchange) = self.under_way.get_mut(&id) {
                exchange.transaction.handle_timeout(now);
                self.drain(now, id);
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn measure(&mut self, now: Instant, exchange: &Exchange) {
        let is_servers = self.config.servers.first() == Some(&exchange.to);
        if let Some(sent) = exchange.sent.filter(|_| is_servers && !exchange.repeated) {
            let took = now.saturating_duration_since(sent);
            self.round_trip = Some(self.round_trip.map_or(took, |best| best.min(took)));
        }
    }

    /// Does what a transaction wants: sends its request, sets its timer, or gives it up.
    fn drain(&mut self, now: Instant, id: TransactionId) {
        let Some(exchange) = self.under_way.get_mut(&id) else {
            return;
        };
        loop {
            match exchange.transaction.poll_output() {
                transaction::Output::Transmit => {
                    exchange.repeated = exchange.sent.is_some();
                    exchange.sent = Some(now);
                    self.outputs.push_back(Output::Transmit {
                        socket: exchange.from,
                        destination: exchange.to,
                        bytes: exchange.bytes.clone(),
                    });
                }
                transaction::Output::Wait(then) => {
                    if let Some(then) = then {
                        self.timers.set(id, then);
                    }
                    return;
                }
                transaction::Output::TimedOut => {
                    self.outcomes.push_back((exchange.purpose, Outcome::Silent));
                    self.under_way.remove(&id);
                    return;
                }
            }
        }
    }

    fn next_id(&mut self) -> TransactionId {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.count.to_be_bytes());
        self.count += 1;
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; 12];
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        TransactionId::new(id)
    }
}

fn request(id: TransactionId, ask: &Probe) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = MessageWriter::new(&mut bytes, Class::Request, Method::BINDING, id);
    if ask.change != ChangeRequest::default() {
        writer.attribute(&ask.change);
    }
    if let Some(port) = ask.response_port {
        writer.attribute(&ResponsePort(port));
    }
    if let Some(length) = ask.padding {
        writer.attribute(&Padding::new(length));
    }
    let written = writer.finish();
    debug_assert!(written.is_ok(), "a request has room for its attributes");
    bytes
}

fn read(message: &Message<'_>, from: SocketId, at: SocketId, source: SocketAddr) -> Option<Answer> {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let xored: Option<XorMappedAddress> = message.get().ok()?;
    let in_the_clear = message
        .get()
        .ok()?
        .map(|MappedAddress(address)| plain(address));
    Some(Answer {
        from,
        at,
        source: plain(source),
        mapped: xored
            .map(|XorMappedAddress(address)| plain(address))
            .or(in_the_clear)?,
        in_the_clear: in_the_clear.filter(|_| xored.is_some()),
        other: message
            .get()
            .ok()?
            .map(|OtherAddress(address)| plain(address)),
        padding: message.get().ok()?.map_or(0, Padding::length),
    })
}

/// What a response may carry that must be understood; the last three are of RFC 3489, whose servers
/// are still out there.
const KNOWN: &[AttributeType] = &[
    AttributeType::MAPPED_ADDRESS,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::CHANGE_REQUEST,
    AttributeType::RESPONSE_PORT,
    AttributeType::PADDING,
    AttributeType::USERNAME,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::SOURCE_ADDRESS,
    AttributeType::CHANGED_ADDRESS,
    AttributeType::REFLECTED_FROM,
];

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::epoch;

    #[test]
    fn a_response_that_must_be_understood_and_is_not_fails_its_request() {
        let server = "192.0.2.1:3478".parse().unwrap();
        for (kind, refused) in [(0x7F01, true), (0x0005, false), (0xFF01, false)] {
            let (now, from) = (epoch(), SocketId::new(0));
            let mut exchanges = Exchanges::new(DiscoveryConfig::new(vec![server]), [7; 32]);
            let purpose = Purpose::Fragments(fragments::Step::First);
            exchanges.ask(now, Probe::new(from, server, purpose));
            let Some(Output::Transmit { bytes, .. }) = exchanges.outputs.pop_front() else {
                panic!("no request")
            };
            let id = Message::parse(&bytes).unwrap().transaction();
            let mut answer = Vec::new();
            let mut writer = MessageWriter::new(&mut answer, Class::Success, Method::BINDING, id);
            writer.attribute(&XorMappedAddress(server));
            writer.finish().unwrap();
            answer.extend_from_slice(&[(kind >> 8) as u8, (kind & 0xFF) as u8, 0, 0]);
            answer[3] += 4;
            exchanges.handle_datagram(now, from, server, &answer);
            let (_, outcome) = exchanges.outcomes.pop_front().unwrap();
            assert_eq!(outcome == Outcome::Refused, refused, "{kind:#06x}");
        }
    }
}
