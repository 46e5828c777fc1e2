//! A stream of bytes each way that outlives the channels that carry it.
//!
//! Each side keeps what the other has not acknowledged. When a channel ends, the side that opened
//! it opens another, both say how far they got, and the rest is sent again. Either direction ends
//! by itself, as a TCP connection's does.

mod carry;
mod handshake;
mod message;
mod state;

pub use carry::{StreamError, carry};
pub use handshake::{Opening, accept, close, open, opening};
pub use message::{Close, Control, MessageError, Place, StreamId};
pub use state::{Stream, Violation};

/// The protocol name of the data channel (RFC 8832 section 5.1).
pub const PROTOCOL: &str = "jackfield.stream";
