//! Discovery behind NATs of every kind in the virtual internet: it finds what they are, and no more
//! than it saw.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod nine;
mod servers;
mod world;
