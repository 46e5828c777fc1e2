//! The answers to our checks ([RFC 8445 §7.2.5]).
//!
//! [RFC 8445 §7.2.5]: https://www.rfc-editor.org/rfc/rfc8445#section-7.2.5

use std::time::Instant;

use jackfield_stun::attribute::{ErrorCodeAttribute, XorMappedAddress};
use jackfield_stun::{Class, ErrorCode, Message};

use super::Event;
use super::context::Context;
use super::pair::{Nominated, PairId, PairState, Sent};
use super::respond::Arrival;
use super::session::Session;

impl Session {
    /// Takes a Binding response; returns whether it answers a check of this generation.
    pub(super) fn handle_response(
        &mut self,
        context: &mut Context,
        now: Instant,
        arrival: Arrival,
        message: &Message<'_>,
    ) -> bool {
        let id = message.transaction();
        let is_asked = |pair: &&super::pair::Pair| pair.sent.iter().any(|sent| sent.id == id);
        let Some(pair) = self.pairs.iter().find(is_asked).map(|pair| pair.id) else {
            return false;
        };
        let Some(remote) = &self.remote else {
            return true;
        };
        if message.check_sha1(&remote.key).is_err() || !message.has_fingerprint() {
            context.counters.dropped_unsigned += 1;
            return true;
        }
        let Some(found) = self.pair_mut(pair) else {
            return true;
        };
        let is_symmetric = found.local == arrival.local
            && found.address == arrival.source
            && found.connection == arrival.connection;
        let Some(sent) = found.take_sent(id) else {
            return true;
        };
        found.counters.responses_received += 1;
        match (is_symmetric, message.class()) {
            (false, _) => {
                //= https://www.rfc-editor.org/rfc/rfc8445#section-7.2.5.2.1
                //# If the addresses are not symmetric, the agent MUST
                //# set the candidate pair state to Failed.
                context.counters.dropped_asymmetric += 1;
                found.fail();
                self.select(context, now);
            }
            (true, Class::Success) => self.succeeded(context, now, pair, sent, message),
            (true, _) => self.refused(context, now, pair, sent, message),
        }
        true
    }

    /// Takes a success: the pair works, and there is consent to send.
    fn succeeded(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: PairId,
        sent: Sent,
        message: &Message<'_>,
    ) {
        let Ok(Some(XorMappedAddress(mapped))) = message.get() else {
            context.counters.malformed += 1;
            return;
        };
        let Some(pair) = self.pair_mut(id).filter(|pair| !pair.is_revoked) else {
            return;
        };
        let rtt = now.saturating_duration_since(sent.at);
        pair.add_rtt(rtt);
        context.add_rtt(rtt);
        let is_first = pair.state != PairState::Succeeded;
        pair.state = PairState::Succeeded;
        pair.is_triggered = false;
        pair.is_retried = false;
        pair.due = None;
        pair.heard = Some(now);
        let is_recovered = pair.unanswered > 1;
        pair.note_answered(now);
        let is_ours = sent.nominates && context.role == sent.role;
        if let Nominated::Asked(nomination) = pair.nomination
            && (is_ours || context.role == super::Role::Controlled)
        {
            pair.nomination = Nominated::Yes(nomination);
        }
        let base = pair.local;
        let mapped = context.mapped(base, mapped);
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        if pair.mapped != mapped || is_first {
            pair.mapped = mapped;
            self.weigh_pairs(context);
            if self.selected == Some(id) && !is_first {
                self.announce_selected(context);
            }
        }
        self.plan_upkeep(context, now, id);
        self.select(context, now);
        if is_recovered && self.selected == Some(id) {
            context.event(Event::SelectedPairRecovered);
        }
    }

    /// Takes an error.
    fn refused(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: PairId,
        sent: Sent,
        message: &Message<'_>,
    ) {
        let Ok(Some(ErrorCodeAttribute { code, .. })) = message.get() else {
            context.counters.malformed += 1;
            return;
        };
        match code {
            ErrorCode::ROLE_CONFLICT => {
                // Another check may have settled it meanwhile.
                if sent.role == context.role {
                    self.switch_role(context);
                }
                if let Some(pair) = self.pair_mut(id).filter(|pair| pair.is_alive()) {
                    pair.is_triggered = true;
                }
                self.select(context, now);
            }
            // RFC 7675 §5.2: the other side takes its consent back.
            ErrorCode::FORBIDDEN => self.revoke(context, now, id),
            // A server error passes by itself; the next repetition finds out.
            code if code.is_server_error() => {}
            _ => {
                if let Some(pair) = self.pair_mut(id) {
                    pair.fail();
                }
                self.select(context, now);
            }
        }
    }
}
