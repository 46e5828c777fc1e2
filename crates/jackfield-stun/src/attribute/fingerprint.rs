//! FINGERPRINT: a checksum that tells STUN from what else is on a port ([RFC 8489 §14.7]).
//!
//! [RFC 8489 §14.7]: https://www.rfc-editor.org/rfc/rfc8489#section-14.7

use crate::DecodeError;
use crate::attribute::AttributeType;

/// Returns the value over `covered`, the message before the attribute, of `length` bytes with which
/// the header counts it.
pub(crate) fn compute(covered: &[u8], length: usize) -> [u8; 4] {
    let counted = (covered.len() + 4 + length).saturating_sub(20);
    let counted = u16::try_from(counted).unwrap_or(u16::MAX);
    let mut crc = crc32fast::Hasher::new();
    crc.update(covered.get(..2).unwrap_or(&[]));
    crc.update(&counted.to_be_bytes());
    crc.update(covered.get(4..).unwrap_or(&[]));
    (crc.finalize() ^ XOR).to_be_bytes()
}

/// Checks the value of a FINGERPRINT that follows `covered`.
pub(crate) fn check(covered: &[u8], value: &[u8]) -> Result<(), DecodeError> {
    if value.len() != 4 {
        return Err(DecodeError::ValueLength(
            AttributeType::FINGERPRINT,
            value.len(),
        ));
    }
    if value != compute(covered, 4) {
        return Err(DecodeError::Fingerprint);
    }
    Ok(())
}

const XOR: u32 = 0x5354_554E;
