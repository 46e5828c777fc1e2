//! How far addresses reach.

use std::net::IpAddr;

use jackfield_driver::discovery::layers::{is_carriers, is_private};

/// How far an address reaches, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reachability {
    /// The machine itself.
    Machine,
    /// One link, or a private network.
    Network,
    /// The customers of one carrier.
    Carrier,
    /// Everybody.
    Internet,
}

/// Returns whether `ip` can be reached by fewer machines than `other`.
///
/// A relayed address that reaches less far than the server that gave it is of no use to clients
/// outside the server's own network: a cloud server that does not know its public address gives
/// such ones.
pub(crate) fn is_less_reachable(ip: IpAddr, other: IpAddr) -> bool {
    Reachability::of(ip) < Reachability::of(other)
}

impl Reachability {
    fn of(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        let is_link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        if ip.is_loopback() || ip.is_unspecified() {
            Self::Machine
        } else if is_private(ip) || is_link_local {
            Self::Network
        } else if is_carriers(ip) {
            Self::Carrier
        } else {
            Self::Internet
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_address_reaches_less_far_than_a_public_one() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (less, more) in [
            ("127.0.0.1", "192.168.1.5"),
            ("10.9.0.2", "198.51.100.1"),
            ("10.9.0.2", "100.64.0.1"),
            ("100.64.0.1", "198.51.100.1"),
            ("169.254.1.1", "198.51.100.1"),
            ("fd00::1", "2001:db8::1"),
            ("::ffff:10.0.0.1", "2001:db8::1"),
        ] {
            assert!(is_less_reachable(ip(less), ip(more)), "{less} {more}");
            assert!(!is_less_reachable(ip(more), ip(less)), "{more} {less}");
        }
        assert!(!is_less_reachable(ip("10.0.0.1"), ip("192.168.0.1")));
        assert!(!is_less_reachable(ip("127.0.0.1"), ip("127.0.0.2")));
    }
}
