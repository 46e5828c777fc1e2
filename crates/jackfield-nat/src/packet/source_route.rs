//! Source routes: the IPv4 options and the IPv6 header by which a sender chooses the path of a
//! packet ([RFC 791 §3.1](https://www.rfc-editor.org/rfc/rfc791#section-3.1),
//! [RFC 8200 §4.4](https://www.rfc-editor.org/rfc/rfc8200#section-4.4)).

use super::bytes::u8_at;
use super::{Headers, protocol};

/// How far a packet has come on its source route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceRoute {
    /// Some addresses of the route are still ahead.
    Ahead,
    /// The packet has visited all addresses of the route.
    Done,
}

/// Returns the state of the source route option of a packet; `None` without one, and for IPv6,
/// which has none.
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
        // A length below two would keep the loop in place for ever.
        rest = rest.get(length.max(2)..).unwrap_or_default();
    }
    None
}

/// Returns where an IPv6 packet says how much of its way is ahead; `None` where nothing is.
pub(crate) fn segments_left(bytes: &[u8], headers: &Headers) -> Option<usize> {
    if headers.is_v4() {
        return None;
    }
    let mut next = u8_at(bytes, 6).unwrap_or(0);
    let mut at = 40;
    while at < headers.transport_at {
        if next == protocol::ROUTING && u8_at(bytes, at + 3) != Some(0) {
            return Some(at + 3);
        }
        let units = match next {
            protocol::FRAGMENT => 0,
            _ => usize::from(u8_at(bytes, at + 1).unwrap_or(0)),
        };
        next = u8_at(bytes, at).unwrap_or(0);
        at += 8 + 8 * units;
    }
    None
}

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const LOOSE: u8 = 131;
const STRICT: u8 = 137;
