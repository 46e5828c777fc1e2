//! What was typed: text from the file, the environment and the command line.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::keys::{Key, Kind};
use super::secret_file;
use super::table::KEYS;

/// What was typed: each key's values as text, from the source that wins.
///
/// Flags win over the environment, the environment over systemd's credentials, and these over the
/// file; a key's values are never mixed from two sources.
#[derive(Debug, Clone, Default)]
pub struct Low {
    values: BTreeMap<&'static str, (Source, Vec<String>)>,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The table of defaults.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// A file in the directory of systemd's credentials.
    Credential(PathBuf),
    /// An environment variable.
    Variable(String),
    /// The command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File(path) | Self::Credential(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::Flag => f.write_str("the command line"),
        }
    }
}

impl Low {
    /// Sets the values of `key`, unless a stronger source has set them.
    pub fn set(&mut self, key: &'static Key, source: Source, values: Vec<String>) {
        match self.values.get(key.name) {
            Some((earlier, _)) if *earlier > source => {}
            _ => {
                self.values.insert(key.name, (source, values));
            }
        }
    }

    /// Returns the values of `key` and where they were written.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<(&Source, &[String])> {
        self.values
            .get(key.name)
            .map(|(source, values)| (source, values.as_slice()))
    }

    /// Adds what a TOML text says.
    ///
    /// Keys may stand flat (`turn-max-lifetime = "1h"`) or in tables whose names are the first
    /// words of a key (`[turn]`, then `max-lifetime`).
    ///
    /// # Errors
    ///
    /// Refuses a text that is not TOML, an unknown key, and a value of the wrong type.
    pub fn read_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let table: toml::Table =
            text.parse()
                .map_err(|error: toml::de::Error| ConfigError::Syntax {
                    path: path.to_owned(),
                    error: error.to_string(),
                })?;
        let source = Source::File(path.to_owned());
        self.read_table("", &table, &source)
    }

    /// Adds the keys for secrets that have a file of their name in `dir`, as systemd passes
    /// credentials in `$CREDENTIALS_DIRECTORY` (`LoadCredential=secret:/etc/jackfield/secret`): one
    /// value a line.
    ///
    /// # Errors
    ///
    /// Refuses a file that cannot be read.
    pub fn read_credentials(&mut self, dir: &Path) -> Result<(), ConfigError> {
        for key in KEYS.iter().filter(|key| key.kind.is_secret()) {
            let path = dir.join(key.name);
            if path.exists() {
                // systemd gives the service access by an ACL, which the mode shows as the group's.
                let values = secret_file::protected_lines(&path)?;
                self.set(key, Source::Credential(path), values);
            }
        }
        Ok(())
    }

    fn read_table(
        &mut self,
        prefix: &str,
        table: &toml::Table,
        source: &Source,
    ) -> Result<(), ConfigError> {
        for (name, value) in table {
            let name = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}-{name}")
            };
            match (Key::find(&name), value) {
                (Some(key), value) => {
                    let values = texts(key, value, source)?;
                    self.set(key, source.clone(), values);
                }
                (None, toml::Value::Table(inner)) if is_section(&name) => {
                    self.read_table(&name, inner, source)?;
                }
                (None, _) => {
                    return Err(ConfigError::UnknownKey {
                        name,
                        source: source.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Adds what the `JACKFIELD_` variables among `variables` say; commas part the values of a
    /// repeatable key.
    ///
    /// # Errors
    ///
    /// Refuses an unknown variable that begins with `JACKFIELD_`, `JACKFIELD_CONFIG` excepted.
    pub fn read_environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (variable, value) in variables {
            let Some(name) = variable.strip_prefix("JACKFIELD_") else {
                continue;
            };
            if name == "CONFIG" {
                continue;
            }
            let name = name.to_lowercase().replace('_', "-");
            let source = Source::Variable(variable);
            let Some(key) = Key::find(&name) else {
                return Err(ConfigError::UnknownKey { name, source });
            };
            let values = if key.kind.is_many() {
                value
                    .split(',')
                    .map(|part| part.trim().to_owned())
                    .filter(|part| !part.is_empty())
                    .collect()
            } else {
                vec![value]
            };
            self.set(key, source, values);
        }
        Ok(())
    }
}

/// Returns whether some key's name begins with `name` and a hyphen.
fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| {
        key.name
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('-'))
    })
}

