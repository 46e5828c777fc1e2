//! The first 20 bytes of a message.

use std::fmt;

use crate::DecodeError;

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// Answers a request that was done.
    Success,
    /// Answers a request that was refused.
    Error,
}

/// What a request asks for, or an indication tells: a number of 12 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Method(u16);

impl Method {
    /// "What is my address?"
    pub const BINDING: Self = Self(0x001);

    /// Returns the method of this number, of which the lower 12 bits count.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number & 0xFFF)
    }

    /// Returns the number.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }
}

/// The 96 bits that join an answer to its request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId([u8; 12]);

impl TransactionId {
    /// Makes one of 12 bytes, which a client takes from a good source of randomness.
    #[must_use]
    pub const fn new(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// The first 20 bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHeader {
    /// What the message is for.
    pub class: Class,
    /// What it asks or tells.
    pub method: Method,
    /// How many bytes follow the header.
    pub length: u16,
    /// Which transaction it is of.
    pub transaction: TransactionId,
}

impl MessageHeader {
    /// Reads the header at the front of `bytes`; what follows it is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some(header) = bytes.first_chunk::<HEADER_LENGTH>() else {
            return Err(DecodeError::TooShort(bytes.len()));
        };
        let &[t0, t1, l0, l1, c0, c1, c2, c3, ref id @ ..] = header;
        // RFC 8489 §5: these two bits tell STUN from other protocols on the same port.
        if t0 & 0xC0 != 0 {
            return Err(DecodeError::NotStun);
        }
        // A message of RFC 3489 has random bytes here and other rules, which are not served.
        if [c0, c1, c2, c3] != MAGIC_COOKIE {
            return Err(DecodeError::Cookie);
        }
        let (class, method) = split_type(u16::from_be_bytes([t0, t1]));
        Ok(Self {
            class,
            method,
            length: u16::from_be_bytes([l0, l1]),
            transaction: TransactionId(*id),
        })
    }

    /// Appends the header's bytes to `out`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&join_type(self.class, self.method).to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(&MAGIC_COOKIE);
        out.extend_from_slice(&self.transaction.0);
    }
}

/// Returns whether bytes on a shared port look like STUN: the first two bits are zero and the
/// cookie is there (RFC 7983).
#[must_use]
pub fn looks_like_stun(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first & 0xC0 == 0) && bytes.get(4..8) == Some(&MAGIC_COOKIE)
}

/// The class bits sit at 4 and 8 amid the method's bits.
fn split_type(bits: u16) -> (Class, Method) {
    let class = match (bits & 0x100 != 0, bits & 0x010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    };
    // The method closes the two gaps that the class bits leave (RFC 8489 §5).
    let method = bits & 0x000F | (bits & 0x00E0) >> 1 | (bits & 0x3E00) >> 2;
    (class, Method(method))
}

fn join_type(class: Class, method: Method) -> u16 {
    let class = match class {
        Class::Request => 0x000,
        Class::Indication => 0x010,
        Class::Success => 0x100,
        Class::Error => 0x110,
    };
    let Method(method) = method;
    method & 0x000F | (method & 0x0070) << 1 | (method & 0x0F80) << 2 | class
}

/// The length of a message's header in bytes.
pub const HEADER_LENGTH: usize = 20;

/// What bytes 4 to 7 of every message are ([RFC 8489 §5]).
///
/// [RFC 8489 §5]: https://www.rfc-editor.org/rfc/rfc8489#section-5
pub const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_14_bits_is_read_back_as_written() {
        for bits in 0..0x4000 {
            let (class, method) = split_type(bits);
            assert_eq!(join_type(class, method), bits);
        }
        assert_eq!(split_type(0x0101), (Class::Success, Method::BINDING));
        assert_eq!(split_type(0x0111), (Class::Error, Method::BINDING));
        assert_eq!(split_type(0x0016), (Class::Indication, Method::new(6)));
    }

    #[test]
    fn a_header_without_cookie_or_with_high_bits_is_refused() {
        let mut bytes = [0; 20];
        assert_eq!(MessageHeader::parse(&bytes), Err(DecodeError::Cookie));
        bytes[4..8].copy_from_slice(&MAGIC_COOKIE);
        assert!(MessageHeader::parse(&bytes).is_ok());
        bytes[0] = 0x40;
        assert_eq!(MessageHeader::parse(&bytes), Err(DecodeError::NotStun));
        assert_eq!(
            MessageHeader::parse(&bytes[..19]),
            Err(DecodeError::TooShort(19))
        );
    }
}
