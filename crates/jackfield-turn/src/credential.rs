//! Long-term credentials of two kinds: static users, and time-limited ones that a shared secret
//! mints.
//!
//! The time-limited kind is the "TURN REST API" that browsers' applications use: the username is
//! `EXPIRY:USER`, where `EXPIRY` is in seconds since 1970, and the password is the base64 of
//! HMAC-SHA1 over the username, keyed with the secret.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// Who may allocate: static users, and the secrets of time-limited credentials. Its `Debug` shows
/// neither.
#[derive(Clone, Default)]
pub struct Credentials {
    pub(crate) users: Vec<(String, String)>,
    pub(crate) secrets: Vec<String>,
}

impl Credentials {
    /// Returns an empty set of credentials, with which every Allocate request is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a static user.
    #[must_use]
    pub fn with_user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.push((name.into(), password.into()));
        self
    }

    /// Adds a secret for time-limited credentials; several may be good at a time, so that they can
    /// be rotated.
    #[must_use]
    pub fn with_secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Credentials({} users, {} secrets)",
            self.users.len(),
            self.secrets.len()
        )
    }
}

/// A username and password for a client, as [`mint`] makes them.
#[derive(Clone, PartialEq, Eq)]
pub struct TimeLimitedCredential {
    /// What goes into `iceServers[].username`.
    pub username: String,
    /// What goes into `iceServers[].credential`.
    pub password: String,
}

impl fmt::Debug for TimeLimitedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimeLimitedCredential({:?}, ..)", self.username)
    }
}

/// Mints time-limited credentials for `user`, good until `now_unix + ttl` (whole seconds since
/// 1970).
///
/// ```
/// use std::time::Duration;
/// use jackfield_turn::credential::mint;
///
/// let minted = mint("north-star", "alice", Duration::from_secs(3600), Duration::from_secs(1_700_000_000));
/// assert_eq!(minted.username, "1700003600:alice");
/// ```
#[must_use]
pub fn mint(secret: &str, user: &str, ttl: Duration, now_unix: Duration) -> TimeLimitedCredential {
    let expiry = now_unix.as_secs().saturating_add(ttl.as_secs());
    let username = if user.is_empty() {
        expiry.to_string()
    } else {
        format!("{expiry}:{user}")
    };
    let password = password(secret, &username);
    TimeLimitedCredential { username, password }
}

/// Returns the password that belongs to a time-limited username.
#[must_use]
pub fn password(secret: &str, username: &str) -> String {
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(secret.as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(username.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Returns when a time-limited username expires, in time since 1970, if it is one: digits alone or
/// before a colon.
pub fn expiry(username: &str) -> Option<Duration> {
    let digits = username.split(':').next()?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Duration::from_secs)
}

/// Returns why a secret or password can be guessed, if it can: it is short, has few different
/// characters, or consists of words that are tried first.
///
/// That it finds nothing proves nothing: take 32 random bytes.
///
/// ```
/// use jackfield_turn::credential::weakness;
///
/// assert!(weakness("my-turn-secret-123").is_some());
/// assert!(weakness("0123456789abcdef").is_some());
/// assert_eq!(weakness("kP8r2vQx7LzTn4Wc"), None);
/// ```
#[must_use]
pub fn weakness(secret: &str) -> Option<Weakness> {
    if secret.chars().count() < MIN_SECRET {
        return Some(Weakness::Short);
    }
    let different: BTreeSet<char> = secret.chars().collect();
    if different.len() < MIN_DIFFERENT {
        return Some(Weakness::Repetitive);
    }
    let mut rest = secret.to_lowercase();
    rest.retain(char::is_alphanumeric);
    for word in WORDS {
        rest = rest.replace(word, "");
    }
    (rest.chars().count() < MIN_DIFFERENT).then_some(Weakness::Known)
}

/// Why a secret can be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// It has less than 16 characters.
    #[error("it has less than 16 characters")]
    Short,
    /// It has less than 8 different characters.
    #[error("it has less than 8 different characters")]
    Repetitive,
    /// It consists of words and rows of keys that are tried first.
    #[error("it consists of words that are tried first")]
    Known,
}

const MIN_SECRET: usize = 16;
const MIN_DIFFERENT: usize = 8;

/// What lists of passwords and the examples of TURN servers consist of; longer ones first.
const WORDS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "abcdefghijklmnop",
    "1234567890",
    "0123456789",
    "9876543210",
    "qwertyuiop",
    "123456789",
    "asdfghjkl",
    "jackfield",
    "webrtcdemo",
    "credential",
    "placeholder",
    "12345678",
    "abcdefgh",
    "password",
    "passw0rd",
    "changeme",
    "changeit",
    "replaceme",
    "northstar",
    "sunshine",
    "iloveyou",
    "letmein",
    "default",
    "eturnal",
    "example",
    "welcome",
    "1234567",
    "secret",
    "s3cret",
    "s3cr3t",
    "123456",
    "abcdef",
    "qwerty",
    "dragon",
    "monkey",
    "coturn",
    "webrtc",
    "shared",
    "static",
    "server",
    "insert",
    "please",
    "12345",
    "admin",
    "north",
    "realm",
    "token",
    "hello",
    "world",
    "your",
    "this",
    "that",
    "long",
    "auth",
    "user",
    "pass",
    "test",
    "turn",
    "stun",
    "demo",
    "1234",
    "abcd",
    "123",
    "abc",
    "key",
    "the",
    "and",
    "my",
    "is",
    "a",
];

