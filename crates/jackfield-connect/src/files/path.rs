//! Where an entry goes below the folder of the receiver, and which names are refused.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The path of an entry below the receiver's folder: names joined by `/`.
///
/// No path leaves the folder, and none has a name that some system takes for a device, cannot store
/// or does not show: what arrived can be copied to any system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(String);

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// There is no name, or none between two slashes.
    #[error("a name in it is empty")]
    EmptyName,
    /// It starts at the root of the file system or of a drive.
    #[error("it is absolute")]
    Absolute,
    /// `.` or `..`.
    #[error("it leaves the folder")]
    Dots,
    /// A backslash or a character that no terminal shows.
    #[error("it has a backslash or a control character")]
    Character,
    /// A name that Windows keeps for a device, such as `NUL` or `com1.txt`.
    #[error("a name in it is reserved for a device")]
    Device,
    /// Windows drops a dot or space at the end of a name, and the name would be another one.
    #[error("a name in it ends in a dot or a space")]
    Ending,
    /// A name above 255 bytes, a path above 4096 bytes, or more than 64 folders.
    #[error("it is too long or too deep")]
    TooLong,
    /// One of `<>:"|?*`, which Windows cannot store; refused there alone.
    #[error("it has a character that this system cannot store")]
    Unstorable,
}

impl EntryPath {
    /// Returns the path as it stands in messages.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the names of the path, the outermost folder first.
    #[must_use]
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Returns the last name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.names().next_back().unwrap_or_default()
    }

    /// Returns the path as this system writes it, relative to the receiver's folder.
    #[must_use]
    pub fn to_path(&self) -> PathBuf {
        self.names().collect()
    }
}

impl FromStr for EntryPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        check(text, cfg!(windows))?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(text: &str, on_windows: bool) -> Result<(), PathError> {
    let drive = matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if text.starts_with(['/', '\\']) || drive {
        return Err(PathError::Absolute);
    }
    if text.len() > MAX_PATH || text.split('/').count() > MAX_DEPTH {
        return Err(PathError::TooLong);
    }
    text.split('/')
        .try_for_each(|name| check_name(name, on_windows))
}

fn check_name(name: &str, on_windows: bool) -> Result<(), PathError> {
    match name {
        "" => return Err(PathError::EmptyName),
        "." | ".." => return Err(PathError::Dots),
        _ => {}
    }
    if name.len() > MAX_NAME {
        return Err(PathError::TooLong);
    }
    if name.chars().any(|c| c == '\\' || c.is_control()) {
        return Err(PathError::Character);
    }
    if name.ends_with(['.', ' ']) {
        return Err(PathError::Ending);
    }
    if on_windows && name.contains(['<', '>', ':', '"', '|', '?', '*']) {
        return Err(PathError::Unstorable);
    }
    // Windows looks at what stands before the first dot: `nul.tar.gz` is the device, too.
    let stem = name.split(['.', ':']).next().unwrap_or(name).trim_end();
    if is_device(stem) {
        return Err(PathError::Device);
    }
    Ok(())
}

fn is_device(stem: &str) -> bool {
    let stem = stem.to_ascii_uppercase();
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str()) {
        return true;
    }
    let number = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    number.is_some_and(|number| {
        matches!(number, "¹" | "²" | "³") || matches!(number.as_bytes(), [b'0'..=b'9'])
    })
}

const MAX_NAME: usize = 255;
const MAX_PATH: usize = 4096;
const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_taken_as_they_are() {
        for path in [
            "a",
            "a/b.txt",
            ".bashrc",
            "ü/日本 1.txt",
            "a..b",
            "COMMON",
            "con1",
            "lpt/x",
        ] {
            assert_eq!(path.parse::<EntryPath>().unwrap().as_str(), path);
        }
        assert_eq!(check("12:30", false), Ok(()));
    }

    #[test]
    fn what_leaves_the_folder_or_is_no_plain_name_is_refused() {
        use PathError as E;
        for (path, why) in [
            ("", E::EmptyName),
            ("a//b", E::EmptyName),
            ("a/", E::EmptyName),
            ("/etc/passwd", E::Absolute),
            ("\\\\server\\share", E::Absolute),
            ("C:/x", E::Absolute),
            ("c:x", E::Absolute),
            ("..", E::Dots),
            ("a/../b", E::Dots),
            ("./a", E::Dots),
            ("a\\..\\b", E::Character),
            ("a\nb", E::Character),
            ("a\0", E::Character),
            ("nul", E::Device),
            ("a/Aux.c", E::Device),
            ("COM1 .txt", E::Device),
            ("com².x", E::Device),
            ("a.", E::Ending),
            ("a /b", E::Ending),
        ] {
            assert_eq!(path.parse::<EntryPath>(), Err(why), "{path:?}");
        }
        assert_eq!("x".repeat(256).parse::<EntryPath>(), Err(E::TooLong));
        assert_eq!(["x"; 65].join("/").parse::<EntryPath>(), Err(E::TooLong));
        assert_eq!(check("12:30", true), Err(E::Unstorable));
        assert_eq!(check("a?", true), Err(E::Unstorable));
    }
}
