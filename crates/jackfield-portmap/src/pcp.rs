//! PCP messages ([RFC 6887](https://www.rfc-editor.org/rfc/rfc6887)), both directions.

mod option;
mod request;
mod response;
mod result;

pub use option::{Filter, PcpOption};
pub use request::{Request, RequestError};
pub use response::{Response, ResponseError, refusal};
pub use result::ResultCode;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use jackfield_nat::packet::bytes::{u8_at, u16_at, u128_at};

/// The opcode of a message with its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Asks whether the server is present and since when
    /// ([RFC 6887 §14.1](https://www.rfc-editor.org/rfc/rfc6887#section-14.1)).
    Announce,
    /// A mapping that every remote may send to
    /// ([RFC 6887 §11](https://www.rfc-editor.org/rfc/rfc6887#section-11)).
    Map(Map),
    /// A flow to one remote ([RFC 6887 §12](https://www.rfc-editor.org/rfc/rfc6887#section-12)).
    Peer(Peer),
}

/// A mapping: the suggested one in a request, the assigned one in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Map {
    /// The nonce of the mapping, which only the client that made it knows.
    pub nonce: Nonce,
    /// The protocol number; zero for all protocols.
    pub protocol: u8,
    /// The inside port; zero for all ports.
    pub internal_port: u16,
    /// The outside port; zero in a request for any.
    pub external_port: u16,
    /// The outside address; unspecified in a request for any of its family.
    pub external_address: IpAddr,
}

/// A flow to one remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The mapping of the flow.
    pub map: Map,
    /// The port of the remote.
    pub remote_port: u16,
    /// The address of the remote.
    pub remote_address: IpAddr,
}

/// A mapping nonce. A client has to know it to change a mapping, so that a program with a spoofed
/// address cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce(pub [u8; 12]);

impl Body {
    fn opcode(&self) -> u8 {
        match self {
            Self::Announce => ANNOUNCE,
            Self::Map(_) => MAP,
            Self::Peer(_) => PEER,
        }
    }

    /// Returns the length of the data of an opcode.
    fn length(opcode: u8) -> Option<usize> {
        match opcode {
            ANNOUNCE => Some(0),
            MAP => Some(MAP_LENGTH),
            PEER => Some(PEER_LENGTH),
            _ => None,
        }
    }

    /// Reads the data of an opcode.
    fn read(opcode: u8, message: &[u8]) -> Option<Self> {
        match opcode {
            ANNOUNCE => Some(Self::Announce),
            MAP => Map::read(message).map(Self::Map),
            PEER => Peer::read(message).map(Self::Peer),
            _ => None,
        }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Announce => {}
            Self::Map(map) => map.write(bytes),
            Self::Peer(peer) => peer.write(bytes),
        }
    }
}

impl Map {
    fn read(message: &[u8]) -> Option<Self> {
        let nonce = message.get(HEADER..HEADER + 12)?;
        Some(Self {
            nonce: Nonce(nonce.try_into().ok()?),
            protocol: u8_at(message, HEADER + 12)?,
            internal_port: u16_at(message, HEADER + 16)?,
            external_port: u16_at(message, HEADER + 18)?,
            external_address: address_at(message, HEADER + 20)?,
        })
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.nonce.0);
        bytes.extend([self.protocol, 0, 0, 0]);
        bytes.extend(self.internal_port.to_be_bytes());
        bytes.extend(self.external_port.to_be_bytes());
        write_address(bytes, self.external_address);
    }
}

impl Peer {
    fn read(message: &[u8]) -> Option<Self> {
        Some(Self {
            map: Map::read(message)?,
            remote_port: u16_at(message, HEADER + 36)?,
            remote_address: address_at(message, HEADER + 40)?,
        })
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        self.map.write(bytes);
        bytes.extend(self.remote_port.to_be_bytes());
        bytes.extend([0, 0]);
        write_address(bytes, self.remote_address);
    }
}

/// Returns whether an epoch shows that the server has lost its state since an earlier one
/// ([RFC 6887 §8.5](https://www.rfc-editor.org/rfc/rfc6887#section-8.5)): its clock went back, or
/// it and ours differ by more than a sixteenth and two seconds.
#[must_use]
pub fn has_lost_state(earlier: u32, later: u32, between: Duration) -> bool {
    let (earlier, later) = (u64::from(earlier), u64::from(later));
    if later + 1 < earlier {
        return true;
    }
    let (ours, theirs) = (between.as_secs(), later.saturating_sub(earlier));
    ours + 2 < theirs - theirs / 16 || theirs + 2 < ours - ours / 16
}

/// Reads an address; IPv4 addresses are IPv4-mapped
/// ([RFC 6887 §5](https://www.rfc-editor.org/rfc/rfc6887#section-5)).
fn address_at(bytes: &[u8], at: usize) -> Option<IpAddr> {
    let address = Ipv6Addr::from_bits(u128_at(bytes, at)?);
    Some(match address.to_ipv4_mapped() {
        Some(v4) => IpAddr::V4(v4),
        None => IpAddr::V6(address),
    })
}

fn write_address(bytes: &mut Vec<u8>, address: IpAddr) {
    let v6 = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    bytes.extend(v6.octets());
}

/// Returns the unspecified address of the same family, which stands for any address in a request.
#[must_use]
pub fn any_like(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The version of the protocol.
pub const VERSION: u8 = 2;
/// The longest message, in bytes
/// ([RFC 6887 §7](https://www.rfc-editor.org/rfc/rfc6887#section-7)).
pub const LONGEST: usize = 1100;

const RESPONSE: u8 = 0x80;
const ANNOUNCE: u8 = 0;
const MAP: u8 = 1;
const PEER: u8 = 2;
/// Length of the common header of requests and responses.
const HEADER: usize = 24;
const MAP_LENGTH: usize = 36;
const PEER_LENGTH: usize = 56;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_shows_lost_state_when_the_clocks_part() {
        let lost = |earlier, later, s| has_lost_state(earlier, later, Duration::from_secs(s));
        assert!(!lost(100, 99, 0));
        assert!(lost(100, 98, 0));
        assert!(!lost(100, 1060, 1000));
        assert!(lost(100, 1, 1000));
        assert!(!lost(0, 936, 1000), "a sixteenth and two seconds slow");
        assert!(lost(0, 935, 1000));
        assert!(lost(0, 1070, 1000), "faster than any clock");
        assert!(!lost(u32::MAX, u32::MAX, 1));
    }
}
