//! Translates packets between IPv4 and IPv6 ([RFC 7915](https://www.rfc-editor.org/rfc/rfc7915))
//! in two steps: first the transport header, whose checksum and types depend on the version, then
//! the IP header in front of it.
//!
//! The caller supplies the translated addresses.

mod error;
mod header;
mod transport;

pub(crate) use error::{Quote, error};
pub(crate) use header::{Header, header, header_length};
pub(crate) use transport::transport;

/// Why a packet cannot be translated to the other IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TranslateError {
    /// The other IP version has no equivalent.
    Untranslatable,
    /// The buffer has no room for the longer header.
    NoHeadroom,
}
