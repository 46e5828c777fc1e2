//! The arguments of events and acknowledgements.

mod read;
mod write;

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::SerializeTuple;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use self::read::{Nth, Skip};
use crate::binary::with_attachments;
use crate::packet::{DecodeError, EncodeError, EventBody, read_args};

pub(crate) use self::read::check_placeholders;
pub(crate) use self::write::{Lead, check_written, write_args};

/// The arguments that came with an event or an acknowledgement: JSON that is kept as it was sent,
/// and its attachments.
///
/// Nothing is parsed before it is asked for; [`Self::raw`] gives each argument byte for byte, for
/// passing it on. Serializing `Args` gives the arguments again, spread as a tuple is.
#[derive(Clone, PartialEq, Eq)]
pub struct Args {
    /// A JSON array.
    json: ByteString,
    /// How many elements at the array's beginning are no arguments: one, the name, in an event.
    skip: usize,
    attachments: Vec<Bytes>,
}

impl Args {
    pub(crate) const fn new(json: ByteString, skip: usize, attachments: Vec<Bytes>) -> Self {
        Self {
            json,
            skip,
            attachments,
        }
    }

    /// Encodes arguments: a tuple gives several, `()` none, any other value one.
    ///
    /// # Errors
    /// When the arguments cannot be JSON.
    pub fn of<T: Serialize + ?Sized>(args: &T) -> Result<Self, EncodeError> {
        let (json, attachments) = EventBody::of_ack(args)?.into_parts();
        Ok(Self::new(json, 0, attachments))
    }

    /// Takes arguments that another process has read: a JSON array, and the attachments that its
    /// placeholders refer to.
    ///
    /// ```
    /// use jackfield_socketio_proto::Args;
    ///
    /// let args = Args::from_parts(r#"["yes",2]"#.into(), Vec::new())?;
    /// assert_eq!(args.parse::<(String, u8)>()?, ("yes".to_owned(), 2));
    /// assert!(Args::from_parts("{}".into(), Vec::new()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the JSON is not an array, or a placeholder names no attachment.
    pub fn from_parts(json: ByteString, attachments: Vec<Bytes>) -> Result<Self, DecodeError> {
        let mut args = read_args(json, attachments.len())?;
        args.attachments = attachments;
        Ok(args)
    }

    pub(crate) fn push_attachment(&mut self, bytes: Bytes) {
        self.attachments.push(bytes);
    }

    /// Reads the arguments as a tuple (or anything that reads an array); surplus arguments are
    /// ignored.
    ///
    /// # Errors
    /// When an argument is missing or of another type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.with_json(|json| json.parse_with(Skip::new(self.skip)))
    }

    /// Reads the argument at `index`, from 0.
    ///
    /// # Errors
    /// When there is none at `index` or it is of another type.
    pub fn get<T: DeserializeOwned>(&self, index: usize) -> Result<T, serde_json::Error> {
        self.with_json(|json| json.parse_with(Nth::new(self.skip + index)))?
            .ok_or_else(|| serde_json::Error::custom("there are fewer arguments"))
    }

    /// Returns each argument as the JSON text that the client sent.
    #[must_use]
    pub fn raw(&self) -> Vec<&RawValue> {
        // The decoder has checked the syntax.
        let mut all: Vec<&RawValue> = serde_json::from_str(&self.json).unwrap_or_default();
        all.drain(..self.skip.min(all.len()));
        all
    }

    /// Returns the attachments that placeholders in the arguments refer to.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// Returns the whole JSON array as it was sent, an event's name included.
    #[must_use]
    pub const fn json(&self) -> &ByteString {
        &self.json
    }

    /// Returns how many bytes the arguments hold.
    #[must_use]
    pub fn held(&self) -> usize {
        self.json.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }

    fn with_json<T>(&self, read: impl FnOnce(read::Json<'_>) -> T) -> T {
        let json = read::Json(&self.json);
        if self.attachments.is_empty() {
            read(json)
        } else {
            with_attachments(&self.attachments, || read(json))
        }
    }
}

impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Args")
            .field("json", &self.json)
            .field("attachments", &self.attachments.len())
            .finish_non_exhaustive()
    }
}

impl Serialize for Args {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.attachments.is_empty() {
            let raw = self.raw();
            let mut tuple = serializer.serialize_tuple(raw.len())?;
            for argument in raw {
                tuple.serialize_element(argument)?;
            }
            return tuple.end();
        }
        let values: Vec<read::WithBinary> = with_attachments(&self.attachments, || {
            read::Json(&self.json).parse_with(Skip::new(self.skip))
        })
        .map_err(serde::ser::Error::custom)?;
        let mut tuple = serializer.serialize_tuple(values.len())?;
        for value in &values {
            tuple.serialize_element(value)?;
        }
        tuple.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Binary;
    use crate::binary::collect_attachments;

    fn event(json: &'static str) -> Args {
        Args::new(json.into(), 1, Vec::new())
    }

    #[test]
    fn arguments_are_read_as_a_tuple_or_one_by_one() {
        let args = event(r#"["hello","world",{"a":1},true]"#);
        let (word, number): (String, serde_json::Value) = args.parse().unwrap();
        assert_eq!((word.as_str(), number["a"].as_i64()), ("world", Some(1)));
        assert!(args.get::<bool>(2).unwrap());
        assert!(args.get::<bool>(3).is_err());
        assert!(args.parse::<(String, u8)>().is_err());
        assert_eq!(
            args.raw().iter().map(|raw| raw.get()).collect::<Vec<_>>(),
            ["\"world\"", r#"{"a":1}"#, "true"]
        );
        assert!(event(r#"["hello"]"#).raw().is_empty());
    }

    #[test]
    fn placeholders_are_resolved() {
        let args = Args::new(
            r#"["f",{"file":{"_placeholder":true,"num":0},"n":[1,2.5,null,"x"]}]"#.into(),
            1,
            vec![Bytes::from_static(b"abc")],
        );
        #[derive(serde::Deserialize)]
        struct Upload {
            file: Binary,
        }
        assert_eq!(
            args.get::<Upload>(0).unwrap().file,
            Binary::from(&b"abc"[..])
        );
        let (json, attachments) = collect_attachments(|| serde_json::to_string(&args).unwrap());
        assert_eq!(
            json,
            r#"[{"file":{"_placeholder":true,"num":0},"n":[1,2.5,null,"x"]}]"#
        );
        assert_eq!(attachments, [&b"abc"[..]]);
    }
}
