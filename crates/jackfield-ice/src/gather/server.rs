//! The STUN and TURN servers that are asked.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use jackfield_sansio::Transport;
use jackfield_stun::uri::{Host, Scheme, Uri, UriTransport};
use jackfield_turn::client::Credential;

/// A STUN or TURN server, at an address: a driver has resolved its name.
///
/// A name with several addresses is several servers.
#[derive(Debug, Clone)]
pub struct IceServer {
    /// How it is reached. STUN over anything but UDP is not asked: it would tell the address of
    /// another connection.
    pub transport: Transport,
    /// Where it is.
    pub address: SocketAddr,
    /// Its name, if it has one: what its certificate has to be for, and what errors show.
    pub name: Option<Box<str>>,
    /// What it is asked for.
    pub kind: ServerKind,
}

/// What a server is asked for.
#[derive(Debug, Clone)]
pub enum ServerKind {
    /// The address that it sees us at.
    Stun,
    /// An address that it relays for us, which tells the other as well.
    Turn(Option<Credential>),
}

impl IceServer {
    /// Returns a STUN server that is reached by UDP.
    #[must_use]
    pub fn stun(address: SocketAddr) -> Self {
        Self {
            transport: Transport::Udp,
            address,
            name: None,
            kind: ServerKind::Stun,
        }
    }

    /// Returns a TURN server.
    #[must_use]
    pub fn turn(transport: Transport, address: SocketAddr, credential: Credential) -> Self {
        Self {
            transport,
            address,
            name: None,
            kind: ServerKind::Turn(Some(credential)),
        }
    }

    /// Returns whether it is asked for a relay.
    #[must_use]
    pub fn is_turn(&self) -> bool {
        matches!(self.kind, ServerKind::Turn(_))
    }

    /// Returns its URI ([RFC 7064], [RFC 7065]).
    ///
    /// [RFC 7064]: https://www.rfc-editor.org/rfc/rfc7064
    /// [RFC 7065]: https://www.rfc-editor.org/rfc/rfc7065
    #[must_use]
    pub fn uri(&self) -> Uri {
        let is_secure = matches!(self.transport, Transport::Tls | Transport::Dtls);
        let scheme = match (self.is_turn(), is_secure) {
            (false, false) => Scheme::Stun,
            (false, true) => Scheme::Stuns,
            (true, false) => Scheme::Turn,
            (true, true) => Scheme::Turns,
        };
        let host = match (&self.name, self.address.ip()) {
            (Some(name), _) => Host::Name(name.to_string()),
            (None, IpAddr::V4(ip)) => Host::Name(ip.to_string()),
            (None, IpAddr::V6(ip)) => Host::Ipv6(ip),
        };
        let transport = self.is_turn().then_some(match self.transport.is_stream() {
            true => UriTransport::Tcp,
            false => UriTransport::Udp,
        });
        Uri {
            scheme,
            host,
            explicit_port: Some(self.address.port()),
            transport,
        }
    }
}

impl fmt::Display for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri().fmt(f)
    }
}

/// Returns whether packets from a local address can reach a server at all.
///
/// Asking from where no route leads would only delay the end of gathering.
pub(super) fn can_reach(local: IpAddr, server: IpAddr) -> bool {
    let is_link_local = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    // Routers forward no packets with link-local addresses (RFC 3927, RFC 4291 §2.5.6).
    local.is_ipv4() == server.is_ipv4()
        && (!local.is_loopback() || server.is_loopback())
        && (!is_link_local(local) || is_link_local(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_shows_as_its_uri() {
        let address: SocketAddr = "[2001:db8::1]:443".parse().unwrap();
        let credential = Credential::new("alice", "secret").unwrap();
        let mut server = IceServer::turn(Transport::Tls, address, credential);
        assert_eq!(server.to_string(), "turns:[2001:db8::1]:443?transport=tcp");
        server.name = Some("turn.example.org".into());
        assert_eq!(
            server.to_string(),
            "turns:turn.example.org:443?transport=tcp"
        );
        let stun = IceServer::stun("192.0.2.1:3478".parse().unwrap());
        assert_eq!(stun.to_string(), "stun:192.0.2.1:3478");
    }

    #[test]
    fn no_server_is_asked_from_where_no_route_leads() {
        for (local, server, reachable) in [
            ("192.168.1.2", "198.51.100.1", true),
            ("192.168.1.2", "2001:db8::1", false),
            ("127.0.0.1", "198.51.100.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("169.254.1.1", "198.51.100.1", false),
            ("fe80::1", "2001:db8::1", false),
            ("2001:db8::2", "2001:db8::1", true),
        ] {
            let (local, server) = (local.parse().unwrap(), server.parse().unwrap());
            assert_eq!(can_reach(local, server), reachable, "{local} {server}");
        }
    }
}
