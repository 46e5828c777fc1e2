use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use jackfield_sansio::parse_duration;
use jackfield_turn::Cidr;

use super::error::ConfigError;
use super::keys::Key;
use super::low::{Low, Source};
use super::value;

/// What was meant: every value parsed, every file read, every limit set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything is served in the clear, over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// Whether `listen` was asked for; a default address that the machine lacks is passed over.
    pub listen_is_default: bool,
    /// Where everything is served inside TLS.
    pub listen_tls: Vec<SocketAddr>,
    /// The certificate of TLS listeners.
    pub certificate: Option<Certificate>,
    /// The secrets of time-limited TURN credentials, the minting one first; empty means the one in the data directory.
    pub secrets: Vec<String>,
    /// TURN's realm.
    pub realm: String,
    /// Static TURN users, name and password.
    pub users: Vec<(String, String)>,
    /// Public addresses of relays, each with the local address it stands for; none stands for every local one.
    pub external_ips: Vec<(IpAddr, Option<IpAddr>)>,
    /// Networks that relays may reach although they are not public.
    pub allow_peers: Vec<Cidr>,
    /// The lowest and highest relay port.
    pub relay_ports: (u16, u16),
    /// Whether and how clients find out what NAT they are behind.
    pub nat_discovery: NatDiscovery,
    /// The host that clients are told to find STUN and TURN at.
    pub public_host: Option<String>,
    /// How long minted credentials last.
    pub credentials_ttl: Duration,
    /// Origins that may use Socket.IO polling and `/ice` from their pages.
    pub cors_origins: Vec<String>,
    /// Where the generated secret is kept.
    pub data_dir: Option<PathBuf>,
    /// How many threads serve; zero means one a core.
    pub shards: usize,
    /// What is logged.
    pub log: Log,
    /// Limits of connections.
    pub connections: ConnectionLimits,
    /// Limits of TURN.
    pub turn: TurnLimits,
    /// Limits of Socket.IO.
    pub socketio: SocketIoLimits,
    /// Limits of signaling.
    pub signal: SignalLimits,
}

/// Where the certificate of TLS listeners comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// Made at start.
    SelfSigned,
    /// Two PEM files.
    Files {
        /// The chain.
        cert: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// What is logged and how.
#[derive(Debug, Clone)]
pub struct Log {
    /// A `tracing` filter.
    pub filter: String,
    /// One JSON object a line rather than text.
    pub json: bool,
}

/// Limits of TCP connections.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Open connections in the process.
    pub max: usize,
    /// Open connections from one address.
    pub max_per_ip: usize,
    /// Until the TLS handshake is done, and until the first bytes or the HTTP header have come.
    pub first_bytes_timeout: Duration,
    /// While a peer takes nothing, or answers no keep-alive.
    pub dead_peer_timeout: Duration,
    /// Bytes of an HTTP header.
    pub max_header: usize,
    /// Between a signal to stop and the end.
    pub shutdown_timeout: Duration,
}

/// Limits of TURN.
#[derive(Debug, Clone)]
pub struct TurnLimits {
    /// Allocations in the process.
    pub max_allocations: u32,
    /// Allocations of one user name.
    pub max_allocations_per_user: u32,
    /// Permissions of one allocation.
    pub max_permissions: usize,
    /// Channels of one allocation.
    pub max_channels: usize,
    /// The longest lifetime granted at once.
    pub max_lifetime: Duration,
    /// Ports kept for later allocations.
    pub max_reservations: usize,
    /// Error answers a second to an unauthenticated network.
    pub answers_per_second: u32,
    /// Binding answers a second to a network.
    pub bindings_per_second: u32,
    /// Silence of a connection without an allocation.
    pub connection_idle: Duration,
    /// Bytes waiting for a client on a connection.
    pub connection_queue: usize,
    /// Relayed bytes a second of one allocation.
    pub max_bytes_per_second: Option<u32>,
}

/// Behaviour discovery (RFC 5780).
#[derive(Debug, Clone)]
pub struct NatDiscovery {
    /// Second addresses of this machine, at most one a family.
    pub others: Vec<IpAddr>,
    /// Servers that answer in place of a second address, at most one a family.
    pub helpers: Vec<IpAddr>,
    /// Whether to answer for other servers.
    pub help: bool,
    /// The second port.
    pub port: u16,
    /// Answers a second from or to elsewhere.
    pub answers_per_second: u32,
}

