//! The mappings of a client.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::pcp::Nonce;
use crate::upnp::UpnpError;
use crate::{Dialect, TransportProtocol, nat_pmp, pcp};

/// Identifies a mapping of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MapId(pub(super) u64);

/// A request for a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRequest {
    /// The transport protocol.
    pub protocol: TransportProtocol,
    /// The inside port.
    pub internal_port: u16,
    /// The suggested outside port; zero for any.
    pub external_port: u16,
    /// The requested lifetime; the gateway may grant another. RFC 6886 recommends two hours.
    pub lifetime: Duration,
    /// The description in the list of the gateway, if the protocol supports one.
    pub description: String,
}

impl MapRequest {
    /// Returns a request for the same port number outside, for two hours.
    #[must_use]
    pub fn new(protocol: TransportProtocol, port: u16) -> Self {
        Self {
            protocol,
            internal_port: port,
            external_port: port,
            lifetime: Duration::from_secs(7200),
            description: "jackfield".to_owned(),
        }
    }
}

/// A mapping that a gateway has granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The transport protocol.
    pub protocol: TransportProtocol,
    /// The inside port.
    pub internal_port: u16,
    /// The outside endpoint; its address is unspecified when the gateway did not state it.
    pub external: SocketAddr,
    /// The granted lifetime.
    pub lifetime: Duration,
    /// When it ends unless it is renewed.
    pub expires: Instant,
    /// The protocol in which it was granted.
    pub dialect: Dialect,
}

/// Why a port cannot be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The gateway supports none of the protocols.
    #[error("the gateway speaks none of PCP, NAT-PMP and UPnP")]
    NoService,
    /// The gateway does not answer any more.
    #[error("the gateway does not answer")]
    Silent,
    /// The gateway refused the mapping in PCP.
    #[error("the gateway refuses by PCP: {}", .0.name())]
    Pcp(pcp::ResultCode),
    /// The gateway refused the mapping in UPnP.
    #[error("the gateway refuses by UPnP: {0}")]
    Upnp(UpnpError),
    /// The gateway refused the mapping in NAT-PMP.
    #[error("the gateway refuses by NAT-PMP: {0:?}")]
    NatPmp(nat_pmp::ResultCode),
}

/// The phase of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The protocol to use is not known yet.
    Waiting,
    /// The request is under way.
    Asking,
    /// The mapping exists.
    Active,
    /// All protocols refuse it; the client tries again later.
    Failed,
    /// The mapping is being ended.
    Ending,
}

/// A requested mapping and its state.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) request: MapRequest,
    pub(super) nonce: Nonce,
    pub(super) phase: Phase,
    /// The protocol in use.
    pub(super) dialect: Option<Dialect>,
    /// The protocols that have refused it.
    pub(super) tried: Vec<Dialect>,
    /// How often the current request has been sent.
    pub(super) attempt: u32,
    pub(super) mapping: Option<Lease>,
    /// The outside port of the last UPnP request, if it is not the suggested one.
    pub(super) other_port: Option<u16>,
    /// How many such ports belonged to other hosts.
    pub(super) conflicts: u32,
    /// Whether the gateway supports permanent leases only.
    pub(super) permanent_only: bool,
    /// The first refusal.
    pub(super) error: Option<MapError>,
}

impl Entry {
    pub(super) fn new(request: MapRequest, nonce: Nonce) -> Self {
        Self {
            request,
            nonce,
            phase: Phase::Waiting,
            dialect: None,
            tried: Vec::new(),
            attempt: 0,
            mapping: None,
            other_port: None,
            conflicts: 0,
            permanent_only: false,
            error: None,
        }
    }

    /// Returns the outside port to request: the one that exists already, so that it stays.
    pub(super) fn port_to_request(&self) -> u16 {
        match self.mapping {
            // A gateway that has rebooted then gives the same port again (RFC 6886 §3.3, RFC 6887
            // §11.2.1).
            Some(mapping) => mapping.external.port(),
            None => self.request.external_port,
        }
    }

    /// Returns whether a request to map or to end the mapping is under way in a protocol.
    pub(super) fn is_asking(&self, dialect: Dialect) -> bool {
        self.dialect == Some(dialect) && matches!(self.phase, Phase::Asking | Phase::Ending)
    }
}
