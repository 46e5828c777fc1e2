//! A member of a room, as the server tells of it.

use serde_json::Value;

use crate::negotiation::text;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// The number of its connection to the server.
    pub(super) id: u64,
    pub(super) name: String,
    /// Whether we are polite towards it, in an end without marks.
    pub(super) polite: bool,
}

impl Member {
    pub(super) fn read(value: &Value) -> Option<Self> {
        Some(Self {
            id: value.get("id")?.as_u64()?,
            name: text(value, "name")?.to_owned(),
            polite: value
                .get("polite")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
        })
    }
}
