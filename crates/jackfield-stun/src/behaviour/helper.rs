//! How a server with one address has another server answer in its place.
//!
//! Where RFC 5780 wants a response from the server's other address, a server that has none sends a
//! [`Question`] to a helper elsewhere, which sends the response from its own address. The question
//! is a Binding indication, signed with a secret that both share and good for half a minute, so
//! the helper reflects for that server alone; and as the helper makes the response itself, a
//! question cannot make it send anything but that. A response is smaller than its question.

use std::net::SocketAddr;
use std::time::Duration;

use super::answer::Response;
use crate::attribute::{Nonce, OtherAddress, ResponsePort, XorMappedAddress};
use crate::{Class, Key, Message, MessageTooLong, MessageWriter, Method, TransactionId};

/// Which response a helper shall send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The client's transaction.
    pub transaction: TransactionId,
    /// Where the client's request seemed to come from.
    pub mapped: SocketAddr,
    /// The port of the client to answer to.
    pub port: u16,
    /// What the response shall say the asking server's other address is.
    pub other: SocketAddr,
    /// Whether the response shall have a FINGERPRINT.
    pub fingerprint: bool,
}

/// Why an indication is not a question that may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It is not signed with a secret of ours, or lacks something.
    #[error("the question is not signed with the shared secret")]
    Stranger,
    /// It is too old, or from the future: a copy, or the two clocks differ.
    #[error("the question is too old, or from the future")]
    Stale,
}

/// Returns the key that a shared secret gives to questions; it is good for nothing else that the
/// secret is for.
#[must_use]
pub fn key(secret: &str) -> Key {
    Key::short_term(&format!("nat-discovery-helper:{secret}"))
}

impl Question {
    /// Appends the message for the helper; `unix` is the time since 1970.
    pub fn write(
        &self,
        key: &Key,
        unix: Duration,
        out: &mut Vec<u8>,
    ) -> Result<usize, MessageTooLong> {
        let mut writer =
            MessageWriter::new(out, Class::Indication, Method::BINDING, self.transaction);
        writer.attribute(&XorMappedAddress(self.mapped));
        writer.attribute(&ResponsePort(self.port));
        writer.attribute(&OtherAddress(self.other));
        writer.attribute(&Nonce(&unix.as_secs().to_string()));
        writer.integrity_sha256(key);
        if self.fingerprint {
            writer.fingerprint();
        }
        writer.finish()
    }

    /// Reads a question that one of the keys signed.
    pub fn read(message: &Message<'_>, keys: &[Key], unix: Duration) -> Result<Self, Denied> {
        if !keys.iter().any(|key| message.check_sha256(key).is_ok()) {
            return Err(Denied::Stranger);
        }
        let (Ok(Some(mapped)), Ok(Some(port)), Ok(Some(other)), Ok(Some(nonce))) = (
            message.get::<XorMappedAddress>(),
            message.get::<ResponsePort>(),
            message.get::<OtherAddress>(),
            message.get::<Nonce<'_>>(),
        ) else {
            return Err(Denied::Stranger);
        };
        let asked = nonce.0.parse().map(Duration::from_secs);
        let asked = asked.map_err(|_| Denied::Stranger)?;
        if asked.abs_diff(unix) > GOOD_FOR || port.0 == 0 {
            return Err(Denied::Stale);
        }
        Ok(Self {
            transaction: message.transaction(),
            mapped: mapped.0,
            port: port.0,
            other: other.0,
            fingerprint: message.has_fingerprint(),
        })
    }

    /// Returns where the response goes.
    #[must_use]
    pub fn client(&self) -> SocketAddr {
        SocketAddr::new(self.mapped.ip(), self.port)
    }

    /// Appends the response, which is sent from `from`.
    pub fn answer(&self, from: SocketAddr, out: &mut Vec<u8>) -> Result<usize, MessageTooLong> {
        let response = Response {
            transaction: self.transaction,
            mapped: self.mapped,
            origin: from,
            other: Some(self.other),
            fingerprint: self.fingerprint,
        };
        response.write(None, out)
    }
}

/// How far the two servers' clocks may be apart, the time on the way included.
const GOOD_FOR: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn question(mapped: SocketAddr, port: u16, fingerprint: bool) -> Question {
        Question {
            transaction: TransactionId::new(*b"abcdefghijkl"),
            mapped,
            port,
            other: "192.0.2.7:3479".parse().unwrap(),
            fingerprint,
        }
    }

    proptest! {
        #[test]
        fn a_question_is_read_as_it_was_written_and_its_answer_is_smaller(
            ip: std::net::IpAddr, port: u16, to in 1u16.., fingerprint: bool,
        ) {
            let asked = question(SocketAddr::new(ip, port), to, fingerprint);
            let (mut bytes, mut answer) = (Vec::new(), Vec::new());
            asked.write(&key("a secret"), NOW, &mut bytes).unwrap();
            let message = Message::parse(&bytes).unwrap();
            prop_assert_eq!(Question::read(&message, &[key("another"), key("a secret")], NOW), Ok(asked));
            asked.answer("192.0.2.7:3478".parse().unwrap(), &mut answer).unwrap();
            prop_assert!(answer.len() < bytes.len());
        }
    }

    #[test]
    fn a_question_needs_the_secret_and_the_time() {
        let asked = question("203.0.113.5:4000".parse().unwrap(), 4000, false);
        let mut bytes = Vec::new();
        asked.write(&key("a secret"), NOW, &mut bytes).unwrap();
        let message = Message::parse(&bytes).unwrap();
        let read = |secret: &str, at| Question::read(&message, &[key(secret)], at);
        assert_eq!(read("no secret", NOW), Err(Denied::Stranger));
        assert_eq!(
            Question::read(&message, &[Key::short_term("a secret")], NOW),
            Err(Denied::Stranger)
        );
        let late = NOW + Duration::from_secs(31);
        assert_eq!(read("a secret", late), Err(Denied::Stale));
        let early = NOW - Duration::from_secs(31);
        assert_eq!(read("a secret", early), Err(Denied::Stale));
        assert!(read("a secret", NOW + Duration::from_secs(29)).is_ok());
    }
}
