//! Checks that come before the other side's parameters ([RFC 8445 §7.3]).
//!
//! They are answered at once, because an answer takes our own password alone. Whatever else follows
//! from them (candidates, pairs, triggered checks) waits for the parameters.
//!
//! [RFC 8445 §7.3]: https://www.rfc-editor.org/rfc/rfc8445#section-7.3

use std::time::Instant;

use super::context::Context;
use super::respond::{Arrival, Check};
use super::session::Session;

/// A check that waits for the other side's parameters.
#[derive(Debug)]
pub(super) struct EarlyCheck {
    arrival: Arrival,
    check: Check,
    /// The username fragment that its sender has.
    ufrag: Box<str>,
}

impl Session {
    /// Remembers a check, in place of an earlier one from the same address.
    pub(super) fn keep_early(
        &mut self,
        context: &mut Context,
        arrival: Arrival,
        check: Check,
        ufrag: &str,
    ) {
        let kept = EarlyCheck {
            arrival,
            check,
            ufrag: ufrag.into(),
        };
        let same = |early: &&mut EarlyCheck| early.arrival == arrival && early.ufrag == kept.ufrag;
        if let Some(early) = self.early.iter_mut().find(same) {
            *early = kept;
        } else if self.early.len() < context.config.limits.early_checks {
            self.early.push(kept);
        } else {
            context.counters.dropped_early += 1;
        }
    }

    /// Does what the checks of this username fragment have waited for.
    pub(super) fn replay_early(&mut self, context: &mut Context, now: Instant) {
        let Some(remote) = &self.remote else { return };
        let ufrag = remote.parameters.credentials.ufrag().to_owned();
        let all = std::mem::take(&mut self.early);
        for early in all.into_iter().filter(|early| *early.ufrag == *ufrag) {
            self.learn(context, now, early.arrival, early.check);
        }
    }
}
