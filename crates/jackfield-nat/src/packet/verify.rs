//! Checks the checksums of packets.

use super::bytes::u16_at;
use super::rewrite::transport_checksum_at;
use super::{Headers, ParseError, Transport, checksum, protocol};

/// What is wrong with the checksums of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChecksumError {
    /// The bytes are not a packet.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The checksum of the IPv4 header is wrong.
    #[error("IPv4 header checksum is wrong")]
    Ip,
    /// The checksum of the transport header and data is wrong.
    #[error("transport checksum is wrong")]
    Transport,
}

/// Checks every checksum of a packet by computing it from scratch.
///
/// Of a fragment only the IP header is checked, because the transport checksum covers data that is
/// in other fragments.
///
/// # Errors
/// Fails when a checksum is wrong or the bytes are not a packet.
pub fn verify(bytes: &[u8]) -> Result<(), ChecksumError> {
    let headers = Headers::parse(bytes)?;
    if !ip_header_is_right(bytes, &headers) {
        return Err(ChecksumError::Ip);
    }
    if headers.fragment.is_none() && !transport_is_right(bytes, &headers) {
        return Err(ChecksumError::Transport);
    }
    Ok(())
}

/// Returns whether an IPv4 header's checksum is right; IPv6 has none.
pub(crate) fn ip_header_is_right(bytes: &[u8], headers: &Headers) -> bool {
    let header = bytes.get(..headers.transport_at).unwrap_or_default();
    !headers.is_v4() || checksum::finish(checksum::sum(header)) == 0
}

/// Returns whether the transport checksum of a whole packet is right or, in UDP over IPv4, left
/// out.
pub(crate) fn transport_is_right(bytes: &[u8], headers: &Headers) -> bool {
    let Some(at) = transport_checksum_at(headers) else {
        return true;
    };
    if matches!(headers.transport, Transport::Udp { .. })
        && headers.is_v4()
        && u16_at(bytes, at) == Some(0)
    {
        return true;
    }
    let data = bytes
        .get(headers.transport_at..headers.length)
        .unwrap_or_default();
    let pseudo_header = if headers.protocol == protocol::ICMP {
        0
    } else {
        checksum::pseudo_header(
            headers.source,
            headers.destination,
            headers.protocol,
            data.len(),
        )
    };
    checksum::finish(pseudo_header + checksum::sum(data)) == 0
}
