//! `jackfield credentials`: mints TURN credentials.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use clap::ArgMatches;

use super::{failed, say, wrong_use};
use crate::config::{
    CREDENTIALS_TTL, Config, DATA_DIR, Low, PUBLIC_HOST, SECRET, SECRET_FILE, Source,
};
use crate::serve::ice::{IceMinter, Reached};
use crate::serve::secret;

/// Mints credentials and prints them.
pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    // The keys of `serve` check the values here too.
    let mut low = Low::default();
    for (argument, key) in [
        ("secret", &SECRET.key),
        ("secret-file", &SECRET_FILE.key),
        ("ttl", &CREDENTIALS_TTL.key),
        ("host", &PUBLIC_HOST.key),
        ("data-dir", &DATA_DIR.key),
    ] {
        if let Some(value) = text(argument) {
            low.set(key, Source::Flag, vec![value]);
        }
    }
    let config = match Config::resolve(&low) {
        Ok(config) => config,
        Err(error) => return wrong_use(&error.to_string()),
    };
    let user = text("user").filter(|user| !user.is_empty());
    match print(&config, user.as_deref(), matches.get_flag("json")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn print(config: &Config, user: Option<&str>, json: bool) -> Result<()> {
    let secret = match config.secrets.first() {
        Some(secret) => secret.clone(),
        None => secret::load_or_create(&data_dir(config)?)?,
    };
    let unix = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .context("the clock stands before 1970")?;
    let answer = IceMinter::new(config, secret).mint(unix, user, None::<&Reached>);
    let list = serde_json::to_string(&answer).context("the answer is not JSON")?;
    if !json {
        for server in &answer.ice_servers {
            if let (Some(username), Some(credential)) = (&server.username, &server.credential) {
                let last = unix + Duration::from_secs(answer.ttl);
                say(&format!("username:   {username}"));
                say(&format!("credential: {credential}"));
                say(&format!("expires:    {} (unix time)", last.as_secs()));
            }
        }
    }
    say(&list);
    Ok(())
}

fn data_dir(config: &Config) -> Result<PathBuf> {
    config
        .data_dir
        .clone()
        .or_else(secret::default_dir)
        .context("no data directory: give --secret or --data-dir")
}
