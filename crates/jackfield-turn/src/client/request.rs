//! Requests on their way: sent again over datagrams, signed once the server has asked for it,
//! answered once.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_sansio::Transmit;
use jackfield_stun::attribute::{AttributeType, ErrorCodeAttribute, Software};
use jackfield_stun::transaction::{self, Retransmission, Transaction};
use jackfield_stun::{Class, ErrorCode, Message, MessageWriter, Method, TransactionId};

use super::credential::{Challenge, Signer};
use super::{Client, Failure, Output, Timer};
use crate::ChannelNumber;
use crate::attribute::{
    AdditionalAddressFamily, AddressFamily, Lifetime, RequestedAddressFamily, RequestedTransport,
    XorPeerAddress, kind, method,
};

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Allocate,
    Refresh,
    /// A Refresh with a lifetime of zero.
    Delete,
    Permit(IpAddr),
    Bind(ChannelNumber, SocketAddr),
}

/// The requests that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Requests(BTreeMap<TransactionId, Request>);

/// A request that waits for its answer.
#[derive(Debug)]
struct Request {
    transaction: Transaction,
    operation: Operation,
    bytes: Vec<u8>,
    /// What its answer has to be signed with; `None` if it was not signed itself.
    signer: Option<Signer>,
    /// How often this was asked before and met a challenge.
    challenged: u32,
    /// Whether something came for it that could not be trusted.
    met_untrusted: bool,
}

impl Requests {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn is_asking(&self, operation: Operation) -> bool {
        self.0
            .values()
            .any(|request| request.operation == operation)
    }

    #[cfg(any(test, feature = "internals"))]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Operation {
    fn method(self) -> Method {
        match self {
            Self::Allocate => method::ALLOCATE,
            Self::Refresh | Self::Delete => method::REFRESH,
            Self::Permit(_) => method::CREATE_PERMISSION,
            Self::Bind(..) => method::CHANNEL_BIND,
        }
    }
}

impl Client {
    /// Asks the server for something, unless the same is being asked.
    pub(super) fn ask(&mut self, now: Instant, operation: Operation) {
        if !self.requests.is_asking(operation) {
            self.start_request(now, operation, 0);
        }
    }

    fn start_request(&mut self, now: Instant, operation: Operation, challenged: u32) {
        let id = self.new_transaction();
        let (bytes, signer) = self.write(operation, id);
        let retransmission = Retransmission {
            reliable: self.path.transport.is_stream(),
            ..self.config.retransmission
        };
        let request = Request {
            transaction: Transaction::new(now, id, retransmission),
            operation,
            bytes,
            signer,
            challenged,
            met_untrusted: false,
        };
        self.counters.requests += 1;
        self.requests.0.insert(id, request);
        self.drain_request(now, id);
    }

    /// Waits no longer for answers to what `is_of` names, and asks it no more.
    pub(super) fn abandon(&mut self, is_of: impl Fn(Operation) -> bool) {
        let timers = &mut self.timers;
        self.requests.0.retain(|id, request| {
            let stays = !is_of(request.operation);
            if !stays {
                timers.cancel(&Timer::Request(*id));
            }
            stays
        });
    }

    /// Sends a request again, or gives it up, when its time has come.
    pub(super) fn request_due(&mut self, now: Instant, id: TransactionId) {
        if let Some(request) = self.requests.0.get_mut(&id) {
            request.transaction.handle_timeout(now);
            self.drain_request(now, id);
        }
    }

    /// Does what a request's transaction wants: sends the request, sets its timer, or gives it up.
    fn drain_request(&mut self, now: Instant, id: TransactionId) {
        while let Some(request) = self.requests.0.get_mut(&id) {
            match request.transaction.poll_output() {
                transaction::Output::Transmit => {
                    let bytes = request.bytes.clone();
                    self.counters.transmissions += 1;
                    self.transmit(now, bytes);
                }
                transaction::Output::TimedOut => self.give_up(now, id),
                transaction::Output::Wait(until) => {
                    if let Some(until) = until {
                        self.timers.set(Timer::Request(id), until);
                    }
                    return;
                }
            }
        }
    }

    fn give_up(&mut self, now: Instant, id: TransactionId) {
        let Some(request) = self.requests.0.remove(&id) else {
            return;
        };
        self.timers.cancel(&Timer::Request(id));
        let why = if request.met_untrusted {
            Failure::Untrusted
        } else {
            Failure::TimedOut
        };
        self.refused(now, request.operation, why);
    }

