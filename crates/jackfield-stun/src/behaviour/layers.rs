//! How many NATs are on the way, and whether one of them is the carrier's: conclusions from
//! evidence that others gather.

use std::net::{IpAddr, Ipv4Addr};

/// What was seen of the way out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The address that this machine sends from.
    pub local: Option<IpAddr>,
    /// The address that a server outside sees.
    pub mapped: Option<IpAddr>,
    /// The outside address of the gateway, as it tells by a port mapping protocol.
    pub gateway_external: Option<IpAddr>,
    /// The addresses of the routers on the way, the nearest first; `None` for each that did not
    /// answer.
    pub hops: Vec<Option<IpAddr>>,
    /// Whether the server comes right after the last of them.
    pub is_all: bool,
}

/// How many NATs there are between this machine and the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layers {
    /// There is no NAT.
    None,
    /// There is one NAT.
    One,
    /// There are two NATs or more.
    Several(Sign),
    /// There may be two: a router beyond the first one has a private address, which proves no NAT.
    PerhapsSeveral(IpAddr),
    /// There is at least one; the routers on the way show no more.
    AtLeastOne,
    /// An address is missing, so nothing follows.
    Unknown,
}

/// What shows that there is more than one NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// The gateway's outside address is a carrier's.
    CarrierGateway(IpAddr),
    /// The gateway's outside address is private, and so not what a server sees.
    PrivateGateway(IpAddr),
    /// A server sees another address than the gateway's outside one.
    OtherGateway(IpAddr),
    /// This router on the way has an address that only carriers use inside of their networks.
    CarrierHop {
        /// Which router, from 1.
        number: usize,
        /// Its address.
        address: IpAddr,
    },
}

impl Sign {
    /// Returns whether the NAT is a carrier's.
    #[must_use]
    pub fn is_carriers(self) -> bool {
        matches!(self, Self::CarrierGateway(_) | Self::CarrierHop { .. })
    }
}

impl Evidence {
    /// Returns how many NATs the evidence shows.
    ///
    /// ```
    /// use jackfield_stun::behaviour::layers::{Evidence, Layers};
    ///
    /// let ip = |text: &str| Some(text.parse().unwrap());
    /// let evidence = Evidence {
    ///     local: ip("192.168.1.2"),
    ///     mapped: ip("203.0.113.9"),
    ///     hops: vec![ip("192.168.1.1"), ip("100.64.0.1"), ip("203.0.113.254")],
    ///     ..Evidence::default()
    /// };
    /// assert!(matches!(evidence.layers(), Layers::Several(sign) if sign.is_carriers()));
    /// ```
    #[must_use]
    pub fn layers(&self) -> Layers {
        let (Some(local), Some(mapped)) = (self.local, self.mapped) else {
            return Layers::Unknown;
        };
        if local == mapped {
            return Layers::None;
        }
        if let Some(external) = self.gateway_external {
            return match external {
                _ if external == mapped => Layers::One,
                _ if is_carriers(external) => Layers::Several(Sign::CarrierGateway(external)),
                _ if is_private(external) => Layers::Several(Sign::PrivateGateway(external)),
                _ => Layers::Several(Sign::OtherGateway(external)),
            };
        }
        self.layers_by_hops(local)
    }

    fn layers_by_hops(&self, local: IpAddr) -> Layers {
        let beyond_first = || self.hops.iter().enumerate().skip(1);
        let known = beyond_first().filter_map(|(index, hop)| Some((index + 1, (*hop)?)));
        // A host that has a carrier's address itself, as phones do, is behind the carrier's NAT
        // alone.
        if !is_carriers(local)
            && let Some((number, address)) = known.clone().find(|(_, hop)| is_carriers(*hop))
        {
            return Layers::Several(Sign::CarrierHop { number, address });
        }
        if self.is_all && self.hops.len() <= 1 {
            return Layers::One;
        }
        match known.clone().next() {
            Some((2, second)) if !is_inside(second) => Layers::One,
            _ => match known
                .map(|(_, hop)| hop)
                .find(|hop| is_private(*hop) && !is_carriers(local))
            {
                Some(hop) => Layers::PerhapsSeveral(hop),
                None => Layers::AtLeastOne,
            },
        }
    }
}

/// Returns whether an address is one that carriers number their customers' routers with ([RFC
/// 6598]).
///
/// [RFC 6598]: https://www.rfc-editor.org/rfc/rfc6598
#[must_use]
pub fn is_carriers(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            first == 100 && second & 0xC0 == 64
        }
        IpAddr::V6(_) => false,
    }
}

/// Returns whether an address is private ([RFC 1918], or a unique local one of IPv6).
///
/// [RFC 1918]: https://www.rfc-editor.org/rfc/rfc1918
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => Ipv4Addr::is_private(&ip),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

fn is_inside(ip: IpAddr) -> bool {
    is_private(ip) || is_carriers(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        (text != "*").then(|| text.parse().unwrap())
    }

    fn layers(local: &str, mapped: &str, external: &str, hops: &[&str]) -> Layers {
        Evidence {
            local: ip(local),
            mapped: ip(mapped),
            gateway_external: ip(external),
            hops: hops
                .iter()
                .filter(|hop| **hop != "server")
                .map(|hop| ip(hop))
                .collect(),
            is_all: hops.contains(&"server"),
        }
        .layers()
    }

    #[test]
    fn what_the_gateway_says_of_itself_counts_most() {
        let home = |external| layers("192.168.1.2", "203.0.113.9", external, &["192.168.1.1"]);
        assert_eq!(home("203.0.113.9"), Layers::One);
        for (external, sign) in [
            (
                "100.64.3.4",
                Sign::CarrierGateway(ip("100.64.3.4").unwrap()),
            ),
            ("10.0.0.4", Sign::PrivateGateway(ip("10.0.0.4").unwrap())),
            (
                "198.51.100.4",
                Sign::OtherGateway(ip("198.51.100.4").unwrap()),
            ),
        ] {
            assert_eq!(home(external), Layers::Several(sign));
        }
    }

    #[test]
    fn else_the_routers_on_the_way_tell() {
        let home = |hops: &[&str]| layers("192.168.1.2", "203.0.113.9", "*", hops);
        let carrier = Sign::CarrierHop {
            number: 2,
            address: ip("100.64.0.1").unwrap(),
        };
        assert_eq!(
            home(&["192.168.1.1", "100.64.0.1", "203.0.113.254"]),
            Layers::Several(carrier)
        );
        assert_eq!(home(&["192.168.1.1", "203.0.113.254"]), Layers::One);
        assert_eq!(
            home(&["192.168.1.1", "192.168.0.1", "203.0.113.254"]),
            Layers::PerhapsSeveral(ip("192.168.0.1").unwrap())
        );
        assert_eq!(
            home(&["192.168.1.1", "*", "203.0.113.254"]),
            Layers::AtLeastOne
        );
        assert_eq!(home(&[]), Layers::AtLeastOne);
        assert_eq!(home(&["192.168.1.1", "server"]), Layers::One);
    }

    #[test]
    fn a_phone_with_a_carriers_address_is_behind_one_nat() {
        let phone = layers(
            "100.70.1.2",
            "203.0.113.9",
            "*",
            &["100.70.1.1", "203.0.113.254"],
        );
        assert_eq!(phone, Layers::One);
    }

    #[test]
    fn the_same_address_inside_and_outside_is_no_nat() {
        assert_eq!(layers("203.0.113.9", "203.0.113.9", "*", &[]), Layers::None);
        assert_eq!(layers("203.0.113.9", "*", "*", &[]), Layers::Unknown);
    }
}
