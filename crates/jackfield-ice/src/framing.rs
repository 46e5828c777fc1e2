//! Packets on a byte stream: each has its length before it, in 16 bits ([RFC 4571], by
//! [RFC 6544 §3]).
//!
//! [RFC 4571]: https://www.rfc-editor.org/rfc/rfc4571
//! [RFC 6544 §3]: https://www.rfc-editor.org/rfc/rfc6544#section-3

/// How many bytes of length stand before a packet.
pub const PREFIX: usize = 2;

/// The longest packet whose length fits into the prefix.
pub const MAX_PACKET: usize = 65_535;

/// A packet is too long for a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a packet of {0} bytes is longer than allowed")]
pub struct PacketTooLong(pub usize);

/// Returns what stands before `packet` on the stream.
///
/// # Errors
/// When the packet has more than [`MAX_PACKET`] bytes.
pub fn prefix(packet: &[u8]) -> Result<[u8; PREFIX], PacketTooLong> {
    u16::try_from(packet.len())
        .map(u16::to_be_bytes)
        .map_err(|_| PacketTooLong(packet.len()))
}

/// Appends `packet` and the length before it to `out`.
///
/// # Errors
/// When the packet has more than [`MAX_PACKET`] bytes; `out` is as it was.
pub fn write(packet: &[u8], out: &mut Vec<u8>) -> Result<(), PacketTooLong> {
    out.extend_from_slice(&prefix(packet)?);
    out.extend_from_slice(packet);
    Ok(())
}

/// Returns the packet at the front of `stream`, or `None` when it is not all there.
///
/// It and its length take [`PREFIX`] bytes more than the packet has. `max` bounds what is accepted,
/// in bytes.
///
/// # Errors
/// When the length is above `max`; the stream cannot be followed any further.
///
/// ```
/// use jackfield_ice::framing::first_packet;
///
/// assert_eq!(first_packet(b"\x00\x02hi\x00", 100), Ok(Some(&b"hi"[..])));
/// assert_eq!(first_packet(b"\x00", 100), Ok(None));
/// assert!(first_packet(b"\x01\x00", 100).is_err());
/// ```
pub fn first_packet(stream: &[u8], max: usize) -> Result<Option<&[u8]>, PacketTooLong> {
    let Some((prefix, rest)) = stream.split_first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes(*prefix));
    if length > max {
        return Err(PacketTooLong(length));
    }
    Ok(rest.get(..length))
}

/// Cuts a stream into packets, whatever pieces it comes in.
///
/// It keeps one packet at most, and allocates only for bytes that have come: a length that a
/// stranger claims costs no memory.
///
/// ```
/// use jackfield_ice::framing::Reader;
///
/// let mut reader = Reader::new(1_500);
/// let mut packets = Vec::new();
/// for piece in [&b"\x00"[..], b"\x02h", b"i\x00\x03you"] {
///     reader.read(piece, |packet| packets.push(packet.to_vec())).unwrap();
/// }
/// assert_eq!(packets, [&b"hi"[..], b"you"]);
/// ```
#[derive(Debug, Clone)]
pub struct Reader {
    /// The beginning of a packet, its length included.
    partial: Vec<u8>,
    max: usize,
}

impl Reader {
    /// Returns a reader of packets of at most `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            partial: Vec::new(),
            max,
        }
    }

    /// Returns the reader with another limit, which packets have from the next one on.
    #[must_use]
    pub fn with_max(self, max: usize) -> Self {
        Self { max, ..self }
    }

    /// Takes the next piece of the stream, and gives each packet that is complete to `packet`.
    ///
    /// Empty packets, which keep a connection alive, are given too.
    ///
    /// # Errors
    /// When a packet is longer than allowed; the stream cannot be followed any further.
    pub fn read(
        &mut self,
        mut piece: &[u8],
        mut packet: impl FnMut(&[u8]),
    ) -> Result<(), PacketTooLong> {
        while !self.partial.is_empty() {
            let missing = self.missing()?;
            let Some((taken, rest)) = piece.split_at_checked(missing) else {
                self.partial.extend_from_slice(piece);
                return Ok(());
            };
            self.partial.extend_from_slice(taken);
            piece = rest;
            if let Some(complete) = first_packet(&self.partial, self.max)? {
                packet(complete);
                self.partial.clear();
            }
        }
        while let Some(complete) = first_packet(piece, self.max)? {
            packet(complete);
            piece = piece.get(PREFIX + complete.len()..).unwrap_or_default();
        }
        self.partial.extend_from_slice(piece);
        Ok(())
    }

    /// Returns how many bytes are kept for a packet that is not complete.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.partial.len()
    }

    /// Returns how many bytes the length, or else the packet, lacks.
    fn missing(&self) -> Result<usize, PacketTooLong> {
        let Some((prefix, rest)) = self.partial.split_first_chunk::<PREFIX>() else {
            return Ok(PREFIX - self.partial.len());
        };
        let length = usize::from(u16::from_be_bytes(*prefix));
        if length > self.max {
            return Err(PacketTooLong(length));
        }
        Ok(length - rest.len().min(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_packet_that_is_too_long_is_refused_at_its_length() {
        let mut reader = Reader::new(4);
        let mut count = 0;
        let mut read = |piece: &[u8]| reader.read(piece, |_| count += 1);
        assert_eq!(read(b"\x00\x04abcd\x00"), Ok(()));
        assert_eq!(read(b"\x05"), Err(PacketTooLong(5)));
        assert_eq!(read(b"abcde"), Err(PacketTooLong(5)));
        assert_eq!(count, 1);
        assert_eq!(
            write(&[0; MAX_PACKET + 1], &mut Vec::new()),
            Err(PacketTooLong(65_536))
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_in_any_pieces(
            packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 0..6),
            cuts in proptest::collection::vec(1usize..400, 1..20),
        ) {
            let mut stream = Vec::new();
            for packet in &packets {
                write(packet, &mut stream).unwrap();
            }
            let mut reader = Reader::new(600);
            let mut read = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at(rest.len().min(*cut));
                reader.read(piece, |packet| read.push(packet.to_vec())).unwrap();
                prop_assert!(reader.buffered() < 602);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(read, packets);
            prop_assert_eq!(reader.buffered(), 0);
        }
    }
}
