//! What one side tells the other about itself, apart from candidates ([RFC 8445 §5.3, §5.4]).
//!
//! [RFC 8445 §5.3, §5.4]: https://www.rfc-editor.org/rfc/rfc8445#section-5.3

use std::fmt;
use std::time::Duration;

use rand_chacha::rand_core::Rng;

use crate::candidate::ICE_CHARS;

/// A username fragment and a password ([RFC 8839 §5.4]).
///
/// `Debug` leaves the password out.
///
/// [RFC 8839 §5.4]: https://www.rfc-editor.org/rfc/rfc8839#section-5.4
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    ufrag: Box<str>,
    password: Box<str>,
}

/// Why a username fragment and a password cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The username fragment is too short or too long.
    #[error("a username fragment has 4 to 256 characters, not {0}")]
    UfragLength(usize),
    /// The password is too short or too long.
    #[error("a password has 22 to 256 characters, not {0}")]
    PasswordLength(usize),
    /// There are other characters than letters, digits, `+` and `/`.
    #[error("username fragments and passwords have letters, digits, + and / alone")]
    Character,
}

impl Credentials {
    /// Takes a username fragment and a password.
    ///
    /// # Errors
    /// When a length or a character is not what [RFC 8839 §5.4] allows; the characters `-`, `=`,
    /// `#` and `_` are taken, as libwebrtc takes them.
    ///
    /// [RFC 8839 §5.4]: https://www.rfc-editor.org/rfc/rfc8839#section-5.4
    pub fn new(ufrag: &str, password: &str) -> Result<Self, CredentialsError> {
        if !(4..=256).contains(&ufrag.len()) {
            return Err(CredentialsError::UfragLength(ufrag.len()));
        }
        if !(22..=256).contains(&password.len()) {
            return Err(CredentialsError::PasswordLength(password.len()));
        }
        let fits = |byte: u8| ICE_CHARS.contains(&byte) || b"-=#_".contains(&byte);
        if !ufrag.bytes().chain(password.bytes()).all(fits) {
            return Err(CredentialsError::Character);
        }
        Ok(Self {
            ufrag: ufrag.into(),
            password: password.into(),
        })
    }

    /// Makes new ones: 48 random bits for the username fragment, 144 for the password.
    ///
    /// The fragment is twice as long as it has to be: thousands of agents on one port are told
    /// apart by it, and with 24 bits two of 5,000 would likely have the same.
    #[must_use]
    pub fn generate(random: &mut impl Rng) -> Self {
        Self {
            ufrag: random_text(random, 8),
            password: random_text(random, 24),
        }
    }

    /// Returns the username fragment.
    #[must_use]
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// Returns the password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, ..)", self.ufrag)
    }
}

fn random_text(random: &mut impl Rng, length: usize) -> Box<str> {
    let mut digit = || {
        // There are 64 characters, so that the remainder prefers none.
        let index = random.next_u32() as usize % ICE_CHARS.len();
        char::from(ICE_CHARS.get(index).copied().unwrap_or(b'0'))
    };
    (0..length).map(|_| digit()).collect()
}

/// What one side tells the other about itself, apart from candidates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IceParameters {
    /// The username fragment and the password.
    pub credentials: Credentials,
    /// The extensions that this side knows.
    pub options: IceOptions,
    /// Whether this side is a lite implementation, which makes no checks of its own.
    pub lite: bool,
    /// How far apart this side wants checks to be (Ta); `None` is the 50 ms of [RFC 8839 §5.5].
    ///
    /// [RFC 8839 §5.5]: https://www.rfc-editor.org/rfc/rfc8839#section-5.5
    pub pacing: Option<Duration>,
}

impl IceParameters {
    /// Returns parameters with no options, of a full agent with the default pacing.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            options: IceOptions::default(),
            lite: false,
            pacing: None,
        }
    }
}

/// The extensions that one side knows ([RFC 8839 §5.6]).
///
/// [RFC 8839 §5.6]: https://www.rfc-editor.org/rfc/rfc8839#section-5.6
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct IceOptions {
    /// Candidates come one by one ([RFC 8838]).
    ///
    /// [RFC 8838]: https://www.rfc-editor.org/rfc/rfc8838
    pub trickle: bool,
    /// The agent follows RFC 8445 and not RFC 5245, and so does not nominate aggressively
    /// (RFC 8445 §10).
    pub ice2: bool,
    /// Nomination may move to another pair (draft-thatcher-ice-renomination).
    pub renomination: bool,
    /// All others, in their order.
    pub others: Vec<Box<str>>,
}
