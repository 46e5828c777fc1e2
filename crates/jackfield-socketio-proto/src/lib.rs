//! Engine.IO and Socket.IO, sans-IO: what the bytes mean and what happens when.
//!
//! Engine.IO carries messages between a browser and a server, by long-polling, by WebSocket, and
//! by moving from one to the other ([`engine::ServerSession`]). Socket.IO carries events in those
//! messages, in namespaces, with acknowledgements and binary attachments ([`packet`],
//! [`ServerConnection`]). Nothing here has a socket, a task, a clock or a random number.
//!
//! ```
//! use jackfield_socketio_proto::engine::Message;
//! use jackfield_socketio_proto::packet::{self, Content, Decoder};
//!
//! let encoded = packet::event("/chat", Some(7), "say", &("hello", 3))?;
//! assert_eq!(encoded.text, r#"2/chat,7["say","hello",3]"#);
//!
//! let mut decoder = Decoder::default();
//! let packet = decoder.handle_message(Message::Text(encoded.text))?.expect("it has no attachment to wait for");
//! let Content::Event(event) = packet.content else { panic!("it is an event") };
//! let (word, times): (String, u32) = event.args.parse()?;
//! assert_eq!((&*event.name, event.ack_id, &*word, times), ("say", Some(7), "hello", 3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Standards
//! - [x] Engine.IO revision 4 over polling and WebSocket: payloads, handshake, heartbeat, upgrade,
//!   close
//! - [x] Engine.IO revision 3 over polling and WebSocket, text and binary payloads
//! - [x] Socket.IO revision 5, and revision 4 for Engine.IO 3 clients, default (JSON) parser
//! - [ ] Engine.IO over WebTransport
//! - [ ] JSONP polling: left out on purpose, no browser of this decade needs it
//! - [ ] the msgpack parser, connection state recovery

mod args;
mod binary;
pub mod engine;
pub mod packet;
mod server_connection;
mod surrogates;

pub use args::Args;
pub use binary::Binary;
pub use server_connection::{Event, ServerConnection, ServerConnectionConfig, Violation};
pub use surrogates::replace_lone_surrogates;

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
