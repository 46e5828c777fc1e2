//! Reading a message where it lies.

use crate::attribute::{Attribute, AttributeType, fingerprint};
use crate::message::{Class, HEADER_LENGTH, MessageHeader, Method, TransactionId};
use crate::{DecodeError, IntegrityError, Key, integrity};

/// A view of a well-formed message in someone's buffer; making one copies and allocates nothing.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    header: MessageHeader,
    /// Where the attributes end that count: before the first of the integrity attributes and
    /// FINGERPRINT.
    end: usize,
    /// Where MESSAGE-INTEGRITY starts.
    sha1: Option<usize>,
    /// Where MESSAGE-INTEGRITY-SHA256 starts.
    sha256: Option<usize>,
    has_fingerprint: bool,
}

impl<'a> Message<'a> {
    /// Reads a message that fills all of `bytes` ([RFC 8489 §6.3]).
    ///
    /// Every attribute is inside the message, and FINGERPRINT, if there, is last and right. The
    /// values of other attributes are looked at when they are asked for.
    ///
    /// [RFC 8489 §6.3]: https://www.rfc-editor.org/rfc/rfc8489#section-6.3
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let header = MessageHeader::parse(bytes)?;
        let (length, there) = (usize::from(header.length), bytes.len() - HEADER_LENGTH);
        // Attributes are padded to four bytes, so the length is a multiple of that (RFC 8489 §5).
        if length % 4 != 0 {
            return Err(DecodeError::Unaligned(length));
        }
        // A datagram holds one message and nothing else; streams are cut by `framing` before.
        if length != there {
            return Err(DecodeError::Length(length, there));
        }
        let mut message = Self {
            bytes,
            header,
            end: bytes.len(),
            sha1: None,
            sha256: None,
            has_fingerprint: false,
        };
        message.walk()?;
        Ok(message)
    }

    /// Checks every attribute's bounds and notes where integrity and fingerprint are.
    fn walk(&mut self) -> Result<(), DecodeError> {
        let mut at = HEADER_LENGTH;
        while let Some(found) = split_attribute(self.bytes, at)? {
            // RFC 8489 §14.7: FINGERPRINT is the last attribute. What stood behind it would be
            // checked by nothing.
            if self.has_fingerprint {
                return Err(DecodeError::AfterFingerprint);
            }
            match found.kind {
                //= https://www.rfc-editor.org/rfc/rfc8489#section-14.5
                //# Note that agents MUST ignore all attributes that follow MESSAGE-INTEGRITY, with the
                //# exception of the MESSAGE-INTEGRITY-SHA256 and FINGERPRINT attributes.
                AttributeType::MESSAGE_INTEGRITY
                    if self.sha1.is_none() && self.sha256.is_none() =>
                {
                    self.sha1 = Some(at);
                    self.end = self.end.min(at);
                }
                AttributeType::MESSAGE_INTEGRITY_SHA256 if self.sha256.is_none() => {
                    self.sha256 = Some(at);
                    self.end = self.end.min(at);
                }
                AttributeType::FINGERPRINT => {
                    fingerprint::check(self.bytes.get(..at).unwrap_or(&[]), found.value)?;
                    self.has_fingerprint = true;
                    self.end = self.end.min(at);
                }
                _ => {}
            }
            at = found.next;
        }
        Ok(())
    }

    /// Returns the header.
    #[must_use]
    pub fn header(&self) -> MessageHeader {
        self.header
    }

    /// Returns what the message is for.
    #[must_use]
    pub fn class(&self) -> Class {
        self.header.class
    }

    /// Returns what it asks or tells.
    #[must_use]
    pub fn method(&self) -> Method {
        self.header.method
    }

    /// Returns which transaction it is of.
    #[must_use]
    pub fn transaction(&self) -> TransactionId {
        self.header.transaction
    }

    /// Returns all its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns whether it has a FINGERPRINT, which then is right.
    #[must_use]
    pub fn has_fingerprint(&self) -> bool {
        self.has_fingerprint
    }

    /// Returns whether it has a MESSAGE-INTEGRITY.
    #[must_use]
    pub fn has_sha1(&self) -> bool {
        self.sha1.is_some()
    }

    /// Returns whether it has a MESSAGE-INTEGRITY-SHA256.
    #[must_use]
    pub fn has_sha256(&self) -> bool {
        self.sha256.is_some()
    }

    /// Returns the attributes that count, in order: all before the integrity attributes and
    /// FINGERPRINT.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes {
            bytes: self.bytes.get(..self.end).unwrap_or(&[]),
            at: HEADER_LENGTH,
        }
    }

    /// Returns the first attribute of a kind, decoded; `None` if there is none. Later ones of the
    /// kind don't count.
    pub fn get<A: Attribute<'a>>(&self) -> Result<Option<A>, DecodeError> {
        // RFC 8489 §14: only the first of a kind needs to be processed.
        match self.attributes().find(|(kind, _)| *kind == A::TYPE) {
            Some((_, value)) => A::decode(value, &self.header.transaction).map(Some),
            None => Ok(None),
        }
    }

    /// Returns every attribute of a kind, decoded.
    pub fn all<A: Attribute<'a>>(&self) -> impl Iterator<Item = Result<A, DecodeError>> + 'a {
        let transaction = self.header.transaction;
        self.attributes()
            .filter(|(kind, _)| *kind == A::TYPE)
            .map(move |(_, value)| A::decode(value, &transaction))
    }

    /// Returns whether an attribute of this type is there and counts.
    #[must_use]
    pub fn has(&self, kind: AttributeType) -> bool {
        self.attributes().any(|(found, _)| found == kind)
    }

    /// Returns the comprehension-required attributes that are not in `known`.
    pub fn unknown<'k>(
        &self,
        known: &'k [AttributeType],
    ) -> impl Iterator<Item = AttributeType> + use<'a, 'k> {
        self.attributes()
            .map(|(kind, _)| kind)
            .filter(|kind| kind.is_comprehension_required() && !known.contains(kind))
    }

    /// Checks MESSAGE-INTEGRITY (HMAC-SHA1).
    pub fn check_sha1(&self, key: &Key) -> Result<(), IntegrityError> {
        let (covered, value) = self.integrity(self.sha1)?;
        integrity::check_sha1(covered, key, value)
    }

    /// Checks MESSAGE-INTEGRITY-SHA256 (HMAC-SHA256, which must not be truncated).
    pub fn check_sha256(&self, key: &Key) -> Result<(), IntegrityError> {
        let (covered, value) = self.integrity(self.sha256)?;
        integrity::check_sha256(covered, key, value)
    }

    /// Returns the bytes an integrity attribute covers, and its value.
    fn integrity(&self, at: Option<usize>) -> Result<(&'a [u8], &'a [u8]), IntegrityError> {
        let at = at.ok_or(IntegrityError::Missing)?;
        let covered = self.bytes.get(..at);
        let found = split_attribute(self.bytes, at).ok().flatten();
        covered
            .zip(found.map(|found| found.value))
            .ok_or(IntegrityError::Missing)
    }
}

