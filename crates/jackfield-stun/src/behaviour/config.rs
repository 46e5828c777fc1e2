//! What a discovery asks, and for how long.

use std::net::SocketAddr;
use std::time::Duration;

use crate::transaction::Retransmission;

/// Which servers a [`Discovery`](super::Discovery) asks, for what, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveryConfig {
    /// The servers, all of one family: the first is asked everything. When it has no second
    /// address, the next one that has another address than the first tells of mapping.
    pub servers: Vec<SocketAddr>,
    /// How often mapping and filtering are found out, each time with sockets of its own, side by
    /// side. Default: 3.
    pub rounds: usize,
    /// How the first request of a socket is sent, before anything is known of the way. Default: at
    /// 0, 0.5, 1.5 and 3.5 s; given up at 5.5 s.
    pub first: Retransmission,
    /// How long silence has to last to count as an answer, at least and about; requests are
    /// repeated meanwhile, the faster the faster the server has answered before. Default: 4 s.
    pub silence: Duration,
    /// Whether to find out about hairpinning. Default: yes.
    pub hairpinning: bool,
    /// Bytes of padding that find out about fragments, if any. Default: 1,500.
    pub padding: Option<u16>,
    /// How to find out how long an idle mapping lives, if at all; it takes minutes. Default: not.
    pub lifetime: Option<LifetimeSearch>,
}

/// How to search for the lifetime of an idle mapping.
///
/// Several sockets are idle side by side, each for another time; when it is known between which two
/// of these times mappings end, as many sockets search between these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifetimeSearch {
    /// The longest time that is tried. The search takes at most twice as long and some seconds.
    /// Default: 3 min.
    pub limit: Duration,
    /// How many sockets search side by side. Default: 9.
    pub sockets: usize,
    /// How often to search closer. Default: 1.
    pub refinements: usize,
}

impl DiscoveryConfig {
    /// Returns the defaults for these servers.
    #[must_use]
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self {
            servers,
            rounds: 3,
            first: Retransmission {
                rto: Duration::from_millis(500),
                count: 4,
                patience: 4,
                reliable: false,
            },
            silence: Duration::from_secs(4),
            hairpinning: true,
            padding: Some(1_500),
            lifetime: None,
        }
    }

    /// Returns how requests are sent once a round trip is known ([RFC 8489 §6.2.1]).
    ///
    /// [RFC 8489 §6.2.1]: https://www.rfc-editor.org/rfc/rfc8489#section-6.2.1
    pub(super) fn retransmission(&self, round_trip: Option<Duration>) -> Retransmission {
        let Some(round_trip) = round_trip else {
            return self.first;
        };
        // RFC 6298 §2.2, after the first measurement: SRTT + 4 * RTTVAR, with RTTVAR = RTT / 2.
        let rto = round_trip
            .saturating_mul(3)
            .clamp(MIN_RTO, Duration::from_millis(500));
        let patience = 4;
        let schedule = |count: u32| rto.saturating_mul((1 << (count - 1)) - 1 + patience);
        let count = (3..=7)
            .find(|count| schedule(*count) >= self.silence)
            .unwrap_or(7);
        Retransmission {
            rto,
            count,
            patience,
            reliable: false,
        }
    }
}

impl Default for LifetimeSearch {
    fn default() -> Self {
        Self {
            limit: Duration::from_secs(180),
            sockets: 9,
            refinements: 1,
        }
    }
}

/// Requests are not repeated faster than this, however near the server is.
const MIN_RTO: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_after_about_the_configured_time() {
        let config = DiscoveryConfig::new(Vec::new());
        for millis in [0, 1, 20, 60, 100, 166, 400] {
            let how = config.retransmission(Some(Duration::from_millis(millis)));
            let total = how.rto * ((1 << (how.count - 1)) - 1 + how.patience);
            assert!(how.count >= 3, "{millis}: {how:?}");
            assert!(
                (3_000..=8_000).contains(&total.as_millis()),
                "{millis}: {how:?}"
            );
        }
    }
}
