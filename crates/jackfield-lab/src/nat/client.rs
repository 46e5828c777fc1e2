//! Asks a running router.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Answer, AskError, Request};

/// Sends a request to the router with the control socket at `path`; returns its answer.
///
/// # Errors
/// Fails when no router listens there and when it does not answer within ten seconds. A refusal
/// ([`Answer::Error`]) is an error in the router's own words.
pub fn ask(path: &Path, request: &Request) -> Result<Answer, AskError> {
    let mut stream = UnixStream::connect(path).map_err(|error| AskError::NoRouter {
        path: path.to_owned(),
        error,
    })?;
    let timeout = stream.set_read_timeout(Some(ANSWER_TIMEOUT));
    timeout.map_err(AskError::Timeout)?;
    let mut line = serde_json::to_vec(request).map_err(AskError::Request)?;
    line.push(b'\n');
    stream.write_all(&line).map_err(AskError::Send)?;
    let mut answer = String::new();
    let mut reader = BufReader::new(stream);
    reader.read_line(&mut answer).map_err(AskError::Receive)?;
    match serde_json::from_str(&answer).map_err(AskError::Answer)? {
        Answer::Error(text) => Err(AskError::Refused(text)),
        answer => Ok(answer),
    }
}

/// How long a router may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
