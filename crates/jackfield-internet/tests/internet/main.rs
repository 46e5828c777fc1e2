//! The virtual internet, and what two hosts achieve in it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic on what it does not expect"
)]

mod dialer;
mod nat64;
mod punch;
mod puncher;
mod random;
mod rig;
mod sites;
mod tcp;
mod tcp_punch;
mod world;
