//! Files over channels that end in the middle, and what a receiver refuses.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod refusals;
mod resume;
mod tree;
