//! Parses the headers of packets.

use super::bytes::{u8_at, u16_at, u32_at, u128_at};
use super::protocol;
use crate::{Address, Endpoint};

/// The header fields that a NAT needs, read in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// The source address.
    pub source: Address,
    /// The destination address.
    pub destination: Address,
    /// The protocol number of the transport header, after any IPv6 extension headers.
    pub protocol: u8,
    /// Offset of the transport header, or of the fragment's data.
    pub transport_at: usize,
    /// Offset of the byte that names the protocol of the transport header: it is in the IP header
    /// or the last extension header.
    pub protocol_at: usize,
    /// Offset of the IPv6 fragment header, if there is one.
    pub fragment_at: Option<usize>,
    /// Length of the packet as its IP header states it; the buffer may hold more.
    pub length: usize,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Whether routers may not fragment it; always true for IPv6.
    pub dont_fragment: bool,
    /// The place of a fragment in its datagram; `None` for whole packets.
    pub fragment: Option<Fragment>,
    /// The fields of the transport header.
    pub transport: Transport,
}

/// The place of a fragment in its datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// The identification that all fragments of one datagram share.
    pub id: u32,
    /// The offset of its first byte in the data of the datagram, in bytes.
    pub offset: usize,
    /// Whether more fragments follow.
    pub more: bool,
}

/// The fields of a transport header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A UDP header.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// A TCP header.
    Tcp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// CWR to FIN, as in byte 13 of the header.
        flags: TcpFlags,
    },
    /// An ICMP query, or the response to one, with its identifier.
    Query {
        /// The identifier.
        id: u16,
        /// Whether it is a response.
        response: bool,
    },
    /// An ICMP error; the packet it is about follows its 8-byte header.
    Error,
    /// An ICMP message that is neither query nor error
    /// ([RFC 5508 §2](https://www.rfc-editor.org/rfc/rfc5508#section-2)).
    OtherIcmp,
    /// A fragment other than the first, which has no transport header.
    Later,
    /// A protocol without ports, which a NAT cannot translate.
    Unknown,
}

/// The flags of a TCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// The sender has finished.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement number is valid.
    pub const ACK: u8 = 0x10;

    /// Returns whether all of `flags` are set.
    #[must_use]
    pub fn has(self, flags: u8) -> bool {
        self.0 & flags == flags
    }
}

/// Why bytes are not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The first four bits are neither 4 nor 6.
    #[error("IP version is neither 4 nor 6")]
    Version,
    /// A header is incomplete, or the data is shorter than the header states.
    #[error("packet ends inside a header or before its stated length")]
    Truncated,
    /// A length field contradicts another field.
    #[error("a header states an impossible length")]
    Length,
    /// The packet has more IPv6 extension headers than are read.
    #[error("more than {MAX_EXTENSION_HEADERS} IPv6 extension headers")]
    Extensions,
    /// An IPv6 packet has an IPv4-mapped address, which must not appear on a network.
    #[error("an IPv4-mapped address in an IPv6 header")]
    MappedAddress,
}

impl Headers {
    /// Parses the headers of a whole packet.
    ///
    /// # Errors
    /// Fails when the bytes are not a packet, or its transport header is incomplete.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let headers = Self::parse_quoted(bytes)?;
        if headers.length > bytes.len() {
            return Err(ParseError::Truncated);
        }
        let needed = match headers.transport {
            Transport::Udp { .. } | Transport::Query { .. } | Transport::Error => 8,
            Transport::Tcp { .. } => 20,
            Transport::OtherIcmp => 4,
            Transport::Later | Transport::Unknown => 0,
        };
        if headers.transport_at + needed > headers.length {
            return Err(ParseError::Truncated);
        }
        Ok(headers)
    }

    /// Parses the headers of a packet that may be cut short, as those quoted in ICMP errors are.
    ///
    /// # Errors
    /// Fails when the IP header or the first 8 bytes of the transport header are missing.
    #[inline]
    pub fn parse_quoted(bytes: &[u8]) -> Result<Self, ParseError> {
        match u8_at(bytes, 0).ok_or(ParseError::Truncated)? >> 4 {
            4 => parse_v4(bytes),
            6 => parse_v6(bytes),
            _ => Err(ParseError::Version),
        }
    }

    /// Returns whether this is an IPv4 packet.
    #[must_use]
    pub fn is_v4(&self) -> bool {
        self.source.is_v4()
    }

    /// Returns the source address with its port or query identifier; `None` if the packet has
    /// neither.
    #[must_use]
    pub fn source_endpoint(&self) -> Option<Endpoint> {
        let port = match self.transport {
            Transport::Udp { source, .. } | Transport::Tcp { source, .. } => source,
            Transport::Query { id, .. } => id,
            _ => return None,
        };
        Some(Endpoint::new(self.source, port))
    }

    /// Returns the destination address with its port or query identifier; `None` if the packet has
    /// neither.
    #[must_use]
    pub fn destination_endpoint(&self) -> Option<Endpoint> {
        let port = match self.transport {
            Transport::Udp { destination, .. } | Transport::Tcp { destination, .. } => destination,
            Transport::Query { id, .. } => id,
            _ => return None,
        };
        Some(Endpoint::new(self.destination, port))
    }

    /// Returns where the data after the transport header starts.
    #[must_use]
    pub fn data_at(&self, bytes: &[u8]) -> usize {
        let header = match self.transport {
            Transport::Tcp { .. } => {
                usize::from(u8_at(bytes, self.transport_at + 12).unwrap_or(0) >> 4) * 4
            }
            Transport::Later => 0,
            _ => 8,
        };
        (self.transport_at + header).min(self.length)
    }
}

