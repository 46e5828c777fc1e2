//! Reads what programs print, line by line.

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

use super::event::{Event, Observer, Stream};

/// Which lines of which program are read, and where they go.
#[derive(Debug)]
pub(super) struct LineReader {
    pub(super) host: String,
    pub(super) stream: Stream,
    /// The text that says that the program is ready.
    pub(super) ready: Option<String>,
    /// Becomes true when a line has that text in it.
    pub(super) is_ready: watch::Sender<bool>,
    pub(super) observer: Observer,
}

impl LineReader {
    /// Reports lines until the program closes its output.
    pub(super) async fn run(self, mut from: impl AsyncRead + Unpin) {
        let mut held = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            // A pipe that cannot be read has no more lines.
            let read = from.read(&mut buffer).await.unwrap_or(0);
            held.extend(buffer.get(..read).unwrap_or_default());
            while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = held.drain(..=end).collect();
                line.pop();
                self.report(&line);
            }
            let is_last = read == 0;
            // A program that never ends its line must not fill the memory.
            if !held.is_empty() && (is_last || held.len() > MAX_LINE_BYTES) {
                self.report(&std::mem::take(&mut held));
            }
            if is_last {
                return;
            }
        }
    }

    fn report(&self, line: &[u8]) {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        let (host, stream) = (&self.host, self.stream);
        self.observer.report(&Event::Line { host, stream, text });
        let ready = self.ready.as_deref();
        if ready.is_some_and(|ready| String::from_utf8_lossy(text).contains(ready)) {
            self.is_ready.send_replace(true);
        }
    }
}

/// How much of a line without an end is kept, in bytes.
const MAX_LINE_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn the_wanted_text_is_seen_across_reads_and_without_a_last_newline() {
        let (lines, is_ready) = read(3, &[b"not yet\nnow read", b"y"], Some("ready")).await;
        assert_eq!(lines, ["not yet", "now ready"]);
        assert!(is_ready);
    }

    #[tokio::test]
    async fn a_program_that_says_something_else_is_not_ready() {
        let (lines, is_ready) = read(3, &[b"steady\r\n", b"\n"], Some("ready")).await;
        assert_eq!(lines, ["steady", ""]);
        assert!(!is_ready);
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_given_out_in_parts() {
        let long = vec![b'x'; MAX_LINE_BYTES + 5000];
        let (lines, _) = read(1000, &[&long, b"\nshort"], None).await;
        assert!(lines[0].len() > MAX_LINE_BYTES);
        let total: usize = lines.iter().map(String::len).sum();
        assert_eq!(total, long.len() + "short".len());
        assert_eq!(lines.last().map(String::as_str), Some("short"));
    }

    /// Returns the lines that are read from these writes through a pipe of that size, and whether
    /// `ready` was among them.
    async fn read(pipe_bytes: usize, writes: &[&[u8]], ready: Option<&str>) -> (Vec<String>, bool) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let (sender, is_ready) = watch::channel(false);
        let reader = LineReader {
            host: "ann".into(),
            stream: Stream::Out,
            ready: ready.map(Into::into),
            is_ready: sender,
            observer: Observer::new(move |event| {
                if let Event::Line { text, .. } = event {
                    let text = String::from_utf8_lossy(text).into_owned();
                    sink.lock().unwrap().push(text);
                }
            }),
        };
        let (mut writing, reading) = tokio::io::duplex(pipe_bytes);
        let write = async move {
            for bytes in writes {
                writing.write_all(bytes).await.unwrap();
            }
        };
        tokio::join!(reader.run(reading), write);
        let is_ready = *is_ready.borrow();
        let lines = lines.lock().unwrap().clone();
        (lines, is_ready)
    }
}
