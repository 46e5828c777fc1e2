//! Ready-made programs with TCP: a client and an echo server.

mod client;
mod echo;

pub use client::{Outcome, TcpClient};
pub use echo::TcpEcho;
