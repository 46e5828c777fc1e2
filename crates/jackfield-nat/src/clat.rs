//! The customer's side of 464XLAT.

use std::net::Ipv4Addr;

use crate::packet::translate::{Header, Quote, error, header, transport};
use crate::packet::{Headers, Packet, Transport};
use crate::{Address, DropReason, Endpoint, Prefix};

/// The customer's side of 464XLAT ([RFC 6877](https://www.rfc-editor.org/rfc/rfc6877)): it lets
/// IPv4 programs run on an IPv6-only host, and keeps no state.
///
/// ```
/// use jackfield_nat::packet::{Headers, Packet, build};
/// use jackfield_nat::{Clat, Prefix};
///
/// let clat = Clat { local: "fd00:64::/96".parse()?, pref64: Prefix::WELL_KNOWN_64 };
/// let mut bytes = vec![0; Packet::HEADROOM];
/// bytes.extend(build::udp("192.168.1.2:5000".parse()?, "198.51.100.9:3478".parse()?, b"hello"));
/// let mut packet = Packet::with_headroom(&mut bytes, Packet::HEADROOM);
/// clat.to_v6(&mut packet)?;
/// let headers = Headers::parse(packet.bytes())?;
/// assert_eq!(headers.destination.to_string(), "64:ff9b::c633:6409");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Clat {
    /// The prefix that stands for the IPv4 addresses of the host.
    pub local: Prefix,
    /// The prefix that stands for all other IPv4 addresses.
    pub pref64: Prefix,
}

impl Clat {
    /// Translates an IPv4 packet from the host to IPv6. The buffer needs [`Packet::HEADROOM`].
    ///
    /// # Errors
    /// Fails when the packet has no equivalent in IPv6; its bytes are then undefined.
    pub fn to_v6(&self, packet: &mut Packet<'_>) -> Result<(), DropReason> {
        let headers = Headers::parse(packet.bytes()).map_err(|_| DropReason::Malformed)?;
        if !headers.is_v4() {
            return Err(DropReason::WrongFamily);
        }
        let translate = |own, other| {
            let own = embed(self.local, own);
            Some((own?, embed(self.pref64, other)?))
        };
        let (source, destination) =
            translate(headers.source, headers.destination).ok_or(DropReason::Untranslatable)?;
        cross(packet, &headers, source, destination, |quoted| {
            let (destination, source) = translate(quoted.destination, quoted.source)?;
            Some((source, destination))
        })
    }

    /// Translates an IPv6 packet for the host to IPv4. A source that stands for no IPv4 address,
    /// such as a router on the path, becomes 192.0.0.8
    /// ([RFC 7600 §4.8](https://www.rfc-editor.org/rfc/rfc7600#section-4.8)).
    ///
    /// # Errors
    /// Fails when the packet has no equivalent in IPv4 or is not for the host; its bytes are then
    /// undefined.
    pub fn to_v4(&self, packet: &mut Packet<'_>) -> Result<(), DropReason> {
        let headers = Headers::parse(packet.bytes()).map_err(|_| DropReason::Malformed)?;
        if headers.is_v4() {
            return Err(DropReason::WrongFamily);
        }
        let destination = extract(self.local, headers.destination).ok_or(DropReason::NotForUs)?;
        let source = extract(self.pref64, headers.source).unwrap_or(DUMMY_ADDRESS);
        cross(packet, &headers, source, destination, |quoted| {
            let source = extract(self.local, quoted.source)?;
            Some((source, extract(self.pref64, quoted.destination)?))
        })
    }
}

/// Translates a packet, or an error with the packet quoted in it, to the other IP version.
fn cross(
    packet: &mut Packet<'_>,
    headers: &Headers,
    source: Address,
    destination: Address,
    quoted_ends: impl Fn(&Headers) -> Option<(Address, Address)>,
) -> Result<(), DropReason> {
    let new = Header {
        source,
        destination,
        ttl: headers.ttl,
        id: 0,
    };
    if headers.transport != Transport::Error {
        // A CLAT translates addresses alone: ports stay, since every IPv4 address has its own IPv6
        // address.
        let (source, destination) = ends(headers, source, destination);
        transport(packet.bytes_mut(), headers, source, destination)?;
        return Ok(header(packet, headers, new)?);
    }
    let quote = packet.bytes().get(headers.transport_at + 8..);
    let quoted = Headers::parse_quoted(quote.unwrap_or_default());
    let quoted = quoted.map_err(|_| DropReason::Malformed)?;
    let (source, destination) = quoted_ends(&quoted).ok_or(DropReason::Untranslatable)?;
    let (source, destination) = ends(&quoted, source, destination);
    let quote = Quote {
        headers: quoted,
        source,
        destination,
    };
    Ok(error(packet, headers, new, quote, None)?)
}

