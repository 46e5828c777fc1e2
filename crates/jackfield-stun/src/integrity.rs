//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::Key;

/// Why a message's integrity could not be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrityError {
    /// The message has no such attribute.
    #[error("the message has no such integrity attribute")]
    Missing,
    /// The attribute's value has a length that is not allowed.
    #[error("the integrity attribute has a wrong length")]
    Length,
    /// The value is not what the key gives.
    #[error("the integrity attribute does not fit the key")]
    Mismatch,
}

/// Returns MESSAGE-INTEGRITY's value, of `length` bytes with which the header counts it.
pub(crate) fn sha1(covered: &[u8], length: usize, key: &Key) -> [u8; 20] {
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(key.as_bytes())
        .expect("HMAC takes keys of any length");
    feed(covered, length, |bytes| mac.update(bytes));
    mac.finalize().into_bytes().into()
}

/// Returns MESSAGE-INTEGRITY-SHA256's value, of `length` bytes with which the header counts it.
pub(crate) fn sha256(covered: &[u8], length: usize, key: &Key) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_bytes())
        .expect("HMAC takes keys of any length");
    feed(covered, length, |bytes| mac.update(bytes));
    mac.finalize().into_bytes().into()
}

pub(crate) fn check_sha1(covered: &[u8], key: &Key, value: &[u8]) -> Result<(), IntegrityError> {
    if value.len() != 20 {
        return Err(IntegrityError::Length);
    }
    same(&sha1(covered, 20, key), value)
}

pub(crate) fn check_sha256(covered: &[u8], key: &Key, value: &[u8]) -> Result<(), IntegrityError> {
    // Neither TURN nor ICE allows truncation: a shorter value would be easier to guess.
    //= https://www.rfc-editor.org/rfc/rfc8489#section-14.6
    //# The value must be the full 32 bytes unless the STUN Usage
    //# explicitly specifies that truncation is allowed.
    if value.len() != 32 {
        return Err(IntegrityError::Length);
    }
    same(&sha256(covered, 32, key), value)
}

/// Compares in time that does not depend on where the two differ.
fn same(expected: &[u8], value: &[u8]) -> Result<(), IntegrityError> {
    if bool::from(expected.ct_eq(value)) {
        Ok(())
    } else {
        Err(IntegrityError::Mismatch)
    }
}

/// Feeds the covered bytes, with a header that counts the integrity attribute and nothing after it.
fn feed(covered: &[u8], value_length: usize, mut update: impl FnMut(&[u8])) {
    let counted = (covered.len() + 4 + value_length).saturating_sub(20);
    let length = u16::try_from(counted).unwrap_or(u16::MAX).to_be_bytes();
    update(covered.get(..2).unwrap_or(&[]));
    update(&length);
    update(covered.get(4..).unwrap_or(&[]));
}
