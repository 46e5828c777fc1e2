//! The epochs of a gateway, which show when it has lost its state.

use std::time::{Duration, Instant};

use rand_chacha::rand_core::Rng;

use super::entry::Phase;
use super::{Client, Event, Timeout};
use crate::{Dialect, nat_pmp, pcp};

/// The epoch that a gateway stated, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Epoch {
    said: u32,
    at: Instant,
}

impl Client {
    /// Compares the epoch of the gateway with the earlier one; requests every mapping again when
    /// the gateway has lost its state.
    pub(super) fn note_epoch(&mut self, now: Instant, dialect: Dialect, said: u32) {
        let before = self.epochs.insert(dialect, Epoch { said, at: now });
        let Some(before) = before else {
            return;
        };
        let between = now.saturating_duration_since(before.at);
        let lost = match dialect {
            Dialect::Pcp => pcp::has_lost_state(before.said, said, between),
            Dialect::NatPmp => nat_pmp::has_lost_state(before.said, said, between),
            // UPnP has no epoch; a lost mapping shows when it is renewed.
            Dialect::Upnp => false,
        };
        if lost {
            self.emit(Event::GatewayRestarted(dialect));
            self.ask_again(now, dialect);
        }
    }

    /// Asks for every mapping of a dialect again, each after a random pause: all clients of the
    /// gateway hear of its restart at once
    /// ([RFC 6886 §3.7](https://www.rfc-editor.org/rfc/rfc6886#section-3.7),
    /// [RFC 6887 §14.1.3](https://www.rfc-editor.org/rfc/rfc6887#section-14.1.3)).
    fn ask_again(&mut self, now: Instant, dialect: Dialect) {
        for (id, entry) in &mut self.entries {
            // Mappings that are being asked for anyway need no second request.
            if entry.dialect == Some(dialect) && entry.phase == Phase::Active {
                entry.phase = Phase::Asking;
                entry.attempt = 0;
                let pause = self.rng.next_u64() % LONGEST_PAUSE.as_millis() as u64;
                let at = now + Duration::from_millis(pause);
                self.timers.set(Timeout::Map(*id), at);
            }
        }
    }

    /// Returns when to renew a mapping of this lifetime: at half of it, plus a random part, so
    /// that not all hosts renew at the same time
    /// ([RFC 6887 §11.2.1](https://www.rfc-editor.org/rfc/rfc6887#section-11.2.1)).
    pub(super) fn renewal(&mut self, lifetime: Duration) -> Duration {
        let eighth = (lifetime / 8).as_millis().max(1) as u64;
        let late = Duration::from_millis(self.rng.next_u64() % eighth);
        lifetime / 2 + late
    }
}

/// How long the first question after a restart may be put off.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