impl NatDiscovery {
    /// Returns whether anything of it is wanted.
    pub fn is_on(&self) -> bool {
        self.help || !self.others.is_empty() || !self.helpers.is_empty()
    }
}

/// Limits of Socket.IO.
#[derive(Debug, Clone)]
pub struct SocketIoLimits {
    /// Between two pings.
    pub ping_interval: Duration,
    /// Until the answer to one.
    pub ping_timeout: Duration,
    /// Bytes in a packet or polling body.
    pub max_payload: usize,
    /// Sessions.
    pub max_connections: usize,
    /// Binary attachments of a packet.
    pub max_attachments: usize,
    /// Bytes waiting for a client.
    pub max_queue: usize,
    /// Until the first namespace is joined.
    pub connect_timeout: Duration,
    /// For the move from polling to WebSocket.
    pub upgrade_timeout: Duration,
    /// Whether Engine.IO 3 is spoken too.
    pub allow_eio3: bool,
}

/// Limits of signaling.
#[derive(Debug, Clone)]
pub struct SignalLimits {
    /// Bytes in a message.
    pub max_message: usize,
    /// Clients.
    pub max_members: usize,
    /// Clients in a room.
    pub max_members_per_room: usize,
    /// Rooms.
    pub max_rooms: usize,
    /// Rooms of a client.
    pub max_rooms_per_member: usize,
    /// Clients of MDN's sample.
    pub max_lobby_members: usize,
    /// Messages a second from a client.
    pub messages_per_second: u32,
    /// Bytes waiting for a client.
    pub max_queue: usize,
}

impl Config {
    /// Turns what was typed into what is meant.
    ///
    /// # Errors
    ///
    /// Names the first key whose value is refused, or the keys that do not go together.
    pub fn resolve(low: &Low) -> Result<Self, ConfigError> {
        let read = Reader { low };
        let listen_tls = read.many("listen-tls", value::address)?;
        let certificate = certificate(&read)?;
        if !listen_tls.is_empty() && certificate.is_none() {
            return Err(ConfigError::Conflict(
                "`listen-tls` needs a certificate: give `tls-cert` and `tls-key`, or `tls-self-signed`"
                    .to_owned(),
            ));
        }
        let config = Self {
            listen: read.many("listen", value::address)?,
            listen_is_default: !read.is_set("listen"),
            listen_tls,
            certificate,
            secrets: read.many("secret", |text| (text.len() >= 16).then(|| text.to_owned()))?,
            realm: read.one("realm", |text| {
                (1..=127)
                    .contains(&text.chars().count())
                    .then(|| text.to_owned())
            })?,
            users: read.many("user", value::user)?,
            external_ips: read.many("external-ip", value::external_ip)?,
            allow_peers: read.many("allow-peer", |text| text.parse().ok())?,
            relay_ports: read.one("relay-ports", value::port_range)?,
            nat_discovery: nat_discovery(&read)?,
            public_host: read.optional("public-host", value::authority)?,
            credentials_ttl: read.time("credentials-ttl")?,
            cors_origins: read.many("cors-origin", origin)?,
            data_dir: read.optional("data-dir", |text| (!text.is_empty()).then(|| text.into()))?,
            shards: read.one("shards", |text| text.parse().ok().filter(|n| *n <= 256))?,
            log: Log {
                filter: read.one("log", log_filter)?,
                json: read.one("log-format", |text| match text {
                    "text" => Some(false),
                    "json" => Some(true),
                    _ => None,
                })?,
            },
            connections: ConnectionLimits {
                max: read.count("max-connections")?,
                max_per_ip: read.count("max-connections-per-ip")?,
                first_bytes_timeout: read.time("first-bytes-timeout")?,
                dead_peer_timeout: read.time("dead-peer-timeout")?,
                max_header: read.size("max-header")?,
                shutdown_timeout: read.time("shutdown-timeout")?,
            },
            turn: TurnLimits {
                max_allocations: read.count("turn-max-allocations")?,
                max_allocations_per_user: read.count("turn-max-allocations-per-user")?,
                max_permissions: read.count("turn-max-permissions")?,
                max_channels: read.count("turn-max-channels")?,
                max_lifetime: read.time("turn-max-lifetime")?,
                max_reservations: read.count("turn-max-reservations")?,
                answers_per_second: read.count("turn-answers-per-second")?,
                bindings_per_second: read.count("turn-bindings-per-second")?,
                connection_idle: read.time("turn-connection-idle")?,
                connection_queue: read.size("turn-connection-queue")?,
                max_bytes_per_second: read.one("turn-max-bytes-per-second", |text| {
                    text.parse::<u32>().ok().map(|n| (n > 0).then_some(n))
                })?,
            },
            socketio: SocketIoLimits {
                ping_interval: read.time("socketio-ping-interval")?,
                ping_timeout: read.time("socketio-ping-timeout")?,
                max_payload: read.size("socketio-max-payload")?,
                max_connections: read.count("socketio-max-connections")?,
                max_attachments: read.count("socketio-max-attachments")?,
                max_queue: read.size("socketio-max-queue")?,
                connect_timeout: read.time("socketio-connect-timeout")?,
                upgrade_timeout: read.time("socketio-upgrade-timeout")?,
                allow_eio3: read.one("socketio-allow-eio3", |text| text.parse().ok())?,
            },
            signal: SignalLimits {
                max_message: read.size("signal-max-message")?,
                max_members: read.count("signal-max-members")?,
                max_members_per_room: read.count("signal-max-members-per-room")?,
                max_rooms: read.count("signal-max-rooms")?,
                max_rooms_per_member: read.count("signal-max-rooms-per-member")?,
                max_lobby_members: read.count("signal-max-lobby-members")?,
                messages_per_second: read.count("signal-messages-per-second")?,
                max_queue: read.size("signal-max-queue")?,
            },
        };
        Ok(config)
    }
}

