//! A TURN server on real loopback sockets, and clients that relay through it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod agent;
mod client;
mod peer;
mod proxied;
mod relaying;
mod server;
mod stream;
mod turn_client;
