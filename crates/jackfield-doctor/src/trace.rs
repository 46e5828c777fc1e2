//! What a bug report needs: everything that an examination has sent and received, and what it
//! concluded, in two files, without secrets.

mod capture;
mod redact;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use jackfield_driver::tap::{Tap, Way, tapped};
use jackfield_sansio::FiveTuple;
use serde_json::json;

use crate::conclusions::Conclusions;
use crate::facts::Facts;
use crate::json;

/// Records what an examination sends and receives.
///
/// Bytes inside TLS are recorded in the clear. What the system's resolver and the probes of the
/// gateway send is not among it: their results are facts.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    records: Arc<Mutex<Records>>,
}

/// What was recorded.
#[derive(Debug, Default)]
struct Records {
    all: Vec<Record>,
    /// Bytes in all of them.
    bytes: usize,
    /// Records that were dropped because there were too many.
    dropped: u64,
}

/// A datagram, or a part of a stream.
#[derive(Debug, Clone)]
struct Record {
    at: SystemTime,
    /// What it was sent for.
    label: &'static str,
    path: FiveTuple,
    way: Way,
    bytes: Vec<u8>,
}

/// A recorder with the name of what is going on.
#[derive(Debug)]
struct Labelled {
    records: Arc<Mutex<Records>>,
    label: &'static str,
}

/// The two files of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceFiles {
    /// The capture, for Wireshark.
    pub pcapng: PathBuf,
    /// The facts and the conclusions.
    pub json: PathBuf,
}

impl Recorder {
    /// Runs some work of an examination, and records what it sends and receives.
    pub(crate) async fn listen<F: Future>(&self, label: &'static str, work: F) -> F::Output {
        let tap = Labelled {
            records: Arc::clone(&self.records),
            label,
        };
        tapped(Arc::new(tap), work).await
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.lock() = Records::default();
    }

    /// Returns a capture in pcapng, a comment with each packet; `secrets` are blanked wherever they
    /// stand, and so is all that looks like one.
    ///
    /// The packets are made again from what programs see: the headers are right, and TCP has as
    /// many segments as there were reads and writes.
    #[must_use]
    pub fn pcapng(&self, secrets: &[&str]) -> Vec<u8> {
        capture::write(&self.lock().all, secrets)
    }

    /// Returns how many packets were recorded, and how many were dropped for want of room.
    #[must_use]
    pub fn counts(&self) -> (usize, u64) {
        let records = self.lock();
        (records.all.len(), records.dropped)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Records> {
        // A panic elsewhere leaves a record whole or absent.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap for Labelled {
    fn record(&self, path: FiveTuple, way: Way, bytes: &[u8]) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.bytes + bytes.len() > MOST_BYTES {
            records.dropped += 1;
            return;
        }
        records.bytes += bytes.len();
        records.all.push(Record {
            at: SystemTime::now(),
            label: self.label,
            path,
            way,
            bytes: bytes.to_vec(),
        });
    }
}

/// Runs work under a recorder, if there is one.
pub(crate) async fn recorded<F: Future>(
    recorder: Option<&Recorder>,
    label: &'static str,
    work: F,
) -> F::Output {
    match recorder {
        Some(recorder) => recorder.listen(label, work).await,
        None => work.await,
    }
}

/// Runs work that blocks on another thread, under the recorder of this task.
#[cfg(target_os = "linux")]
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    let tap = jackfield_driver::tap::current();
    tokio::task::spawn_blocking(move || jackfield_driver::tap::inherit(tap, work)).await
}

impl TraceFiles {
    /// Returns the files for a path: with `.pcapng` and `.json` behind it, in place of either one
    /// that it ends with.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let is_ours = path
            .extension()
            .is_some_and(|ending| ending == "pcapng" || ending == "json");
        let stem = if is_ours {
            path.with_extension("")
        } else {
            path.to_owned()
        };
        let with = |ending: &str| {
            let mut name = OsString::from(&stem);
            name.push(ending);
            PathBuf::from(name)
        };
        Self {
            pcapng: with(".pcapng"),
            json: with(".json"),
        }
    }

    /// Writes both.
    ///
    /// # Errors
    /// Fails when a file cannot be written.
    pub fn write(
        &self,
        recorder: &Recorder,
        facts: &Facts,
        conclusions: &Conclusions,
    ) -> io::Result<()> {
        let ice = facts.web.as_ref().and_then(|web| web.ice.as_ref().ok());
        let secrets: Vec<&str> = ice
            .iter()
            .flat_map(|ice| [ice.credential.as_str(), ice.username.as_str()])
            .collect();
        fs::write(&self.pcapng, recorder.pcapng(&secrets))?;
        let (packets, dropped) = recorder.counts();
        let trace = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "capture": {
                "file": self.pcapng.file_name().map(|name| name.to_string_lossy()),
                "packets": packets,
                "dropped": dropped,
            },
            "facts": json::of_facts(facts),
            "conclusions": json::of_conclusions(conclusions),
        });
        fs::write(&self.json, format!("{trace:#}\n"))
    }
}

/// Bytes that a recorder keeps: an examination has some hundred thousand.
const MOST_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_two_files_of_one_name() {
        for path in ["a/report", "a/report.pcapng", "a/report.json"] {
            let files = TraceFiles::of(Path::new(path));
            assert_eq!(files.pcapng, Path::new("a/report.pcapng"));
            assert_eq!(files.json, Path::new("a/report.json"));
        }
        let files = TraceFiles::of(Path::new("report.v1"));
        assert_eq!(files.json, Path::new("report.v1.json"));
    }
}
