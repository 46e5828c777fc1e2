//! Checks and data that come before the other side's parameters ([RFC 8445 §7.3]).
//!
//! Checks are answered at once, because an answer takes our own password alone. Whatever else
//! follows from them (candidates, pairs, triggered checks) waits for the parameters.
//!
//! The answer lets the other side send data at once: the ClientHello of DTLS comes right behind it,
//! and is sent again only after a second. So the first datagrams from the source of such a check
//! wait, too. The source has shown that it knows our password; whether it is the other side is
//! known with the parameters, as they say whose username fragment its checks have to carry.
//!
//! [RFC 8445 §7.3]: https://www.rfc-editor.org/rfc/rfc8445#section-7.3

use std::time::Instant;

use super::Event;
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

/// A datagram that waits for the other side's parameters.
#[derive(Debug)]
pub(super) struct EarlyDatagram {
    arrival: Arrival,
    bytes: Box<[u8]>,
}

impl Session {
    /// Keeps a datagram if its source has sent a check, and there is room; returns whether the
    /// source has.
    pub(super) fn keep_early_data(
        &mut self,
        context: &mut Context,
        arrival: Arrival,
        bytes: &[u8],
    ) -> bool {
        if !self.early.iter().any(|early| early.arrival == arrival) {
            return false;
        }
        let kept: usize = self.early_data.iter().map(|it| it.bytes.len()).sum();
        if kept + bytes.len() > context.config.limits.early_bytes
            || self.early_data.len() >= MAX_EARLY_DATAGRAMS
        {
            context.counters.dropped_early += 1;
        } else {
            let bytes = bytes.into();
            self.early_data.push(EarlyDatagram { arrival, bytes });
        }
        true
    }

    /// Gives the application the datagrams that have waited for the parameters, if the parameters
    /// name their sender.
    fn replay_early_data(&mut self, context: &mut Context, now: Instant) {
        for early in std::mem::take(&mut self.early_data) {
            let length = early.bytes.len();
            let Some(pair) = self.pair_from(early.arrival) else {
                context.counters.dropped_unverified += 1;
                continue;
            };
            pair.note_data(now, length);
            context.event(Event::EarlyData(early.bytes));
        }
    }

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
        self.replay_early_data(context, now);
    }
}

/// The most datagrams that wait: the ClientHello of DTLS, which may take two.
const MAX_EARLY_DATAGRAMS: usize = 4;
