//! The server's side of the long-term credential mechanism.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::attribute::{
    Algorithm, Attribute, AttributeType, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm,
    SecurityFeatures, Userhash, Username,
};
use jackfield_stun::credential::userhash;
use jackfield_stun::{Key, Message, MessageWriter};

use crate::guesses::AddressProof;
use crate::nonce::Nonces;
use crate::{ServerConfig, credential};

/// Says who sent a request: the long-term credential mechanism ([RFC 8489 §9.2.4]).
///
/// [RFC 8489 §9.2.4]: https://www.rfc-editor.org/rfc/rfc8489#section-9.2.4
#[derive(Debug)]
pub(crate) struct Authenticator {
    realm: String,
    users: Vec<User>,
    secrets: Vec<String>,
    /// Whether one of the secrets can be guessed, and with it the passwords of minted names.
    has_weak_secret: bool,
    nonces: Nonces,
    password_algorithms: bool,
}

#[derive(Debug)]
struct User {
    name: String,
    hash: [u8; 32],
    md5: Key,
    sha256: Key,
}

/// A user whose request's integrity was shown.
#[derive(Debug, Clone)]
pub(crate) struct Authenticated {
    pub(crate) username: Arc<str>,
    /// Signs the answer.
    pub(crate) key: Key,
    /// Whether the answer gets MESSAGE-INTEGRITY-SHA256, because the request chose a password
    /// algorithm.
    pub(crate) sha256: bool,
    /// Whether it is a time-limited credential.
    pub(crate) is_minted: bool,
    /// Whether the credential's time is over.
    pub(crate) expired: bool,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// 400: it breaks the rules of authentication.
    BadRequest,
    /// 401: the answer says how to authenticate.
    Unauthenticated,
    /// 438: the answer has a new nonce.
    StaleNonce,
    /// 401, as long as it is not too often: the name is unknown or the password wrong.
    WrongPassword(AddressProof),
    /// The password was not checked, as too many before it were wrong.
    NotChecked,
}

