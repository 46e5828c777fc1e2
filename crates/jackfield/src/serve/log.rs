//! Where log lines go, and in which form.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Sends log lines to standard error, as text or as one JSON object a line.
///
/// # Errors
///
/// Fails when the filter is none, or when this process logs somewhere already.
pub(super) fn init(log: &Log) -> Result<()> {
    let filter = EnvFilter::builder()
        .parse(&log.filter)
        .context("the log filter is wrong")?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let result = if log.format == LogFormat::Json {
        subscriber.json().try_init()
    } else {
        subscriber.with_target(false).try_init()
    };
    result.map_err(|error| anyhow::anyhow!("cannot log: {error}"))
}
