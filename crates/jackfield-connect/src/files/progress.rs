//! How far a transfer is: numbers that another thread may read at any time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a transfer is; shared by the transfer and those who show it.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    total: AtomicU64,
    files: AtomicU64,
    total_files: AtomicU64,
    /// Bytes that were there before: of an earlier try, or of a file that had arrived already.
    kept: AtomicU64,
    current: Mutex<String>,
}

impl Progress {
    /// Returns the bytes that are there, those kept from before included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the bytes of the whole transfer; 0 until it is known.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Returns the files that are there, checked.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Returns the files of the whole transfer.
    #[must_use]
    pub fn total_files(&self) -> u64 {
        self.total_files.load(Ordering::Relaxed)
    }

    /// Returns the bytes that did not have to travel, because an earlier try had brought them.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// Returns the path of the file that is on its way.
    #[must_use]
    pub fn current(&self) -> String {
        match self.current.lock() {
            Ok(current) => current.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }

    /// A new channel: counting begins again.
    pub(super) fn begin(&self, bytes: u64, files: u64) {
        self.total.store(bytes, Ordering::Relaxed);
        self.total_files.store(files, Ordering::Relaxed);
        for counter in [&self.bytes, &self.files, &self.kept] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn take_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn keep(&self, bytes: u64) {
        self.kept.fetch_add(bytes, Ordering::Relaxed);
        self.add_bytes(bytes);
    }

    pub(super) fn unkeep(&self, bytes: u64) {
        self.kept.fetch_sub(bytes, Ordering::Relaxed);
        self.take_back(bytes);
    }

    pub(super) fn add_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_at(&self, path: &str) {
        let mut current = match self.current.lock() {
            Ok(current) => current,
            Err(poisoned) => poisoned.into_inner(),
        };
        path.clone_into(&mut current);
    }
}
