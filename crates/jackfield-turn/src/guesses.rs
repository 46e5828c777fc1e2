//! Wrong passwords, counted by client network.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use jackfield_sansio::{ClientNetwork, Rate, Seed};

use crate::source_limiter::SourceLimiter;

/// Wrong passwords and unknown names of all clients; the shards of a process share it.
#[derive(Debug)]
pub(crate) struct Guesses {
    limiter: SourceLimiter,
    /// Those from addresses that may be forged. They are limited apart, or a stranger could use up
    /// the rate of any network.
    unproven: SourceLimiter,
    /// Since the last report, by network; at most `MAX_REPORTED` of them.
    unreported: BTreeMap<ClientNetwork, u64>,
    /// Whether one of them was over its rate.
    is_suspicious: bool,
    reported_at: Option<Instant>,
}

/// Whether a client has shown that it receives what is sent to its address: by a nonce that was
/// made for it, or by a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressProof {
    Given,
    Missing,
}

/// What a log says of wrong passwords: at most once in a [`REPORT_INTERVAL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GuessReport {
    /// The network that most came from.
    pub(crate) network: ClientNetwork,
    /// How many came from there since the last report.
    pub(crate) guesses: u64,
    /// From how many other networks there were some.
    pub(crate) other_networks: usize,
}

impl Guesses {
    pub(crate) fn new(rate: Option<Rate>, sources: usize, seed: Seed) -> Self {
        Self {
            limiter: SourceLimiter::new(rate, sources, seed),
            unproven: SourceLimiter::new(rate, sources, seed),
            unreported: BTreeMap::new(),
            is_suspicious: false,
            reported_at: None,
        }
    }

    /// Returns whether a password from `client` may be checked where checking it could tell that it
    /// was guessed.
    pub(crate) fn may_check(&mut self, now: Instant, client: IpAddr, proof: AddressProof) -> bool {
        let network = ClientNetwork::of(client);
        match proof {
            AddressProof::Given => !self.limiter.is_empty(now, network),
            AddressProof::Missing => !self.unproven.is_empty(now, network),
        }
    }

    /// Notes a wrong or unchecked password; returns whether its sender may be told.
    pub(crate) fn note(&mut self, now: Instant, client: IpAddr, proof: AddressProof) -> bool {
        let network = ClientNetwork::of(client);
        if proof == AddressProof::Missing {
            return self.unproven.take(now, network);
        }
        if let Some(count) = self.unreported.get_mut(&network) {
            *count += 1;
        } else if self.unreported.len() < MAX_REPORTED {
            self.unreported.insert(network, 1);
        }
        // Loopback counts as well: what a local proxy passes on comes from there.
        let may_be_told = self.limiter.take(now, network);
        self.is_suspicious |= !may_be_told;
        may_be_told
    }

    /// Returns what to log, if anything is suspicious and the last report is not too recent.
    pub(crate) fn report(&mut self, now: Instant) -> Option<GuessReport> {
        let is_early = self
            .reported_at
            .is_some_and(|at| now.saturating_duration_since(at) < REPORT_INTERVAL);
        if is_early || !self.is_suspicious {
            return None;
        }
        let (network, guesses) = self.unreported.iter().max_by_key(|(_, count)| **count)?;
        let report = GuessReport {
            network: *network,
            guesses: *guesses,
            other_networks: self.unreported.len() - 1,
        };
        self.unreported.clear();
        self.is_suspicious = false;
        self.reported_at = Some(now);
        Some(report)
    }

    /// Returns when the next report is due, if there is something to say by then.
    pub(crate) fn next_report(&self) -> Option<Instant> {
        self.reported_at
            .filter(|_| self.is_suspicious)
            .map(|at| at + REPORT_INTERVAL)
    }
}

/// How often wrong passwords are logged at most.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Networks whose wrong passwords are counted for a report.
const MAX_REPORTED: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::epoch;

    #[test]
    fn a_report_says_who_guessed_most_and_comes_once_a_minute() {
        let start = epoch();
        let mut guesses = Guesses::new(Some(Rate::new(1, 3)), 64, Seed::new([1, 2]));
        let mut wrong = |at, client: &str, times: usize| {
            for _ in 0..times {
                let now = start + Duration::from_secs(at);
                guesses.note(now, client.parse().unwrap(), AddressProof::Given);
            }
            guesses.report(start + Duration::from_secs(at))
        };
        assert_eq!(wrong(0, "192.0.2.1", 3), None, "a slip of the keyboard");
        let report = wrong(0, "192.0.2.2", 1).unwrap();
        assert_eq!(report.network.to_string(), "192.0.2.0/24");
        assert_eq!((report.guesses, report.other_networks), (4, 0));
        assert_eq!(wrong(1, "192.0.2.1", 10), None);
        assert_eq!(wrong(2, "2001:db8::1", 500), None);
        let report = wrong(60, "198.51.100.1", 1).unwrap();
        assert_eq!(report.network.to_string(), "2001:db8::/64");
        assert_eq!((report.guesses, report.other_networks), (500, 2));
    }

    #[test]
    fn what_comes_from_a_forged_address_uses_up_nothing_of_its_network() {
        let now = epoch();
        let mut guesses = Guesses::new(Some(Rate::new(1, 3)), 64, Seed::new([1, 2]));
        let client = "192.0.2.1".parse().unwrap();
        while guesses.note(now, client, AddressProof::Missing) {}
        assert!(!guesses.may_check(now, client, AddressProof::Missing));
        assert!(guesses.may_check(now, client, AddressProof::Given));
        assert_eq!(guesses.report(now), None);
    }

    #[test]
    fn a_flood_of_networks_does_not_fill_memory() {
        let now = epoch();
        let mut guesses = Guesses::new(Some(Rate::new(1, 1)), 64, Seed::new([1, 2]));
        for network in 0..100_000u32 {
            let client = IpAddr::from((network << 8).to_be_bytes());
            guesses.note(now, client, AddressProof::Given);
        }
        assert_eq!(guesses.unreported.len(), MAX_REPORTED);
    }
}