#[inline]
fn parse_v4(bytes: &[u8]) -> Result<Headers, ParseError> {
    let fixed: &[u8; 20] = bytes.first_chunk().ok_or(ParseError::Truncated)?;
    let header = usize::from(fixed[0] & 0x0f) * 4;
    let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if header < 20 || length < header {
        return Err(ParseError::Length);
    }
    let flags = u16::from_be_bytes([fixed[6], fixed[7]]);
    let offset = usize::from(flags & 0x1fff) * 8;
    let more = flags & 0x2000 != 0;
    // The fragment would end beyond the largest packet, as in the «ping of death».
    if offset + (length - header) > 0xffff {
        return Err(ParseError::Length);
    }
    let fragment = (offset != 0 || more).then(|| Fragment {
        id: u32::from(u16::from_be_bytes([fixed[4], fixed[5]])),
        offset,
        more,
    });
    let protocol = fixed[9];
    Ok(Headers {
        source: Address::v4(u32::from_be_bytes([
            fixed[12], fixed[13], fixed[14], fixed[15],
        ])),
        destination: Address::v4(u32::from_be_bytes([
            fixed[16], fixed[17], fixed[18], fixed[19],
        ])),
        protocol,
        transport_at: header,
        protocol_at: 9,
        fragment_at: None,
        length,
        ttl: fixed[8],
        dont_fragment: flags & 0x4000 != 0,
        fragment,
        transport: transport(bytes, header, protocol, offset)?,
    })
}

fn parse_v6(bytes: &[u8]) -> Result<Headers, ParseError> {
    let fixed: &[u8; 40] = bytes.first_chunk().ok_or(ParseError::Truncated)?;
    let source = Address::v6(u128_at(fixed, 8).ok_or(ParseError::Truncated)?);
    let destination = Address::v6(u128_at(fixed, 24).ok_or(ParseError::Truncated)?);
    // An IPv4-mapped address would be taken for the IPv4 host of that number.
    if source.is_v4() || destination.is_v4() {
        return Err(ParseError::MappedAddress);
    }
    let length = 40 + usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    let chain = Chain::walk(bytes, fixed[6])?;
    if chain.at > length {
        return Err(ParseError::Length);
    }
    let offset = chain.fragment.map_or(0, |(_, fragment)| fragment.offset);
    if offset + (length - chain.at) > 0xffff {
        return Err(ParseError::Length);
    }
    Ok(Headers {
        source,
        destination,
        protocol: chain.protocol,
        transport_at: chain.at,
        protocol_at: chain.protocol_at,
        fragment_at: chain.fragment.map(|(at, _)| at),
        length,
        ttl: fixed[7],
        dont_fragment: true,
        fragment: chain.fragment.map(|(_, fragment)| fragment),
        transport: transport(bytes, chain.at, chain.protocol, offset)?,
    })
}

/// A walk along IPv6 extension headers
/// ([RFC 8200 §4](https://www.rfc-editor.org/rfc/rfc8200#section-4)).
struct Chain {
    protocol: u8,
    protocol_at: usize,
    at: usize,
    fragment: Option<(usize, Fragment)>,
}

