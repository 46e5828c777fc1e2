//! Why a configuration is refused.

use std::fmt;
use std::path::PathBuf;

use super::keys::Key;
use super::low::Source;

/// Why a configuration was refused: which key, which value, and what would be accepted.
#[derive(Debug)]
pub enum ConfigError {
    /// The file could not be read.
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is not TOML.
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where and why, as the TOML parser says it.
        error: String,
    },
    /// There is no such key.
    UnknownKey {
        /// What was written.
        name: String,
        /// Where.
        source: Source,
    },
    /// A value is not of its key's kind.
    Invalid {
        /// Which key.
        key: &'static Key,
        /// What was written, or nothing where it is a secret.
        value: String,
        /// Where.
        source: Source,
        /// What is wrong beyond not being what the key accepts.
        detail: Option<String>,
    },
    /// Keys that do not go together.
    Conflict(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            Self::Syntax { path, error } => {
                write!(f, "{} is not TOML: {}", path.display(), error.trim_end())
            }
            Self::UnknownKey { name, source } => {
                write!(f, "unknown key `{name}` in {source}")?;
                match Key::nearest(&name.to_lowercase()) {
                    Some(near) => write!(f, "; did you mean `{near}`?"),
                    None => write!(f, "; `jackfield config explain` lists the keys"),
                }
            }
            Self::Invalid {
                key,
                value,
                source,
                detail,
            } => {
                if key.kind.is_secret() {
                    write!(f, "the value of `{}` in {source} is refused", key.name)?;
                } else {
                    write!(f, "`{}` = {value:?} in {source} is refused", key.name)?;
                }
                if let Some(detail) = detail {
                    write!(f, " ({detail})")?;
                }
                write!(f, "; accepted is {}", key.accepts)
            }
            Self::Conflict(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ConfigError {}
