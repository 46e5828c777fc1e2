//! What is sent: the files and folders that a user named, walked once.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::message::Entry;
use super::path::{EntryPath, PathError};
use super::{MAX_ENTRIES, MAX_PATH_BYTES, PathBytes};

/// The files and folders of a transfer.
#[derive(Debug, Clone, Default)]
pub struct Source {
    pub(super) entries: Vec<SourceEntry>,
    skipped: Vec<PathBuf>,
    path_bytes: PathBytes,
}

#[derive(Debug, Clone)]
pub(super) struct SourceEntry {
    pub(super) entry: Entry,
    /// Where it is on this machine.
    pub(super) path: PathBuf,
}

/// Why something cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It is not there, or cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its name is not one that every receiver takes.
    #[error("{} cannot be sent: {why}", path.display())]
    BadName {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with the name.
        why: PathError,
    },
    /// Its name is no text.
    #[error("{} cannot be sent: its name is not UTF-8", .0.display())]
    NotText(PathBuf),
    /// Two that were named have the same name.
    #[error("two of them are called {0}")]
    SameName(String),
    /// Something that is neither a file nor a folder was named.
    #[error("{} is neither a file nor a folder", .0.display())]
    Special(PathBuf),
    /// There are too many files, or their paths are too long in all.
    #[error("more than {MAX_ENTRIES} files and folders, or {MAX_PATH_BYTES} bytes of paths")]
    TooMany,
}

impl Source {
    /// Gathers files, and folders with all that is below them. A link that was named is followed;
    /// links below a folder, and what is neither file nor folder, are [skipped](Self::skipped).
    ///
    /// # Errors
    /// [`SourceError`] names the first one that cannot be sent.
    pub fn gather<P: AsRef<Path>>(paths: &[P]) -> Result<Self, SourceError> {
        let mut source = Self::default();
        for path in paths {
            let path = path.as_ref();
            let whole = fs::canonicalize(path).map_err(unreadable(path))?;
            // The name is that of the link, and only `.` and the like have to be looked up.
            let name = path.file_name().or_else(|| whole.file_name());
            let name = name.ok_or_else(|| SourceError::Special(path.to_owned()))?;
            let name = name
                .to_str()
                .ok_or_else(|| SourceError::NotText(path.to_owned()))?;
            if source.entries.iter().any(|named| named.entry.path == name) {
                return Err(SourceError::SameName(name.to_owned()));
            }
            let metadata = fs::metadata(path).map_err(unreadable(path))?;
            if !metadata.is_file() && !metadata.is_dir() {
                return Err(SourceError::Special(path.to_owned()));
            }
            source.add(path.to_owned(), name.to_owned(), &metadata)?;
        }
        Ok(source)
    }

    /// Returns the number of files, without folders.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.entries
            .iter()
            .filter(|entry| !entry.entry.folder)
            .count() as u64
    }

    /// Returns the bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.entry.size).sum()
    }

    /// Returns links and special files that are not sent.
    #[must_use]
    pub fn skipped(&self) -> &[PathBuf] {
        &self.skipped
    }

    /// Returns what is sent, in the order of the transfer.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|entry| &entry.entry)
    }

    fn add(&mut self, path: PathBuf, name: String, metadata: &Metadata) -> Result<(), SourceError> {
        name.parse::<EntryPath>()
            .map_err(|why| SourceError::BadName {
                path: path.clone(),
                why,
            })?;
        if self.entries.len() >= MAX_ENTRIES || !self.path_bytes.add(&name) {
            return Err(SourceError::TooMany);
        }
        let entry = entry(name.clone(), metadata);
        let is_folder = entry.folder;
        self.entries.push(SourceEntry {
            entry,
            path: path.clone(),
        });
        if is_folder {
            self.walk(&path, &name)
        } else {
            Ok(())
        }
    }

    fn walk(&mut self, folder: &Path, name: &str) -> Result<(), SourceError> {
        let read = fs::read_dir(folder).map_err(unreadable(folder))?;
        let mut inside = read
            .collect::<Result<Vec<_>, _>>()
            .map_err(unreadable(folder))?;
        inside.sort_by_key(fs::DirEntry::file_name);
        for item in inside {
            let path = item.path();
            let metadata = item.metadata().map_err(unreadable(&path))?;
            if !metadata.is_file() && !metadata.is_dir() {
                self.skipped.push(path);
                continue;
            }
            let last = item.file_name();
            let last = last
                .to_str()
                .ok_or_else(|| SourceError::NotText(path.clone()))?;
            self.add(path.clone(), format!("{name}/{last}"), &metadata)?;
        }
        Ok(())
    }
}

impl SourceEntry {
    /// Opens the file, if it is still the one that was offered.
    pub(super) fn open(&self) -> io::Result<Option<File>> {
        let file = File::open(&self.path)?;
        Ok(self.is_same(&file)?.then_some(file))
    }

    /// Returns whether an open file is still the one that was offered.
    pub(super) fn is_same(&self, file: &File) -> io::Result<bool> {
        let now = entry(String::new(), &file.metadata()?);
        Ok((now.size, now.mtime, now.folder) == (self.entry.size, self.entry.mtime, false))
    }
}

fn entry(path: String, metadata: &Metadata) -> Entry {
    let folder = metadata.is_dir();
    Entry {
        path,
        size: if folder { 0 } else { metadata.len() },
        mtime: metadata.modified().ok().and_then(milliseconds),
        executable: !folder && is_executable(metadata),
        folder,
    }
}

fn milliseconds(time: SystemTime) -> Option<i64> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).ok(),
        Err(before) => i64::try_from(before.duration().as_millis())
            .ok()
            .map(|ms| -ms),
    }
}

#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> SourceError {
    let path = path.to_owned();
    move |source| SourceError::Unreadable { path, source }
}
