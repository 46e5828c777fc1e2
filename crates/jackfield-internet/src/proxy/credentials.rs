//! Credentials for proxies.

use std::fmt;

/// A name and a password of 1 to 255 bytes each (RFC 1929); the name has no colon (RFC 7617).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

impl Credentials {
    /// Returns the credentials, if both protocols can carry them.
    #[must_use]
    pub fn new(user: &[u8], password: &[u8]) -> Option<Self> {
        let fits = |part: &[u8]| (1..=255).contains(&part.len());
        (fits(user) && fits(password) && !user.contains(&b':')).then(|| Self {
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
