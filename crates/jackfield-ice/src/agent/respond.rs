//! Answering the other side's checks ([RFC 8445 §7.3]).
//!
//! A request that is not signed with our password gets no answer at all, not even an error: so a
//! stranger learns nothing, and cannot make us send packets to a third party.
//!
//! [RFC 8445 §7.3]: https://www.rfc-editor.org/rfc/rfc8445#section-7.3

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_sansio::FiveTuple;
use jackfield_stun::attribute::{
    AttributeType, ErrorCodeAttribute, UnknownAttributes, Username, XorMappedAddress,
};
use jackfield_stun::{Class, ErrorCode, Key, Message, MessageWriter, Method};

use super::context::Context;
use super::local::LocalId;
use super::pair::{Nominated, Nomination, PairId, PairState};
use super::session::Session;
use super::{CandidatePolicy, Event, Role};
use crate::attribute::{self, IceControlled, IceControlling, OpaqueAttribute, Priority};
use crate::candidate::CandidateTransport;

/// Where a message came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// The base that it came to.
    pub(super) local: LocalId,
    /// Where it came from: the other side's address, as we or our relay see it.
    pub(super) source: SocketAddr,
    /// The connection that it came by.
    pub(super) connection: Option<FiveTuple>,
}

/// What a check says, once its signature was found right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    /// PRIORITY.
    priority: u32,
    /// USE-CANDIDATE, with the value of NOMINATION or zero.
    nomination: Option<u32>,
    /// When it came.
    at: Instant,
}

impl Session {
    /// Takes a Binding request; returns whether it was signed for this generation.
    pub(super) fn handle_request(
        &mut self,
        context: &mut Context,
        now: Instant,
        arrival: Arrival,
        message: &Message<'_>,
    ) -> bool {
        let Some(ufrag) = self.authenticate(message) else {
            return false;
        };
        if is_hidden(context, arrival) {
            return true;
        }
        let unknown: Vec<AttributeType> = message.unknown(KNOWN).take(8).collect();
        if !unknown.is_empty() {
            let error = ErrorCode::UNKNOWN_ATTRIBUTE;
            self.refuse(context, now, arrival, message, error, unknown);
            return true;
        }
        if !self.settle_role(context, now, arrival, message) {
            return true;
        }
        // An answer would let the other side think that we hear it and will answer its data. Being
        // refused, it gives the pair up, too, and both ask for a restart.
        //= https://www.rfc-editor.org/rfc/rfc7675#section-5.2
        //# Consent for sending application data is immediately revoked by
        //# receipt of an authenticated message that closes the connection (e.g.,
        //# a Transport Layer Security (TLS) fatal alert) or receipt of a valid
        //# and authenticated STUN response with error code Forbidden (403).
        if self.has_revoked(arrival) {
            self.refuse(
                context,
                now,
                arrival,
                message,
                ErrorCode::FORBIDDEN,
                Vec::new(),
            );
            return true;
        }
        self.accept(context, now, arrival, message);
        let check = Check {
            priority: message
                .get()
                .ok()
                .flatten()
                .map_or(1, |Priority(priority)| priority),
            nomination: nomination(message),
            at: now,
        };
        let is_current = self
            .remote
            .as_ref()
            .is_some_and(|remote| remote.parameters.credentials.ufrag() == ufrag);
        if is_current {
            pass_on(context, message);
            self.learn(context, now, arrival, check);
        } else {
            self.keep_early(context, arrival, check, ufrag);
        }
        true
    }

    /// Returns whether a message came by a pair whose consent is over.
    fn has_revoked(&self, arrival: Arrival) -> bool {
        let is_of = |pair: &super::pair::Pair| match arrival.connection {
            Some(connection) => pair.connection == Some(connection),
            None => pair.local == arrival.local && pair.address == arrival.source,
        };
        self.pairs.iter().any(|pair| pair.is_revoked && is_of(pair))
    }

