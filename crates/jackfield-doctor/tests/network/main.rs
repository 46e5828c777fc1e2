//! Networks and servers with one thing wrong: each has its own verdict, severity and advice.
//!
//! A real discovery in the virtual internet finds the NATs; the other facts are made by hand.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod facts;
mod nats;
mod table;
mod watch;
