//! A lab as data: what a file, flags or code asks for, each value checked by itself.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::nat::{Change, Firewall, SettingError, Settings};
use crate::proxy::ProxyKind;

/// The description of a lab. [`Spec::from_toml`] and the `add_` methods check each value by
/// itself; [`Plan::new`](super::Plan::new) finds out whether they fit together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    /// The further flags of `jackfield serve` on the server host; `None` when the host does not
    /// run it.
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteSpec {
    /// Its name.
    pub name: String,
    /// The NATs between the hosts and the internet, innermost first. Without any, the hosts have
    /// public addresses.
    pub nats: Vec<Change>,
    /// What differs on the innermost router: its firewall, its link, single behaviours.
    pub change: Change,
    /// How many external addresses the innermost NAT has, from 1 to 16.
    pub externals: u8,
    /// The site that this one's router is a host of; `None` for the internet.
    pub behind: Option<String>,
    /// The proxy that is all that its hosts reach; `None` where they have a way out of their own.
    pub proxy: Option<ProxyKind>,
}

impl SiteSpec {
    /// Returns a site of hosts with public addresses.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            nats: Vec::new(),
            change: Change::default(),
            externals: 1,
            behind: None,
            proxy: None,
        }
    }
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSpec {
    /// Its name, which resolves on the other hosts.
    pub name: String,
    /// The site it is in; `None` for a public address.
    pub site: Option<String>,
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The host it runs on.
    pub host: String,
    /// The program and its arguments.
    pub command: CommandLine,
    /// Whether the lab may end while it still runs.
    pub background: bool,
    /// The text that it prints when the next program may start; `None` starts the next one at
    /// once.
    pub ready: Option<String>,
    /// How long it may take to print that text.
    pub ready_timeout: Duration,
    /// Environment variables, besides those that describe the lab.
    pub environment: BTreeMap<String, String>,
    /// The folder that it starts in.
    pub folder: Option<PathBuf>,
}

impl Job {
    /// Returns a program that the lab waits for.
    #[must_use]
    pub fn new(host: &str, command: CommandLine) -> Self {
        Self {
            host: host.to_owned(),
            command,
            background: false,
            ready: None,
            ready_timeout: READY_TIMEOUT,
            environment: BTreeMap::new(),
            folder: None,
        }
    }
}

/// What a program is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// A line for `/bin/sh -c`.
    Shell(String),
    /// The program and its arguments, which no shell reads.
    Exec(Vec<String>),
}

/// A mistake in a file or a flag, which names the key as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The text is not TOML or has an unknown key; the message names both the line and the key.
    #[error("{0}")]
    Toml(String),
    /// A value that is not accepted.
    #[error("{key} cannot be `{value}`: accepted is {accepted}")]
    Value {
        /// The key or flag.
        key: String,
        /// The value.
        value: String,
        /// The values that are accepted.
        accepted: String,
    },
    /// Two sites or two hosts have the same name.
    #[error("{key} is there twice: give one of them another name")]
    Duplicate {
        /// The key or flag of the second one.
        key: String,
    },
    /// A key that makes no sense without another one.
    #[error("{key} needs {needs}")]
    Needs {
        /// The key.
        key: String,
        /// What is missing.
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

    /// Adds the place in the file or flag to the error of a setting.
    pub(super) fn of_setting(path: &str, error: SettingError) -> Self {
        Self::value(format!("{path}.{}", error.key), error.value, error.accepted)
    }
}

impl SiteSpec {
    /// Checks every value by the rules of [`Settings`].
    pub(super) fn check(&self, path: &str) -> Result<(), SpecError> {
        name(path, &self.name)?;
        let unplaced = Settings::new(Vec::<IpAddr>::new());
        for nat in &self.nats {
            let mut checked = unplaced.changed(nat);
            if let Err(error) = &mut checked {
                // The user wrote `nat = "eim/x"`, and no `filtering`.
                error.key = "nat";
            }
            checked.map_err(|error| SpecError::of_setting(path, error))?;
        }
        unplaced
            .changed(&self.change)
            .map_err(|error| SpecError::of_setting(path, error))?;
        let single = &self.change;
        let behaviour = [
            ("mapping", &single.mapping),
            ("filtering", &single.filtering),
            ("hairpinning", &single.hairpinning),
            ("udp-timeout", &single.udp_timeout),
            ("new-mappings-per-host", &single.new_mappings_per_host),
            ("new-flows-per-host", &single.new_flows_per_host),
        ];
        match behaviour.iter().find(|(_, value)| value.is_some()) {
            Some((key, _)) if self.nats.is_empty() => Err(SpecError::Needs {
                key: format!("{path}.{key}"),
                needs: "a `nat`, which hosts with public addresses do not have",
            }),
            _ => Ok(()),
        }
    }
}

/// Reads a NAT, as [`Change::of_nat`] does. Returns `None` for the words that mean "no NAT".
pub(super) fn nat(text: &str) -> Option<Change> {
    if matches!(text, "public" | "open" | "none") {
        return None;
    }
    Some(Change::of_nat(text))
}

/// Checks a name of a site or host.
///
/// It becomes a host name, part of a variable's name and of a socket's path (whose length the
/// kernel limits to 107 bytes).
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

/// Reads the protocol of a site's proxy.
pub(super) fn proxy(path: &str, text: &str) -> Result<ProxyKind, SpecError> {
    let names = ProxyKind::ALL.map(ProxyKind::name).join(", ");
    ProxyKind::find(text).ok_or_else(|| SpecError::value(format!("{path}.proxy"), text, names))
}

/// Returns whether a word of the `--site` flag names a firewall.
pub(super) fn firewall(text: &str) -> bool {
    text != Firewall::None.name() && Firewall::find(text).is_some()
}

/// How long a program may take to print that it is ready, unless its job says otherwise.
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest name of a site or host, in bytes.
const LONGEST_NAME: usize = 24;
