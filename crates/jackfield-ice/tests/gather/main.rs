//! Gathering from STUN and TURN servers: what is found, when, and what becomes of it.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod reflexive;
mod relayed;
mod ways;
mod world;
