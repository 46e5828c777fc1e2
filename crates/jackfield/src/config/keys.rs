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
    /// One value that is never printed.
    Secret,
    /// Any number of values that are never printed.
    Secrets,
}

impl Kind {
    /// Returns whether several values may be given.
    pub fn is_many(self) -> bool {
        matches!(self, Self::Many | Self::Secrets)
    }

    /// Returns whether values stay out of errors and logs.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Secrets)
    }
}

impl Key {
    /// Returns the name of the environment variable that sets this key.
    pub fn variable(&self) -> String {
        format!("JACKFIELD_{}", self.name.to_uppercase().replace('-', "_"))
    }

    /// Finds a key by its name in the file.
    pub fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// Returns the known name nearest to `name`, if one is near enough to be a slip.
    pub fn nearest(name: &str) -> Option<&'static str> {
        KEYS.iter()
            .map(|key| (strsim::jaro_winkler(name, key.name), key.name))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name)
    }
}

const fn key(
    name: &'static str,
    value: &'static str,
    kind: Kind,
    default: &'static str,
    accepts: &'static str,
    doc: &'static str,
) -> Key {
    Key {
        name,
        value,
        doc,
        accepts,
        default,
        kind,
    }
}

const ADDRESS: &str = "an address and port such as 0.0.0.0:3478 or [::]:3478";
const COUNT: &str = "a whole number from 1 to 4294967295";
const COUNT_OR_ZERO: &str = "a whole number from 0 to 4294967295; 0 means no limit";
const SIZE: &str = "a size from 1 KiB to 1 GiB such as 64KiB or 1MiB";
const TIME: &str = "a time from 1 s to 7 days such as 30s, 10m or 2h";