    /// Takes a response: finds its request, checks its integrity, and hands it to
    /// the part that sent the request.
    pub(super) fn response(&mut self, now: Instant, message: &Message<'_>) {
        let id = message.transaction();
        let answered = self.requests.0.get(&id).is_some_and(|request| {
            request.transaction.is_answered_by(message)
                && request.operation.method() == message.method()
        });
        if !answered {
            self.counters.unexpected += 1;
            return;
        }
        let code = error_code(message);
        if !self.is_trusted(message, code) {
            self.distrust(now, id);
            return;
        }
        let Some(request) = self.requests.0.remove(&id) else {
            return;
        };
        self.timers.cancel(&Timer::Request(id));
        match code {
            //= https://www.rfc-editor.org/rfc/rfc8489#section-6.3.4
            //# If the error response contains unknown comprehension-required
            //# attributes, or if the error response does not contain an ERROR-CODE
            //# attribute, then the transaction is simply considered to have failed.
            _ if message.unknown(KNOWN).next().is_some() => {
                self.refused(now, request.operation, Failure::Malformed);
            }
            Ok(None) => self.succeeded(now, request.operation, message),
            Ok(Some(ErrorCode::UNAUTHENTICATED | ErrorCode::STALE_NONCE)) => {
                self.challenged(now, &request, message);
            }
            Ok(Some(ErrorCode::TRY_ALTERNATE)) if request.operation == Operation::Allocate => {
                self.redirected(message);
            }
            Ok(Some(code)) => self.refused(now, request.operation, Failure::Refused(code)),
            Err(failure) => self.refused(now, request.operation, failure),
        }
    }

    /// Notes a response that cannot be believed: it is as good as not received, unless no other can
    /// come.
    fn distrust(&mut self, now: Instant, id: TransactionId) {
        self.counters.untrusted += 1;
        let Some(request) = self.requests.0.get_mut(&id) else {
            return;
        };
        request.met_untrusted = true;
        //= https://www.rfc-editor.org/rfc/rfc8489#section-9.2.5
        //# If the request was sent over a reliable transport, the response MUST
        //# be discarded, and the layer MUST immediately end the transaction and
        //# signal that the integrity protection was violated.
        if self.path.transport.is_stream() {
            self.give_up(now, id);
        }
    }

    /// Returns whether a response may be believed ([RFC 8489 §9.2.5]).
    ///
    /// A challenge needs no signature. Everything else has the one that its request has; before the
    /// server has asked for one, a response is believed without, unless it is of a kind that an
    /// attacker would send to make us give up.
    ///
    /// [RFC 8489 §9.2.5]: https://www.rfc-editor.org/rfc/rfc8489#section-9.2.5
    fn is_trusted(&self, message: &Message<'_>, code: Result<Option<ErrorCode>, Failure>) -> bool {
        if matches!(
            code,
            Ok(Some(ErrorCode::UNAUTHENTICATED | ErrorCode::STALE_NONCE))
        ) {
            return true;
        }
        if Challenge::is_stripped(message) {
            return false;
        }
        let request = self.requests.0.get(&message.transaction());
        match request.and_then(|request| request.signer.as_ref()) {
            Some(signer) => signer.has_signed(message),
            //= https://www.rfc-editor.org/rfc/rfc8489#section-9.2.5
            //# If the response is an error response with an error code of 400 (Bad
            //# Request) and does not contain either the MESSAGE-INTEGRITY or
            //# MESSAGE-INTEGRITY-SHA256 attribute, then the response MUST be
            //# discarded, as if it were never received.
            None => self.config.credential.is_none() || code != Ok(Some(ErrorCode::BAD_REQUEST)),
        }
    }

    /// Answers a challenge, by asking the same once more.
    fn challenged(&mut self, now: Instant, request: &Request, message: &Message<'_>) {
        match self.read_challenge(request, message) {
            Ok(challenge) => {
                self.challenge = Some(challenge);
                self.start_request(now, request.operation, request.challenged + 1);
            }
            Err(failure) => self.refused(now, request.operation, failure),
        }
    }

    fn read_challenge(
        &self,
        request: &Request,
        message: &Message<'_>,
    ) -> Result<Challenge, Failure> {
        let credential = self.config.credential.as_ref();
        let credential = credential.ok_or(Failure::CredentialMissing)?;
        let challenge = Challenge::read(message, credential, self.challenge.as_ref())?;
        let is_stale = error_code(message) == Ok(Some(ErrorCode::STALE_NONCE));
        let same_realm = |known: &Challenge| known.realm == challenge.realm;
        // The same name and password would be refused again; only another realm makes another key.
        let is_refused = request.signer.is_some()
            && !is_stale
            && self.challenge.as_ref().is_some_and(same_realm);
        if is_refused {
            return Err(Failure::CredentialRefused);
        }
        if request.challenged >= MAX_CHALLENGES {
            return Err(error_code(message).map_or(Failure::Malformed, |code| {
                code.map_or(Failure::Malformed, Failure::Refused)
            }));
        }
        Ok(challenge)
    }

