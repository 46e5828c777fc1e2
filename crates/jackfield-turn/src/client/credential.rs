//! The client's side of the long-term credential mechanism ([RFC 8489 §9.2]).
//!
//! [RFC 8489 §9.2]: https://www.rfc-editor.org/rfc/rfc8489#section-9.2

use std::fmt;

use jackfield_stun::attribute::{
    Algorithm, Attribute, AttributeType, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm,
    Userhash, Username,
};
use jackfield_stun::credential::userhash;
use jackfield_stun::{Key, Message, MessageWriter, TransactionId};

use super::Failure;

/// A username and its password; its `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    username: String,
    password: String,
}

/// Why a name is no username: the caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// Longer than a USERNAME attribute may be.
    #[error("a username of {0} bytes is longer than the 508 that STUN allows")]
    UsernameTooLong(usize),
}

impl Credential {
    /// Makes one; name and password are used as given (see the crate's notes on SASLprep).
    ///
    /// # Errors
    /// When the name has more than 508 bytes.
    pub fn new(
        username: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<Self, CredentialError> {
        let username = username.into();
        if username.len() > Username::MAX_WRITTEN {
            return Err(CredentialError::UsernameTooLong(username.len()));
        }
        Ok(Self {
            username,
            password: password.into(),
        })
    }

    /// Returns the name.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({:?}, ..)", self.username)
    }
}

/// What a server has asked of our requests, and what we answer with.
#[derive(Debug, Clone)]
pub(super) struct Challenge {
    pub(super) realm: String,
    nonce: String,
    /// The offer as it came, to be sent back, and what we chose of it.
    offer: Option<(Vec<u8>, Algorithm)>,
    /// Whether our name is hidden from an eavesdropper (USERHASH).
    anonymous: bool,
    signer: Signer,
}

/// What a request is signed with, and its answer is to be.
#[derive(Debug, Clone)]
pub(super) struct Signer {
    key: Key,
    sha256: bool,
}

impl Challenge {
    /// Reads a 401 or 438 response; `known` is the challenge that was answered before it.
    pub(super) fn read(
        message: &Message<'_>,
        credential: &Credential,
        known: Option<&Self>,
    ) -> Result<Self, Failure> {
        let malformed = |_| Failure::Malformed;
        let nonce: Option<Nonce<'_>> = message.get().map_err(malformed)?;
        let nonce = nonce.ok_or(Failure::Malformed)?;
        let realm: Option<Realm<'_>> = message.get().map_err(malformed)?;
        let realm = realm
            .map(|Realm(realm)| realm)
            .or_else(|| known.map(|known| known.realm.as_str()))
            .ok_or(Failure::Malformed)?;
        let features = nonce.security_features().unwrap_or_default();
        // The nonce is what our answer will be bound to, so an attacker on the path cannot change
        // it unnoticed; the offer itself could be taken out (RFC 8489 §9.2.5).
        let offered = message.has(AttributeType::PASSWORD_ALGORITHMS);
        let offer = if offered || features.password_algorithms {
            Some(read_offer(message)?)
        } else {
            None
        };
        let algorithm = offer
            .as_ref()
            .map_or(Algorithm::Md5, |(_, algorithm)| *algorithm);
        Ok(Self {
            nonce: nonce.0.to_owned(),
            anonymous: features.username_anonymity,
            signer: Signer {
                key: Key::long_term(algorithm, &credential.username, realm, &credential.password),
                sha256: offer.is_some(),
            },
            realm: realm.to_owned(),
            offer,
        })
    }

    /// Returns whether a message's nonce says that the server offers password algorithms, and the
    /// offer is gone.
    pub(super) fn is_stripped(message: &Message<'_>) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc8489#section-9.2.5
        //# For all other responses, if the NONCE attribute starts with the
        //# "nonce cookie" with the STUN Security Feature "Password algorithms"
        //# bit set to 1 but PASSWORD-ALGORITHMS is not present, the response
        //# MUST be ignored.
        let nonce: Option<Nonce<'_>> = message.get().ok().flatten();
        let features = nonce.and_then(|nonce| nonce.security_features());
        features.is_some_and(|features| features.password_algorithms)
            && !message.has(AttributeType::PASSWORD_ALGORITHMS)
    }

    /// Appends who we are, and the signature over all of it.
    pub(super) fn sign(&self, credential: &Credential, writer: &mut MessageWriter<'_>) {
        if self.anonymous {
            writer.attribute(&Userhash(userhash(&credential.username, &self.realm)));
        } else {
            writer.attribute(&Username(&credential.username));
        }
        writer.attribute(&Realm(&self.realm));
        writer.attribute(&Nonce(&self.nonce));
        if let Some((value, algorithm)) = &self.offer {
            writer.attribute(&PasswordAlgorithm(*algorithm));
            writer.attribute(&Echo(value));
        }
        if self.signer.sha256 {
            writer.integrity_sha256(&self.signer.key);
        } else {
            writer.integrity_sha1(&self.signer.key);
        }
    }

    pub(super) fn signer(&self) -> Signer {
        self.signer.clone()
    }
}

impl Signer {
    /// Returns whether an answer is signed with our password.
    pub(super) fn has_signed(&self, message: &Message<'_>) -> bool {
        if self.sha256 || message.has_sha256() {
            message.check_sha256(&self.key).is_ok()
        } else {
            message.check_sha1(&self.key).is_ok()
        }
    }
}

fn read_offer(message: &Message<'_>) -> Result<(Vec<u8>, Algorithm), Failure> {
    let offer: Option<PasswordAlgorithms<'_>> = message.get().map_err(|_| Failure::Malformed)?;
    let offer = offer.ok_or(Failure::Downgraded)?;
    //= https://www.rfc-editor.org/rfc/rfc8656#section-6
    //# Note that if the response contains a PASSWORD-ALGORITHMS attribute
    //# and this attribute contains both MD5 and SHA-256 algorithms, and the
    //# client also supports both the algorithms, the request MUST contain a
    //# PASSWORD-ALGORITHM attribute with the SHA-256 algorithm.
    let has_sha256 = offer.known().any(|known| known == Algorithm::Sha256);
    let first = offer.known().next().ok_or(Failure::UnknownAlgorithm)?;
    let algorithm = if has_sha256 { Algorithm::Sha256 } else { first };
    let mut value = Vec::new();
    offer.encode(&message.transaction(), &mut value);
    Ok((value, algorithm))
}

/// PASSWORD-ALGORITHMS, byte for byte as it came.
struct Echo<'a>(&'a [u8]);

impl<'a> Attribute<'a> for Echo<'a> {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHMS;

    fn decode(
        value: &'a [u8],
        _transaction: &TransactionId,
    ) -> Result<Self, jackfield_stun::DecodeError> {
        Ok(Self(value))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}
