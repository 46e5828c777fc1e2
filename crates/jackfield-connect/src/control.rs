//! Control messages of both protocols as text: JSON of a limited length.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a text is no control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is longer than any of ours.
    #[error("a control message is too long")]
    TooLong,
    /// It is no JSON object of a known kind with the fields of that kind.
    #[error("a control message is malformed")]
    Malformed,
}

/// Reads a control message of at most `longest` bytes.
pub(crate) fn parse<M: DeserializeOwned>(text: &str, longest: usize) -> Result<M, MessageError> {
    // The limit comes first: JSON of any length would be allocated before it is refused.
    if text.len() > longest {
        return Err(MessageError::TooLong);
    }
    serde_json::from_str(text).map_err(|_| MessageError::Malformed)
}

/// Writes a control message.
pub(crate) fn to_text<M: Serialize>(message: &M) -> String {
    serde_json::to_string(message).expect("control messages have no map and no float")
}
