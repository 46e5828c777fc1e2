//! Credentials for proxies.

use std::fmt;

/// A name of 1 to 255 bytes without a colon, and a password of at most 255 bytes.
///
/// [RFC 1929](https://www.rfc-editor.org/rfc/rfc1929) limits the lengths, and
/// [RFC 7617](https://www.rfc-editor.org/rfc/rfc7617) forbids the colon. The password may be empty,
/// which RFC 1929 does not foresee and its servers accept.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

impl Credentials {
    /// Returns the credentials, if both protocols can carry them.
    #[must_use]
    pub fn new(user: &[u8], password: &[u8]) -> Option<Self> {
        let fits = (1..=255).contains(&user.len()) && password.len() <= 255;
        (fits && !user.contains(&b':')).then(|| Self {
            user: user.to_vec(),
            password: password.to_vec(),
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}
