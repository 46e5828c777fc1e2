//! How a peer is started.

use std::io;
use std::net::IpAddr;

use jackfield_ice::AgentConfig;
use jackfield_ice::gather::IceServer;
use jackfield_peer::Certificate;
use tokio::net::UdpSocket;

use super::default_addresses;

/// How a peer is started; the defaults do for most.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PeerOptions {
    /// The addresses to have sockets at; none are the machine's.
    pub addresses: Vec<IpAddr>,
    /// The certificate; without one, each peer has its own.
    pub certificate: Option<Certificate>,
    /// Whether our offers give way to those of the other side that cross them. Default: yes.
    pub polite: bool,
    /// How ICE behaves.
    pub ice: AgentConfig,
    /// The longest message that is accepted, in bytes. Default: 262,144, as browsers.
    pub max_message_size: usize,
    /// How many channels there may be at a time. Default: 1,024.
    pub max_channels: usize,
    /// How many bytes a channel buffers before a writer waits. Default: 4 MiB.
    pub max_buffered: usize,
    /// How many bytes of a channel wait to be received before its sender is held back.
    /// Default: 1 MiB.
    pub max_received: usize,
}

impl PeerOptions {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            addresses: Vec::new(),
            certificate: None,
            polite: true,
            ice: AgentConfig::default(),
            max_message_size: 262_144,
            max_channels: 1024,
            max_buffered: 4 << 20,
            max_received: 1 << 20,
        }
    }

    /// Sets the addresses to have sockets at.
    #[must_use]
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.addresses = addresses.into_iter().collect();
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

    /// Binds the sockets.
    pub(super) fn bind(&self) -> io::Result<Vec<UdpSocket>> {
        let addresses = if self.addresses.is_empty() {
            default_addresses()
        } else {
            self.addresses.clone()
        };
        addresses.into_iter().map(bind).collect()
    }
}

impl Default for PeerOptions {
    fn default() -> Self {
        Self::new()
    }
}

fn bind(address: IpAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind((address, 0))?;
    let sizes = socket2::SockRef::from(&socket);
    // A system may cap or refuse sizes; datagrams pass all the same.
    for sized in [
        sizes.set_recv_buffer_size(SOCKET_BUFFER),
        sizes.set_send_buffer_size(SOCKET_BUFFER),
    ] {
        if let Err(error) = sized {
            tracing::debug!(%error, "The kernel refuses the size of a socket buffer");
        }
    }
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// A receive window of SCTP and its acknowledgements.
const SOCKET_BUFFER: usize = 4 << 20;
