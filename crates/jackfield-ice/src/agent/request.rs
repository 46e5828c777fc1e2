//! Sending checks ([RFC 8445 §7.2]).
//!
//! [RFC 8445 §7.2]: https://www.rfc-editor.org/rfc/rfc8445#section-7.2

use std::time::{Duration, Instant};

use jackfield_stun::attribute::Username;
use jackfield_stun::{Class, MessageWriter, Method, TransactionId};

use super::Role;
use super::context::Context;
use super::pair::{Nominated, Pair, PairId, PairState, Sent};
use super::session::Session;
use crate::attribute::{
    IceControlled, IceControlling, Nomination, OpaqueAttribute, Priority, UseCandidate,
};

/// What a check is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To find out whether the pair works.
    Check,
    /// To find out whether a pair that works still does.
    Upkeep,
}

impl Session {
    /// Sends a check by a pair.
    ///
    /// Each is a transaction of its own, also where it repeats one: so its round-trip time is its
    /// own, it claims the role that the agent has by then, and no bytes are kept.
    pub(super) fn send_check(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: PairId,
        purpose: Purpose,
    ) {
        let transaction = context.new_transaction();
        let Some(pair) = self.pair(id) else { return };
        let nominates = self.nominates(context, pair);
        let Some(bytes) = self.request(context, pair, transaction, nominates) else {
            return;
        };
        let (local, address, connection) = (pair.local, pair.address, pair.connection);
        let sent = Sent {
            id: transaction,
            at: now,
            role: context.role,
            nominates: nominates.is_some(),
        };
        let rto = self.rto(context, pair);
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        pair.note_sent(sent);
        match purpose {
            Purpose::Check => pair.repeat_after(context, now, rto),
            Purpose::Upkeep => pair.counters.consent_requests_sent += 1,
        }
        context.transmit(now, local, address, connection, bytes);
    }

    /// Returns the value of NOMINATION of a check that nominates; `None` for one that does not.
    ///
    /// Every check of the selected pair nominates it again: the first nomination may be lost, and
    /// an agent without NOMINATION may follow the last one that it has seen.
    fn nominates(&self, context: &Context, pair: &Pair) -> Option<u32> {
        if context.role != Role::Controlling || self.selected != Some(pair.id) {
            return None;
        }
        match pair.nomination {
            Nominated::No => None,
            Nominated::Asked(nomination) | Nominated::Yes(nomination) => Some(nomination.value),
        }
    }

    /// Returns the bytes of a check; `None` before the other side's parameters are known.
    fn request(
        &self,
        context: &Context,
        pair: &Pair,
        transaction: TransactionId,
        nomination: Option<u32>,
    ) -> Option<Vec<u8>> {
        let remote = self.remote.as_ref()?;
        let (ours, theirs) = (&self.local.credentials, &remote.parameters.credentials);
        //= https://www.rfc-editor.org/rfc/rfc8445#section-7.2.2
        //# The username for the credential is formed by concatenating the
        //# username fragment provided by the peer with the username fragment of
        //# the ICE agent sending the request, separated by a colon (":").
        let username = format!("{}:{}", theirs.ufrag(), ours.ufrag());
        let mut bytes = Vec::with_capacity(160);
        let mut writer =
            MessageWriter::new(&mut bytes, Class::Request, Method::BINDING, transaction);
        writer.attribute(&Username(&username));
        writer.attribute(&Priority(context.reflexive_priority(pair.local)));
        match context.role {
            Role::Controlling => writer.attribute(&IceControlling(context.tie_breaker)),
            Role::Controlled => writer.attribute(&IceControlled(context.tie_breaker)),
        }
        if let Some(value) = nomination {
            writer.attribute(&UseCandidate);
            if value > 0 {
                writer.attribute(&Nomination(value));
            }
        }
        for OpaqueAttribute { kind, value } in &context.attributes {
            writer.value(*kind, value);
        }
        writer.integrity_sha1(&remote.key);
        writer.fingerprint();
        writer.finish().ok()?;
        Some(bytes)
    }

    /// Returns the time before a check is repeated first: twice the round trip, as far as one was
    /// measured, on this pair or any other.
    ///
    /// RFC 8445 §14.3 has 500 ms at least; see [`Pacing`](super::Pacing).
    pub(super) fn rto(&self, context: &Context, pair: &Pair) -> Duration {
        let rtt = pair.rtt.or(context.rtt).unwrap_or_default();
        let pacing = &context.config.pacing;
        let least = match pair.is_authenticated {
            true => pacing.min_rto_heard.min(pacing.min_rto),
            false => pacing.min_rto,
        };
        (2 * rtt).clamp(least, pacing.max_rto.max(least))
    }
}

impl Pair {
    /// Plans the repetition of a check that goes out at `now`, or its end.
    fn repeat_after(&mut self, context: &Context, now: Instant, rto: Duration) {
        if self.state == PairState::Succeeded {
            return;
        }
        let pacing = &context.config.pacing;
        self.state = PairState::InProgress;
        self.transmissions = self.transmissions.saturating_add(1);
        if self.connection.is_some() {
            // The stream repeats by itself.
            self.transmissions = pacing.transmissions.max(1);
            self.due = Some(now + context.config.timing.connect_timeout);
            return;
        }
        let doublings = u32::from(self.transmissions - 1).min(16);
        let pause = rto
            .saturating_mul(1 << doublings)
            .min(pacing.max_rto.max(rto));
        let is_last = self.transmissions >= pacing.transmissions;
        self.due = Some(
            now + if is_last {
                pause.max(pacing.max_rto)
            } else {
                pause
            },
        );
    }
}
