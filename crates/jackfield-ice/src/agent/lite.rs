//! Two lite agents ([RFC 8445 §6.1.1], §8.2): neither checks anything, and each picks a pair by
//! itself.
//!
//! Every pair of a host candidate of either side counts as valid, and both sides take the one of
//! the highest priority: the formula gives both the same number, so that they agree without a word
//! as soon as each knows all candidates of the other. That order prefers IPv6 and the interfaces
//! that come first, as RFC 6724 would. There are no answers, so there is no consent to lose (RFC
//! 7675 §5.1 leaves it to full agents) and no silence to notice: such a session ends when the
//! application says so.
//!
//! [RFC 8445 §6.1.1]: https://www.rfc-editor.org/rfc/rfc8445#section-6.1.1

use std::time::Instant;

use super::context::Context;
use super::pair::{Nominated, Nomination, PairState};
use super::session::Session;

impl Session {
    /// Returns whether neither side sends checks.
    pub(super) fn are_both_lite(&self, context: &Context) -> bool {
        context.config.lite && self.is_remote_lite()
    }

    /// Takes every pair for one that works, as two lite agents do.
    pub(super) fn accept_all_lite(&mut self, context: &Context, now: Instant) {
        if !self.are_both_lite(context) {
            return;
        }
        for pair in &mut self.pairs {
            if pair.state == PairState::Waiting {
                pair.state = PairState::Succeeded;
                pair.answered = Some(now);
                pair.nomination = Nominated::Yes(Nomination { value: 0, at: now });
            }
        }
    }
}
