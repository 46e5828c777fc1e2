//! The self-signed certificate that a peer shows in its DTLS handshake ([RFC 8827 §6.5]).
//!
//! [RFC 8827 §6.5]: https://www.rfc-editor.org/rfc/rfc8827#section-6.5

use std::fmt;

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use sha2::{Digest, Sha256};

use crate::Fingerprint;

/// A certificate and its private key: ECDSA with P-256.
///
/// The other side compares the certificate's [`Fingerprint`] with the one in the signaling, and
/// looks at nothing else in it. So it names no host, never expires, and says nothing of when it was
/// made. One certificate for several peers lets their other sides see that they belong together;
/// make one per peer where that matters.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    private_key: Vec<u8>,
    fingerprint: Fingerprint,
}

impl Certificate {
    /// Makes a certificate from a secret seed: 32 bytes of the system's randomness.
    ///
    /// The same seed gives the same key and certificate, so that a program can keep the seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let key = signing_key(&seed);
        let public = key.verifying_key().to_sec1_point(false);
        let body = to_be_signed(&serial(&seed), public.as_bytes());
        let signature: DerSignature = key.sign(&body);
        let der = sequence(&[
            &body,
            &sequence(&[ECDSA_WITH_SHA256]),
            &bit_string(signature.as_bytes()),
        ]);
        Self {
            fingerprint: Fingerprint::of(&der),
            der,
            private_key: private_key(&key.to_bytes(), public.as_bytes()),
        }
    }

    /// Returns the certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the SHA-256 fingerprint, for the signaling.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Returns what the DTLS library takes.
    pub(crate) fn to_dtls(&self) -> dimpl::DtlsCertificate {
        dimpl::DtlsCertificate {
            certificate: self.der.clone(),
            private_key: self.private_key.clone(),
        }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// Returns the key that belongs to a seed.
fn signing_key(seed: &[u8; 32]) -> SigningKey {
    let mut candidate = derive(seed, b"key");
    // Of 2^32 hashes about one is past the curve's order; it is hashed again.
    loop {
        if let Ok(key) = SigningKey::from_slice(&candidate) {
            return key;
        }
        candidate = derive(&candidate, b"key");
    }
}

/// Returns a serial number: Firefox wants it to be unique to the certificate.
fn serial(seed: &[u8; 32]) -> [u8; 16] {
    let mut serial = [0; 16];
    serial.copy_from_slice(
        derive(seed, b"serial")
            .first_chunk::<16>()
            .unwrap_or(&[1; 16]),
    );
    // Positive, and of full length in DER.
    serial[0] = serial[0] & 0x7F | 0x40;
    serial
}

fn derive(seed: &[u8; 32], purpose: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed);
    hash.update(purpose);
    hash.finalize().into()
}

/// Returns the `TBSCertificate` of RFC 5280 §4.1.
fn to_be_signed(serial: &[u8; 16], public_key: &[u8]) -> Vec<u8> {
    let name = sequence(&[&tlv(
        SET,
        &sequence(&[COMMON_NAME, &tlv(UTF8_STRING, b"WebRTC")]),
    )]);
    let validity = sequence(&[
        &tlv(GENERALIZED_TIME, b"20200101000000Z"),
        // RFC 5280 §4.1.2.5: the date of a certificate without a good expiration date.
        &tlv(GENERALIZED_TIME, b"99991231235959Z"),
    ]);
    sequence(&[
        &tlv(EXPLICIT_0, &tlv(INTEGER, &[2])),
        &tlv(INTEGER, serial),
        &sequence(&[ECDSA_WITH_SHA256]),
        &name,
        &validity,
        &name,
        &sequence(&[
            &sequence(&[EC_PUBLIC_KEY, PRIME256V1]),
            &bit_string(public_key),
        ]),
    ])
}

/// Returns the `PrivateKeyInfo` of RFC 5208 with the `ECPrivateKey` of RFC 5915 in it.
fn private_key(secret: &[u8], public_key: &[u8]) -> Vec<u8> {
    let key = sequence(&[
        &tlv(INTEGER, &[1]),
        &tlv(OCTET_STRING, secret),
        &tlv(EXPLICIT_1, &bit_string(public_key)),
    ]);
    sequence(&[
        &tlv(INTEGER, &[0]),
        &sequence(&[EC_PUBLIC_KEY, PRIME256V1]),
        &tlv(OCTET_STRING, &key),
    ])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tlv(BIT_STRING, &[&[0], bytes].concat())
}

/// Returns one element of DER: tag, length, content.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = vec![tag];
    let length = content.len();
    let octets = length.to_be_bytes();
    let significant = octets.len() - length.leading_zeros() as usize / 8;
    if length >= 0x80 {
        element.push(0x80 | significant as u8);
        element.extend(octets.iter().skip(octets.len() - significant));
    } else {
        element.push(length as u8);
    }
    element.extend_from_slice(content);
    element
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0C;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const EXPLICIT_0: u8 = 0xA0;
const EXPLICIT_1: u8 = 0xA1;

/// The object identifier 1.2.840.10045.4.3.2.
const ECDSA_WITH_SHA256: &[u8] = b"\x06\x08\x2A\x86\x48\xCE\x3D\x04\x03\x02";
/// The object identifier 1.2.840.10045.2.1.
const EC_PUBLIC_KEY: &[u8] = b"\x06\x07\x2A\x86\x48\xCE\x3D\x02\x01";
/// The object identifier 1.2.840.10045.3.1.7.
const PRIME256V1: &[u8] = b"\x06\x08\x2A\x86\x48\xCE\x3D\x03\x01\x07";
/// The object identifier 2.5.4.3.
const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_certificate() {
        let one = Certificate::from_seed([1; 32]);
        assert_eq!(one.der(), Certificate::from_seed([1; 32]).der());
        assert_ne!(one.der(), Certificate::from_seed([2; 32]).der());
        assert!(one.fingerprint().matches(one.der()));
    }

    #[test]
    fn lengths_are_written_in_the_short_and_the_long_form() {
        assert_eq!(tlv(OCTET_STRING, &[7; 3]), [4, 3, 7, 7, 7]);
        assert_eq!(tlv(OCTET_STRING, &[7; 127])[..2], [4, 127]);
        assert_eq!(tlv(OCTET_STRING, &[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(tlv(OCTET_STRING, &[7; 300])[..4], [4, 0x82, 1, 44]);
    }
}
