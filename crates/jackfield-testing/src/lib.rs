//! What the tests of Jackfield's cores share; for tests alone.
//!
//! | what | for |
//! |---|---|
//! | [`epoch`] | an instant to start from |
//! | [`replay`] | the corpus of a fuzz target, and mutations of it |
//! | [`SplitMix64`] | choices that look random and are the same each time |
//! | [`CountingAllocator`] | proving that something does not allocate, or how much it holds |
//!
//! A fuzz target is a function of bytes that panics where a property does not hold. libFuzzer
//! looks for such bytes for hours; [`replay`] runs the same functions in a second or two, with
//! every `cargo test`, always over the same inputs.
//!
//! ```no_run
//! fn target(data: &[u8]) {
//!     assert!(data.len() < 1_000_000);
//! }
//!
//! jackfield_testing::replay("some_target", 1_000, target);
//! ```

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod allocations;
mod corpus;
mod random;

pub use allocations::{CountingAllocator, allocations, held_bytes};
pub use corpus::{corpus_folder, corpus_seeds, replay};
pub use random::SplitMix64;

use std::time::Instant;

/// Returns an instant for a test to start from.
///
/// Cores are told the time and `clippy.toml` forbids them to read a clock, their tests included.
/// An [`Instant`] cannot be made from a number, so that one read of the clock is left: this one.
/// Which instant it is makes no difference to a test that adds to it.
#[must_use]
pub fn epoch() -> Instant {
    Instant::now()
}
