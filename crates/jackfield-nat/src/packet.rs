//! IPv4 and IPv6 packets as bytes: parsed, changed in place with incremental checksum updates,
//! built, described.

pub mod build;
pub mod bytes;
pub mod checksum;
mod datagram;
mod describe;
mod error;
pub mod fragment;
mod headers;
mod offload;
pub mod protocol;
pub mod rewrite;
pub(crate) mod source_route;
pub mod trains;
pub(crate) mod translate;
pub(crate) mod verify;

pub use datagram::Datagram;
pub use describe::describe;
pub use error::IcmpError;
pub(crate) use error::is_one_host;
pub use headers::{Fragment, Headers, ParseError, TcpFlags, Transport};
pub use offload::{Offload, TrainKind};
pub use verify::{ChecksumError, verify};

/// A packet in the caller's buffer, with room around it for headers to grow.
///
/// Only NAT64 changes a packet's length: IPv4 to IPv6 needs [`Packet::HEADROOM`] bytes before the
/// packet.
#[derive(Debug)]
pub struct Packet<'a> {
    buffer: &'a mut [u8],
    start: usize,
    end: usize,
}

impl<'a> Packet<'a> {
    /// How much room before a packet is enough for every translation, in bytes: a longer IP header
    /// and a fragment header, twice in ICMP errors.
    pub const HEADROOM: usize = 56;

    /// Takes a packet that fills its buffer.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        let end = bytes.len();
        Self {
            buffer: bytes,
            start: 0,
            end,
        }
    }

    /// Takes a packet that starts `headroom` bytes into its buffer and fills the rest.
    pub fn with_headroom(buffer: &'a mut [u8], headroom: usize) -> Self {
        let end = buffer.len();
        Self {
            buffer,
            start: headroom.min(end),
            end,
        }
    }

    /// Returns the packet's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Returns the packet's bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer
            .get_mut(self.start..self.end)
            .unwrap_or_default()
    }

    /// Puts other bytes in place of the first `old`; returns whether there was room.
    pub(crate) fn replace_front(&mut self, old: usize, new: &[u8]) -> bool {
        let Some(start) = (self.start + old).checked_sub(new.len()) else {
            return false;
        };
        let Some(place) = self.buffer.get_mut(start..start + new.len()) else {
            return false;
        };
        place.copy_from_slice(new);
        self.start = start;
        true
    }

    /// Becomes another packet; returns whether there was room.
    pub(crate) fn replace(&mut self, new: &[u8]) -> bool {
        // What ends where the old one ends leaves room in front, which a next translation may
        // need.
        let start = self.end.saturating_sub(new.len());
        let Some(place) = self.buffer.get_mut(start..start + new.len()) else {
            return false;
        };
        place.copy_from_slice(new);
        self.start = start;
        self.end = start + new.len();
        true
    }

    /// Cuts off what lies behind `length`, such as an Ethernet frame's padding.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.end = self.end.min(self.start + length);
    }
}
