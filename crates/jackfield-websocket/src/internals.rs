//! What the fuzz harness sees of the inside.

use crate::deflate::{DeflateConfig, Params};
use crate::handshake::{answer, parse};

/// An extension's name, and its parameters with their values.
pub type Extension = (String, Vec<(String, Option<String>)>);

/// Reads the value of a `Sec-WebSocket-Extensions` header; `None` if it is malformed.
#[must_use]
pub fn parse_extensions(list: &str) -> Option<Vec<Extension>> {
    let list = parse(list)?.into_iter();
    Some(list.map(|it| (it.name, it.params)).collect())
}

/// Returns what a server answers to such a header, and what it agrees to by that.
#[must_use]
pub fn answer_extensions(list: &str, config: &DeflateConfig) -> Option<(Params, String)> {
    answer(&parse(list)?, config)
}
