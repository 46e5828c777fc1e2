use std::fmt;
use std::net::SocketAddr;

use jackfield_sansio::FiveTuple;

/// Data that goes straight through: what the driver sends at once, before it asks for outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relay<'b> {
    /// Send `payload` from the socket bound to `relayed` to `peer`.
    ToPeer {
        /// The address that the relay socket is bound to, as [`Output::Bind`](crate::Output::Bind) was answered.
        relayed: SocketAddr,
        /// Where to. Where a client names a relayed address of this process by its advertised address, this is the
        /// address that relay is bound to, so that two clients of one server reach each other behind a 1:1 NAT.
        peer: SocketAddr,
        /// What: exactly this and nothing of the message around it.
        payload: &'b [u8],
        /// Send with the DF bit set, and rather not at all than in fragments ([RFC 8656 §15]).
        ///
        /// [RFC 8656 §15]: https://www.rfc-editor.org/rfc/rfc8656#section-15
        dont_fragment: bool,
    },
    /// Send `header`, `payload` and `padding` zero bytes, as one message, along `path` (from its local to its remote end).
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

/// The bytes before the payload of a message to a client, held in place so that no packet allocates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; Self::MAX],
    length: u8,
}

impl Header {
    /// The most bytes a header has: a Data indication (20) with an IPv6 XOR-PEER-ADDRESS (24) and DATA's own header (4).
    pub const MAX: usize = 48;

    /// Returns the header's bytes.
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
