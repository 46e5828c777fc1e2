//! WebSocket connections on tokio and hyper, driving the core of `jackfield-websocket`.
//!
//! [`upgrade`] answers a hyper request, [`connect`] opens a connection as a client, and both end
//! in a [`WebSocket`]: a poll-driven stream of messages with a queue of frames behind it. One task
//! can serve it alone, because [`WebSocket::recv`] also writes what is queued, answers pings and
//! watches the time limits:
//!
//! ```
//! use jackfield_ws::{Message, WebSocket};
//! use tokio::io::{AsyncRead, AsyncWrite};
//! use tokio::sync::mpsc::Receiver;
//!
//! async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut ws: WebSocket<S>, mut news: Receiver<Message>) {
//!     loop {
//!         tokio::select! {
//!             message = ws.recv() => match message {
//!                 Some(Ok(message)) => {
//!                     // Queued answers leave in one write, before the next read.
//!                     if ws.feed(&message).is_err() { break }
//!                 }
//!                 Some(Err(_)) | None => break,
//!             },
//!             Some(item) = news.recv() => if ws.feed(&item).is_err() { break },
//!         }
//!     }
//! }
//! ```

mod client;
mod config;
mod ending;
mod error;
mod reading;
mod socket;
mod timer;
mod upgrade;
mod writing;

pub use client::connect;
pub use config::{Counters, WsConfig};
pub use error::Error;
pub use jackfield_websocket::deflate;
pub use jackfield_websocket::handshake::{Established, HandshakeError, Refusal};
pub use jackfield_websocket::{CloseCode, CloseFrame, Frame, Kind, Message, Role, Violation};
pub use socket::WebSocket;
pub use upgrade::{Upgrade, is_upgrade, upgrade};

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
