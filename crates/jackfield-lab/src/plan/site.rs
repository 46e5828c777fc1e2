//! A site of a plan: its network and its router.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::nat::{Firewall, Routing, Settings};
use crate::proxy::ProxyKind;

/// A site: a network and the router that joins it to its parent.
#[derive(Debug, Clone, PartialEq)]
pub struct SitePlan {
    /// Its name. In a row of NATs the outer networks are called after the innermost: `home-2`.
    pub name: String,
    /// The number in its addresses, from 1.
    pub number: u8,
    /// The index of the site that its router is a host of; `None` for the internet.
    pub parent: Option<usize>,
    /// The behaviour of its router.
    pub settings: Settings,
    /// The address of the site's network, and the length of its prefix: of IPv6 behind a NAT64.
    pub prefix: (IpAddr, u8),
    /// The next hop of its hosts to everywhere else.
    pub gateway: IpAddr,
    /// Its IPv6, which has a router of its own.
    pub ipv6: Option<Ipv6Plan>,
    /// The proxy that is all that its hosts reach.
    pub proxy: Option<ProxyPlan>,
}

/// The proxy of a site, at the next hop that hosts of other sites have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyPlan {
    /// The protocol.
    pub kind: ProxyKind,
    /// Where it listens. Its connections come from the same address.
    pub address: SocketAddr,
}

/// The IPv6 of a site.
#[derive(Debug, Clone, PartialEq)]
pub struct Ipv6Plan {
    /// The behaviour of the router: no translation. The firewall admits answers only, except where
    /// IPv4 addresses are public, too.
    pub settings: Settings,
    /// The address of the network, and the length of its prefix.
    pub prefix: (IpAddr, u8),
    /// The next hop of its hosts to everywhere else.
    pub gateway: IpAddr,
}

impl Ipv6Plan {
    pub(super) fn new(number: u8, ipv4: &Settings) -> Self {
        let mut settings = ipv4.clone();
        settings.externals.clear();
        settings.gateway = None;
        // IPv6 is not translated, but home routers let answers in only.
        settings.routing = Routing::Guarded;
        Self {
            settings,
            prefix: (ipv6(number, 0).into(), 64),
            gateway: ipv6(number, 0xffff).into(),
        }
    }
}

impl SitePlan {
    /// Returns whether the hosts have IPv6 alone, and a NAT64 for what has IPv4 alone.
    #[must_use]
    pub fn is_nat64(&self) -> bool {
        self.prefix.0.is_ipv6()
    }

    /// Returns what the router is, in a few words: `symmetric, no-udp, 20ms away`.
    #[must_use]
    pub fn about(&self) -> String {
        let settings = &self.settings;
        let mut words = vec![settings.kind().to_owned()];
        if settings.routing == Routing::Translated {
            let config = settings.config();
            let named = settings.profile.config(&settings.externals);
            if config.udp != named.udp {
                words = vec![format!(
                    "{:?}/{:?}",
                    config.udp.mapping, config.udp.filtering
                )];
            }
        }
        if settings.firewall != Firewall::None {
            words.push(settings.firewall.name().to_owned());
        }
        if let Some(proxy) = self.proxy {
            words.push(format!("nothing but a proxy for {}", proxy.kind.name()));
        }
        words.extend(settings.link.describe());
        words.join(", ")
    }
}

/// Returns the address by which hosts behind a NAT64 reach an IPv4 address ([RFC 6052 §2.2]).
///
/// [RFC 6052 §2.2]: https://www.rfc-editor.org/rfc/rfc6052#section-2.2
pub(crate) fn synthesized(ip: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(PREF64.0.to_bits() | u128::from(ip.to_bits()))
}

/// The well-known prefix of NAT64 (RFC 6052 §2.1), and its length.
pub(crate) const PREF64: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Returns an address of a site's IPv6 network; host 0 is the network itself.
pub(super) fn ipv6(site: u8, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, site.into(), 0, 0, 0, 0, host)
}
