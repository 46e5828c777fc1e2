//! How a peer is started.

use std::net::IpAddr;

use jackfield_ice::AgentConfig;
use jackfield_ice::gather::IceServer;
use jackfield_peer::Certificate;

use super::PeerEndpoint;
use crate::ice::EndpointConfig;

/// How a peer is started; the defaults do for most.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PeerOptions {
    /// The endpoint whose ports the peer shares with others. Default: none, it has one of its own.
    pub endpoint: Option<PeerEndpoint>,
    /// How an endpoint of its own is set up: which interfaces are used, what TLS to a TURN server
    /// trusts, and by which proxy it goes. An endpoint that is given is as it was set up.
    pub network: EndpointConfig,
    /// The certificate; without one, each peer has its own.
    pub certificate: Option<Certificate>,
    /// Whether our offers give way to those of the other side that cross them. Default: yes.
    pub polite: bool,
    /// How ICE behaves.
    pub ice: AgentConfig,
    /// The longest message that is accepted, in bytes. Default: 262,144, as browsers.
    pub max_message_size: usize,
    /// How many channels there may be at a time, and how many of the other side may wait to be
    /// accepted. Default: 1,024.
    pub max_channels: usize,
    /// How many bytes a channel buffers before a writer waits. Default: 4 MiB.
    pub max_buffered: usize,
    /// How many bytes of a channel wait to be received before its sender is held back.
    /// Default: 1 MiB.
    pub max_received: usize,
    /// Whether the peer finds out how large packets on its path may be, for
    /// [`PeerStats::path_mtu`](jackfield_peer::PeerStats::path_mtu). Default: no.
    pub probe_path: bool,
}

impl PeerOptions {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            endpoint: None,
            network: EndpointConfig::default(),
            certificate: None,
            polite: true,
            ice: AgentConfig::default(),
            max_message_size: 262_144,
            max_channels: 1024,
            max_buffered: 4 << 20,
            max_received: 1 << 20,
            probe_path: false,
        }
    }

    /// Sets the endpoint whose ports the peer shares with others.
    #[must_use]
    pub fn endpoint(mut self, endpoint: PeerEndpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Sets how an endpoint of its own is set up.
    #[must_use]
    pub fn network(mut self, network: EndpointConfig) -> Self {
        self.network = network;
        self
    }

    /// Sets the only addresses that an endpoint of its own has sockets at.
    #[must_use]
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.network.interfaces.addresses = addresses.into_iter().collect();
        self
    }

    /// Sets whether our offers give way.
    #[must_use]
    pub fn polite(mut self, polite: bool) -> Self {
        self.polite = polite;
        self
    }

    /// Sets the longest message that is accepted.
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Sets the STUN and TURN servers that are asked, as
    /// [`resolve_servers`](super::resolve_servers) returns them.
    #[must_use]
    pub fn servers(mut self, servers: Vec<IceServer>) -> Self {
        self.ice.gather.servers = servers.into();
        self
    }
}

impl Default for PeerOptions {
    fn default() -> Self {
        Self::new()
    }
}
