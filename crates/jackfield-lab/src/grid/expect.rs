//! What must come out of each attempt.

use std::time::Duration;

use jackfield_nat::Protocol;
use jackfield_nat::oracle::{Path, oracle, why};

use super::network::Network;
use super::transport::Transport;

/// What must come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// A path.
    Path,
    /// No path.
    Nothing,
    /// Either, since it depends on chance.
    Either,
}

impl Expected {
    /// Returns whether an attempt with that outcome came out as it must.
    pub(super) const fn agrees(self, found: bool) -> bool {
        match self {
            Self::Path => found,
            Self::Nothing => !found,
            Self::Either => true,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Nothing => "none",
            Self::Either => "either",
        }
    }
}

/// Returns what must come out of an attempt between two networks.
pub(super) fn expected(a: &Network, b: &Network, transport: Transport) -> Expected {
    if transport == Transport::Direct {
        return match oracle(&a.traits, &b.traits) {
            Path::Direct => Expected::Path,
            Path::Relay => Expected::Nothing,
            Path::Nondeterministic => Expected::Either,
        };
    }
    let has_relay = |network: &Network| has_relay(network, transport);
    // A relayed address is a UDP port of the server, and a host without a relay has to send to it.
    let reaches = |network: &Network| has_relay(network) || network.lets_out(Protocol::Udp, RELAY);
    match (has_relay(a) && reaches(b)) || (has_relay(b) && reaches(a)) {
        true => Expected::Path,
        false => Expected::Nothing,
    }
}

/// Returns whether a network lets out what an allocation by this transport takes.
fn has_relay(network: &Network, transport: Transport) -> bool {
    match transport {
        Transport::Direct => false,
        Transport::RelayUdp => network.lets_out(Protocol::Udp, 3478),
        Transport::RelayTcp => network.lets_out(Protocol::Tcp, 3478),
        Transport::RelayTls => network.lets_out(Protocol::Tcp, 443),
    }
}

/// How long one side of an attempt waits: long for what must come, since the machine may be busy,
/// and shorter for what must not, since most attempts of a grid may fail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// For the server's answer to a Binding request.
    pub(super) reflexive: Duration,
    /// For an allocation.
    pub(super) relay: Duration,
    /// For a path.
    pub(super) path: Duration,
}

impl Timeouts {
    pub(super) fn new(network: &Network, transport: Transport, must: Expected) -> Self {
        let long_if = |comes| if comes { LONG } else { SHORT };
        Self {
            reflexive: long_if(network.lets_out(Protocol::Udp, 3478)),
            relay: long_if(has_relay(network, transport)),
            path: long_if(must == Expected::Path),
        }
    }
}

/// How long to wait for what must come.
const LONG: Duration = Duration::from_secs(20);
/// How long to wait for what must not, or need not, come.
const SHORT: Duration = Duration::from_millis(2500);

/// Returns the oracle's reason, in plain words.
pub(super) fn reason(a: (&str, &Network), b: (&str, &Network)) -> String {
    why(a.0, &a.1.traits, b.0, &b.1.traits)
}

/// A port of the range that relays are in.
const RELAY: u16 = 50_000;

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

    #[test]
    fn a_relay_is_as_good_as_the_way_to_it() {
        let [open, udp, https] = ["open", "no-udp", "only-https"].map(network);
        let all = |a: &Network, b: &Network| Transport::ALL.map(|t| expected(a, b, t));
        let (path, none) = (Expected::Path, Expected::Nothing);
        assert_eq!(all(&open, &open), [path; 4]);
        // The open side's own relay is no use to a host that cannot send UDP to it.
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
            Expected::Either
        );
        assert!(Expected::Either.agrees(true) && Expected::Either.agrees(false));
    }
}
