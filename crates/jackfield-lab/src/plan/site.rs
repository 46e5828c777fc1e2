//! A site of a plan: its network and its router.

use std::net::{IpAddr, Ipv6Addr};

use crate::nat::{Firewall, Routing, Settings};

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
    /// The address of the site's network, and the length of its prefix.
    pub prefix: (IpAddr, u8),
    /// The next hop of its hosts to everywhere else.
    pub gateway: IpAddr,
    /// Its IPv6, which has a router of its own.
    pub ipv6: Option<Ipv6Plan>,
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
        words.extend(settings.link.describe());
        words.join(", ")
    }
}

/// Returns an address of a site's IPv6 network; host 0 is the network itself.
pub(super) fn ipv6(site: u8, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, site.into(), 0, 0, 0, 0, host)
}
