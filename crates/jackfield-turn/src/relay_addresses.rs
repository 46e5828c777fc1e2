//! Local and advertised addresses of relay sockets.

use std::net::{IpAddr, SocketAddr};

use jackfield_sansio::FiveTuple;

use crate::attribute::AddressFamily;
use crate::{Registry, RelayAddress};

/// Where relay sockets are bound, and the way between that and what peers see.
#[derive(Debug)]
pub(crate) struct RelayAddresses {
    configured: Vec<RelayAddress>,
    /// This machine's addresses, of which one serves the family that a client did not come by.
    own: Vec<IpAddr>,
    /// Whether any is seen as something else than it is bound to.
    translates: bool,
}

impl RelayAddresses {
    pub(crate) fn new(configured: &[RelayAddress], own: &[IpAddr]) -> Self {
        Self {
            configured: configured.to_vec(),
            own: own.to_vec(),
            translates: configured.iter().any(|pair| pair.local != pair.advertised),
        }
    }

    /// Returns an address of this family for a client that came by `path`.
    pub(crate) fn choose(&self, family: AddressFamily, path: FiveTuple) -> Option<RelayAddress> {
        let came_to = path.local.ip().to_canonical();
        if self.configured.is_empty() {
            return self.choose_own(family, came_to).map(|ip| RelayAddress {
                local: ip,
                advertised: ip,
            });
        }
        let mut of_family = self
            .configured
            .iter()
            .filter(|pair| AddressFamily::of(pair.local) == family);
        let first = of_family.clone().next();
        of_family
            .find(|pair| pair.local == came_to)
            .or(first)
            .copied()
    }

    /// Returns the address a client came to, or one of ours in the other family that reaches as
    /// far.
    fn choose_own(&self, family: AddressFamily, came_to: IpAddr) -> Option<IpAddr> {
        if AddressFamily::of(came_to) == family {
            return Some(came_to);
        }
        self.own.iter().copied().find(|ip| {
            AddressFamily::of(*ip) == family
                // A relay reaches as far as the address that the client came to: loopback for
                // loopback.
                && ip.is_loopback() == came_to.is_loopback()
                && !is_link_local(*ip)
                && !ip.is_unspecified()
        })
    }

    /// Returns what an address is advertised as.
    pub(crate) fn advertised(&self, local: SocketAddr) -> SocketAddr {
        let pair = self.configured.iter().find(|pair| pair.local == local.ip());
        pair.map_or(local, |pair| SocketAddr::new(pair.advertised, local.port()))
    }

    /// Returns what the socket is bound to that lives at an advertised address; any other address
    /// as it is.
    pub(crate) fn to_local(&self, peer: SocketAddr, registry: &Registry) -> SocketAddr {
        if !self.translates {
            return peer;
        }
        let locals = self
            .configured
            .iter()
            .filter(|pair| pair.advertised == peer.ip())
            .map(|pair| SocketAddr::new(pair.local, peer.port()));
        locals
            .into_iter()
            .find(|local| registry.is_live(*local))
            .unwrap_or(peer)
    }

    /// Returns how peers see the source of a packet: a live relay by its advertised address, any
    /// other as it is.
    pub(crate) fn to_advertised(&self, source: SocketAddr, registry: &Registry) -> SocketAddr {
        if self.translates && registry.is_live(source) {
            self.advertised(source)
        } else {
            source
        }
    }

    /// Returns whether relay sockets are advertised at this address.
    pub(crate) fn advertises(&self, ip: IpAddr) -> bool {
        self.translates && self.configured.iter().any(|pair| pair.advertised == ip)
    }
}

/// Returns whether an address is good on one link only.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}