impl Chain {
    fn walk(bytes: &[u8], first: u8) -> Result<Self, ParseError> {
        let mut chain = Self {
            protocol: first,
            protocol_at: 6,
            at: 40,
            fragment: None,
        };
        for _ in 0..=MAX_EXTENSION_HEADERS {
            let later = chain
                .fragment
                .is_some_and(|(_, fragment)| fragment.offset > 0);
            match chain.protocol {
                protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION_OPTIONS
                    if !later =>
                {
                    let units = u8_at(bytes, chain.at + 1).ok_or(ParseError::Truncated)?;
                    chain.step(bytes, 8 + usize::from(units) * 8)?;
                }
                // A second fragment header is left as an unknown protocol: no sender writes one.
                protocol::FRAGMENT if chain.fragment.is_none() => {
                    let at = chain.at;
                    let place = u16_at(bytes, at + 2).ok_or(ParseError::Truncated)?;
                    let id = u32_at(bytes, at + 4).ok_or(ParseError::Truncated)?;
                    chain.step(bytes, 8)?;
                    let fragment = Fragment {
                        id,
                        offset: usize::from(place & 0xfff8),
                        more: place & 1 != 0,
                    };
                    chain.fragment = Some((at, fragment));
                }
                _ => return Ok(chain),
            }
        }
        Err(ParseError::Extensions)
    }

    fn step(&mut self, bytes: &[u8], length: usize) -> Result<(), ParseError> {
        self.protocol = u8_at(bytes, self.at).ok_or(ParseError::Truncated)?;
        self.protocol_at = self.at;
        self.at += length;
        if self.at > bytes.len() {
            return Err(ParseError::Truncated);
        }
        Ok(())
    }
}

#[inline]
fn transport(
    bytes: &[u8],
    at: usize,
    protocol: u8,
    offset: usize,
) -> Result<Transport, ParseError> {
    if offset > 0 {
        return Ok(Transport::Later);
    }
    let first: Option<&[u8; 8]> = bytes.get(at..).and_then(<[u8]>::first_chunk);
    let ports = |first: &[u8; 8]| {
        (
            u16::from_be_bytes([first[0], first[1]]),
            u16::from_be_bytes([first[2], first[3]]),
        )
    };
    match protocol {
        protocol::UDP => {
            let (source, destination) = ports(first.ok_or(ParseError::Truncated)?);
            Ok(Transport::Udp {
                source,
                destination,
            })
        }
        protocol::TCP => {
            let (source, destination) = ports(first.ok_or(ParseError::Truncated)?);
            // A quote in an ICMP error often ends after eight bytes, before the flags.
            let flags = TcpFlags(u8_at(bytes, at + 13).unwrap_or(0));
            Ok(Transport::Tcp {
                source,
                destination,
                flags,
            })
        }
        protocol::ICMP | protocol::ICMPV6 => {
            let first = first.ok_or(ParseError::Truncated)?;
            let id = u16::from_be_bytes([first[4], first[5]]);
            Ok(icmp(protocol, first[0], id))
        }
        _ => Ok(Transport::Unknown),
    }
}

/// Classifies ICMP types as queries, errors and others
/// ([RFC 5508 §2](https://www.rfc-editor.org/rfc/rfc5508#section-2),
/// [RFC 4443 §2.1](https://www.rfc-editor.org/rfc/rfc4443#section-2.1)).
///
/// Source Quench and Information messages count as others, because no NAT should support them (RFC
/// 5508 REQ-10c).
fn icmp(protocol: u8, kind: u8, id: u16) -> Transport {
    match (protocol, kind) {
        (protocol::ICMP, 8 | 13 | 17) | (protocol::ICMPV6, 128) => Transport::Query {
            id,
            response: false,
        },
        (protocol::ICMP, 0 | 14 | 18) | (protocol::ICMPV6, 129) => {
            Transport::Query { id, response: true }
        }
        // Redirect (5) is an error to RFC 1122, but it speaks of the local link and must not cross
        // a NAT.
        (protocol::ICMP, 3 | 11 | 12) | (protocol::ICMPV6, 1..=4) => Transport::Error,
        _ => Transport::OtherIcmp,
    }
}

/// How many IPv6 extension headers are read before a packet is refused. Without a limit, one
/// packet could hold a thousand empty ones.
const MAX_EXTENSION_HEADERS: usize = 8;
