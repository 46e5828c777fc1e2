//! Files over channels that end in the middle, and what each side refuses.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod demands;
mod refusals;
mod resume;
mod tree;
