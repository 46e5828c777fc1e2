//! UPnP Internet Gateway Devices, version 1 and 2: searching them, describing them, asking them; both directions.
//!
//! Devices are searched by SSDP ([`ssdp`]: HTTP heads in datagrams), describe themselves in XML ([`description`]), and are
//! asked by SOAP ([`soap`], [`action`]: XML over HTTP, [`http`]). Of all that a device may be asked, only what concerns
//! ports is here.

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

/// Why a device does not do what it is asked: the error codes of UPnP Device Architecture §3.2.6 and of
/// WANIPConnection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[error("{} {}", .0, UpnpError(*.0).name())]
pub struct UpnpError(pub u16);

impl UpnpError {
    /// There is no such action.
    pub const INVALID_ACTION: Self = Self(401);
    /// An argument is missing or makes no sense.
    pub const INVALID_ARGS: Self = Self(402);
    /// The action failed.
    pub const ACTION_FAILED: Self = Self(501);
    /// It is not for this host to ask.
    pub const NOT_AUTHORIZED: Self = Self(606);
    /// There is no entry with this index.
    pub const INDEX_INVALID: Self = Self(713);
    /// There is no such entry.
    pub const NO_SUCH_ENTRY: Self = Self(714);
    /// An outside port of any is not to be had.
    pub const WILDCARD_EXTERNAL_PORT: Self = Self(716);
    /// The port is mapped already.
    pub const CONFLICT: Self = Self(718);
    /// Leases that end are not supported.
    pub const ONLY_PERMANENT: Self = Self(725);
    /// There is no more to give.
    pub const NO_PORTS: Self = Self(728);
    /// There is no mapping in the range.
    pub const NOT_FOUND: Self = Self(730);
    /// An inside port of any is not to be had.
    pub const WILDCARD_INTERNAL_PORT: Self = Self(732);
    /// A range ends before it begins.
    pub const INCONSISTENT: Self = Self(733);

    /// Returns the name that the standard gives it.
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

/// The group in which devices are searched.
pub const SSDP_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
/// The port on which devices are searched.
pub const SSDP_PORT: u16 = 1900;