fn nat_discovery(read: &Reader<'_>) -> Result<NatDiscovery, ConfigError> {
    let ip = |text: &str| {
        text.parse::<IpAddr>()
            .ok()
            .filter(|ip| !ip.is_unspecified())
    };
    let discovery = NatDiscovery {
        others: read.many("nat-discovery", ip)?,
        helpers: read.many("nat-discovery-helper", ip)?,
        help: read.one("nat-discovery-help", |text| text.parse().ok())?,
        port: read.one("nat-discovery-port", |text| {
            text.parse().ok().filter(|port| *port > 0)
        })?,
        answers_per_second: read.count("nat-discovery-answers-per-second")?,
    };
    for v4 in [true, false] {
        let all = discovery.others.iter().chain(&discovery.helpers);
        if all.filter(|ip| ip.is_ipv4() == v4).count() > 1 {
            let family = if v4 { "IPv4" } else { "IPv6" };
            return Err(ConfigError::Conflict(format!(
                "`nat-discovery` and `nat-discovery-helper` name more than one {family} address; there is room for one second address"
            )));
        }
    }
    Ok(discovery)
}

fn certificate(read: &Reader<'_>) -> Result<Option<Certificate>, ConfigError> {
    let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
    let cert = read.optional("tls-cert", path)?;
    let key = read.optional("tls-key", path)?;
    let self_signed = read.one("tls-self-signed", |text| text.parse().ok())?;
    match (cert, key, self_signed) {
        (Some(cert), Some(key), false) => Ok(Some(Certificate::Files { cert, key })),
        (None, None, true) => Ok(Some(Certificate::SelfSigned)),
        (None, None, false) => Ok(None),
        (_, _, true) => Err(ConfigError::Conflict(
            "`tls-self-signed` and `tls-cert` or `tls-key` exclude each other".to_owned(),
        )),
        (Some(_), None, false) => Err(ConfigError::Conflict(
            "`tls-cert` needs `tls-key`".to_owned(),
        )),
        (None, Some(_), false) => Err(ConfigError::Conflict(
            "`tls-key` needs `tls-cert`".to_owned(),
        )),
    }
}

fn origin(text: &str) -> Option<String> {
    if text == "*" {
        return Some(text.to_owned());
    }
    let uri: http::Uri = text.parse().ok()?;
    let bare = uri.path() == "/" && uri.query().is_none() && !text.ends_with('/');
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    (bare && scheme && uri.host().is_some()).then(|| text.to_owned())
}

fn log_filter(text: &str) -> Option<String> {
    tracing_subscriber::EnvFilter::builder()
        .parse(text)
        .ok()
        .map(|_| text.to_owned())
}

/// Reads values by key name, from what was typed or else from the table of defaults.
struct Reader<'a> {
    low: &'a Low,
}

