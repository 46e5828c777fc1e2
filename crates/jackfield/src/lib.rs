//! The Jackfield server and its tools, as a library for the binary and for tests in the same process.
//!
//! - [`cli`]: the command line.
//! - [`config`]: what was typed becomes what is meant.
//! - [`doctor`]: what this machine's network allows, why not more, and what to do.
//! - `lab`: a small internet of network namespaces, with hosts behind any NAT (Linux).
//! - `nat`: a real NAT router between two TUN devices (Linux).
//! - [`serve`]: the server: one port, demultiplexed to STUN and TURN, HTTP, Socket.IO and signaling.

pub mod cli;
pub mod config;
pub mod doctor;
#[cfg(target_os = "linux")]
pub mod lab;
#[cfg(target_os = "linux")]
pub mod nat;
pub mod serve;
