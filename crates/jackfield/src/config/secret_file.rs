//! Files that secrets are read from.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::error::ConfigError;

/// Returns the lines of a file, without the empty ones, and warns where others can read it.
pub(super) fn lines(path: &Path) -> Result<Vec<String>, ConfigError> {
    let unreadable = |error| unreadable(path, error);
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if is_open_to_others(metadata.permissions().mode()) {
        tracing::warn!(
            path = %path.display(),
            "Other users of this machine can read or change a file with secrets: chmod 600 closes it"
        );
    }
    protected_lines(path)
}

/// Returns the lines of a file that its directory protects, without the empty ones.
pub(super) fn protected_lines(path: &Path) -> Result<Vec<String>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
    // A password may begin or end with spaces, so that nothing else is cut off.
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    Ok(lines.map(str::to_owned).collect())
}

fn unreadable(path: &Path, error: std::io::Error) -> ConfigError {
    ConfigError::Unreadable {
        path: path.to_owned(),
        error,
    }
}

/// Returns whether the group or everyone may read or write a file of this mode.
pub(crate) fn is_open_to_others(mode: u32) -> bool {
    mode & 0o066 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_that_let_others_in_are_told_from_those_that_do_not() {
        for mode in [0o644, 0o640, 0o604, 0o620, 0o602] {
            assert!(is_open_to_others(mode), "{mode:o}");
        }
        for mode in [0o600, 0o400, 0o100_600, 0o700] {
            assert!(!is_open_to_others(mode), "{mode:o}");
        }
    }
}
