//! TURN in the virtual internet: clients behind every type of NAT, and a server, with nothing
//! between them but packets.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on what it does not expect"
)]

mod changes;
mod host;
mod replay;
mod rig;
mod types;
mod user;
