//! Events between the processes of one namespace.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use bytestring::ByteString;
use jackfield_socketio_proto::{Args, packet};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::adapter::{AckSink, EventBody};
use super::{BoxFuture, EmitError};
use crate::sync::lock;

pub(crate) type OnServerEvent = Arc<dyn Fn(ServerEvent) -> BoxFuture<()> + Send + Sync>;
pub(crate) type ServerHandlers = HashMap<Box<str>, Vec<OnServerEvent>>;

/// An event that another process has sent with [`BroadcastOperator::server_side_emit`].
///
/// [`BroadcastOperator::server_side_emit`]: super::BroadcastOperator::server_side_emit
#[derive(Clone)]
pub struct ServerEvent {
    name: ByteString,
    args: Args,
    /// Taken by the first answer.
    acks: Arc<Mutex<Option<AckSink>>>,
}

impl ServerEvent {
    /// Reads an event that came from another process.
    pub(super) fn read(
        body: &EventBody,
        acks: Option<AckSink>,
    ) -> Result<Self, packet::DecodeError> {
        let event = body.decode()?;
        Ok(Self {
            name: event.name,
            args: event.args,
            acks: Arc::new(Mutex::new(acks)),
        })
    }

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

    /// Acknowledges the event; does nothing if the process that sent it wants no answer or has one
    /// from this process.
    ///
    /// A tuple gives several arguments, `()` none, any other value one.
    ///
    /// # Errors
    /// When the arguments cannot be JSON.
    pub fn ack<T: Serialize + ?Sized>(&self, args: &T) -> Result<(), EmitError> {
        let answer = Args::of(args)?;
        if let Some(acks) = lock(&self.acks).take()
            && !acks.send(answer)
        {
            tracing::trace!("An acknowledgement came after its time");
        }
        Ok(())
    }
}

impl fmt::Debug for ServerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEvent")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
