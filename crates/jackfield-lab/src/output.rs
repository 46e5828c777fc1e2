//! What programs print, line by line, with the name of their host in front.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

/// Where a line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// Gives each host its colour, and every name the same width.
#[derive(Debug, Clone)]
pub(super) struct Output {
    names: Arc<Vec<String>>,
    width: usize,
    coloured: bool,
    /// Nothing is printed at all.
    hush: bool,
}

impl Output {
    /// Returns one for these hosts; colours are for terminals whose owner did not refuse them (NO_COLOR).
    pub(super) fn new(names: Vec<String>, hush: bool) -> Self {
        Self {
            width: names.iter().map(String::len).max().unwrap_or(0),
            names: Arc::new(names),
            hush,
            coloured: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    /// Prints a line.
    pub(super) fn line(&self, name: &str, stream: Stream, text: &[u8]) {
        if self.hush {
            return;
        }
        let mut line = self.prefix(name).into_bytes();
        line.extend(text);
        line.push(b'\n');
        // Who closed the other end of a pipe has read enough.
        let _closed = match stream {
            Stream::Out => {
                let mut out = std::io::stdout().lock();
                out.write_all(&line).and_then(|()| out.flush())
            }
            Stream::Err => std::io::stderr().lock().write_all(&line),
        };
    }

    fn prefix(&self, name: &str) -> String {
        let place = self.names.iter().position(|other| other == name);
        let colour = place.and_then(|place| COLOURS.get(place % COLOURS.len()));
        let width = self.width;
        match colour.filter(|_| self.coloured) {
            Some(colour) => format!("\x1b[{colour}m{name:width$} │\x1b[0m "),
            None => format!("{name:width$} | "),
        }
    }

    /// Prints what comes from a program until it ends; `seen` is set when a line has `wanted` in it.
    pub(super) async fn copy(
        self,
        name: String,
        stream: Stream,
        mut from: impl AsyncRead + Unpin,
        wanted: Option<String>,
        seen: watch::Sender<bool>,
    ) {
        let mut held = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = from.read(&mut buffer).await.unwrap_or(0);
            held.extend(buffer.get(..read).unwrap_or_default());
            while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = held.drain(..=end).collect();
                line.pop();
                self.take(&name, stream, &line, wanted.as_deref(), &seen);
            }
            let last = read == 0;
            if !held.is_empty() && (last || held.len() > LONGEST_LINE) {
                let line = std::mem::take(&mut held);
                self.take(&name, stream, &line, wanted.as_deref(), &seen);
            }
            if last {
                return;
            }
        }
    }

    fn take(
        &self,
        name: &str,
        stream: Stream,
        line: &[u8],
        wanted: Option<&str>,
        seen: &watch::Sender<bool>,
    ) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.line(name, stream, line);
        if wanted.is_some_and(|wanted| String::from_utf8_lossy(line).contains(wanted)) {
            seen.send_replace(true);
        }
    }
}

/// Colours that are read well on light and dark: of the 16 that terminals have themes for.
const COLOURS: &[&str] = &["36", "33", "35", "32", "34", "96", "93", "95", "92", "94"];
/// How much of a line without an end is kept, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_wanted_text_is_seen_across_reads_and_without_a_last_newline() {
        let output = Output::new(vec!["ann".into()], true);
        let (seen, is_seen) = watch::channel(false);
        let (mut writing, reading) = tokio::io::duplex(3);
        let copy = output.copy(
            "ann".into(),
            Stream::Out,
            reading,
            Some("ready".into()),
            seen,
        );
        let write = async move {
            use tokio::io::AsyncWriteExt;
            writing.write_all(b"not yet\nnow read").await.unwrap();
            writing.write_all(b"y").await.unwrap();
        };
        tokio::join!(copy, write);
        assert!(*is_seen.borrow());
    }
}
