//! The client core against the server core, and against servers that are played by hand.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod life;
mod peers;
mod refusals;
mod standards;
mod world;