    /// Returns the sender's username fragment, if the message is signed for this generation.
    fn authenticate<'m>(&self, message: &Message<'m>) -> Option<&'m str> {
        let Username(name) = message.get().ok().flatten()?;
        let (ours, theirs) = name.split_once(':')?;
        let is_ours = ours == self.local.credentials.ufrag();
        let is_signed = is_ours && message.check_sha1(&self.local_key).is_ok();
        (is_signed && message.has_fingerprint()).then_some(theirs)
    }

    /// Finds out whether both sides claim one role, and settles which one gives way; returns
    /// whether the request is to be accepted ([RFC 8445 §7.3.1.1]).
    ///
    /// [RFC 8445 §7.3.1.1]: https://www.rfc-editor.org/rfc/rfc8445#section-7.3.1.1
    fn settle_role(
        &mut self,
        context: &mut Context,
        now: Instant,
        arrival: Arrival,
        message: &Message<'_>,
    ) -> bool {
        let theirs = match context.role {
            Role::Controlling => message
                .get()
                .ok()
                .flatten()
                .map(|IceControlling(value)| value),
            Role::Controlled => message
                .get()
                .ok()
                .flatten()
                .map(|IceControlled(value)| value),
        };
        let Some(theirs) = theirs else { return true };
        let is_ours_larger = context.tie_breaker >= theirs;
        let is_theirs_wrong = is_ours_larger == (context.role == Role::Controlling);
        // A lite agent is controlled, whatever the tie-breakers say, unless both are lite.
        if is_theirs_wrong || context.config.lite {
            self.refuse(
                context,
                now,
                arrival,
                message,
                ErrorCode::ROLE_CONFLICT,
                Vec::new(),
            );
            return false;
        }
        self.switch_role(context);
        true
    }

    /// Takes the other role, and all that depends on it.
    pub(super) fn switch_role(&mut self, context: &mut Context) {
        context.switch_role();
        self.forget_nominations();
        self.weigh_pairs(context);
    }

    /// Answers a request with the address that it came from.
    fn accept(&self, context: &mut Context, now: Instant, arrival: Arrival, request: &Message<'_>) {
        let mut bytes = Vec::with_capacity(80);
        let mut writer = MessageWriter::new(
            &mut bytes,
            Class::Success,
            Method::BINDING,
            request.transaction(),
        );
        writer.attribute(&XorMappedAddress(arrival.source));
        finish(writer, &self.local_key);
        context.counters.requests_accepted += 1;
        context.transmit(
            now,
            arrival.local,
            arrival.source,
            arrival.connection,
            bytes,
        );
    }

    /// Answers a request with an error; it is signed, as the request was.
    fn refuse(
        &self,
        context: &mut Context,
        now: Instant,
        arrival: Arrival,
        request: &Message<'_>,
        code: ErrorCode,
        unknown: Vec<AttributeType>,
    ) {
        let mut bytes = Vec::with_capacity(80);
        let mut writer = MessageWriter::new(
            &mut bytes,
            Class::Error,
            Method::BINDING,
            request.transaction(),
        );
        writer.attribute(&ErrorCodeAttribute::from(code));
        if !unknown.is_empty() {
            writer.attribute(&UnknownAttributes::new(unknown));
        }
        finish(writer, &self.local_key);
        context.counters.requests_refused += 1;
        context.transmit(
            now,
            arrival.local,
            arrival.source,
            arrival.connection,
            bytes,
        );
    }

    /// Does what follows from an accepted check: a candidate, a pair, a nomination, a check of ours
    /// ([RFC 8445 §7.3.1.3] to §7.3.1.5).
    ///
    /// [RFC 8445 §7.3.1.3]: https://www.rfc-editor.org/rfc/rfc8445#section-7.3.1.3
    pub(super) fn learn(
        &mut self,
        context: &mut Context,
        now: Instant,
        arrival: Arrival,
        check: Check,
    ) {
        let Some(id) = self.pair_for(context, arrival, check.priority) else {
            return;
        };
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        pair.is_authenticated = true;
        pair.heard = pair.heard.max(Some(check.at));
        pair.counters.requests_received += 1;
        pair.counters.responses_sent += 1;
        if pair.is_revoked {
            return;
        }
        if let Some(value) = check
            .nomination
            .filter(|_| context.role == Role::Controlled)
        {
            self.nominated(context, now, id, value);
        }
        match context.config.lite {
            true => self.accept_lite(context, now, id),
            false => self.trigger(context, now, id),
        }
    }

    /// Returns the pair that a check came by, and makes it if there is none.
    fn pair_for(
        &mut self,
        context: &mut Context,
        arrival: Arrival,
        priority: u32,
    ) -> Option<PairId> {
        if let Some(connection) = arrival.connection {
            let by_connection = |pair: &&super::pair::Pair| pair.connection == Some(connection);
            if let Some(pair) = self.pairs.iter().find(by_connection) {
                return Some(pair.id);
            }
        }
        let local = context.local(arrival.local)?;
        let transport = match local.candidate.transport {
            CandidateTransport::TcpPassive => CandidateTransport::TcpActive,
            CandidateTransport::TcpActive => CandidateTransport::TcpPassive,
            same @ (CandidateTransport::Udp | CandidateTransport::TcpSimultaneousOpen) => same,
        };
        let remote = self.reflexive_remote(context, arrival.source, transport, priority)?;
        if let Some(id) = self.pair_of(arrival.local, remote) {
            return Some(id);
        }
        if self.pairs.len() >= context.config.limits.pairs && !self.make_room() {
            context.counters.dropped_candidates += 1;
            return None;
        }
        let id = self.make_pair(context, arrival.local, remote, arrival.source);
        let pair = self.pair_mut(id)?;
        pair.is_authenticated = true;
        pair.connection = arrival.connection;
        self.weigh_pairs(context);
        context.claim(arrival.connection);
        Some(id)
    }

    /// Checks a pair at once, because the other side has: now its NAT lets our packets in.
    ///
    /// A check that is under way is repeated, as it may have been lost to that NAT. The checks go
    /// past the pacer, and have a bucket of their own.
    pub(super) fn trigger(&mut self, context: &mut Context, now: Instant, id: PairId) {
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        if pair.state == PairState::Succeeded && !pair.is_lost {
            return;
        }
        if pair.state == PairState::Failed {
            pair.reset();
        }
        pair.is_triggered = true;
        self.send_triggered(context, now);
    }

    /// Takes a check as proof that a pair works, as a lite agent has no other.
    fn accept_lite(&mut self, context: &mut Context, now: Instant, id: PairId) {
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        pair.state = PairState::Succeeded;
        pair.answered = Some(now);
        if let Nominated::Asked(nomination) = pair.nomination {
            pair.nomination = Nominated::Yes(nomination);
        }
        self.select(context, now);
    }

    /// Takes the other side's nomination of a pair ([RFC 8445 §7.3.1.5]).
    ///
    /// [RFC 8445 §7.3.1.5]: https://www.rfc-editor.org/rfc/rfc8445#section-7.3.1.5
    fn nominated(&mut self, context: &mut Context, now: Instant, id: PairId, value: u32) {
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        let nomination = Nomination { value, at: now };
        if pair.state == PairState::Succeeded {
            pair.nomination = Nominated::Yes(nomination);
            self.select(context, now);
        } else {
            pair.nomination = Nominated::Asked(nomination);
        }
    }
}

