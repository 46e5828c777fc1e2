//! Messages: the header, reading and writing.

mod header;
mod reader;
mod writer;

pub use header::{
    Class, HEADER_LENGTH, MAGIC_COOKIE, MessageHeader, Method, TransactionId, looks_like_stun,
};
pub use reader::{Attributes, Message};
pub use writer::MessageWriter;
