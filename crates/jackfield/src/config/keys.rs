//! One configuration key: its name, what it accepts, and how its text is read.

use super::table::KEYS;

/// One configuration key: a line of the file, a flag of `serve` and an environment variable.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name in the file and, after `--`, on the command line.
    pub name: &'static str,
    /// How its value is written in help texts; empty for a switch.
    pub value: &'static str,
    /// What it does, in one or two sentences.
    pub doc: &'static str,
    /// What a value may be, as an error says it.
    pub accepts: &'static str,
    /// The value that holds when none is given, as it would be written; empty for none.
    pub default: &'static str,
    /// What kind of key it is.
    pub kind: Kind,
    /// Under which heading help shows it.
    pub group: Group,
}

/// The headings of help, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Serving.
    Serving,
    /// TURN.
    Turn,
    /// NAT discovery.
    NatDiscovery,
    /// Logging.
    Logging,
    /// Limits of connections.
    Connections,
    /// Limits of TURN.
    TurnLimits,
    /// Limits of Socket.IO.
    Socketio,
    /// Limits of signaling.
    Signaling,
    /// Limits of WebSockets.
    Websockets,
}

impl Group {
    /// Returns the heading as help shows it.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::Serving => "Serving",
            Self::Turn => "TURN",
            Self::NatDiscovery => "NAT discovery",
            Self::Logging => "Logging",
            Self::Connections => "Limits of connections",
            Self::TurnLimits => "Limits of TURN",
            Self::Socketio => "Limits of Socket.IO",
            Self::Signaling => "Limits of signaling",
            Self::Websockets => "Limits of WebSockets",
        }
    }

    /// Returns whether its keys are limits, which few people ever set: short help leaves them out.
    #[must_use]
    pub fn is_limits(self) -> bool {
        match self {
            Self::Serving | Self::Turn | Self::NatDiscovery | Self::Logging => false,
            Self::Connections
            | Self::TurnLimits
            | Self::Socketio
            | Self::Signaling
            | Self::Websockets => true,
        }
    }
}

/// How often and how openly a key's value is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One value.
    One,
    /// Any number of values: repeated flags, an array in the file, commas in the environment.
    Many,
    /// True or false; the flag takes no value.
    Switch,
    /// Any number of values that are never printed.
    Secrets,
}

impl Kind {
    /// Returns whether several values may be given.
    #[must_use]
    pub fn is_many(self) -> bool {
        matches!(self, Self::Many | Self::Secrets)
    }

    /// Returns whether values stay out of errors and logs.
    #[must_use]
    pub fn is_secret(self) -> bool {
        self == Self::Secrets
    }
}

impl Key {
    /// Returns the name of the environment variable that sets this key.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("JACKFIELD_{}", self.name.to_uppercase().replace('-', "_"))
    }

    /// Finds a key by its name in the file.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().copied().find(|key| key.name == name)
    }

    /// Returns the known name nearest to `name`, if one is near enough to be a slip.
    #[must_use]
    pub fn nearest(name: &str) -> Option<&'static str> {
        KEYS.iter()
            .map(|key| (strsim::jaro_winkler(name, key.name), key.name))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name)
    }
}

/// A key together with how its values are read.
///
/// Code names a key by its constant in [`table`](super::table), so a key that does not exist, or a
/// value of another type, does not compile.
#[derive(Debug)]
pub(crate) struct Typed<T: 'static> {
    /// The key as help and errors show it.
    pub(crate) key: Key,
    /// Reads one value; `None` refuses it.
    pub(super) parse: fn(&str) -> Option<T>,
}

impl<T> Typed<T> {
    /// Makes a key with one value; an empty `default` means that it may be absent.
    pub(super) const fn one(
        name: &'static str,
        value: &'static str,
        default: &'static str,
        accepts: &'static str,
        parse: fn(&str) -> Option<T>,
        doc: &'static str,
    ) -> Self {
        Self {
            key: Key {
                name,
                value,
                doc,
                accepts,
                default,
                kind: Kind::One,
                group: Group::Serving,
            },
            parse,
        }
    }

    /// Makes a key with any number of values; commas part those of `default`.
    pub(super) const fn many(
        name: &'static str,
        value: &'static str,
        default: &'static str,
        accepts: &'static str,
        parse: fn(&str) -> Option<T>,
        doc: &'static str,
    ) -> Self {
        Self::one(name, value, default, accepts, parse, doc).of_kind(Kind::Many)
    }

    /// Makes a key with any number of values that are never printed.
    pub(super) const fn secrets(
        name: &'static str,
        value: &'static str,
        accepts: &'static str,
        parse: fn(&str) -> Option<T>,
        doc: &'static str,
    ) -> Self {
        Self::one(name, value, "", accepts, parse, doc).of_kind(Kind::Secrets)
    }

    /// Makes a key that is true or false, and false by default.
    pub(super) const fn switch(
        name: &'static str,
        parse: fn(&str) -> Option<T>,
        doc: &'static str,
    ) -> Self {
        Self::one(name, "", "false", "true or false", parse, doc).of_kind(Kind::Switch)
    }

    /// Puts the key under a heading of help.
    pub(super) const fn in_group(mut self, group: Group) -> Self {
        self.key.group = group;
        self
    }

    const fn of_kind(mut self, kind: Kind) -> Self {
        self.key.kind = kind;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_kebab_case_and_found() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(
                key.name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{}",
                key.name
            );
            assert!(
                KEYS.iter()
                    .skip(index + 1)
                    .all(|other| other.name != key.name)
            );
            assert_eq!(Key::find(key.name).map(|found| found.name), Some(key.name));
        }
    }

    #[test]
    fn a_slip_of_the_keyboard_is_recognised() {
        assert_eq!(Key::nearest("lisen"), Some("listen"));
        assert_eq!(Key::nearest("relay-port"), Some("relay-ports"));
        assert_eq!(Key::nearest("tls-certificate"), Some("tls-cert"));
        assert_eq!(Key::nearest("zebra"), None);
    }
}
