//! An event as data, apart from the packets that carry it.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;

use super::decode::read_event;
use super::encode::{Encoded, prefix};
use super::{DecodeError, EncodeError, EventPacket, is_reserved};
use crate::args::{Lead, check_written, write_args};

/// The name and the arguments of an event, without the namespace and the acknowledgement id of one
/// packet.
///
/// This is what processes pass on to each other: each of them writes its own packets, because
/// acknowledgement ids belong to one process.
///
/// ```
/// use jackfield_socketio_proto::packet::EventBody;
///
/// let body = EventBody::new("say", &("hello", 3))?;
/// assert_eq!(body.json(), r#"["say","hello",3]"#);
///
/// // Another process gets the same event from these two parts.
/// let copy = EventBody::from_parts(body.json().clone(), body.attachments().to_vec())?;
/// assert_eq!(copy.encode("/chat", Some(7)).text, r#"2/chat,7["say","hello",3]"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBody {
    json: ByteString,
    attachments: Vec<Bytes>,
}

impl EventBody {
    /// Encodes an event. A tuple gives several arguments, `()` none, any other value one.
    ///
    /// # Errors
    /// When the name is reserved or the arguments cannot be JSON.
    pub fn new<T: Serialize + ?Sized>(name: &str, args: &T) -> Result<Self, EncodeError> {
        if is_reserved(name) {
            return Err(EncodeError::ReservedName);
        }
        Self::write(Lead::Name(name), args)
    }

    /// Takes an event that another process has encoded: a JSON array with the name first, and the
    /// attachments that its placeholders refer to.
    ///
    /// # Errors
    /// When the JSON is not such an array, the name is reserved, or a placeholder names no
    /// attachment.
    pub fn from_parts(json: ByteString, attachments: Vec<Bytes>) -> Result<Self, DecodeError> {
        read_event(None, Some(json.clone()), attachments.len())?;
        Ok(Self { json, attachments })
    }

    /// Encodes the arguments of an acknowledgement, which has no name.
    pub(crate) fn of_ack<T: Serialize + ?Sized>(args: &T) -> Result<Self, EncodeError> {
        Self::write(Lead::Nothing, args)
    }

    fn write<T: Serialize + ?Sized>(lead: Lead<'_>, args: &T) -> Result<Self, EncodeError> {
        let mut json = Vec::with_capacity(128);
        let attachments = write_args(&mut json, lead, args)?;
        let json = String::from_utf8(json).map_err(|_| not_utf8())?;
        check_written(&json, attachments.len())?;
        let json = json.into();
        Ok(Self { json, attachments })
    }

    /// Returns the body if it has no more attachments than a receiver takes; clients of JavaScript
    /// take ten by default, and close a connection that brings more.
    ///
    /// # Errors
    /// [`EncodeError::TooManyAttachments`] if it has more.
    pub fn with_at_most(self, attachments: usize) -> Result<Self, EncodeError> {
        let count = self.attachments.len();
        if count > attachments {
            return Err(EncodeError::TooManyAttachments(count));
        }
        Ok(self)
    }

    /// Returns the JSON array of the name and the arguments; placeholders stand for the
    /// attachments.
    #[must_use]
    pub const fn json(&self) -> &ByteString {
        &self.json
    }

    /// Returns the attachments that placeholders in the JSON refer to.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// Returns what stands before the JSON in an event's packet: `2/chat,7` for example.
    #[must_use]
    pub fn prefix(&self, namespace: &str, ack_id: Option<u64>) -> String {
        prefix(['2', '5'], namespace, ack_id, self.attachments.len())
    }

    /// Returns the packet for one namespace and, if an answer is wanted, one acknowledgement id.
    #[must_use]
    pub fn encode(self, namespace: &str, ack_id: Option<u64>) -> Encoded {
        let prefix = self.prefix(namespace, ack_id);
        self.behind(prefix)
    }

    pub(super) fn behind(self, mut prefix: String) -> Encoded {
        prefix.push_str(&self.json);
        Encoded {
            text: prefix.into(),
            attachments: self.attachments,
        }
    }

    /// Returns the event as its receiver reads it, without an acknowledgement id.
    ///
    /// # Errors
    /// As [`Self::from_parts`]: the arguments of [`Self::new`] may look like a placeholder that
    /// names no attachment.
    pub fn decode(&self) -> Result<EventPacket, DecodeError> {
        let mut event = read_event(None, Some(self.json.clone()), self.attachments.len())?;
        for attachment in &self.attachments {
            event.args.push_attachment(attachment.clone());
        }
        Ok(event)
    }

    pub(crate) fn into_parts(self) -> (ByteString, Vec<Bytes>) {
        (self.json, self.attachments)
    }
}

/// The error that a JSON writer cannot cause; a value whose `Serialize` is broken would.
fn not_utf8() -> serde_json::Error {
    serde::ser::Error::custom("the arguments are not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Binary;

    #[test]
    fn a_body_is_the_same_event_on_the_other_side() {
        let file = Binary::from(&b"abc"[..]);
        let body = EventBody::new("upload", &("a.txt", &file)).unwrap();
        let copy = EventBody::from_parts(body.json().clone(), body.attachments().to_vec()).unwrap();
        assert_eq!(copy, body);
        let event = copy.decode().unwrap();
        assert_eq!(event.name, "upload");
        let (name, read): (String, Binary) = event.args.parse().unwrap();
        assert_eq!((name.as_str(), read), ("a.txt", file));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let refuse = |json: &'static str, attachments: usize| {
            let attachments = vec![Bytes::from_static(b"x"); attachments];
            EventBody::from_parts(json.into(), attachments).unwrap_err()
        };
        assert_eq!(refuse("{}", 0), DecodeError::InvalidPayload);
        assert_eq!(refuse("[]", 0), DecodeError::InvalidPayload);
        assert_eq!(refuse(r#"["disconnect"]"#, 0), DecodeError::ReservedName);
        assert_eq!(
            refuse(r#"["a",{"_placeholder":true,"num":1}]"#, 1),
            DecodeError::BadPlaceholder
        );
        let many = vec![Binary::default(); 11];
        let body = EventBody::new("a", &many).unwrap();
        assert!(body.clone().with_at_most(11).is_ok());
        assert!(matches!(
            body.with_at_most(10),
            Err(EncodeError::TooManyAttachments(11))
        ));
    }
}
