//! The shared secret of time-limited TURN credentials, generated once and kept.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::config::is_open_to_others;

const FILE: &str = "turn-secret";

/// Returns the secret in `dir`, making it on first use; the file is readable by its owner alone.
///
/// An empty file counts as none. Processes that start at the same time agree on one secret.
///
/// # Errors
///
/// Fails when the directory or file can be neither read nor made, or when the file holds text of
/// less than 16 characters.
pub fn load_or_create(dir: &Path) -> Result<String> {
    let path = dir.join(FILE);
    if let Some(secret) = read(&path)? {
        return Ok(secret);
    }
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let _lock = lock(dir);
    // Another process may have made the secret while this one waited for the lock.
    if let Some(secret) = read(&path)? {
        return Ok(secret);
    }
    create(dir, &path)?;
    // Without a lock the file of another process may have taken the place of this one.
    read(&path)?.with_context(|| format!("{} is empty after it was written", path.display()))
}

/// Reads the secret; `None` where there is no file, or an empty one.
fn read(path: &Path) -> Result<Option<String>> {
    let context = || format!("cannot read {}", path.display());
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(context),
    };
    let mut text = String::new();
    file.read_to_string(&mut text).with_context(context)?;
    let secret = text.trim();
    if secret.is_empty() {
        return Ok(None);
    }
    anyhow::ensure!(
        secret.len() >= 16,
        "{} holds no secret of 16 characters or more",
        path.display()
    );
    let metadata = file.metadata().with_context(context)?;
    if is_open_to_others(metadata.permissions().mode()) {
        tracing::warn!(
            path = %path.display(),
            "Other users of this machine can read or change the TURN secret: chmod 600 closes it"
        );
    }
    Ok(Some(secret.to_owned()))
}

/// Waits for the directory's lock, which the file returned holds until it is dropped.
fn lock(dir: &Path) -> Option<File> {
    let locked = File::open(dir).and_then(|file| file.lock().map(|()| file));
    // Some network file systems lock no directories. Only first starts at the same time suffer.
    locked
        .inspect_err(|error| tracing::debug!(%error, "Cannot lock the data directory"))
        .ok()
}

/// Writes a new secret under a temporary name and renames it, so that the file at `path` is whole
/// at every moment, whatever ends this process or fills the disk.
fn create(dir: &Path, path: &Path) -> Result<()> {
    let temporary = dir.join(format!(
        "{FILE}.{:016x}",
        u64::from_ne_bytes(random_bytes()?)
    ));
    let written = write(&temporary, &generate()?).and_then(|()| std::fs::rename(&temporary, path));
    if let Err(error) = written {
        if let Err(error) = std::fs::remove_file(&temporary)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %temporary.display(), "Cannot remove a temporary file");
        }
        return Err(error).with_context(|| format!("cannot write {}", path.display()));
    }
    // The rename lasts through a power failure once the directory is on the disk.
    if let Err(error) = File::open(dir).and_then(|dir| dir.sync_all()) {
        tracing::debug!(%error, "Cannot sync the data directory");
    }
    Ok(())
}

fn write(path: &Path, secret: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}

/// Returns 32 random bytes as text.
///
/// # Errors
///
/// Fails when the system has no randomness.
pub fn generate() -> Result<String> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random_bytes::<32>()?))
}

/// Returns bytes from the system's random number generator.
///
/// # Errors
///
/// Fails when the system has no randomness.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

/// Returns the directory that data is kept in when none is configured.
#[must_use]
pub fn default_dir() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(base) = variable("XDG_DATA_HOME") {
        return Some(PathBuf::from(base).join("jackfield"));
    }
    Some(PathBuf::from(variable("HOME")?).join(".local/share/jackfield"))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn the_secret_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        let first = load_or_create(&inner).unwrap();
        assert_eq!(first.len(), 43);
        assert_eq!(load_or_create(&inner).unwrap(), first);
        assert_eq!(only_file(&inner).permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn first_starts_at_the_same_time_agree_on_one_secret() {
        // Every third round begins with an empty file, as a full disk may have left it.
        for round in 0..100 {
            let dir = tempfile::tempdir().unwrap();
            if round % 3 == 0 {
                std::fs::write(dir.path().join(FILE), "").unwrap();
            }
            let together = Barrier::new(8);
            let secrets: Vec<String> = std::thread::scope(|scope| {
                let start = || {
                    together.wait();
                    load_or_create(dir.path()).unwrap()
                };
                let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
                starts.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let first = secrets.first().unwrap();
            assert!(secrets.iter().all(|secret| secret == first), "{secrets:?}");
            assert_eq!(&load_or_create(dir.path()).unwrap(), first);
            only_file(dir.path());
        }
    }

    #[test]
    fn an_empty_file_counts_as_none() {
        for text in ["", "\n"] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(FILE), text).unwrap();
            let first = load_or_create(dir.path()).unwrap();
            assert_eq!(load_or_create(dir.path()).unwrap(), first);
            assert_eq!(only_file(dir.path()).permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_short_secret_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "short\n").unwrap();
        assert!(load_or_create(dir.path()).is_err());
        let kept = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert_eq!(kept, "short\n");
    }

    #[test]
    fn a_secret_that_cannot_be_put_in_place_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let in_the_way = dir.path().join(FILE);
        std::fs::create_dir(&in_the_way).unwrap();
        assert!(create(dir.path(), &in_the_way).is_err());
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    /// Returns what there is to know of the one file that a directory may hold.
    fn only_file(dir: &Path) -> std::fs::Metadata {
        let files: Vec<_> = std::fs::read_dir(dir).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
        std::fs::metadata(dir.join(FILE)).unwrap()
    }
}
