//! Two peers negotiate, connect and talk over a network without NATs, in virtual time.

#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic on a shape it does not expect"
)]

mod negotiation;
mod talk;
mod world;
