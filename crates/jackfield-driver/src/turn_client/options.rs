//! How a TURN client reaches its server.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_turn::client::{self, Credential};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::proxy::Proxy;
use crate::tls::accept_any_certificate;

/// How a client reaches its server.
#[derive(Debug, Clone)]
pub enum ClientTransport {
    /// By datagrams.
    Udp,
    /// By a stream in the clear.
    Tcp,
    /// By a stream inside TLS.
    Tls(Tls),
}

/// How TLS with the server is made.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Which certificates are trusted, and what the client offers.
    pub config: Arc<ClientConfig>,
    /// The name that the certificate has to be for.
    pub name: ServerName<'static>,
}

impl Tls {
    /// Accepts any certificate, a self-signed one too: for labs, and for looking at a server. It
    /// protects against a listener on the way, but not against a server that poses as another.
    #[must_use]
    pub fn any_certificate(name: ServerName<'static>) -> Self {
        Self {
            config: Arc::new(accept_any_certificate()),
            name,
        }
    }
}

/// How a [`TurnClient`](super::TurnClient) is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the server is reached.
    pub transport: ClientTransport,
    /// What the core needs to know: credential, family, lifetime, limits.
    pub core: client::ClientConfig,
    /// Which of our addresses to use; `None`: what the system chooses. Default: none.
    pub local: Option<IpAddr>,
    /// The proxy for TCP and TLS; datagrams never go through one. Default: none.
    pub proxy: Option<Proxy>,
    /// How long a TCP connection and its TLS may take to come about. Default: 10 s.
    pub connect_timeout: Duration,
    /// Datagrams that may wait in each direction; of those from peers, what is above it is dropped.
    /// Default: 1,024.
    pub queue: usize,
}

impl Options {
    /// Returns the defaults.
    #[must_use]
    pub fn new(transport: ClientTransport, credential: Credential) -> Self {
        Self::with_core(transport, client::ClientConfig::new(credential))
    }

    /// Returns the defaults with a configuration of the core.
    #[must_use]
    pub fn with_core(transport: ClientTransport, core: client::ClientConfig) -> Self {
        Self {
            transport,
            core,
            local: None,
            proxy: None,
            connect_timeout: Duration::from_secs(10),
            queue: 1_024,
        }
    }
}
