//! The shared secret of time-limited TURN credentials, generated once and kept.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

const FILE: &str = "turn-secret";

/// Returns the secret in `dir`, making it on first use; the file is readable by its owner alone.
///
/// # Errors
///
/// Fails when the directory or file can be neither read nor made, or when the file holds less than
/// 16 characters.
pub fn load_or_create(dir: &Path) -> Result<String> {
    let path = dir.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let secret = text.trim().to_owned();
            anyhow::ensure!(
                secret.len() >= 16,
                "{} holds no secret of 16 characters or more",
                path.display()
            );
            Ok(secret)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => create(dir, &path),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn create(dir: &Path, path: &Path) -> Result<String> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let secret = generate()?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => {
            writeln!(file, "{secret}")
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(secret)
        }
        // Another process was first.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => load_or_create(dir),
        Err(error) => Err(error).with_context(|| format!("cannot make {}", path.display())),
    }
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
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        let first = load_or_create(&inner).unwrap();
        assert_eq!(first.len(), 43);
        assert_eq!(load_or_create(&inner).unwrap(), first);
        #[cfg(unix)]
        {
            let file = std::fs::metadata(inner.join(FILE)).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::mode(&file.permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn an_empty_file_is_not_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "\n").unwrap();
        assert!(load_or_create(dir.path()).is_err());
    }
}