/// Turns a TOML value into the text that a flag would have given.
fn texts(
    key: &'static Key,
    value: &toml::Value,
    source: &Source,
) -> Result<Vec<String>, ConfigError> {
    let refuse = |detail: &str| {
        Err(ConfigError::Invalid {
            key,
            value: value.to_string(),
            source: source.clone(),
            detail: Some(detail.to_owned()),
        })
    };
    match value {
        toml::Value::String(text) => Ok(vec![text.clone()]),
        toml::Value::Integer(number) => Ok(vec![number.to_string()]),
        toml::Value::Boolean(flag) if key.kind == Kind::Switch => Ok(vec![flag.to_string()]),
        toml::Value::Boolean(_) => refuse("not a switch"),
        toml::Value::Array(items) if key.kind.is_many() => {
            let mut all = Vec::new();
            for item in items {
                match item {
                    toml::Value::String(text) => all.push(text.clone()),
                    _ => return refuse("a list of texts is needed"),
                }
            }
            Ok(all)
        }
        toml::Value::Array(_) => refuse("takes one value"),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => {
            refuse("wrong type")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let key = Key::find("realm").unwrap();
        let mut low = Low::default();
        low.set(key, Source::Flag, vec!["flag".into()]);
        low.read_environment([("JACKFIELD_REALM".into(), "variable".into())])
            .unwrap();
        low.read_file(Path::new("j.toml"), "realm = 'file'")
            .unwrap();
        assert_eq!(low.get(key).unwrap().1, ["flag"]);
    }

    #[test]
    fn systemd_credentials_win_over_the_file_and_give_way_to_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "from-systemd-itself\n").unwrap();
        std::fs::write(dir.path().join("realm"), "not a secret").unwrap();
        let mut low = Low::default();
        low.read_file(Path::new("j.toml"), "secret = 'from-the-toml-file'")
            .unwrap();
        low.read_credentials(dir.path()).unwrap();
        let values = |low: &Low, name| {
            let (_, values) = low.get(Key::find(name).unwrap())?;
            Some(values.to_vec())
        };
        assert_eq!(values(&low, "secret").unwrap(), ["from-systemd-itself"]);
        assert_eq!(values(&low, "user"), None);
        assert_eq!(values(&low, "realm"), None);
        low.read_environment([("JACKFIELD_SECRET".into(), "from-the-variable".into())])
            .unwrap();
        assert_eq!(values(&low, "secret").unwrap(), ["from-the-variable"]);
    }

    #[test]
    fn tables_are_the_first_words_of_a_key() {
        let mut low = Low::default();
        low.read_file(
            Path::new("j.toml"),
            "listen = ['127.0.0.1:1']\n[turn]\nmax-lifetime = '5m'\n[turn.max]\npermissions = 3",
        )
        .unwrap();
        let value = |name| low.get(Key::find(name).unwrap()).unwrap().1.to_vec();
        assert_eq!(value("listen"), ["127.0.0.1:1"]);
        assert_eq!(value("turn-max-lifetime"), ["5m"]);
        assert_eq!(value("turn-max-permissions"), ["3"]);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let mut low = Low::default();
        let error = low
            .read_file(Path::new("j.toml"), "lissten = '1.2.3.4:5'")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown key `lissten` in j.toml; did you mean `listen`?"
        );
        let error = low
            .read_environment([("JACKFIELD_SHARD".into(), "1".into())])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown key `shard` in the environment variable JACKFIELD_SHARD; did you mean `shards`?"
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_with_what_is_accepted() {
        let mut low = Low::default();
        let error = low
            .read_file(Path::new("j.toml"), "shards = [1, 2]")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`shards` = \"[1, 2]\" in j.toml is refused (takes one value); accepted is a whole number from 0 to 256; 0 means one a core"
        );
    }
}
