//! NONCE, and the security features at its start.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::attribute::text::text_attribute;

// A client sends back what a server gave it, byte for byte: what can be read can be written.
text_attribute! {
    /// NONCE: what a server hands out so that requests cannot be replayed for long
    /// ([RFC 8489 §14.10]).
    ///
    /// [RFC 8489 §14.10]: https://www.rfc-editor.org/rfc/rfc8489#section-14.10
    Nonce, NONCE, 763, crate::attribute::text::Limit::Bytes(763)
}

impl Nonce<'_> {
    /// Returns what the nonce says the server can do, if it starts with the nonce cookie
    /// ([RFC 8489 §9.2]).
    ///
    /// [RFC 8489 §9.2]: https://www.rfc-editor.org/rfc/rfc8489#section-9.2
    #[must_use]
    pub fn security_features(&self) -> Option<SecurityFeatures> {
        SecurityFeatures::parse(self.0)
    }
}

/// The features that a server announces inside its nonce, where an attacker on the path cannot
/// remove them unnoticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SecurityFeatures {
    /// It sends PASSWORD-ALGORITHMS, and knows MESSAGE-INTEGRITY-SHA256.
    pub password_algorithms: bool,
    /// It knows users by USERHASH.
    pub username_anonymity: bool,
}

impl SecurityFeatures {
    /// How many bytes the cookie and the features take at the start of a nonce.
    pub const LENGTH: usize = 13;

    /// Returns the start of a nonce: the cookie, and the features as base64 of 24 bits.
    ///
    /// ```
    /// use jackfield_stun::attribute::SecurityFeatures;
    ///
    /// let both = SecurityFeatures { password_algorithms: true, username_anonymity: true };
    /// assert_eq!(both.prefix(), "obMatJos2wAAA");
    /// ```
    #[must_use]
    pub fn prefix(self) -> String {
        let mut first = 0;
        if self.password_algorithms {
            first |= PASSWORD_ALGORITHMS;
        }
        if self.username_anonymity {
            first |= USERNAME_ANONYMITY;
        }
        format!("{COOKIE}{}", STANDARD.encode([first, 0, 0]))
    }

    /// Reads the start of a nonce; `None` if the cookie is not there.
    #[must_use]
    pub fn parse(nonce: &str) -> Option<Self> {
        let bits = nonce.strip_prefix(COOKIE)?.get(..4)?;
        let bytes = STANDARD.decode(bits).ok()?;
        let first = *bytes.first()?;
        Some(Self {
            password_algorithms: first & PASSWORD_ALGORITHMS != 0,
            username_anonymity: first & USERNAME_ANONYMITY != 0,
        })
    }
}

const COOKIE: &str = "obMatJos2";

// Bit 0 of the registry is the leftmost (RFC 8489 §18.1).
const PASSWORD_ALGORITHMS: u8 = 0x80;
const USERNAME_ANONYMITY: u8 = 0x40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_round_trip() {
        for (password_algorithms, username_anonymity) in
            [(false, false), (true, false), (false, true), (true, true)]
        {
            let features = SecurityFeatures {
                password_algorithms,
                username_anonymity,
            };
            let nonce = format!("{}and more", features.prefix());
            assert_eq!(Nonce(&nonce).security_features(), Some(features));
            assert_eq!(features.prefix().len(), SecurityFeatures::LENGTH);
        }
    }

    #[test]
    fn a_nonce_without_the_cookie_has_no_features() {
        for nonce in [
            "",
            "obMatJos2",
            "obMatJos2A",
            "obMatJos2****",
            "f//499k954d6OL34oL9FSTvy64sA",
        ] {
            assert_eq!(SecurityFeatures::parse(nonce), None, "{nonce}");
        }
    }
}
