//! IPv4 packets as IPv6 packets and the other way round ([RFC 7915](https://www.rfc-editor.org/rfc/rfc7915)), in two
//! steps: what the transport header says of addresses, ports and types, and then the IP header in front of it.
//!
//! The addresses are the caller's: what stands for what is no matter of packets.

mod error;
mod header;
mod transport;

pub(crate) use error::{Quote, error};
pub(crate) use header::{Header, header, header_length};
pub(crate) use transport::transport;

/// Why a packet cannot be said in the other IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TranslateError {
    /// The other version has no word for it.
    Untranslatable,
    /// The buffer has no room for the longer header.
    NoHeadroom,
}
