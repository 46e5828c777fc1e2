//! Asks a running router.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Answer, Request};

/// Sends a request to the router with the control socket at `path`; returns its answer.
///
/// # Errors
/// Fails when no router listens there and when it does not answer within ten seconds. A refusal
/// ([`Answer::Error`]) is an error in the router's own words.
pub fn ask(path: &Path, request: &Request) -> Result<Answer> {
    let no_router = || {
        format!(
            "no router is controlled by {}: is `jackfield nat run` running, with the same --control?",
            path.display()
        )
    };
    let mut stream = UnixStream::connect(path).with_context(no_router)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream
        .write_all(&line)
        .context("the router does not listen")?;
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .context("the router does not answer")?;
    match serde_json::from_str(&answer).context("the router does not speak our language")? {
        Answer::Error(text) => bail!(text),
        answer => Ok(answer),
    }
}

/// How long a router may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