/// Every key there is, in the order in which help shows them.
pub const KEYS: &[Key] = &[
    key(
        "listen",
        "ADDR",
        Kind::Many,
        "0.0.0.0:3478, [::]:3478",
        ADDRESS,
        "Serves everything on this address, over UDP and TCP.",
    ),
    key(
        "listen-tls",
        "ADDR",
        Kind::Many,
        "",
        ADDRESS,
        "Serves everything on this address inside TLS; needs a certificate or tls-self-signed.",
    ),
    key(
        "tls-cert",
        "FILE",
        Kind::One,
        "",
        "a PEM file with the certificate chain",
        "The certificate chain that TLS listeners show.",
    ),
    key(
        "tls-key",
        "FILE",
        Kind::One,
        "",
        "a PEM file with one private key",
        "The private key of tls-cert.",
    ),
    key(
        "tls-self-signed",
        "",
        Kind::Switch,
        "false",
        "true or false",
        "Makes a self-signed certificate at start; for development, browsers warn about it.",
    ),
    key(
        "secret",
        "SECRET",
        Kind::Secrets,
        "",
        "a text of 16 characters or more",
        "Shared secret of time-limited TURN credentials; the first one mints, all are accepted. \
         Generated and kept in the data directory when absent.",
    ),
    key(
        "realm",
        "REALM",
        Kind::One,
        "jackfield",
        "a text of 1 to 127 characters",
        "The realm of TURN's long-term credentials.",
    ),
    key(
        "user",
        "NAME:PASSWORD",
        Kind::Secrets,
        "",
        "NAME:PASSWORD, both not empty",
        "A static TURN user, beside the time-limited ones.",
    ),
    key(
        "external-ip",
        "IP[/LOCAL]",
        Kind::Many,
        "",
        "an IP address, or PUBLIC/LOCAL",
        "The public address that clients are told for relays bound to a local one, behind a 1:1 NAT.",
    ),
    key(
        "allow-peer",
        "CIDR",
        Kind::Many,
        "",
        "a network such as 10.0.0.0/8 or fd00::/8, or one address",
        "Lets relays reach this network, although loopback, private and special ranges are denied.",
    ),
    key(
        "relay-ports",
        "MIN-MAX",
        Kind::One,
        "49152-65535",
        "two ports from 1024 to 65535 with MIN <= MAX, such as 49152-65535",
        "The ports that relays are bound to.",
    ),
    key(
        "public-host",
        "HOST[:PORT]",
        Kind::One,
        "",
        "a host name or address, with or without a port",
        "The host that clients are told to find STUN and TURN at, and the port if it is not the one listened on; by default the host they asked.",
    ),
    key(
        "credentials-ttl",
        "TIME",
        Kind::One,
        "1h",
        TIME,
        "How long minted TURN credentials last.",
    ),
    key(
        "cors-origin",
        "ORIGIN",
        Kind::Many,
        "",
        "an origin such as https://app.example.org, or *",
        "Lets pages of this origin use Socket.IO polling and GET /ice.",
    ),
    key(
        "data-dir",
        "DIR",
        Kind::One,
        "",
        "a directory",
        "Where the generated secret is kept; by default jackfield in the user's data directory.",
    ),
    key(
        "shards",
        "N",
        Kind::One,
        "0",
        "a whole number from 0 to 256; 0 means one a core",
        "How many threads serve, each with its own listeners.",
    ),
    key(
        "log",
        "FILTER",
        Kind::One,
        "info",
        "error, warn, info, debug or trace, or a filter such as info,jackfield_turn=debug",
        "How much is logged.",
    ),
    key(
        "log-format",
        "FORMAT",
        Kind::One,
        "text",
        "text or json",
        "How log lines are written.",
    ),
    key(
        "max-connections",
        "N",
        Kind::One,
        "10000",
        COUNT,
        "Open TCP connections, in the whole process.",
    ),
    key(
        "max-connections-per-ip",
        "N",
        Kind::One,
        "1000",
        COUNT,
        "Open TCP connections from one address.",
    ),
    key(
        "first-bytes-timeout",
        "TIME",
        Kind::One,
        "10s",
        TIME,
        "How long a new connection may take for its TLS handshake, and for its first bytes or HTTP header.",
    ),
    key(
        "dead-peer-timeout",
        "TIME",
        Kind::One,
        "60s",
        TIME,
        "How long a TCP peer may take none of what we send, or leave keep-alives unanswered.",
    ),
    key(
        "max-header",
        "SIZE",
        Kind::One,
        "32KiB",
        SIZE,
        "The largest HTTP header.",
    ),
    key(
        "shutdown-timeout",
        "TIME",
        Kind::One,
        "10s",
        TIME,
        "How long open connections may take to finish after a signal to stop.",
    ),
    key(
        "turn-max-allocations",
        "N",
        Kind::One,
        "10000",
        COUNT,
        "TURN allocations, in the whole process.",
    ),
    key(
        "turn-max-allocations-per-user",
        "N",
        Kind::One,
        "100",
        COUNT,
        "TURN allocations of one user name.",
    ),
    key(
        "turn-max-permissions",
        "N",
        Kind::One,
        "64",
        COUNT,
        "Permissions of one TURN allocation.",
    ),
    key(
        "turn-max-channels",
        "N",
        Kind::One,
        "64",
        COUNT,
        "Channels of one TURN allocation.",
    ),
    key(
        "turn-max-lifetime",
        "TIME",
        Kind::One,
        "1h",
        TIME,
        "The longest lifetime that a TURN allocation is given at once.",
    ),
    key(
        "turn-max-reservations",
        "N",
        Kind::One,
        "1024",
        COUNT,
        "Ports that EVEN-PORT keeps for later allocations, in the whole process.",
    ),
    key(
        "turn-answers-per-second",
        "N",
        Kind::One,
        "500",
        COUNT,
        "Error answers a second to one network (/24 or /56) that has not authenticated, above a burst of four times as many.",
    ),
    key(
        "turn-bindings-per-second",
        "N",
        Kind::One,
        "2000",
        COUNT,
        "Binding answers a second to one network (/24 or /56), above a burst of twice as many.",
    ),
    key(
        "nat-discovery",
        "IP",
        Kind::Many,
        "",
        "a second IP address of this machine, one a family",
        "Tells clients what kind of NAT they are behind (RFC 5780), by answers from this second address and from a second port. \
         UDP only.",
    ),
    key(
        "nat-discovery-port",
        "PORT",
        Kind::One,
        "3479",
        "a port from 1 to 65535 that is not listened on otherwise",
        "The second port of NAT discovery.",
    ),
    key(
        "nat-discovery-helper",
        "IP",
        Kind::Many,
        "",
        "the IP address of another Jackfield with the same secret, port, nat-discovery-port and nat-discovery-help, one a family",
        "Has another server answer for NAT discovery in place of a second address.",
    ),
    key(
        "nat-discovery-help",
        "",
        Kind::Switch,
        "false",
        "true or false",
        "Answers for servers that name this one as their nat-discovery-helper and know the secret.",
    ),
    key(
        "nat-discovery-answers-per-second",
        "N",
        Kind::One,
        "50",
        COUNT,
        "Answers of NAT discovery a second to one network (/24 or /56) that come from or go to elsewhere, above a burst of eight times as many.",
    ),
    key(
        "turn-connection-idle",
        "TIME",
        Kind::One,
        "30s",
        TIME,
        "How long a TCP or TLS connection of TURN without an allocation may be silent.",
    ),
    key(
        "turn-connection-queue",
        "SIZE",
        Kind::One,
        "256KiB",
        SIZE,
        "Bytes that wait for one TCP or TLS client of TURN; data above it is dropped.",
    ),
    key(
        "turn-max-bytes-per-second",
        "N",
        Kind::One,
        "0",
        COUNT_OR_ZERO,
        "Bytes a second that one TURN allocation may relay, both ways together.",
    ),
    key(
        "socketio-ping-interval",
        "TIME",
        Kind::One,
        "25s",
        TIME,
        "How often a Socket.IO connection is asked whether it lives.",
    ),
    key(
        "socketio-ping-timeout",
        "TIME",
        Kind::One,
        "20s",
        TIME,
        "How long its answer may take.",
    ),
    key(
        "socketio-max-payload",
        "SIZE",
        Kind::One,
        "1MB",
        SIZE,
        "The largest Socket.IO packet or polling body.",
    ),
    key(
        "socketio-allow-eio3",
        "",
        Kind::Switch,
        "false",
        "true or false",
        "Lets Socket.IO 2 clients connect (Engine.IO 3).",
    ),
    key(
        "socketio-max-connections",
        "N",
        Kind::One,
        "10000",
        COUNT,
        "Socket.IO sessions, in the whole process.",
    ),
    key(
        "socketio-max-attachments",
        "N",
        Kind::One,
        "10",
        COUNT,
        "Binary attachments of one Socket.IO packet.",
    ),
    key(
        "socketio-max-queue",
        "SIZE",
        Kind::One,
        "4MiB",
        SIZE,
        "Bytes that wait for one Socket.IO client; one that reads more slowly is closed.",
    ),
    key(
        "socketio-connect-timeout",
        "TIME",
        Kind::One,
        "45s",
        TIME,
        "How long a Socket.IO client may take to join its first namespace.",
    ),
    key(
        "socketio-upgrade-timeout",
        "TIME",
        Kind::One,
        "10s",
        TIME,
        "How long the move from polling to WebSocket may take.",
    ),
    key(
        "signal-max-message",
        "SIZE",
        Kind::One,
        "128KiB",
        SIZE,
        "The largest signaling message.",
    ),
    key(
        "signal-max-members",
        "N",
        Kind::One,
        "10000",
        COUNT,
        "Clients connected for signaling.",
    ),
    key(
        "signal-max-members-per-room",
        "N",
        Kind::One,
        "50",
        COUNT,
        "Members of one room.",
    ),
    key(
        "signal-max-rooms",
        "N",
        Kind::One,
        "100000",
        COUNT,
        "Rooms with somebody in them.",
    ),
    key(
        "signal-max-rooms-per-member",
        "N",
        Kind::One,
        "8",
        COUNT,
        "Rooms that one client is in.",
    ),
    key(
        "signal-max-lobby-members",
        "N",
        Kind::One,
        "256",
        COUNT,
        "Clients of MDN's sample, who all see each other.",
    ),
    key(
        "signal-messages-per-second",
        "N",
        Kind::One,
        "50",
        COUNT,
        "Signaling messages a second from one client, above a burst of twenty times as many.",
    ),
    key(
        "signal-max-queue",
        "SIZE",
        Kind::One,
        "4MiB",
        SIZE,
        "Bytes that wait for one signaling client; one that reads more slowly is closed.",
    ),
];

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
