//! The Jackfield server and its tools, as a library for the binary and for tests in the same
//! process.
//!
//! - [`cli`]: the command line.
//! - [`config`]: what was typed becomes what is meant.
//! - [`serve`]: the server: one port, demultiplexed to STUN and TURN, HTTP, Socket.IO and
//!   signaling.

pub mod cli;
pub mod config;
pub mod serve;
