//! Keys from passwords ([RFC 8489 §9]): short-term, long-term with MD5 or SHA-256, and the hash
//! that hides a username.
//!
//! [RFC 8489 §9]: https://www.rfc-editor.org/rfc/rfc8489#section-9

use std::fmt;

use md5::{Digest, Md5};
use sha2::Sha256;

use crate::attribute::Algorithm;

/// What integrity attributes are keyed with; its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Box<[u8]>);

impl Key {
    /// Returns the key of a short-term credential: the password.
    #[must_use]
    pub fn short_term(password: &str) -> Self {
        Self(password.as_bytes().into())
    }

    /// Returns the key of a long-term credential.
    ///
    /// ```
    /// use jackfield_stun::Key;
    /// use jackfield_stun::attribute::Algorithm;
    ///
    /// let key = Key::long_term(Algorithm::Md5, "user", "realm", "pass");
    /// assert_eq!(key.as_bytes()[..4], [0x84, 0x93, 0xfb, 0xc5]);
    /// ```
    #[must_use]
    pub fn long_term(algorithm: Algorithm, username: &str, realm: &str, password: &str) -> Self {
        let parts = [username, ":", realm, ":", password];
        match algorithm {
            Algorithm::Md5 => Self(digest::<Md5>(&parts)),
            Algorithm::Sha256 => Self(digest::<Sha256>(&parts)),
        }
    }

    /// Returns the key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Returns what USERHASH carries for a user: SHA-256 of `username:realm`.
#[must_use]
pub fn userhash(username: &str, realm: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(username.as_bytes());
    hash.update(b":");
    hash.update(realm.as_bytes());
    hash.finalize().into()
}

fn digest<D: Digest>(parts: &[&str]) -> Box<[u8]> {
    let mut hash = D::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    hash.finalize().as_slice().into()
}