/// Returns both ends with the ports that the packet already has.
fn ends(headers: &Headers, source: Address, destination: Address) -> (Endpoint, Endpoint) {
    let port = |endpoint: Option<Endpoint>| endpoint.map_or(0, |endpoint| endpoint.port);
    (
        Endpoint::new(source, port(headers.source_endpoint())),
        Endpoint::new(destination, port(headers.destination_endpoint())),
    )
}

fn embed(prefix: Prefix, address: Address) -> Option<Address> {
    let v6 = prefix.embed(Ipv4Addr::from_bits(address.to_v4()?))?;
    Some(v6.into())
}

fn extract(prefix: Prefix, address: Address) -> Option<Address> {
    let v4 = prefix.extract(std::net::Ipv6Addr::from_bits(address.bits()))?;
    Some(v4.into())
}

/// The IPv4 dummy address (RFC 7600), for sources without an IPv4 address.
const DUMMY_ADDRESS: Address = Address::v4(0xc000_0008);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{TcpFlags, build, verify};
    use proptest::prelude::*;
    use std::net::SocketAddr;

    const CLAT: Clat = Clat {
        local: Prefix::fixed(Address::v6(0xfd00_0064 << 96), 96),
        pref64: Prefix::WELL_KNOWN_64,
    };

    proptest! {
        #[test]
        fn the_way_there_and_back_gives_the_same_packet(
            ips in any::<[u32; 2]>(),
            ports in any::<[u16; 2]>(),
            data in proptest::collection::vec(any::<u8>(), 0..80),
            kind in 0..4,
            tos in any::<u8>(),
        ) {
            let [from, to] = [0, 1].map(|n| {
                SocketAddr::from((Ipv4Addr::from_bits(ips[n]), ports[n]))
            });
            let mut bytes = match kind {
                0 => build::udp(from, to, &data),
                1 => build::tcp(from, to, TcpFlags(TcpFlags::SYN), &data),
                2 => build::echo(from.ip(), to.ip(), ports[0], 1, false, &data),
                _ => build::echo(from.ip(), to.ip(), ports[0], 1, true, &data),
            };
            bytes[1] = tos;
            build::fill_ip_checksum(&mut bytes);
            let mut buffer = [&[0; Packet::HEADROOM], &bytes[..]].concat();
            let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
            CLAT.to_v6(&mut packet).unwrap();
            prop_assert!(verify(packet.bytes()).is_ok());
            let six = Headers::parse(packet.bytes()).unwrap();
            prop_assert_eq!(Some(six.source), embed(CLAT.local, from.ip().into()));
            prop_assert_eq!(Some(six.destination), embed(CLAT.pref64, to.ip().into()));
            // The host is on the other end of the way back.
            let mirror = Clat { local: CLAT.pref64, pref64: CLAT.local };
            mirror.to_v4(&mut packet).unwrap();
            prop_assert_eq!(packet.bytes(), bytes);
        }
    }

    #[test]
    fn a_router_without_an_ipv4_address_gets_the_dummy_address() {
        let from = "192.168.1.2:5000".parse().unwrap();
        let bytes = build::udp(from, "198.51.100.9:7".parse().unwrap(), b"x");
        let mut buffer = [&[0; Packet::HEADROOM], &bytes[..]].concat();
        let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
        CLAT.to_v6(&mut packet).unwrap();
        let router = Address::v6(0x2001_0db8 << 96 | 1);
        let error = crate::packet::IcmpError::TimeExceeded.about(router, packet.bytes());
        let mut error = error.unwrap();
        let mut packet = Packet::new(&mut error);
        CLAT.to_v4(&mut packet).unwrap();
        verify(packet.bytes()).unwrap();
        assert_eq!(
            Headers::parse(packet.bytes()).unwrap().source,
            DUMMY_ADDRESS
        );
        assert_eq!(packet.bytes()[20], 11);
        assert_eq!(&packet.bytes()[28 + 12..28 + 20], &bytes[12..20]);
    }
}
