//! The relay of datagrams of SOCKS: UDP ASSOCIATE
//! ([RFC 1928 §7](https://www.rfc-editor.org/rfc/rfc1928#section-7)).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use jackfield_nat::packet::Datagram;
use jackfield_proxy::Target;
use jackfield_proxy::socks5::UdpHeader;

/// A port of the proxy that relays the datagrams of one client, as long as its TCP connection
/// lives.
#[derive(Debug, Clone)]
pub(super) struct Association {
    /// The address towards the client.
    inside: IpAddr,
    /// The address towards all others.
    outside: Option<IpAddr>,
    port: u16,
    /// The other end of the TCP connection; datagrams from other addresses are not from the
    /// client.
    client_address: IpAddr,
    /// The source of its last datagram.
    client: Option<SocketAddr>,
    /// The endpoints that it has sent to, which may therefore answer.
    endpoints: BTreeSet<SocketAddr>,
}

impl Association {
    pub(super) fn new(inside: SocketAddr, outside: Option<IpAddr>, client_address: IpAddr) -> Self {
        Self {
            inside: inside.ip(),
            outside,
            port: inside.port(),
            client_address,
            client: None,
            endpoints: BTreeSet::new(),
        }
    }

    /// Returns the datagram to send for one that came to the port of the association, if any.
    ///
    /// `resolve` returns the address of a target, if the client may send there.
    pub(super) fn relay(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        data: &[u8],
        resolve: impl FnOnce(&Target) -> Option<SocketAddr>,
    ) -> Option<Datagram> {
        if source.ip() == self.client_address && destination.ip() == self.inside {
            self.relay_out(source, data, resolve)
        } else {
            self.relay_in(source, data)
        }
    }

    fn relay_out(
        &mut self,
        source: SocketAddr,
        data: &[u8],
        resolve: impl FnOnce(&Target) -> Option<SocketAddr>,
    ) -> Option<Datagram> {
        let (header, at) = UdpHeader::parse(data).ok()??;
        // RFC 1928 §7: a relay that does not reassemble drops fragments.
        if header.fragment != 0 {
            return None;
        }
        let to = resolve(&header.target)?;
        if self.endpoints.len() >= MOST_ENDPOINTS && !self.endpoints.contains(&to) {
            return None;
        }
        // The relay admits answers as an address-and-port-dependent filter does.
        self.endpoints.insert(to);
        self.client = Some(source);
        let outside = match (self.outside, to) {
            (Some(outside), _) => outside,
            (None, SocketAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
            (None, SocketAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Some(Datagram {
            source: SocketAddr::new(outside, self.port),
            destination: to,
            data: data.get(at..)?.to_vec(),
        })
    }

    fn relay_in(&self, source: SocketAddr, data: &[u8]) -> Option<Datagram> {
        let client = self.client.filter(|_| self.endpoints.contains(&source))?;
        let header = UdpHeader {
            fragment: 0,
            target: source.into(),
        };
        let mut bytes = header.to_bytes();
        bytes.extend(data);
        Some(Datagram {
            source: SocketAddr::new(self.inside, self.port),
            destination: client,
            data: bytes,
        })
    }
}

/// The most endpoints that one association sends to; datagrams to more are dropped.
pub const MOST_ENDPOINTS: usize = 1024;