impl Authenticator {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        let realm = config.realm.clone();
        // A username that is hashed away can be found again only among those known beforehand.
        let username_anonymity = config.credentials.secrets.is_empty();
        let features = config.password_algorithms.then_some(SecurityFeatures {
            password_algorithms: true,
            username_anonymity,
        });
        let users = config.credentials.users.iter();
        Self {
            users: users
                .map(|(name, password)| User::new(name, &realm, password))
                .collect(),
            secrets: config.credentials.secrets.clone(),
            has_weak_secret: config
                .credentials
                .secrets
                .iter()
                .any(|secret| credential::weakness(secret).is_some()),
            nonces: Nonces::new(config.nonce_key.clone(), config.nonce_lifetime, features),
            password_algorithms: config.password_algorithms,
            realm,
        }
    }

    /// Writes what a client needs for its next try: REALM, NONCE and what else is offered.
    pub(crate) fn challenge(
        &self,
        writer: &mut MessageWriter<'_>,
        client: SocketAddr,
        unix: Duration,
    ) {
        writer.attribute(&Realm(&self.realm));
        writer.attribute(&Nonce(&self.nonces.make(client, unix)));
        if self.password_algorithms {
            writer.attribute(&PasswordAlgorithms::ALL);
        }
    }

    /// Says who sent `request`, by the steps of RFC 8489 §9.2.4.
    ///
    /// `may_check` is asked before a password is checked that could be guessed: for which name, and
    /// whether the client's address could be forged.
    pub(crate) fn authenticate(
        &self,
        request: &Message<'_>,
        path: FiveTuple,
        unix: Duration,
        may_check: impl FnOnce(&str, AddressProof) -> bool,
    ) -> Result<Authenticated, Rejection> {
        if !request.has_sha1() && !request.has_sha256() {
            return Err(Rejection::Unauthenticated);
        }
        let name = claimed_name(request)?;
        let realm: Realm<'_> = required(request)?;
        let nonce: Nonce<'_> = required(request)?;
        let chosen = self.chosen_algorithm(request, &nonce)?;
        if realm.0 != self.realm {
            return Err(Rejection::Unauthenticated);
        }
        let client = path.remote.ip().to_canonical();
        let is_fresh = self.nonces.check(nonce.0, client, unix);
        let proof = match is_fresh || path.transport != Transport::Udp {
            true => AddressProof::Given,
            false => AddressProof::Missing,
        };
        let user = self.users.iter().find(|user| user.is(&name));
        let guessable = match (user, &name) {
            (Some(user), _) => Some(user.name.as_str()),
            (None, ClaimedName::Plain(name)) if self.has_weak_secret => Some(*name),
            (None, _) => None,
        };
        if guessable.is_some_and(|name| !may_check(name, proof)) {
            return Err(match proof {
                AddressProof::Given => Rejection::NotChecked,
                // What the right password would get, so nothing is learned from it.
                AddressProof::Missing => Rejection::StaleNonce,
            });
        }
        let (username, key) = self
            .find_key(request, user, &name, chosen.unwrap_or(Algorithm::Md5))
            .ok_or(Rejection::WrongPassword(proof))?;
        // The nonce comes after the password, so that 438 goes only to clients that know one.
        if !is_fresh {
            return Err(Rejection::StaleNonce);
        }
        // A configured user may have a name that looks like a time-limited one.
        let is_static = self.users.iter().any(|user| user.name == username);
        let expiry = credential::expiry(&username).filter(|_| !is_static);
        Ok(Authenticated {
            username: username.into(),
            key,
            sha256: chosen.is_some(),
            is_minted: expiry.is_some(),
            expired: expiry.is_some_and(|expiry| expiry <= unix),
        })
    }

    /// Returns the password algorithm that the request chose, if it chose one, and refuses what
    /// hints at a stripped offer.
    fn chosen_algorithm(
        &self,
        request: &Message<'_>,
        nonce: &Nonce<'_>,
    ) -> Result<Option<Algorithm>, Rejection> {
        let offered = nonce
            .security_features()
            .is_some_and(|features| features.password_algorithms);
        let chosen: Option<PasswordAlgorithm> = optional(request)?;
        let echoed = request.has(AttributeType::PASSWORD_ALGORITHMS);
        match (offered && self.password_algorithms, chosen, echoed) {
            (true, Some(PasswordAlgorithm(chosen)), true) => {
                let echo: PasswordAlgorithms<'_> = required(request)?;
                // RFC 8489 §9.2.4: another list than the one that was sent has been changed on its
                // way.
                if echo == PasswordAlgorithms::ALL {
                    Ok(Some(chosen))
                } else {
                    Err(Rejection::BadRequest)
                }
            }
            //= https://www.rfc-editor.org/rfc/rfc8489#section-9.2.4
            //# If the request contains neither the PASSWORD-ALGORITHMS nor the
            //# PASSWORD-ALGORITHM algorithm, then the request is processed as
            //# though PASSWORD-ALGORITHM were MD5.
            (true, None, false) | (false, ..) => Ok(None),
            (true, Some(_), false) | (true, None, true) => Err(Rejection::BadRequest),
        }
    }

    /// Returns whose request it is, and the key that proves it.
    fn find_key(
        &self,
        request: &Message<'_>,
        user: Option<&User>,
        name: &ClaimedName<'_>,
        algorithm: Algorithm,
    ) -> Option<(String, Key)> {
        if let Some(user) = user {
            let key = user.key(algorithm);
            return shows(request, key).then(|| (user.name.clone(), key.clone()));
        }
        let ClaimedName::Plain(username) = name else {
            return None;
        };
        // A name without a time comes from none of the secrets: no HMAC is spent on it.
        credential::expiry(username)?;
        // All secrets are tried, so that one can be replaced while credentials of the old one
        // live.
        self.secrets.iter().find_map(|secret| {
            let password = credential::password(secret, username);
            let key = Key::long_term(algorithm, username, &self.realm, &password);
            shows(request, &key).then(|| ((*username).to_owned(), key))
        })
    }
}

impl User {
    fn new(name: &str, realm: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            hash: userhash(name, realm),
            md5: Key::long_term(Algorithm::Md5, name, realm, password),
            sha256: Key::long_term(Algorithm::Sha256, name, realm, password),
        }
    }

    fn is(&self, name: &ClaimedName<'_>) -> bool {
        match name {
            ClaimedName::Plain(name) => self.name == *name,
            ClaimedName::Hashed(hash) => self.hash == *hash,
        }
    }

    fn key(&self, algorithm: Algorithm) -> &Key {
        match algorithm {
            Algorithm::Md5 => &self.md5,
            Algorithm::Sha256 => &self.sha256,
        }
    }
}

/// The user that a request names.
enum ClaimedName<'a> {
    Plain(&'a str),
    Hashed([u8; 32]),
}

fn claimed_name<'a>(request: &Message<'a>) -> Result<ClaimedName<'a>, Rejection> {
    if let Some(Username(name)) = optional(request)? {
        return Ok(ClaimedName::Plain(name));
    }
    required(request).map(|Userhash(hash)| ClaimedName::Hashed(hash))
}

/// Returns whether the key fits the request: the stronger of its integrity attributes counts.
fn shows(request: &Message<'_>, key: &Key) -> bool {
    if request.has_sha256() {
        request.check_sha256(key).is_ok()
    } else {
        request.check_sha1(key).is_ok()
    }
}

fn optional<'a, A: Attribute<'a>>(request: &Message<'a>) -> Result<Option<A>, Rejection> {
    request.get().map_err(|_| Rejection::BadRequest)
}

fn required<'a, A: Attribute<'a>>(request: &Message<'a>) -> Result<A, Rejection> {
    optional(request)?.ok_or(Rejection::BadRequest)
}
