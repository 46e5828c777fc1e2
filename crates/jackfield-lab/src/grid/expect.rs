//! What must come out of each pair of networks.

use std::collections::BTreeSet;
use std::time::Duration;

use jackfield_nat::oracle::{CandidateType, Pair, pairs, why};

use super::network::Network;
use super::report::PathView;
use super::transport::RelayWay;

/// What must come out of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    /// The pairs of candidates that are right; none if there must be no path.
    pairs: BTreeSet<Pair>,
    /// By what each side reaches its relay, if one is used.
    ways: [Option<RelayWay>; 2],
}

impl Expected {
    pub(super) fn new(a: &Network, b: &Network) -> Self {
        Self {
            pairs: pairs(&a.access, &b.access),
            ways: [a.way, b.way],
        }
    }

    /// Returns whether this outcome is right.
    pub(super) fn agrees(&self, found: Option<&PathView>) -> bool {
        let Some(path) = found else {
            return self.pairs.is_empty();
        };
        let way = |end, way| (end == CandidateType::Relayed).then_some(way).flatten();
        let ways = [
            way(path.pair.a, self.ways[0]),
            way(path.pair.b, self.ways[1]),
        ];
        self.pairs.contains(&path.pair) && path.relays == ways
    }

    /// Returns the right outcomes, as the JSON has them.
    pub(super) fn names(&self) -> Vec<String> {
        match self.pairs.is_empty() {
            true => vec!["none".to_owned()],
            false => self.pairs.iter().map(Pair::to_string).collect(),
        }
    }

    /// Returns how long to wait: long for what must come, since the machine may be busy.
    pub(super) fn patience(&self) -> Duration {
        match self.pairs.is_empty() {
            true => SHORT,
            false => LONG,
        }
    }
}

/// Returns the reason for what must come out, in plain words.
pub(super) fn reason(a: (&str, &Network), b: (&str, &Network)) -> String {
    let udp = why(a.0, &a.1.access.udp, b.0, &b.1.access.udp);
    let pairs = pairs(&a.1.access, &b.1.access);
    let rest = match pairs.iter().find(|pair| pair.tcp) {
        _ if pairs.iter().all(|pair| !pair.tcp && !pair.is_relayed()) && !pairs.is_empty() => None,
        Some(_) => Some("A TCP connection to a public address gets in, so no relay is needed."),
        None if pairs.is_empty() => Some("No relay can be reached, either."),
        None => blocked([a, b]),
    };
    match rest {
        Some(rest) => format!("{udp} {rest}"),
        None => udp,
    }
}

/// Explains a relay between networks of which one lets no UDP out.
fn blocked(sides: [(&str, &Network); 2]) -> Option<&'static str> {
    let is_blocked = |network: &Network| network.access.udp.iter().any(|nat| nat.blocked);
    let ways = sides.map(|(_, network)| network.way.filter(|_| is_blocked(network)));
    match ways.into_iter().flatten().max()? {
        RelayWay::Udp => None,
        RelayWay::Tcp => Some("Its relay is reached over TCP."),
        RelayWay::Tls => Some("Its relay is reached over TLS on port 443, like a web page."),
    }
}

/// How long to wait for what must come.
const LONG: Duration = Duration::from_secs(20);
/// How long to wait for what must not come.
const SHORT: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::super::network::NetworkType;
    use super::*;
    use crate::plan::Plan;
    use crate::spec::Spec;

    fn network(text: &str) -> Network {
        let spec = Spec {
            sites: vec![NetworkType::parse(text).unwrap().site("it")],
            ..Spec::default()
        };
        Network::new(&Plan::new(&spec).unwrap(), "it")
    }

    fn names(a: &str, b: &str) -> String {
        Expected::new(&network(a), &network(b)).names().join("|")
    }

    #[test]
    fn networks_of_the_lab_give_the_pairs_of_libwebrtcs_matrix() {
        for (a, b, wanted) in [
            ("open", "open", "H-H"),
            ("full-cone", "symmetric", "S-P"),
            ("port-restricted-cone", "symmetric", "S-R|R-P"),
            ("full-cone+symmetric", "full-cone", "P-S"),
            ("open", "no-udp", "Ht-Pt|Pt-Ht"),
            ("symmetric", "no-udp", "Pt-Ht"),
            ("open", "no-udp-no-incoming-tcp", "Ht-Pt"),
            ("symmetric", "no-udp-no-incoming-tcp", "P-R"),
            ("open", "only-https", "H-R"),
            ("only-https", "no-udp", "R-R"),
            ("http-proxy", "port-restricted-cone", "R-S"),
            ("nat64", "full-cone", "S-S"),
            ("nat64", "open", "S-H"),
        ] {
            assert_eq!(names(a, b), wanted, "{a} {b}");
        }
    }

    #[test]
    fn a_relay_is_reached_in_the_first_way_that_the_network_lets_out() {
        for (text, way) in [
            ("symmetric", RelayWay::Udp),
            ("no-udp", RelayWay::Tcp),
            ("only-https", RelayWay::Tls),
            ("http-proxy", RelayWay::Tls),
            ("socks-proxy", RelayWay::Tcp),
            ("nat64", RelayWay::Udp),
        ] {
            assert_eq!(network(text).way, Some(way), "{text}");
        }
    }

    #[test]
    fn an_outcome_by_another_relay_or_pair_is_wrong() {
        let must = Expected::new(&network("open"), &network("only-https"));
        let path = |relay| PathView {
            pair: Pair {
                a: CandidateType::Host,
                b: CandidateType::Relayed,
                tcp: false,
            },
            relays: [None, Some(relay)],
            ms: 1.0,
        };
        assert!(must.agrees(Some(&path(RelayWay::Tls))));
        assert!(!must.agrees(Some(&path(RelayWay::Tcp))));
        assert!(!must.agrees(None));
    }

    #[test]
    fn the_reason_says_what_makes_up_for_udp() {
        let reason = |a: &str, b: &str| {
            let (a, b) = (network(a), network(b));
            reason(("A", &a), ("B", &b))
        };
        assert!(reason("open", "no-udp").contains("TCP connection"));
        assert!(reason("open", "only-https").contains("port 443"));
        assert!(!reason("open", "open").contains("TCP"));
    }
}
