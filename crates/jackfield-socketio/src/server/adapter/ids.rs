//! Ids of sockets as JSON: an array of strings.

use serde::{Deserialize, Deserializer, Serializer};

use crate::server::SocketId;

pub(super) fn serialize<S: Serializer>(ids: &[SocketId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ids.iter().map(|id| &**id))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<SocketId>, D::Error> {
    let ids = Vec::<String>::deserialize(deserializer)?;
    Ok(ids.into_iter().map(Into::into).collect())
}
