//! The endpoint that peers share.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use jackfield_ice::gather::IceServer;

use super::inner::Inner;
use crate::ice::{EndpointConfig, EndpointCounters, IceEndpoint, Session};

/// Ports that any number of peers share, on every interface of this machine.
///
/// It is an [`IceEndpoint`] for peers. Clones are the same endpoint, which ends with the last of
/// them and of its peers.
///
/// ```
/// use jackfield_driver::ice::{EndpointConfig, InterfaceFilter};
/// use jackfield_driver::peer::{Peer, PeerEndpoint, PeerOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let interfaces = InterfaceFilter { loopback: true, ..InterfaceFilter::default() };
/// let endpoint = PeerEndpoint::bind(EndpointConfig { interfaces, ..EndpointConfig::default() })?;
/// let (_alice, _) = Peer::new(PeerOptions::new().endpoint(endpoint.clone()))?;
/// let (_bob, _) = Peer::new(PeerOptions::new().endpoint(endpoint.clone()))?;
/// assert_eq!(endpoint.peers(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PeerEndpoint(IceEndpoint<Inner>);

impl PeerEndpoint {
    /// Binds sockets to the addresses of this machine, and follows their changes.
    ///
    /// # Errors
    /// When there is no address to bind to, or the system refuses each.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind(config: EndpointConfig) -> io::Result<Self> {
        IceEndpoint::bind(config).map(Self)
    }

    /// Returns the addresses of the UDP sockets, the preferred ones first.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.0.local_addresses()
    }

    /// Returns how many peers there are.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.0.sessions()
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> &EndpointCounters {
        self.0.counters()
    }

    /// Returns whether nothing but this machine can be reached by it.
    pub(super) fn is_on_loopback(&self) -> bool {
        self.0.is_on_loopback()
    }

    pub(super) fn open(
        &self,
        core: Inner,
        servers: Arc<[IceServer]>,
    ) -> io::Result<Session<Inner>> {
        self.0.open(core, servers).map_err(io::Error::other)
    }
}
