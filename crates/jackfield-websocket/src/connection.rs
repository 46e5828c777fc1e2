//! One side of an open WebSocket connection.

mod assembly;
mod outgoing;
mod receive;
mod send;

use bytes::Bytes;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use outgoing::Outgoing;
pub use send::SendError;

use crate::close::{CloseCode, CloseFrame};
use crate::config::{Role, WebSocketLimits};
use crate::deflate::{self, Compressor, Inflater};
use crate::frame::MAX_HEADER;
use crate::{Message, Violation};

/// One side of an open WebSocket connection: takes bytes that arrived, holds bytes to write.
///
/// An idle connection holds no buffer: bytes are kept only of a header or a message that is still
/// on its way. Pongs are queued by themselves, the answer to a Close by [`finish`](Self::finish),
/// so that what came before it can be answered before it.
///
/// ```
/// use jackfield_websocket::{WebSocketLimits, Connection, Event, Message, Role};
///
/// let mut server = Connection::new(Role::Server, WebSocketLimits::default());
/// let mut client = Connection::new(Role::Client { seed: [7; 32] }, WebSocketLimits::default());
/// client.send(&Message::text("Hello")).unwrap();
///
/// let wire = client.outgoing().take_bytes();
/// let mut input = &wire[..];
/// assert_eq!(server.receive(&mut input), Some(Event::Message(Message::text("Hello"))));
/// assert_eq!(server.receive(&mut input), None); // all of the input is used
/// ```
#[derive(Debug)]
pub struct Connection {
    limits: WebSocketLimits,
    keys: Keys,
    deflate: Option<Box<Deflate>>,
    stage: Stage,
    header: PartialHeader,
    assembly: Option<assembly::Assembly>,
    control: Vec<u8>,
    outgoing: Outgoing,
    late_pong: Option<Bytes>,
    skipped_pongs: u64,
    close_sent: bool,
    /// Set by the last event: the code that our Close carries, if it has one.
    over: Option<Option<CloseCode>>,
}

/// What the peer's bytes amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole message.
    Message(Message),
    /// A Ping with this body; its Pong is queued.
    Ping(Bytes),
    /// A Pong with this body.
    Pong(Bytes),
    /// The peer's Close, the last event; [`Connection::finish`] queues the answer.
    Close(Option<CloseFrame>),
    /// The peer broke the protocol or a limit, the last event; [`Connection::finish`] queues a
    /// Close with the violation's [`close_code`](Violation::close_code).
    Failed(Violation),
}

/// What the next byte of the input belongs to.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Header,
    Control(Payload),
    Data(Payload),
}

/// The payload of a frame that is on its way.
#[derive(Debug, Clone, Copy)]
struct Payload {
    opcode: crate::frame::OpCode,
    fin: bool,
    mask: Option<[u8; 4]>,
    /// Bytes that came already.
    seen: usize,
    /// Bytes in all.
    len: usize,
}

/// The beginning of a header whose end has not come.
#[derive(Debug, Default, Clone, Copy)]
struct PartialHeader {
    bytes: [u8; MAX_HEADER],
    len: u8,
}

/// Where a side's masking keys come from; a server has none.
#[derive(Debug)]
enum Keys {
    Server,
    Client(Box<ChaCha12Rng>),
}

/// Compression of a connection that negotiated it; the coders exist only where a window is kept or
/// a message is on its way.
#[derive(Debug)]
struct Deflate {
    outbound: deflate::Outbound,
    compressor: Option<Compressor>,
    inbound_takeover: bool,
    inflater: Option<Inflater>,
}

impl Connection {
    /// Returns a connection right after its handshake, without compression.
    #[must_use]
    pub fn new(role: Role, limits: WebSocketLimits) -> Self {
        Self {
            limits,
            keys: match role {
                Role::Server => Keys::Server,
                Role::Client { seed } => Keys::Client(Box::new(ChaCha12Rng::from_seed(seed))),
            },
            deflate: None,
            stage: Stage::Header,
            header: PartialHeader::default(),
            assembly: None,
            control: Vec::new(),
            outgoing: Outgoing::default(),
            late_pong: None,
            skipped_pongs: 0,
            close_sent: false,
            over: None,
        }
    }

    /// Turns on permessage-deflate as the handshake agreed on it.
    #[must_use]
    pub fn with_deflate(mut self, params: deflate::Params) -> Self {
        let server = self.is_server();
        self.deflate = Some(Box::new(Deflate {
            outbound: params.outbound(server),
            compressor: None,
            inbound_takeover: params.inbound_takeover(server),
            inflater: None,
        }));
        self
    }

    /// Returns the bytes that wait to be written.
    pub fn outgoing(&mut self) -> &mut Outgoing {
        // The queue has room again: the most recent of the Pings that had to wait is answered.
        if self.outgoing.is_empty()
            && let Some(body) = self.late_pong.take()
            && !self.close_sent
        {
            self.queue_pong(&body);
        }
        &mut self.outgoing
    }

    /// Returns bytes that wait to be written.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.outgoing.bytes()
    }

    /// Returns the memory that waits for the peer, in bytes: what is to be written, and what has
    /// come of a message that is not whole yet.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let partial = self.assembly.as_ref().map_or(0, assembly::Assembly::len);
        self.outgoing.held() + partial
    }

    /// Pings since the last call that are not answered because
    /// [`WebSocketLimits::max_waiting_pongs`] Pongs waited.
    pub fn take_skipped_pongs(&mut self) -> u64 {
        std::mem::take(&mut self.skipped_pongs)
    }

    /// Returns whether our Close is sent or queued; nothing can be sent after it.
    #[must_use]
    pub fn is_close_sent(&self) -> bool {
        self.close_sent
    }

    /// Returns whether the last event was given: the peer closed, or the connection was failed.
    #[must_use]
    pub fn is_input_over(&self) -> bool {
        self.over.is_some()
    }

    fn is_server(&self) -> bool {
        matches!(self.keys, Keys::Server)
    }

    fn mask(&mut self) -> Option<[u8; 4]> {
        match &mut self.keys {
            Keys::Server => None,
            // A page that could foresee the key would choose the bytes on the wire (RFC 6455
            // §10.3).
            Keys::Client(keys) => Some(keys.next_u32().to_le_bytes()),
        }
    }
}
