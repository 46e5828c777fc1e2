use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::pcp::Nonce;
use crate::upnp::UpnpError;
use crate::{Dialect, TransportProtocol, nat_pmp, pcp};

/// Names a mapping of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MapId(pub(super) u64);

/// A mapping that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRequest {
    /// Which protocol's port.
    pub protocol: TransportProtocol,
    /// The port of ours.
    pub internal_port: u16,
    /// The outside port that we would like; zero for any.
    pub external_port: u16,
    /// For how long; the gateway may say otherwise. RFC 6886 recommends two hours.
    pub lifetime: Duration,
    /// What people read in the gateway's list, where the dialect has a place for it.
    pub description: String,
}

impl MapRequest {
    /// Asks for a port with the same number outside, for two hours.
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

/// A mapping that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Which protocol's port.
    pub protocol: TransportProtocol,
    /// The port of ours.
    pub internal_port: u16,
    /// The outside endpoint; an unspecified address when the gateway did not tell it.
    pub external: SocketAddr,
    /// For how long it was granted.
    pub lifetime: Duration,
    /// When it ends unless it is renewed.
    pub expires: Instant,
    /// The dialect that it was asked for in.
    pub dialect: Dialect,
}

/// Why a port cannot be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The gateway speaks none of the dialects.
    #[error("the gateway speaks none of PCP, NAT-PMP and UPnP")]
    NoService,
    /// The gateway has stopped to answer.
    #[error("the gateway does not answer")]
    Silent,
    /// The gateway says no, by PCP.
    #[error("the gateway refuses by PCP: {}", .0.name())]
    Pcp(pcp::ResultCode),
    /// The gateway says no, by UPnP.
    #[error("the gateway refuses by UPnP: {0}")]
    Upnp(UpnpError),
    /// The gateway says no, by NAT-PMP.
    #[error("the gateway refuses by NAT-PMP: {0:?}")]
    NatPmp(nat_pmp::ResultCode),
}

/// Where a mapping is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is not known yet in which dialect to ask.
    Waiting,
    /// The gateway is being asked.
    Asking,
    /// It is there.
    Active,
    /// Nobody grants it; it is tried again later.
    Failed,
    /// It is being ended.
    Ending,
}

/// A mapping that is wanted, with what was done about it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) request: MapRequest,
    pub(super) nonce: Nonce,
    pub(super) phase: Phase,
    /// The dialect that is being used.
    pub(super) dialect: Option<Dialect>,
    /// Dialects in which it was refused.
    pub(super) tried: Vec<Dialect>,
    /// How often the present question has been asked.
    pub(super) attempt: u32,
    pub(super) mapping: Option<Lease>,
    /// The outside port that UPnP was asked for last, which is not always the one that was wanted.
    pub(super) other_port: Option<u16>,
    /// How many such ports were others'.
    pub(super) conflicts: u32,
    /// The gateway knows no leases that end.
    pub(super) permanent_only: bool,
    /// The last refusal.
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

    /// Returns the outside port to ask for: the one that there is, so that it stays.
    pub(super) fn port_to_request(&self) -> u16 {
        match self.mapping {
            Some(mapping) => mapping.external.port(),
            None => self.request.external_port,
        }
    }

    /// Returns whether the gateway is being asked in a dialect, to map or to end the mapping.
    pub(super) fn is_asking(&self, dialect: Dialect) -> bool {
        self.dialect == Some(dialect) && matches!(self.phase, Phase::Asking | Phase::Ending)
    }
}