    /// Does what a success means.
    fn succeeded(&mut self, now: Instant, operation: Operation, message: &Message<'_>) {
        match operation {
            Operation::Allocate => self.allocated(now, message),
            Operation::Refresh => self.refreshed(now, message),
            Operation::Delete => self.deleted(),
            Operation::Permit(peer) => self.permitted(now, peer),
            Operation::Bind(number, peer) => self.bound(now, number, peer),
        }
    }

    /// Does what a refusal, or no answer, means.
    fn refused(&mut self, now: Instant, operation: Operation, why: Failure) {
        tracing::debug!(path = %self.path, ?operation, ?why, "Request failed");
        match (operation, why) {
            (Operation::Allocate, _) => self.allocation_refused(why),
            // Whatever else it says, the server has ended it, or keeps no allocation of ours.
            (Operation::Delete, _) => self.deleted(),
            //= https://www.rfc-editor.org/rfc/rfc8656#section-5
            //# A client
            //# receiving a 437 error response to a request other than Allocate MUST
            //# assume the allocation no longer exists.
            (_, Failure::Refused(ErrorCode::ALLOCATION_MISMATCH)) => {
                self.fail(Failure::AllocationLost);
            }
            (Operation::Refresh, _) => self.refresh_failed(now, why),
            (Operation::Permit(peer), _) => self.permission_refused(now, peer, why),
            (Operation::Bind(number, peer), _) => self.channel_refused(now, number, peer, why),
        }
    }

    /// Gives out bytes for the server.
    pub(super) fn transmit(&mut self, now: Instant, bytes: Vec<u8>) {
        self.last_sent = now;
        let path = self.path;
        self.outputs
            .push_back(Output::Transmit(Transmit { path, bytes }));
    }

    fn write(&self, operation: Operation, id: TransactionId) -> (Vec<u8>, Option<Signer>) {
        let mut bytes = Vec::with_capacity(160);
        let mut writer = MessageWriter::new(&mut bytes, Class::Request, operation.method(), id);
        self.write_attributes(operation, &mut writer);
        if let Some(software) = &self.config.software {
            writer.attribute(&Software(software));
        }
        let signed = self.challenge.as_ref().zip(self.config.credential.as_ref());
        if let Some((challenge, credential)) = signed {
            challenge.sign(credential, &mut writer);
        }
        let finished = writer.finish();
        debug_assert!(finished.is_ok(), "attributes of at most 763 bytes fit");
        (bytes, signed.map(|(challenge, _)| challenge.signer()))
    }

    fn write_attributes(&self, operation: Operation, writer: &mut MessageWriter<'_>) {
        match operation {
            Operation::Allocate => {
                writer.attribute(&RequestedTransport(UDP));
                if let Some(family) = self.config.family {
                    writer.attribute(&RequestedAddressFamily(family));
                } else if self.config.dual_stack {
                    writer.attribute(&AdditionalAddressFamily(AddressFamily::V6));
                }
                self.write_lifetime(writer);
            }
            Operation::Refresh => self.write_lifetime(writer),
            Operation::Delete => writer.attribute(&Lifetime(0)),
            Operation::Permit(peer) => writer.attribute(&XorPeerAddress(SocketAddr::new(peer, 0))),
            Operation::Bind(number, peer) => {
                writer.attribute(&number);
                writer.attribute(&XorPeerAddress(peer));
            }
        }
    }

    fn write_lifetime(&self, writer: &mut MessageWriter<'_>) {
        // A lifetime of zero would delete the allocation.
        if let Some(lifetime) = self.config.lifetime {
            let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
            writer.attribute(&Lifetime(seconds.max(1)));
        }
    }
}

/// Returns the code of an error response, `None` for a success.
fn error_code(message: &Message<'_>) -> Result<Option<ErrorCode>, Failure> {
    if message.class() != Class::Error {
        return Ok(None);
    }
    let code: Option<ErrorCodeAttribute<'_>> = message.get().map_err(|_| Failure::Malformed)?;
    code.map(|error| Some(error.code)).ok_or(Failure::Malformed)
}

/// What a response may carry that has to be understood.
const KNOWN: &[AttributeType] = &[
    AttributeType::MAPPED_ADDRESS,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::USERNAME,
    AttributeType::USERHASH,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHM,
    kind::CHANNEL_NUMBER,
    kind::LIFETIME,
    kind::XOR_PEER_ADDRESS,
    kind::XOR_RELAYED_ADDRESS,
    kind::REQUESTED_ADDRESS_FAMILY,
    kind::REQUESTED_TRANSPORT,
    kind::RESERVATION_TOKEN,
];

/// How often one request answers a challenge: a stranger's, and stale nonces while it is on its
/// way.
const MAX_CHALLENGES: u32 = 4;

/// The number of UDP in the registry of protocols, the only transport of relays that RFC 8656 has.
const UDP: u8 = 17;

/// How long an unanswered refresh of any kind rests before it is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(5);
