//! ICE agents in the virtual internet: who meets whom, how, and how fast.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic on what it does not expect"
)]

mod changes;
mod matrix;
mod meeting;
mod peer;
mod rows;
mod scene;
mod security;
mod server;
mod stream;
