//! Socket.IO packets, as the default parser writes them.

mod body;
mod decode;
mod decoder;
mod encode;

use bytestring::ByteString;

use crate::Args;

pub use self::body::EventBody;
pub use self::decode::DecodeError;
pub(crate) use self::decode::read_args;
pub use self::decoder::{Decoder, DecoderConfig};
pub use self::encode::{
    EncodeError, Encoded, ack, connect, connect_error, disconnect, event, is_reserved,
};

/// A Socket.IO packet with its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The namespace, `/` if none was written. In protocol 4 (Engine.IO 3) a query string may
    /// follow it.
    pub namespace: ByteString,
    /// What the packet says.
    pub content: Content,
}

/// What a packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// `0`: join a namespace, with a JSON object of credentials.
    Connect(Option<ByteString>),
    /// `1`: leave a namespace.
    Disconnect,
    /// `2` and `5`: an event.
    Event(EventPacket),
    /// `3` and `6`: the answer to an event.
    Ack(AckPacket),
    /// `4`: joining was refused; JSON, an object or (protocol 4) a string.
    ConnectError(Option<ByteString>),
}

/// An event as it came from the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPacket {
    /// The event's name; a numeric name is its JSON text.
    pub name: ByteString,
    /// The id to acknowledge the event by, if the sender asks for that.
    pub ack_id: Option<u64>,
    /// The arguments after the name.
    pub args: Args,
}

/// An acknowledgement as it came from the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckPacket {
    /// The id of the event that is acknowledged.
    pub ack_id: u64,
    /// The arguments.
    pub args: Args,
}
