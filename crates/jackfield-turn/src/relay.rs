//! Data that goes straight through, and the headers before it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use jackfield_sansio::FiveTuple;
use jackfield_stun::attribute::address;
use jackfield_stun::{MAGIC_COOKIE, TransactionId};

use crate::AllocationId;
use crate::attribute::kind;

/// Data that goes straight through: what the driver sends at once, before it asks for outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relay<'b> {
    /// Send `payload` from the socket bound to `relayed` to `peer`.
    ToPeer {
        /// Whose data it is.
        allocation: AllocationId,
        /// The address that the relay socket is bound to, as [`Output::Bind`](crate::Output::Bind)
        /// was answered.
        relayed: SocketAddr,
        /// Where to. Where a client names a relayed address of this process by its advertised
        /// address, this is the address that relay is bound to, so that two clients of one server
        /// reach each other behind a 1:1 NAT.
        peer: SocketAddr,
        /// What: exactly this and nothing of the message around it.
        payload: &'b [u8],
        /// Send with the DF bit set, and rather not at all than in fragments ([RFC 8656 §15]).
        ///
        /// [RFC 8656 §15]: https://www.rfc-editor.org/rfc/rfc8656#section-15
        dont_fragment: bool,
    },
    /// Send `header`, `payload` and `padding` zero bytes, as one message, along `path` (from its
    /// local to its remote end).
    ToClient {
        /// Which client.
        path: FiveTuple,
        /// A ChannelData header, or a Data indication up to its data.
        header: Header,
        /// What the peer sent.
        payload: &'b [u8],
        /// How many zero bytes follow, 0 to 3.
        padding: u8,
    },
}

/// The bytes before the payload of a message between client and server, held in place so that no
/// packet allocates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; Self::MAX],
    length: u8,
}

impl Header {
    /// The most bytes a header has: an indication (20) with an IPv6 XOR-PEER-ADDRESS (24) and
    /// DATA's own header (4).
    pub const MAX: usize = 48;

    /// Returns the header's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// Returns the first four bytes of a ChannelData message.
    pub(crate) fn channel_data(number: u16, length: u16) -> Self {
        let mut header = Self::empty();
        header.push(&number.to_be_bytes());
        header.push(&length.to_be_bytes());
        header
    }

    /// Returns a Send or Data indication up to its data, if the length fits; `kind` is its class
    /// and method.
    pub(crate) fn indication(
        kind: u16,
        peer: SocketAddr,
        id: TransactionId,
        length: usize,
    ) -> Option<Self> {
        let peer = address::xor(peer, &id);
        let (family, ip_length): (u8, u16) = if peer.is_ipv4() { (1, 4) } else { (2, 16) };
        let address_length = 4 + ip_length;
        let data_length = u16::try_from(length).ok()?;
        let padded = u16::try_from(length.next_multiple_of(4)).ok()?;
        let total = (4 + address_length + 4).checked_add(padded)?;
        let mut header = Self::empty();
        header.push(&kind.to_be_bytes());
        header.push(&total.to_be_bytes());
        header.push(&MAGIC_COOKIE);
        header.push(id.as_bytes());
        header.push(&kind::XOR_PEER_ADDRESS.value().to_be_bytes());
        header.push(&address_length.to_be_bytes());
        header.push(&[0, family]);
        header.push(&peer.port().to_be_bytes());
        match peer.ip() {
            IpAddr::V4(ip) => header.push(&ip.octets()),
            IpAddr::V6(ip) => header.push(&ip.octets()),
        }
        header.push(&kind::DATA.value().to_be_bytes());
        header.push(&data_length.to_be_bytes());
        Some(header)
    }

    pub(crate) fn empty() -> Self {
        Self {
            bytes: [0; Self::MAX],
            length: 0,
        }
    }

    /// Appends `bytes`; what does not fit is left out, which no caller provokes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.length);
        if let Some(free) = self.bytes.get_mut(start..start + bytes.len()) {
            free.copy_from_slice(bytes);
            self.length = self
                .length
                .saturating_add(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
        } else {
            debug_assert!(false, "a header takes at most {} bytes", Self::MAX);
        }
    }
}

/// Returns how many bytes bring a length to a multiple of four.
pub(crate) fn padding(length: usize) -> u8 {
    match length % 4 {
        0 => 0,
        1 => 3,
        2 => 2,
        _ => 1,
    }
}

impl AsRef<[u8]> for Header {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", self.as_bytes())
    }
}
