//! A message that many connections send: encoded once.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::deflate::{Coding, compress_once};
use crate::frame;
use crate::{Kind, Message};

/// A message that many server connections send: its frame is encoded once and shared, plain and
/// compressed.
///
/// ```
/// use jackfield_websocket::{WebSocketLimits, Connection, Frame, Kind, Role};
///
/// let frame = Frame::new(Kind::Text, &[b"4", b"hello everyone"]);
/// for _ in 0..3 {
///     let mut connection = Connection::new(Role::Server, WebSocketLimits::default());
///     connection.send_frame(&frame).unwrap(); // a reference count, no copy
///     assert_eq!(connection.outgoing().take_bytes(), frame.plain());
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Frame {
    kind: Kind,
    plain: Bytes,
    header_len: usize,
    compressed: Arc<OnceLock<(Coding, Bytes)>>,
}

impl Frame {
    /// Returns the message that `parts` make, one after the other; the parts of a text are UTF-8
    /// once joined.
    #[must_use]
    pub fn new(kind: Kind, parts: &[&[u8]]) -> Self {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let plain = frame::encode(kind.opcode(), true, false, None, parts);
        Self {
            kind,
            header_len: plain.len() - len,
            plain,
            compressed: Arc::default(),
        }
    }

    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the payload, without the frame around it.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.plain.get(self.header_len..).unwrap_or_default()
    }

    /// Returns the frame of a server that does not compress it; legal on every connection.
    #[must_use]
    pub fn plain(&self) -> Bytes {
        self.plain.clone()
    }

    /// Returns the frame compressed with an empty window. The first coding asked for is kept, as
    /// all connections of a server ask for the same unless their clients limit the window.
    pub(crate) fn compressed(&self, coding: Coding) -> Bytes {
        let (kept, bytes) = self
            .compressed
            .get_or_init(|| (coding, self.compress(coding)));
        if *kept == coding {
            bytes.clone()
        } else {
            self.compress(coding)
        }
    }

    fn compress(&self, coding: Coding) -> Bytes {
        compress_once(coding, &[self.payload()]).map_or_else(
            || self.plain(),
            |payload| frame::encode(self.kind.opcode(), true, true, None, &[&payload]),
        )
    }
}

impl From<&Message> for Frame {
    fn from(message: &Message) -> Self {
        Self::new(message.kind(), &[message.data()])
    }
}