/// Returns what quotas count a username as: the part after the expiry of a time-limited one, else
/// all of it.
pub(crate) fn quota_key(username: &str) -> &str {
    match username.split_once(':') {
        Some((_, user)) if expiry(username).is_some() && !user.is_empty() => user,
        _ => username,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_username_carries_its_expiry() {
        let minted = mint(
            "secret",
            "alice:x",
            Duration::from_secs(60),
            Duration::from_secs(1_000),
        );
        assert_eq!(minted.username, "1060:alice:x");
        assert_eq!(expiry(&minted.username), Some(Duration::from_secs(1_060)));
        assert_eq!(quota_key(&minted.username), "alice:x");
        assert_eq!(minted.password, password("secret", "1060:alice:x"));
    }

    #[test]
    fn a_password_is_base64_of_hmac_sha1() {
        // `printf 1700003600:alice | openssl dgst -sha1 -hmac secret -binary | base64`
        assert_eq!(
            password("secret", "1700003600:alice"),
            "LLPLO4qjdVL2qZhwr3eImhn7J20="
        );
    }

    #[test]
    fn what_is_not_a_number_has_no_expiry() {
        for username in [
            "alice",
            "",
            ":alice",
            "12a:alice",
            "+5:alice",
            "99999999999999999999999:alice",
        ] {
            assert_eq!(expiry(username), None, "{username}");
        }
        assert_eq!(expiry("12"), Some(Duration::from_secs(12)));
    }

    #[test]
    fn secrets_that_can_be_guessed_are_told_from_random_ones() {
        for (secret, why) in [
            ("secret", Weakness::Short),
            ("kP8r2vQx7LzTn4W", Weakness::Short),
            ("aaaaaaaaaaaaaaaaaaaaaaaa", Weakness::Repetitive),
            ("1212121212121212", Weakness::Repetitive),
            ("changeme-changeme-1234", Weakness::Known),
            ("this-is-my-long-secret-key", Weakness::Known),
            ("qwertyuiopasdfghjkl", Weakness::Known),
            ("Static-Auth-Secret", Weakness::Known),
        ] {
            assert_eq!(weakness(secret), Some(why), "{secret}");
        }
        // Random ones in the usual alphabets: hexadecimal, base64, base64url, a passphrase.
        for secret in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "q83vEjRWeJq83vEjRWeJqw==",
            "Tz7wqk-8_hZ1mXcVbN4p",
            "staple-battery-horse-marmalade",
        ] {
            assert_eq!(weakness(secret), None, "{secret}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let credentials = Credentials::new()
            .with_user("u", "hunter2")
            .with_secret("hunter3");
        let shown = format!(
            "{credentials:?} {:?}",
            mint("hunter3", "u", Duration::ZERO, Duration::ZERO)
        );
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
