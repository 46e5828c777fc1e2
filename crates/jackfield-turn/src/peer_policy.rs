//! Which peers clients may reach: this file holds the line that decides it.
//!
//! A relay sends packets from inside a network for strangers, so by default it reaches the public
//! internet and nothing else: no loopback, private, link-local, multicast or otherwise special
//! range ([the list](special)), no address of this machine or of a network that it is in, and none
//! of these in disguise ([embedded IPv4](canonical)). What is denied stays denied between the
//! permission and the packet: both are judged.

mod canonical;
mod ranges;
mod special;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use self::canonical::embedded_ipv4;
use self::ranges::Ranges;
use crate::{Cidr, Registry};

/// Which peers clients may reach. The default denies every special range and allows the rest.
#[derive(Debug, Clone, Default)]
pub struct PeerRules {
    /// Ranges to allow although they are special or this machine's own, such as the LAN of an SFU.
    pub allow: Vec<Cidr>,
    /// Ranges to deny although they are public; `allow` wins over it.
    pub deny: Vec<Cidr>,
    /// The networks that this machine's interfaces are in. A relay would open its neighbours to
    /// strangers, past the firewall in front of them, so that they are denied though public.
    pub connected: Vec<Cidr>,
    /// The addresses of this machine's interfaces, and the public ones that lead to it. A server
    /// adds its configured relay addresses.
    pub own_addresses: Vec<IpAddr>,
    /// Where this process listens; `allow` does not open these. A wildcard address stands for every
    /// own address.
    pub own_listeners: Vec<SocketAddr>,
    /// Deny peer ports below 1024, where a machine's services are. Default: no.
    pub deny_low_ports: bool,
}

/// Why a peer is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PeerDenied {
    /// Port 0, which no packet can go to.
    #[error("port 0 is no port")]
    PortZero,
    /// This process listens there.
    #[error("this server itself listens there")]
    OwnListener,
    /// An address of this machine, and no relayed address that lives.
    #[error("the address is this machine's")]
    OwnAddress,
    /// Loopback, private, multicast or another range that is not the public internet.
    #[error("the address is not of the public internet")]
    SpecialRange,
    /// An address of a network that this machine is in.
    #[error("the address is in a network of this machine's interfaces")]
    Connected,
    /// The address carries an IPv4 address that is itself denied.
    #[error("the address leads to an IPv4 address that is denied")]
    Embedded,
    /// The operator denied it.
    #[error("the operator denied the address")]
    Listed,
    /// A port below 1024.
    #[error("ports below 1024 are denied")]
    LowPort,
}

/// Judges peer addresses by [`PeerRules`].
#[derive(Debug, Clone)]
pub struct PeerPolicy {
    /// Everything that is denied as long as `allow` does not have it. Of the public internet none
    /// is, so that a packet costs one search.
    denied: Ranges,
    allow: Ranges,
    special: Ranges,
    connected: Ranges,
    own_addresses: Vec<IpAddr>,
    own_listeners: Vec<SocketAddr>,
    deny_low_ports: bool,
    registry: Arc<Registry>,
}

impl PeerPolicy {
    /// Returns the judge of these rules; `registry` tells it which relayed addresses live.
    pub fn new(rules: &PeerRules, registry: Arc<Registry>) -> Self {
        let mut own_addresses = rules.own_addresses.clone();
        own_addresses.sort_unstable();
        own_addresses.dedup();
        let special = special::ranges();
        let mut denied = special.clone();
        denied.extend(&rules.connected);
        denied.extend(&rules.deny);
        denied.extend(own_addresses.iter().copied().map(Cidr::from));
        Self {
            denied: Ranges::new(&denied),
            allow: Ranges::new(&rules.allow),
            special: Ranges::new(&special),
            connected: Ranges::new(&rules.connected),
            own_addresses,
            own_listeners: rules.own_listeners.clone(),
            deny_low_ports: rules.deny_low_ports,
            registry,
        }
    }

    /// Returns whether a packet may go to `peer`: the line that decides it. Judged for each packet.
    ///
    /// Another client's relayed address is allowed although it is this machine's: that is how two
    /// clients meet.
    pub fn judge(&self, peer: SocketAddr) -> Result<(), PeerDenied> {
        if peer.port() == 0 {
            return Err(PeerDenied::PortZero);
        }
        if self.is_own_listener(peer) {
            return Err(PeerDenied::OwnListener);
        }
        let verdict = self
            .judge_ip(peer.ip())
            .and_then(|()| self.judge_port(peer.port()));
        match verdict {
            // Shards share the registry, so it is asked only about what would be denied.
            Err(_) if self.registry.is_live(peer) => Ok(()),
            verdict => verdict,
        }
    }

    fn judge_port(&self, port: u16) -> Result<(), PeerDenied> {
        if self.deny_low_ports && port < 1024 {
            return Err(PeerDenied::LowPort);
        }
        Ok(())
    }

    /// Returns whether a permission may be made for `ip`, whose ports are judged with each packet.
    ///
    /// The addresses that relay sockets are bound to are allowed here for the sake of the relayed
    /// addresses on them.
    pub fn judge_permission(&self, ip: IpAddr) -> Result<(), PeerDenied> {
        match self.judge_ip(ip) {
            Err(_) if self.registry.hosts_relays(ip) => Ok(()),
            verdict => verdict,
        }
    }

    fn judge_ip(&self, ip: IpAddr) -> Result<(), PeerDenied> {
        self.judge_plain(ip)?;
        if let IpAddr::V6(ip) = ip {
            for inner in embedded_ipv4(ip) {
                self.judge_plain(inner.into())
                    .map_err(|_| PeerDenied::Embedded)?;
            }
        }
        Ok(())
    }

    /// Judges an address as it stands, without what is embedded in it.
    fn judge_plain(&self, ip: IpAddr) -> Result<(), PeerDenied> {
        if !self.denied.contains(ip) || self.allow.contains(ip) {
            return Ok(());
        }
        Err(if self.special.contains(ip) {
            PeerDenied::SpecialRange
        } else if self.own_addresses.binary_search(&ip).is_ok() {
            PeerDenied::OwnAddress
        } else if self.connected.contains(ip) {
            PeerDenied::Connected
        } else {
            PeerDenied::Listed
        })
    }

    fn is_own_listener(&self, peer: SocketAddr) -> bool {
        self.own_listeners.iter().any(|listener| {
            listener.port() == peer.port() && self.leads_to(listener.ip(), peer.ip())
        })
    }

    /// Returns whether a packet to `ip` would reach a socket that listens on `listener`.
    fn leads_to(&self, listener: IpAddr, ip: IpAddr) -> bool {
        let is = |ip: IpAddr| {
            if listener.is_unspecified() {
                ip.is_loopback()
                    || ip.is_unspecified()
                    || self.own_addresses.binary_search(&ip).is_ok()
            } else {
                listener == ip
            }
        };
        match ip {
            IpAddr::V4(_) => is(ip),
            IpAddr::V6(v6) => is(ip) || embedded_ipv4(v6).any(|inner| is(inner.into())),
        }
    }
}
