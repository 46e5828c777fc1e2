//! Writing a message attribute by attribute.

use crate::attribute::{Attribute, AttributeType, fingerprint};
use crate::message::{Class, HEADER_LENGTH, MessageHeader, Method, TransactionId};
use crate::{Key, MessageTooLong, integrity};

/// Appends one message to a caller's buffer, attribute by attribute.
///
/// The length in the header is right after every step, so an integrity attribute covers what was
/// written before it. An attribute that does not fit is left out, and [`finish`](Self::finish) says
/// so.
#[derive(Debug)]
pub struct MessageWriter<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
    transaction: TransactionId,
    overflow: bool,
}

impl<'b> MessageWriter<'b> {
    /// Starts a message at the end of `out`.
    pub fn new(
        out: &'b mut Vec<u8>,
        class: Class,
        method: Method,
        transaction: TransactionId,
    ) -> Self {
        let start = out.len();
        let header = MessageHeader {
            class,
            method,
            length: 0,
            transaction,
        };
        header.write(out);
        Self {
            out,
            start,
            transaction,
            overflow: false,
        }
    }

    /// Appends an attribute.
    pub fn attribute<'v, A: Attribute<'v>>(&mut self, attribute: &A) {
        let transaction = self.transaction;
        self.append(A::TYPE, |out| attribute.encode(&transaction, out));
    }

    /// Appends an attribute of any type, with a value as it is.
    pub fn value(&mut self, kind: AttributeType, value: &[u8]) {
        self.append(kind, |out| out.extend_from_slice(value));
    }

    /// Appends MESSAGE-INTEGRITY over all before it.
    pub fn integrity_sha1(&mut self, key: &Key) {
        self.cover(AttributeType::MESSAGE_INTEGRITY, 20, |covered| {
            integrity::sha1(covered, 20, key).to_vec()
        });
    }

    /// Appends MESSAGE-INTEGRITY-SHA256, untruncated, over all before it.
    pub fn integrity_sha256(&mut self, key: &Key) {
        self.cover(AttributeType::MESSAGE_INTEGRITY_SHA256, 32, |covered| {
            integrity::sha256(covered, 32, key).to_vec()
        });
    }

    /// Appends FINGERPRINT, which must be the last attribute.
    pub fn fingerprint(&mut self) {
        self.cover(AttributeType::FINGERPRINT, 4, |covered| {
            fingerprint::compute(covered, 4).to_vec()
        });
    }

    /// Returns the message's length so far, in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.out.len() - self.start
    }

    /// Ends the message; returns its length in bytes.
    pub fn finish(self) -> Result<usize, MessageTooLong> {
        if self.overflow {
            return Err(MessageTooLong);
        }
        Ok(self.out.len() - self.start)
    }

    /// Appends an attribute whose value depends on the bytes of the message before it.
    fn cover(&mut self, kind: AttributeType, length: usize, value: impl FnOnce(&[u8]) -> Vec<u8>) {
        let covered = self.out.get(self.start..).unwrap_or(&[]);
        let value = value(covered);
        debug_assert_eq!(value.len(), length);
        self.append(kind, |out| out.extend_from_slice(&value));
    }

    fn append(&mut self, kind: AttributeType, encode: impl FnOnce(&mut Vec<u8>)) {
        let before = self.out.len();
        self.out.extend_from_slice(&kind.value().to_be_bytes());
        self.out.extend_from_slice(&[0, 0]);
        encode(self.out);
        let value = self.out.len() - before - 4;
        let end = before + 4 + value.next_multiple_of(4);
        // RFC 8489 §14: padding is zero when it is sent.
        self.out.resize(end, 0);
        let total = end - self.start - HEADER_LENGTH;
        let (Ok(value), Ok(total)) = (u16::try_from(value), u16::try_from(total)) else {
            // The buffer keeps a message that is whole as far as it goes; `finish` says that it
            // lacks something.
            self.out.truncate(before);
            self.overflow = true;
            return;
        };
        self.write_u16(before + 2, value);
        self.write_u16(self.start + 2, total);
    }

    fn write_u16(&mut self, at: usize, number: u16) {
        if let Some(place) = self.out.get_mut(at..at + 2) {
            place.copy_from_slice(&number.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::attribute::{Realm, Software};

    #[test]
    fn an_attribute_that_does_not_fit_is_left_out_and_reported() {
        let long = "x".repeat(700);
        let mut bytes = b"before".to_vec();
        let mut writer = MessageWriter::new(
            &mut bytes,
            Class::Request,
            Method::BINDING,
            TransactionId::new([0; 12]),
        );
        for _ in 0..100 {
            writer.attribute(&Realm(&long));
        }
        assert_eq!(writer.finish(), Err(MessageTooLong));
        assert!(Message::parse(&bytes[6..]).is_ok());
    }

    #[test]
    fn padding_is_zero() {
        let mut bytes = Vec::new();
        let mut writer = MessageWriter::new(
            &mut bytes,
            Class::Request,
            Method::BINDING,
            TransactionId::new([0; 12]),
        );
        writer.attribute(&Software("abcde"));
        writer.finish().unwrap();
        assert_eq!(&bytes[20..], b"\x80\x22\0\x05abcde\0\0\0");
    }
}
