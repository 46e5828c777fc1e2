//! The fingerprint that ties a certificate to the signaling ([RFC 8122 §5]).
//!
//! [RFC 8122 §5]: https://www.rfc-editor.org/rfc/rfc8122#section-5

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256, Sha384, Sha512};

/// The hash of a certificate, as `a=fingerprint` carries it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The function that made it.
    pub hash: Hash,
    /// Its value: as many bytes as the function gives.
    pub value: Vec<u8>,
}

/// A hash function that fingerprints may use. MD5 and SHA-1 are refused: both have collisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// `sha-256`, which every browser offers.
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

impl Fingerprint {
    /// Returns the SHA-256 fingerprint of a certificate in DER.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        Self {
            hash: Hash::Sha256,
            value: Sha256::digest(certificate).to_vec(),
        }
    }

    /// Returns whether `certificate`, in DER, has this fingerprint.
    #[must_use]
    pub fn matches(&self, certificate: &[u8]) -> bool {
        // What is compared is public on both sides, so that timing tells nothing.
        match self.hash {
            Hash::Sha256 => self.value == Sha256::digest(certificate).as_slice(),
            Hash::Sha384 => self.value == Sha384::digest(certificate).as_slice(),
            Hash::Sha512 => self.value == Sha512::digest(certificate).as_slice(),
        }
    }
}

impl Hash {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// Why a fingerprint cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// The hash function is missing, unknown or too weak.
    #[error("a fingerprint needs sha-256, sha-384 or sha-512")]
    Hash,
    /// The value is not pairs of hexadecimal digits with colons between them.
    #[error("a fingerprint is pairs of hexadecimal digits, separated by colons")]
    Digits,
    /// The value is shorter or longer than what the function gives.
    #[error("the fingerprint has {0} bytes, which its hash function does not give")]
    Length(usize),
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads `sha-256 AB:CD:...`. Neither the function's name nor the digits depend on case.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let (name, digits) = text.split_once(' ').ok_or(FingerprintError::Hash)?;
        let hash = [Hash::Sha256, Hash::Sha384, Hash::Sha512]
            .into_iter()
            .find(|hash| hash.name().eq_ignore_ascii_case(name))
            .ok_or(FingerprintError::Hash)?;
        let value = digits
            .trim_end()
            .split(':')
            .map(|pair| {
                let two_digits = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
                u8::from_str_radix(pair, 16)
                    .ok()
                    .filter(|_| two_digits)
                    .ok_or(FingerprintError::Digits)
            })
            .collect::<Result<Vec<_>, _>>()?;
        if value.len() != hash.length() {
            return Err(FingerprintError::Length(value.len()));
        }
        Ok(Self { hash, value })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.hash.name())?;
        for (index, byte) in self.value.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_what_it_writes() {
        let fingerprint = Fingerprint::of(b"a certificate");
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint.clone()));
        let lower = fingerprint.to_string().to_lowercase();
        assert_eq!(lower.parse(), Ok(fingerprint));
    }

    #[test]
    fn a_fingerprint_matches_its_certificate_alone() {
        let fingerprint = Fingerprint::of(b"a certificate");
        assert!(fingerprint.matches(b"a certificate"));
        assert!(!fingerprint.matches(b"another certificate"));
    }

    #[test]
    fn bad_fingerprints_are_refused_with_the_reason() {
        let cases = [
            ("sha-1 AB:CD", FingerprintError::Hash),
            ("AB:CD", FingerprintError::Hash),
            ("sha-256 AB:CD", FingerprintError::Length(2)),
            ("sha-256 AB:C", FingerprintError::Digits),
            ("sha-256 +B:CD", FingerprintError::Digits),
            ("sha-256 ", FingerprintError::Digits),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Fingerprint>(), Err(error), "{text}");
        }
    }
}
