//! WebSocket for both sides, sans-IO: frames, messages, close rules, handshakes and
//! permessage-deflate.
//!
//! A [`Connection`] takes bytes that arrived and gives [`Event`]s; what is to be written waits in
//! its [`Outgoing`] queue. It has no socket, no task and no clock: time limits belong to the
//! driver. `jackfield-ws` drives it on tokio.
//!
//! ```
//! use jackfield_websocket::{CloseCode, CloseFrame, WebSocketLimits, Connection, Event, Message, Role};
//!
//! // A server that answers each message with its length, and a client of it.
//! let mut server = Connection::new(Role::Server, WebSocketLimits::default());
//! let mut client = Connection::new(Role::Client { seed: [7; 32] }, WebSocketLimits::default());
//! client.send(&Message::text("How long is this?")).unwrap();
//! client.close(Some(&CloseFrame::new(CloseCode::NORMAL, "")));
//!
//! let wire = client.outgoing().take_bytes();
//! let mut input = &wire[..];
//! while let Some(event) = server.receive(&mut input) {
//!     match event {
//!         Event::Message(message) => {
//!             server.send(&Message::text(message.data().len().to_string())).unwrap();
//!         }
//!         Event::Ping(_) | Event::Pong(_) => {}
//!         Event::Close(_) | Event::Failed(_) => server.finish(),
//!     }
//! }
//!
//! let wire = server.outgoing().take_bytes();
//! let mut input = &wire[..];
//! assert_eq!(client.receive(&mut input), Some(Event::Message(Message::text("17"))));
//! assert!(matches!(client.receive(&mut input), Some(Event::Close(Some(_)))));
//! ```
//!
//! # Standards
//!
//! - [x] [RFC 6455] frames, fragmentation, masking, control frames, the closing handshake, close
//!   codes
//! - [x] [RFC 6455 §8.1] text fails at the first byte that cannot become UTF-8, inside a frame as
//!   well
//! - [x] [RFC 6455 §4] the opening handshake of both sides, subprotocols, the grammar of extensions
//! - [x] [RFC 7692] permessage-deflate: all four parameters, several offers, with and without
//!   context takeover
//! - [ ] RFC 7692 with a server's window of 8 bits: zlib cannot keep to it, such an offer is
//!   declined
//! - [ ] RFC 7692 §7.2.3.4 with context takeover: after a block with BFINAL the window starts empty
//! - [ ] RFC 8441, RFC 9220: WebSocket over HTTP/2 and HTTP/3 need no framing of their own; their
//!   CONNECT is left to the driver
//!
//! # Memory
//!
//! A connection holds no read buffer: [`Connection::receive`] keeps the bytes of an unfinished
//! header in place, and those of an unfinished message in one piece that grows with what came,
//! never with what was announced. By default compression keeps no window between messages
//! ([`deflate`]), so that an idle connection with it holds no zlib state.
//!
//! # Left out on purpose
//!
//! Sending a message in fragments: a message is in memory as a whole, and splitting it gains
//! nothing. Choosing origins: which pages may connect is the application's policy.
//!
//! # Features
//!
//! | feature | what |
//! |---|---|
//! | `internals` | the hidden module `internals`, for the fuzz harness alone |
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
//! [RFC 6455 §4]: https://www.rfc-editor.org/rfc/rfc6455#section-4
//! [RFC 6455 §8.1]: https://www.rfc-editor.org/rfc/rfc6455#section-8.1
//! [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692

pub mod close;
mod config;
mod connection;
pub mod deflate;
pub mod frame;
pub mod handshake;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
pub mod mask;
mod message;
mod shared;
pub mod utf8;
mod violation;

pub use close::{CloseCode, CloseFrame};
pub use config::{Role, WebSocketLimits};
pub use connection::{Connection, Event, Outgoing, SendError};
pub use message::{Kind, Message};
pub use shared::Frame;
pub use violation::Violation;

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
