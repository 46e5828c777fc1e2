//! The IPv4 options by which a sender chooses the way of its packet
//! ([RFC 791 §3.1](https://www.rfc-editor.org/rfc/rfc791#section-3.1)).

use super::Headers;
use super::bytes::u8_at;

/// How far a packet has come on the way that its sender chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceRoute {
    /// Some of the way is ahead.
    Ahead,
    /// The packet has been everywhere.
    Done,
}

/// Returns the state of a packet's source route option; `None` without one, and in IPv6, which has none.
pub(crate) fn source_route(bytes: &[u8], headers: &Headers) -> Option<SourceRoute> {
    if !headers.is_v4() {
        return None;
    }
    let mut rest = bytes.get(20..headers.transport_at).unwrap_or_default();
    while let Some((kind, after)) = rest.split_first() {
        let length = match *kind {
            END => return None,
            NO_OPERATION => {
                rest = after;
                continue;
            }
            _ => usize::from(u8_at(after, 0).unwrap_or(0)),
        };
        if matches!(*kind, LOOSE | STRICT) {
            let pointer = usize::from(u8_at(after, 1).unwrap_or(0));
            let ahead = pointer <= length;
            return Some(if ahead {
                SourceRoute::Ahead
            } else {
                SourceRoute::Done
            });
        }
        rest = rest.get(length.max(2)..).unwrap_or_default();
    }
    None
}

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const LOOSE: u8 = 131;
const STRICT: u8 = 137;
