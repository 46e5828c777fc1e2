//! An event from a client.

use bytes::Bytes;
use bytestring::ByteString;
use jackfield_socketio_proto::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Ack, EmitError};

/// An event from a client. Clones are the same event: its acknowledgement goes out once.
///
/// The arguments are not parsed before they are asked for.
#[derive(Debug, Clone)]
pub struct Event {
    pub(crate) name: ByteString,
    pub(crate) args: Args,
    pub(crate) ack: Option<Ack>,
}

impl Event {
    /// Returns the event's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the arguments.
    #[must_use]
    pub const fn args(&self) -> &Args {
        &self.args
    }

    /// Reads the arguments as a tuple; surplus ones are ignored.
    ///
    /// # Errors
    /// When an argument is missing or of another type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.args.parse()
    }

    /// Reads the argument at `index`, from 0.
    ///
    /// # Errors
    /// When there is none at `index` or it is of another type.
    pub fn get<T: DeserializeOwned>(&self, index: usize) -> Result<T, serde_json::Error> {
        self.args.get(index)
    }

    /// Returns each argument as the JSON text that the client sent.
    #[must_use]
    pub fn raw(&self) -> Vec<&RawValue> {
        self.args.raw()
    }

    /// Returns the binary attachments that placeholders in the arguments refer to.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        self.args.attachments()
    }

    /// Returns the handle to acknowledge the event by, if the client asks for that. It may be kept
    /// for later.
    #[must_use]
    pub const fn ack_handle(&self) -> Option<&Ack> {
        self.ack.as_ref()
    }

    /// Acknowledges the event; does nothing if the client does not ask for that or has its answer
    /// already.
    ///
    /// A tuple gives several arguments, `()` none, any other value one.
    ///
    /// # Errors
    /// As [`Ack::send`].
    pub fn ack<T: Serialize + ?Sized>(&self, args: &T) -> Result<(), EmitError> {
        match &self.ack {
            Some(ack) => ack.send(args),
            None => Ok(()),
        }
    }
}