/// Iterates over attributes as types and values.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (AttributeType, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let found = split_attribute(self.bytes, self.at).ok().flatten()?;
        self.at = found.next;
        Some((found.kind, found.value))
    }
}

struct Split<'a> {
    kind: AttributeType,
    value: &'a [u8],
    /// Where the next attribute starts.
    next: usize,
}

/// Reads the attribute at `at`; `None` at the end of the message.
fn split_attribute(bytes: &[u8], at: usize) -> Result<Option<Split<'_>>, DecodeError> {
    let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else {
        return Ok(None);
    };
    let Some((&[t0, t1, l0, l1], rest)) = rest.split_first_chunk::<4>() else {
        return Err(DecodeError::Unaligned(bytes.len() - HEADER_LENGTH));
    };
    let kind = AttributeType::new(u16::from_be_bytes([t0, t1]));
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    // The padding belongs to the message, but not to the attribute's length (RFC 8489 §14). Its
    // bytes are ignored, whatever they are.
    let padded = length.next_multiple_of(4);
    match rest.get(..length) {
        Some(value) if padded <= rest.len() => Ok(Some(Split {
            kind,
            value,
            next: at + 4 + padded,
        })),
        _ => Err(DecodeError::AttributeOverrun(kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MessageWriter;
    use crate::attribute::{Realm, Software, Username};

    const ID: TransactionId = TransactionId::new(*b"abcdefghijkl");

    #[test]
    fn of_two_attributes_of_a_kind_the_first_counts() {
        let bytes = written(|writer| {
            writer.attribute(&Username("first"));
            writer.attribute(&Username("second"));
        });
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.get::<Username<'_>>().unwrap().unwrap().0, "first");
    }

    #[test]
    fn attributes_after_message_integrity_are_not_there() {
        let key = Key::short_term("pw");
        let mut bytes = written(|writer| {
            writer.attribute(&Username("u"));
            writer.integrity_sha1(&key);
        });
        append(&mut bytes, AttributeType::REALM, b"evil");
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.check_sha1(&key), Ok(()));
        assert_eq!(message.get::<Realm<'_>>(), Ok(None));
        assert!(!message.has(AttributeType::REALM));
        assert_eq!(message.attributes().count(), 1);
    }

    #[test]
    fn sha256_integrity_after_sha1_integrity_counts_and_the_other_way_round_it_does_not() {
        let key = Key::short_term("pw");
        let bytes = written(|writer| {
            writer.integrity_sha1(&key);
            writer.integrity_sha256(&key);
            writer.fingerprint();
        });
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.check_sha1(&key), Ok(()));
        assert_eq!(message.check_sha256(&key), Ok(()));
        assert!(message.has_fingerprint());
        let bytes = written(|writer| {
            writer.integrity_sha256(&key);
            writer.integrity_sha1(&key);
        });
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.check_sha256(&key), Ok(()));
        assert_eq!(message.check_sha1(&key), Err(IntegrityError::Missing));
    }

    #[test]
    fn a_truncated_sha256_integrity_is_refused() {
        let key = Key::short_term("pw");
        let mut bytes = written(|writer| writer.integrity_sha256(&key));
        let full = Message::parse(&bytes).unwrap();
        assert_eq!(full.check_sha256(&key), Ok(()));
        // The header counts the shorter attribute, as a sender that truncates would have it.
        bytes.truncate(20 + 4 + 16);
        bytes[2..4].copy_from_slice(&20u16.to_be_bytes());
        bytes[22..24].copy_from_slice(&16u16.to_be_bytes());
        let truncated = Message::parse(&bytes).unwrap();
        assert_eq!(truncated.check_sha256(&key), Err(IntegrityError::Length));
    }

    #[test]
    fn a_changed_byte_breaks_the_fingerprint() {
        let bytes = written(|writer| {
            writer.attribute(&Software("s"));
            writer.fingerprint();
        });
        for at in 8..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(
                Message::parse(&changed).is_err()
                    || !Message::parse(&changed).unwrap().has_fingerprint(),
                "byte {at}"
            );
        }
    }

    #[test]
    fn nothing_may_follow_the_fingerprint() {
        let mut bytes = written(|writer| writer.fingerprint());
        // The checksum covers the length, so it is made over the longer message's header.
        append(&mut bytes, AttributeType::REALM, b"");
        let error = Message::parse(&bytes).unwrap_err();
        assert!(matches!(
            error,
            DecodeError::AfterFingerprint | DecodeError::Fingerprint
        ));
    }

    #[test]
    fn an_attribute_past_the_end_is_refused() {
        let mut bytes = written(|writer| writer.attribute(&Software("abcd")));
        bytes[23] = 5;
        assert_eq!(
            Message::parse(&bytes).unwrap_err(),
            DecodeError::AttributeOverrun(AttributeType::SOFTWARE)
        );
    }

    #[test]
    fn unknown_attributes_are_those_that_must_be_understood() {
        let mut bytes = written(|writer| writer.attribute(&Software("abcd")));
        append(&mut bytes, AttributeType::new(0x7001), b"");
        append(&mut bytes, AttributeType::new(0xF001), b"");
        let message = Message::parse(&bytes).unwrap();
        let unknown: Vec<_> = message.unknown(&[AttributeType::SOFTWARE]).collect();
        assert_eq!(unknown, [AttributeType::new(0x7001)]);
    }

    fn written(fill: impl FnOnce(&mut MessageWriter<'_>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = MessageWriter::new(&mut bytes, Class::Request, Method::BINDING, ID);
        fill(&mut writer);
        writer.finish().unwrap();
        bytes
    }

    /// Appends an attribute as an attacker on the path would.
    fn append(bytes: &mut Vec<u8>, kind: AttributeType, value: &[u8]) {
        bytes.extend_from_slice(&kind.value().to_be_bytes());
        bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let length = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }
}
