//! UPnP Internet Gateway Devices, versions 1 and 2: the messages of both sides.
//!
//! Clients search devices by SSDP ([`ssdp`]: HTTP headers in datagrams), read their descriptions
//! in XML ([`description`]), and call their actions by SOAP ([`soap`], [`action`]: XML over HTTP,
//! [`http`]). Of the actions of a gateway, only those about ports are here.

pub mod action;
pub mod description;
pub mod http;
mod scpd;
pub mod soap;
pub mod ssdp;
mod url;
mod xml;

pub use url::Url;

use std::net::Ipv4Addr;

/// Why a device refuses an action: the error codes of UPnP Device Architecture §3.2.6 and of
/// WANIPConnection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[error("{} {}", .0, UpnpError(*.0).name())]
pub struct UpnpError(pub u16);

impl UpnpError {
    /// The action does not exist.
    pub const INVALID_ACTION: Self = Self(401);
    /// An argument is missing or invalid.
    pub const INVALID_ARGS: Self = Self(402);
    /// The action failed.
    pub const ACTION_FAILED: Self = Self(501);
    /// The host is not authorized.
    pub const NOT_AUTHORIZED: Self = Self(606);
    /// No entry has this index.
    pub const INDEX_INVALID: Self = Self(713);
    /// No such entry exists.
    pub const NO_SUCH_ENTRY: Self = Self(714);
    /// The gateway does not map the wildcard outside port 0.
    pub const WILDCARD_EXTERNAL_PORT: Self = Self(716);
    /// The port is mapped already.
    pub const CONFLICT: Self = Self(718);
    /// The gateway supports permanent leases only.
    pub const ONLY_PERMANENT: Self = Self(725);
    /// No port is free.
    pub const NO_PORTS: Self = Self(728);
    /// No mapping lies in the range.
    pub const NOT_FOUND: Self = Self(730);
    /// The gateway does not map the wildcard inside port 0.
    pub const WILDCARD_INTERNAL_PORT: Self = Self(732);
    /// The range ends before it begins.
    pub const INCONSISTENT: Self = Self(733);

    /// Returns the name of the code in the standard.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::INVALID_ACTION => "Invalid Action",
            Self::INVALID_ARGS => "Invalid Args",
            Self::ACTION_FAILED => "Action Failed",
            Self::NOT_AUTHORIZED => "Action not authorized",
            Self::INDEX_INVALID => "SpecifiedArrayIndexInvalid",
            Self::NO_SUCH_ENTRY => "NoSuchEntryInArray",
            Self::WILDCARD_EXTERNAL_PORT => "WildCardNotPermittedInExtPort",
            Self::CONFLICT => "ConflictInMappingEntry",
            Self::ONLY_PERMANENT => "OnlyPermanentLeasesSupported",
            Self::NO_PORTS => "NoPortMapsAvailable",
            Self::NOT_FOUND => "PortMappingNotFound",
            Self::WILDCARD_INTERNAL_PORT => "WildCardNotPermittedInIntPort",
            Self::INCONSISTENT => "InconsistentParameters",
            _ => "Unknown",
        }
    }
}

/// The multicast group for searches.
pub const SSDP_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
/// The UDP port for searches.
pub const SSDP_PORT: u16 = 1900;
