use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::nat::{Change, Firewall, SettingError, Settings};

/// What a lab is to be, checked value by value; whether it fits together is for [`super::Plan`] to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    /// Whether the server host runs `jackfield serve`, and with which further flags.
    pub serve: Option<Vec<String>>,
    /// Networks behind routers of their own.
    pub sites: Vec<SiteSpec>,
    /// Hosts in them, besides the server.
    pub hosts: Vec<HostSpec>,
    /// Programs to run, in the order in which they start.
    pub jobs: Vec<Job>,
    /// Whether sites have IPv6, behind a firewall that lets answers in.
    pub ipv6: bool,
}

/// A network behind a router.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteSpec {
    /// Its name.
    pub name: String,
    /// The NATs in a row, innermost first; none where hosts have public addresses.
    pub nats: Vec<Change>,
    /// What the innermost router has besides: a firewall, a link, single behaviours.
    pub change: Change,
    /// How many external addresses the innermost NAT has.
    pub externals: u8,
    /// The site whose hosts see this one's router as one of theirs; `None` for the internet.
    pub behind: Option<String>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSpec {
    /// Its name, which the others know it by as well.
    pub name: String,
    /// The site it is in; `None` for a public address.
    pub site: Option<String>,
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The host it runs on.
    pub host: String,
    /// What to run.
    pub words: Words,
    /// Whether the lab ends without waiting for it.
    pub background: bool,
    /// What it prints when the next program may start.
    pub ready: Option<String>,
    /// How long that may take.
    pub patience: Duration,
    /// Variables of its own.
    pub environment: BTreeMap<String, String>,
    /// The folder that it starts in.
    pub folder: Option<PathBuf>,
}

impl Job {
    /// Returns a program in the foreground.
    pub fn new(host: &str, words: Words) -> Self {
        Self {
            host: host.to_owned(),
            words,
            background: false,
            ready: None,
            patience: PATIENCE,
            environment: BTreeMap::new(),
            folder: None,
        }
    }
}

/// How long a program may take to say that it is ready, unless told otherwise.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What a program is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// A line for the shell.
    Shell(String),
    /// The program and its arguments.
    Exact(Vec<String>),
}

/// What cannot be, in the words of who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// It is no TOML, or has keys that there are not; the text names line and key.
    #[error("{0}")]
    Toml(String),
    /// A value that is not accepted.
    #[error("{key} cannot be `{value}`: accepted is {accepted}")]
    Value {
        /// Where it was written.
        key: String,
        /// What it was to be.
        value: String,
        /// What would do.
        accepted: String,
    },
    /// A name that two have.
    #[error("{key} is there twice: give one of them another name")]
    Twice {
        /// Where the second was written.
        key: String,
    },
    /// A key without which another one makes no sense.
    #[error("{key} needs {needs}")]
    Needs {
        /// What was written.
        key: String,
        /// What was not.
        needs: &'static str,
    },
}

impl SpecError {
    pub(super) fn value(
        key: impl Into<String>,
        value: impl Into<String>,
        accepted: impl Into<String>,
    ) -> Self {
        Self::Value {
            key: key.into(),
            value: value.into(),
            accepted: accepted.into(),
        }
    }

    /// Says where a setting was written that is not accepted.
    pub(super) fn of_setting(path: &str, error: SettingError) -> Self {
        Self::value(format!("{path}.{}", error.key), error.value, error.accepted)
    }
}

impl SiteSpec {
    /// Checks every value by the rules of the router that will have it.
    pub(super) fn check(&self, path: &str) -> Result<(), SpecError> {
        name(path, &self.name)?;
        let nowhere = Settings::new(Vec::<IpAddr>::new());
        for nat in &self.nats {
            let mut checked = nowhere.changed(nat);
            if let Err(error) = &mut checked {
                // However it was written, it is the value of `nat`.
                error.key = "nat";
            }
            checked.map_err(|error| SpecError::of_setting(path, error))?;
        }
        nowhere
            .changed(&self.change)
            .map_err(|error| SpecError::of_setting(path, error))?;
        let single = &self.change;
        let behaviour = [
            ("mapping", &single.mapping),
            ("filtering", &single.filtering),
            ("hairpinning", &single.hairpinning),
            ("udp-timeout", &single.udp_timeout),
        ];
        match behaviour.iter().find(|(_, value)| value.is_some()) {
            Some((key, _)) if self.nats.is_empty() => Err(SpecError::Needs {
                key: format!("{path}.{key}"),
                needs: "a `nat`, which hosts with public addresses have not",
            }),
            _ => Ok(()),
        }
    }
}

/// Reads a NAT: a profile, or a mapping and a filtering with a slash between them; `None` for no NAT at all.
pub(super) fn nat(text: &str) -> Option<Change> {
    if matches!(text, "public" | "open" | "none") {
        return None;
    }
    Some(match text.split_once('/') {
        Some((mapping, filtering)) => Change {
            mapping: Some(mapping.to_owned()),
            filtering: Some(filtering.to_owned()),
            ..Change::default()
        },
        None => Change {
            profile: Some(text.to_owned()),
            ..Change::default()
        },
    })
}

/// Checks that a name can be the one of a host: it becomes one in files and variables.
pub(super) fn name(path: &str, name: &str) -> Result<(), SpecError> {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if begins && name.len() <= LONGEST_NAME && name.chars().all(sound) && !name.ends_with('-') {
        return Ok(());
    }
    let accepted =
        "a name of lower-case letters, digits and hyphens that begins with a letter, up to 24";
    Err(SpecError::value(path, name, accepted))
}

/// Says whether a word of a site's flag is a firewall.
pub(super) fn firewall(text: &str) -> bool {
    text != Firewall::None.name() && Firewall::find(text).is_some()
}

const LONGEST_NAME: usize = 24;
