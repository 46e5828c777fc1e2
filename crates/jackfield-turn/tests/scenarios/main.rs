//! Scenarios through the public API: a server in memory, and clients that speak to it.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod credentials;
mod discovery;
mod families;
mod guessing;
mod life_cycle;
mod limits;
mod peers;
mod ports;
mod standards;
mod world;