impl Reader<'_> {
    fn is_set(&self, name: &str) -> bool {
        Key::find(name).is_some_and(|key| self.low.get(key).is_some())
    }

    fn values(&self, name: &str) -> (&'static Key, Source, Vec<String>) {
        let key = Key::find(name).expect("resolve names only keys of the table");
        match self.low.get(key) {
            Some((source, values)) => (key, source.clone(), values.to_vec()),
            None if key.default.is_empty() => (key, Source::Default, Vec::new()),
            None if key.kind.is_many() => {
                let values = key.default.split(", ").map(str::to_owned).collect();
                (key, Source::Default, values)
            }
            None => (key, Source::Default, vec![key.default.to_owned()]),
        }
    }

    fn many<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, ConfigError> {
        let (key, source, values) = self.values(name);
        values
            .into_iter()
            .map(|value| parse(&value).ok_or_else(|| refuse(key, &source, value)))
            .collect()
    }

    fn optional<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        Ok(self.many(name, parse)?.pop())
    }

    fn one<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, ConfigError> {
        let (key, source, _) = self.values(name);
        self.optional(name, parse)?
            .ok_or_else(|| refuse(key, &source, String::new()))
    }

    fn count<T: TryFrom<u32>>(&self, name: &str) -> Result<T, ConfigError> {
        self.one(name, |text| {
            let count: u32 = text.parse().ok().filter(|count| *count > 0)?;
            T::try_from(count).ok()
        })
    }

    fn time(&self, name: &str) -> Result<Duration, ConfigError> {
        let week = Duration::from_secs(7 * 86_400);
        self.one(name, |text| {
            parse_duration(text, Duration::from_secs(1), week)
        })
    }

    fn size(&self, name: &str) -> Result<usize, ConfigError> {
        self.one(name, |text| value::size(text, 1 << 10, 1 << 30))
    }
}

fn refuse(key: &'static Key, source: &Source, value: String) -> ConfigError {
    ConfigError::Invalid {
        key,
        value: if key.kind.is_secret() {
            String::new()
        } else {
            value
        },
        source: source.clone(),
        detail: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::{KEYS, Kind};

    #[test]
    fn nothing_typed_is_a_configuration() {
        let config = Config::resolve(&Low::default()).unwrap();
        assert_eq!(config.listen.len(), 2);
        assert!(config.listen_is_default);
        assert_eq!(config.relay_ports, (49_152, 65_535));
        assert_eq!(config.turn.max_bytes_per_second, None);
        assert_eq!(config.certificate, None);
    }

    #[test]
    fn every_key_refuses_nonsense_and_says_what_it_accepts() {
        for key in KEYS {
            // Any text of the right length is a secret, a realm or a directory.
            let nonsense = match key.name {
                "secret" => "short",
                "realm" | "data-dir" | "tls-cert" | "tls-key" => "",
                "log" => "=,=!",
                _ => "\u{1F50C} nonsense/",
            };
            let error = resolve(&[(key.name, nonsense)]).expect_err(key.name);
            let text = error.to_string();
            assert!(text.contains(key.name), "{text}");
            assert!(text.contains(key.accepts), "{text}");
            if key.kind == Kind::One && !nonsense.is_empty() {
                assert!(text.contains(&format!("{nonsense:?}")), "{text}");
            }
        }
    }

    #[test]
    fn secrets_stay_out_of_errors() {
        let error = resolve(&[("user", "annpassword")]).unwrap_err();
        assert!(!error.to_string().contains("annpassword"), "{error}");
    }

    #[test]
    fn tls_listeners_need_one_certificate() {
        let listen = ("listen-tls", "127.0.0.1:443");
        assert!(resolve(&[listen]).is_err());
        assert!(resolve(&[listen, ("tls-cert", "a.pem")]).is_err());
        assert!(resolve(&[listen, ("tls-self-signed", "true")]).is_ok());
        assert!(resolve(&[listen, ("tls-cert", "a.pem"), ("tls-key", "b.pem")]).is_ok());
        let both = [listen, ("tls-self-signed", "true"), ("tls-cert", "a.pem")];
        assert!(resolve(&both).is_err());
    }

    fn resolve(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let mut low = Low::default();
        for (name, value) in pairs {
            let key = Key::find(name).unwrap();
            low.set(key, Source::Flag, vec![(*value).to_owned()]);
        }
        Config::resolve(&low)
    }
}
