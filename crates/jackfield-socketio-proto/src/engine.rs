//! Engine.IO: packets, polling payloads, the handshake's query, and the session state machine.

mod close_reason;
mod handshake;
mod outgoing;
mod packet;
pub mod payload;
mod server_session;

pub use close_reason::CloseReason;
pub use handshake::{Open, Query, RequestError, query_map};
pub use outgoing::Outgoing;
pub use packet::{Message, Packet, PacketError};
pub use server_session::{
    LinkEnd, LinkId, Output, PostBody, PostFailure, RequestId, Response, SendError, ServerSession,
    ServerSessionConfig,
};

/// The revision of the Engine.IO protocol that a client speaks, its `EIO` query parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// Revision 3, spoken by Socket.IO 2 clients: the client pings.
    V3,
    /// Revision 4, spoken by Socket.IO 3 and 4 clients: the server pings.
    V4,
}

/// The transport that a request names in its `transport` query parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// HTTP long-polling: GET receives, POST sends.
    Polling,
    /// One WebSocket connection.
    WebSocket,
}

impl Transport {
    /// Returns the name used on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}
