//! What can go wrong with events and connections.

use jackfield_socketio_proto::engine::SendError;
use jackfield_socketio_proto::packet::EncodeError;
use serde::Serialize;

/// Why an event was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The socket is not connected.
    #[error("the socket is not connected")]
    Disconnected,
    /// The client reads too slowly: its buffer is full.
    #[error("the client's buffer is full")]
    Full,
    /// The event cannot be written as a packet.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl From<SendError> for EmitError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed => Self::Disconnected,
            SendError::Full => Self::Full,
        }
    }
}

/// Why an acknowledgement did not come.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// The event was not sent.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The client did not answer in time.
    #[error("the client did not answer in time")]
    Timeout,
    /// The client disconnected before it answered.
    #[error("the client disconnected before it answered")]
    Disconnected,
}

/// Why a middleware refuses a client; the client gets it as a `connect_error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct ConnectError {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<serde_json::Value>,
}

impl ConnectError {
    /// A refusal with the `message` that the client's error gets.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
        }
    }

    /// Adds the `data` that the client's error gets.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<serde_json::Value>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// The packet's JSON; clients of protocol 4 get the data, or the message, alone.
    pub(crate) fn json(&self, plain: bool) -> String {
        let json = if plain {
            match &self.data {
                Some(data) => serde_json::to_string(data),
                None => serde_json::to_string(&self.message),
            }
        } else {
            serde_json::to_string(self)
        };
        json.unwrap_or_else(|_| r#"{"message":"refused"}"#.to_owned())
    }
}

impl From<&str> for ConnectError {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for ConnectError {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}
