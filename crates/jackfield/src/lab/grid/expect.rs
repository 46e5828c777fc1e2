//! What must come out of each attempt.

use jackfield_nat::Protocol;
use jackfield_nat::oracle::{Path, oracle, why};

use super::party::Network;
use super::transport::Transport;

/// What must come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// A path.
    Path,
    /// No path.
    Nothing,
    /// Either: it depends on chance.
    Luck,
}

impl Expected {
    /// Returns whether what came out may.
    pub(super) const fn agrees(self, found: bool) -> bool {
        match self {
            Self::Path => found,
            Self::Nothing => !found,
            Self::Luck => true,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Nothing => "none",
            Self::Luck => "luck",
        }
    }
}

/// Says what must come out of an attempt between two networks.
pub(super) fn expected(a: &Network, b: &Network, transport: Transport) -> Expected {
    let ways = match transport {
        Transport::Direct => {
            return match oracle(&a.traits, &b.traits) {
                Path::Direct => Expected::Path,
                Path::Relay => Expected::Nothing,
                Path::Luck => Expected::Luck,
            };
        }
        Transport::RelayUdp => (Protocol::Udp, 3478),
        Transport::RelayTcp => (Protocol::Tcp, 3478),
        Transport::RelayTls => (Protocol::Tcp, 443),
    };
    let has_relay = |network: &Network| network.lets_out(ways.0, ways.1);
    // Relayed addresses are UDP ports of the server: whoever has no relay has to reach the other's.
    let reaches = |network: &Network| has_relay(network) || network.lets_out(Protocol::Udp, RELAY);
    match (has_relay(a) && reaches(b)) || (has_relay(b) && reaches(a)) {
        true => Expected::Path,
        false => Expected::Nothing,
    }
}

/// Says why, in plain words.
pub(super) fn reason(a: (&str, &Network), b: (&str, &Network)) -> String {
    why(a.0, &a.1.traits, b.0, &b.1.traits)
}

/// A port that relays are at.
const RELAY: u16 = 50_000;

#[cfg(test)]
mod tests {
    use super::super::party::Party;
    use super::*;
    use crate::lab::plan::Plan;
    use crate::lab::spec::Spec;

    fn network(text: &str) -> Network {
        let spec = Spec {
            sites: vec![Party::parse(text).unwrap().site("it")],
            ..Spec::default()
        };
        Network::new(&Plan::new(&spec).unwrap(), "it")
    }

    #[test]
    fn a_relay_is_as_good_as_the_way_to_it() {
        let [open, udp, https] = ["open", "no-udp", "only-https"].map(network);
        let all = |a: &Network, b: &Network| Transport::ALL.map(|t| expected(a, b, t));
        let (path, none) = (Expected::Path, Expected::Nothing);
        assert_eq!(all(&open, &open), [path; 4]);
        // The open side's own relay is no use to who cannot send UDP to it.
        assert_eq!(all(&open, &udp), [none, none, path, path]);
        assert_eq!(all(&udp, &https), [none, none, none, path]);
        assert_eq!(all(&https, &https), [none, none, none, path]);
    }

    #[test]
    fn direct_paths_are_the_oracles_to_say() {
        let [strict, symmetric, chance] =
            ["port-restricted-cone", "symmetric", "linux-open-input"].map(network);
        assert_eq!(
            expected(&strict, &symmetric, Transport::Direct),
            Expected::Nothing
        );
        assert_eq!(
            expected(&strict, &strict, Transport::Direct),
            Expected::Path
        );
        assert_eq!(
            expected(&chance, &strict, Transport::Direct),
            Expected::Luck
        );
        assert!(Expected::Luck.agrees(true) && Expected::Luck.agrees(false));
    }
}
