//! Networks and servers with one thing wrong: each has its own verdict, severity and advice.
//!
//! The NATs are found by a real discovery in the virtual internet; what else is seen is made by hand.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod facts;
mod nats;
mod table;