/// Returns whether a check came to an address that is kept from the other side.
fn is_hidden(context: &Context, arrival: Arrival) -> bool {
    let is_relayed = context
        .local(arrival.local)
        .is_some_and(super::local::Local::is_relayed);
    context.config.policy == CandidatePolicy::RelayOnly && !is_relayed
}

/// Returns the value of NOMINATION if a check nominates its pair, or zero without one.
fn nomination(message: &Message<'_>) -> Option<u32> {
    let value = message
        .get()
        .ok()
        .flatten()
        .map(|attribute::Nomination(value)| value);
    let is_nominated =
        message.has(AttributeType::USE_CANDIDATE) || value.is_some_and(|value| value > 0);
    is_nominated.then_some(value.unwrap_or(0))
}

/// Gives the application the attributes that have no meaning here.
fn pass_on(context: &mut Context, message: &Message<'_>) {
    let opaque = message.attributes().filter(|(kind, _)| {
        !kind.is_comprehension_required() && !UNDERSTOOD.contains(&kind.value())
    });
    for (kind, value) in opaque.take(MAX_OPAQUE) {
        let value = value.to_vec();
        context.event(Event::RemoteAttribute(OpaqueAttribute { kind, value }));
    }
}

/// Signs a message and ends it.
fn finish(mut writer: MessageWriter<'_>, key: &Key) {
    writer.integrity_sha1(key);
    writer.fingerprint();
    // It holds a few short attributes, far from what a message can hold.
    let _ = writer.finish();
}

/// The attributes of a check that have to be understood.
const KNOWN: &[AttributeType] = &[
    AttributeType::USERNAME,
    AttributeType::MESSAGE_INTEGRITY,
    AttributeType::MESSAGE_INTEGRITY_SHA256,
    AttributeType::PRIORITY,
    AttributeType::USE_CANDIDATE,
    AttributeType::MAPPED_ADDRESS,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::REALM,
    AttributeType::NONCE,
];

/// The optional attributes that agents send and applications need not see: SOFTWARE, FINGERPRINT,
/// the roles, NOMINATION, and libwebrtc's network cost.
const UNDERSTOOD: &[u16] = &[0x8022, 0x8028, 0x8029, 0x802A, 0xC001, 0xC057];

/// The most such attributes of one check that are passed on.
const MAX_OPAQUE: usize = 4;
