//! The server: shards that each listen on every address, and what is behind them.
//!
//! A connection's way: `listeners` accept it on one shard, `connection` reads its first bytes,
//! [`demux`] tells the protocol, and it goes to the shard's TURN core, to `http`, or through TLS
//! and the same once more. UDP goes straight to the shard's TURN core. What shards share is in
//! `app`: the signaling hub, Socket.IO, limits and counters.

mod addresses;
mod admission;
mod app;
mod connection;
mod counters;
pub mod demux;
mod descriptors;
mod http;
pub mod ice;
mod listeners;
mod local_networks;
mod log;
mod memory;
mod metrics;
mod metrics_access;
mod nat_discovery;
mod pages;
mod prefixed;
pub mod secret;
mod signal;
mod site_policy;
mod start;
mod stopping;
mod tls;
mod tls_relay;
mod turn;

use anyhow::Result;

use crate::config::Config;

pub use start::Server;

/// Serves until SIGINT or SIGTERM; a second signal ends it at once.
///
/// # Errors
///
/// Fails when an address cannot be listened on, a certificate not be read, or a secret not be made.
pub fn run(config: Config) -> Result<()> {
    log::init(&config.log)?;
    let server = Server::start(config)?;
    for line in server.announcement() {
        announce(&line);
    }
    server.run_until_signal()
}

/// Checks what only the machine can tell: that files are readable and hold what they should.
///
/// # Errors
///
/// Names the first file that is not as it should be.
pub fn check(config: &Config) -> Result<()> {
    if let Some(certificate) = &config.certificate {
        tls::server_config(certificate)?;
    }
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "who started the server reads its URLs there"
)]
fn announce(line: &str) {
    println!("{line}");
}
