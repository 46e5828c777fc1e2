//! Two agents in virtual time, on a path with delay, loss, filters and mappings.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic on what it does not expect"
)]

mod basics;
mod candidates;
mod life;
mod relay;
mod tcp;
mod world;
