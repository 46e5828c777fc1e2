use super::bytes::u16_at;
use super::rewrite::transport_checksum_at;
use super::{Headers, ParseError, Transport, checksum, protocol};

/// What [`verify`] found wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChecksumError {
    /// The bytes are no packet.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The IPv4 header does not add up.
    #[error("IPv4 header checksum is wrong")]
    Ip,
    /// The transport header and data do not add up.
    #[error("transport checksum is wrong")]
    Transport,
}

/// Checks every checksum of a packet by computing it from scratch.
///
/// A fragment's transport checksum covers data that is not there, so of fragments only the IP header is checked.
///
/// # Errors
/// Says which checksum is wrong, or why the bytes are no packet.
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

/// Returns whether the transport checksum of a whole packet is right or, in UDP over IPv4, left out.
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
