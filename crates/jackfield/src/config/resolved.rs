//! The resolved configuration: what was meant, in the types of the parts that it configures.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use jackfield_driver::turn::TurnConfig;
use jackfield_signal::HubConfig;
use jackfield_socketio::{Cors, IoConfig, SlowConsumer};
use jackfield_turn::{Cidr, Rate, ServerLimits};
use jackfield_ws::WsConfig;

use super::error::ConfigError;
use super::keys::{Key, Typed};
use super::low::{Low, Source};
use super::secret_file;
use super::table::*;

/// What was meant: every value parsed, every limit set.
///
/// The parts' own configuration types stand here as they are, so a limit that a part gains does
/// not compile until it has a key.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything is served in the clear, over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// Whether `listen` was left out; a default address that the machine lacks is passed over.
    pub listen_is_default: bool,
    /// Where everything is served inside TLS.
    pub listen_tls: Vec<SocketAddr>,
    /// The certificate of TLS listeners.
    pub certificate: Option<Certificate>,
    /// The secrets of time-limited TURN credentials, the minting one first; empty means the one
    /// in the data directory.
    pub secrets: Vec<String>,
    /// TURN's realm.
    pub realm: String,
    /// Static TURN users, name and password.
    pub users: Vec<(String, String)>,
    /// Public addresses of relays, each with the local address it stands for; none stands for
    /// every local one.
    pub external_ips: Vec<(IpAddr, Option<IpAddr>)>,
    /// Networks that relays may reach although they are not public.
    pub allow_peers: Vec<Cidr>,
    /// Networks that relays may not reach although they are public.
    pub deny_peers: Vec<Cidr>,
    /// Whether relays may not reach ports below 1024.
    pub deny_low_ports: bool,
    /// The ports that relays are bound to.
    pub relay_ports: RangeInclusive<u16>,
    /// Whether and how clients find out what NAT they are behind.
    pub nat_discovery: NatDiscovery,
    /// The host that clients are told to find STUN and TURN at.
    pub public_host: Option<String>,
    /// How long minted credentials last.
    pub credentials_ttl: Duration,
    /// Origins whose pages may use the server, beside its own.
    pub cors_origins: Vec<String>,
    /// DNS names that browsers inside a private network may use without TLS.
    pub allow_hosts: Vec<String>,
    /// Networks that may read `/metrics`.
    pub metrics_from: Vec<Cidr>,
    /// What others show to read them.
    pub metrics_tokens: Vec<String>,
    /// Where the generated secret is kept.
    pub data_dir: Option<PathBuf>,
    /// How many threads serve; zero means one a core.
    pub shards: usize,
    /// What is logged.
    pub log: Log,
    /// Limits of connections.
    pub connections: ConnectionLimits,
    /// Limits of the TURN core.
    pub turn: ServerLimits,
    /// How long a TURN nonce is good for.
    pub turn_nonce_lifetime: Duration,
    /// The TURN driver of each shard.
    pub turn_driver: TurnConfig,
    /// The Socket.IO server.
    pub socketio: IoConfig,
    /// Limits of the signaling hub.
    pub signal: HubConfig,
    /// Bytes that may wait for one signaling client.
    pub signal_max_queue: usize,
    /// Bytes of one signaling client that may wait for another.
    pub signal_max_queue_per_sender: usize,
    /// Signaling's WebSockets.
    pub websocket: WsConfig,
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
    /// How lines are written.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Limits of TCP connections.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Open connections in the process.
    pub max: usize,
    /// Open connections from one network (/24 or /64).
    pub max_per_network: usize,
    /// TLS handshakes of one network.
    pub tls_handshakes: Option<Rate>,
    /// Bytes of memory that wait for clients, if that is configured.
    pub waiting_memory: Option<usize>,
    /// Those of one network (/24 or /64), if that is configured.
    pub waiting_memory_per_network: Option<usize>,
    /// Until the TLS handshake is done, and until the first bytes or the HTTP header have come.
    pub first_bytes_timeout: Duration,
    /// While a peer takes nothing, or answers no keep-alive.
    pub dead_peer_timeout: Duration,
    /// Bytes of an HTTP header.
    pub max_header: usize,
    /// Between a signal to stop and the end.
    pub shutdown_timeout: Duration,
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
}

impl NatDiscovery {
    /// Returns whether anything of it is wanted.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.help || !self.others.is_empty() || !self.helpers.is_empty()
    }
}

impl Config {
    /// Turns what was typed into what is meant.
    ///
    /// # Errors
    ///
    /// Names the first key whose value is refused, or the keys that do not go together.
    pub fn resolve(low: &Low) -> Result<Self, ConfigError> {
        let read = Reader { low };
        let listen_tls = read.many(&LISTEN_TLS)?;
        let certificate = certificate(&read)?;
        if !listen_tls.is_empty() && certificate.is_none() {
            return Err(ConfigError::Conflict(
                "`listen-tls` needs a certificate: give `tls-cert` and `tls-key`, or `tls-self-signed`"
                    .to_owned(),
            ));
        }
        let connections = connections(&read)?;
        Ok(Self {
            listen: read.many(&LISTEN)?,
            listen_is_default: low.get(&LISTEN.key).is_none(),
            listen_tls,
            certificate,
            secrets: read.secrets(&SECRET, &SECRET_FILE)?,
            realm: read.one(&REALM)?,
            users: read.secrets(&USER, &USER_FILE)?,
            external_ips: read.many(&EXTERNAL_IP)?,
            allow_peers: read.many(&ALLOW_PEER)?,
            deny_peers: read.many(&DENY_PEER)?,
            deny_low_ports: read.one(&DENY_LOW_PORTS)?,
            relay_ports: read.one(&RELAY_PORTS)?,
            nat_discovery: nat_discovery(&read)?,
            public_host: read.optional(&PUBLIC_HOST)?,
            credentials_ttl: read.one(&CREDENTIALS_TTL)?,
            cors_origins: read.many(&CORS_ORIGIN)?,
            allow_hosts: read.many(&ALLOW_HOST)?,
            metrics_from: read.many(&METRICS_FROM)?,
            metrics_tokens: read.many(&METRICS_TOKEN)?,
            data_dir: read.optional(&DATA_DIR)?,
            shards: read.one(&SHARDS)?,
            log: Log {
                filter: read.one(&LOG)?,
                format: read.one(&LOG_FORMAT)?,
            },
            turn: turn(&read)?,
            turn_nonce_lifetime: read.one(&TURN_NONCE_LIFETIME)?,
            turn_driver: turn_driver(&read, &connections)?,
            connections,
            socketio: socketio(&read)?,
            signal: signal(&read)?,
            signal_max_queue: read.one(&SIGNAL_MAX_QUEUE)?,
            signal_max_queue_per_sender: match read.optional(&SIGNAL_MAX_QUEUE_PER_SENDER)? {
                Some(bytes) => bytes,
                None => read.one(&SIGNAL_MAX_QUEUE)? / 4,
            },
            websocket: websocket(&read)?,
        })
    }
}

fn connections(read: &Reader<'_>) -> Result<ConnectionLimits, ConfigError> {
    Ok(ConnectionLimits {
        max: read.one(&MAX_CONNECTIONS)?,
        max_per_network: read.one(&MAX_CONNECTIONS_PER_NETWORK)?,
        tls_handshakes: read
            .one(&TLS_HANDSHAKES_PER_SECOND)?
            .map(|per_second| Rate::new(per_second, per_second.saturating_mul(10))),
        waiting_memory: read.optional(&MAX_WAITING_MEMORY)?,
        waiting_memory_per_network: read.optional(&MAX_WAITING_MEMORY_PER_NETWORK)?,
        first_bytes_timeout: read.one(&FIRST_BYTES_TIMEOUT)?,
        dead_peer_timeout: read.one(&DEAD_PEER_TIMEOUT)?,
        max_header: read.one(&MAX_HEADER)?,
        shutdown_timeout: read.one(&SHUTDOWN_TIMEOUT)?,
    })
}

fn turn(read: &Reader<'_>) -> Result<ServerLimits, ConfigError> {
    let unauthenticated = read.one(&TURN_ANSWERS_PER_SECOND)?;
    let bindings = read.one(&TURN_BINDINGS_PER_SECOND)?;
    let discoveries = read.one(&NAT_DISCOVERY_ANSWERS_PER_SECOND)?;
    Ok(ServerLimits {
        allocations_per_user: read.one(&TURN_MAX_ALLOCATIONS_PER_USER)?,
        allocations_per_network: read.one(&TURN_MAX_ALLOCATIONS_PER_NETWORK)?,
        allocations: read.one(&TURN_MAX_ALLOCATIONS)?,
        permissions: read.one(&TURN_MAX_PERMISSIONS)?,
        channels: read.one(&TURN_MAX_CHANNELS)?,
        default_lifetime: read.one(&TURN_DEFAULT_LIFETIME)?,
        max_lifetime: read.one(&TURN_MAX_LIFETIME)?,
        max_lifetime_minted: read.one(&TURN_MAX_LIFETIME_MINTED)?,
        payload: read.one(&TURN_MAX_PAYLOAD)?,
        packets: read
            .one(&TURN_MAX_PACKETS_PER_SECOND)?
            .map(|packets| Rate::new(packets, packets)),
        bytes: read.one(&TURN_MAX_BYTES_PER_SECOND)?.map(bytes_a_second),
        bytes_per_network: read
            .one(&TURN_MAX_BYTES_PER_SECOND_PER_NETWORK)?
            .map(bytes_a_second),
        unauthenticated: Some(Rate::new(
            unauthenticated,
            unauthenticated.saturating_mul(4),
        )),
        bindings: Some(Rate::new(bindings, bindings.saturating_mul(2))),
        discoveries: Some(Rate::new(discoveries, discoveries.saturating_mul(8))),
        wrong_passwords: read
            .one(&TURN_WRONG_PASSWORDS_PER_SECOND)?
            .map(|wrong| Rate::new(wrong, wrong.saturating_mul(30))),
        sources: read.one(&TURN_MAX_SOURCES)?,
        bind_attempts: read.one(&TURN_BIND_ATTEMPTS)?,
        reservation_lifetime: read.one(&TURN_RESERVATION_LIFETIME)?,
        reservations: read.one(&TURN_MAX_RESERVATIONS)?,
        reservations_per_network: read.one(&TURN_MAX_RESERVATIONS_PER_NETWORK)?,
    })
}

/// Returns a rate of bytes. A burst below one datagram's size would let nothing through.
fn bytes_a_second(bytes: u32) -> Rate {
    Rate::new(bytes, bytes.max(1 << 16))
}

fn turn_driver(
    read: &Reader<'_>,
    connections: &ConnectionLimits,
) -> Result<TurnConfig, ConfigError> {
    Ok(TurnConfig {
        streams: connections.max,
        stream_idle: read.one(&TURN_CONNECTION_IDLE)?,
        stream_queue: read.one(&TURN_CONNECTION_QUEUE)?,
        stream_message: read.one(&TURN_MAX_MESSAGE)?,
        ..TurnConfig::default()
    })
}

fn socketio(read: &Reader<'_>) -> Result<IoConfig, ConfigError> {
    let origins = read.many(&CORS_ORIGIN)?;
    let IoConfig {
        path,
        polling,
        websocket,
        allow_upgrades,
        cookie,
        allow_request,
        keep_headers,
        ..
    } = IoConfig::default();
    Ok(IoConfig {
        // The client's first: Socket.IO itself has none.
        subprotocols: Vec::new(),
        path,
        polling,
        websocket,
        allow_upgrades,
        allow_eio3: read.one(&SOCKETIO_ALLOW_EIO3)?,
        ping_interval: read.one(&SOCKETIO_PING_INTERVAL)?,
        ping_timeout: read.one(&SOCKETIO_PING_TIMEOUT)?,
        upgrade_timeout: read.one(&SOCKETIO_UPGRADE_TIMEOUT)?,
        connect_timeout: read.one(&SOCKETIO_CONNECT_TIMEOUT)?,
        body_timeout: read.one(&SOCKETIO_BODY_TIMEOUT)?,
        close_timeout: read.one(&SOCKETIO_CLOSE_TIMEOUT)?,
        ack_timeout: read.one(&SOCKETIO_ACK_TIMEOUT)?,
        shutdown_timeout: read.one(&SHUTDOWN_TIMEOUT)?,
        max_payload: read.one(&SOCKETIO_MAX_PAYLOAD)?,
        max_attachments: read.one(&SOCKETIO_MAX_ATTACHMENTS)?,
        max_buffered: read.one(&SOCKETIO_MAX_QUEUE)?,
        slow_consumer: SlowConsumer::Disconnect,
        max_inbound: read.one(&SOCKETIO_MAX_INBOUND)?,
        max_connections: read.one(&SOCKETIO_MAX_CONNECTIONS)?,
        max_connections_per_network: read.one(&SOCKETIO_MAX_CONNECTIONS_PER_NETWORK)?,
        // What waits for Socket.IO's clients is charged with everything else.
        budget: None,
        handshake_rate: read
            .one(&SOCKETIO_HANDSHAKES_PER_SECOND)?
            .map(|per_second| Rate::new(per_second, per_second.saturating_mul(10))),
        cors: match origins.as_slice() {
            [] => None,
            origins if origins.iter().any(|origin| origin == "*") => Some(Cors::any()),
            origins => Some(Cors::origins(origins)),
        },
        cookie,
        allow_request,
        keep_headers,
    })
}

fn signal(read: &Reader<'_>) -> Result<HubConfig, ConfigError> {
    let messages_per_second = read.one(&SIGNAL_MESSAGES_PER_SECOND)?;
    let joins_per_second = read.one(&SIGNAL_JOINS_PER_SECOND)?.unwrap_or(0);
    Ok(HubConfig {
        max_message_bytes: read.one(&SIGNAL_MAX_MESSAGE)?,
        max_depth: read.one(&SIGNAL_MAX_DEPTH)?,
        max_name_chars: read.one(&SIGNAL_MAX_NAME)?,
        max_room_chars: read.one(&SIGNAL_MAX_ROOM_NAME)?,
        max_token_bytes: read.one(&SIGNAL_MAX_TOKEN)?,
        max_room_members: read.one(&SIGNAL_MAX_MEMBERS_PER_ROOM)?,
        max_rooms_per_member: read.one(&SIGNAL_MAX_ROOMS_PER_MEMBER)?,
        max_rooms: read.one(&SIGNAL_MAX_ROOMS)?,
        max_lobby_members: read.one(&SIGNAL_MAX_LOBBY_MEMBERS)?,
        lobby_bytes_per_second: u32::try_from(read.one(&SIGNAL_LOBBY_BYTES_PER_SECOND)?)
            .unwrap_or(u32::MAX),
        max_members: read.one(&SIGNAL_MAX_MEMBERS)?,
        joins_per_second,
        join_burst: joins_per_second.saturating_mul(20),
        max_waiting_per_room: read.one(&SIGNAL_MAX_WAITING_PER_ROOM)?,
        knock_timeout: read.one(&SIGNAL_KNOCK_TIMEOUT)?,
        name_hold: read.one(&SIGNAL_NAME_HOLD)?,
        place_hold: read.one(&SIGNAL_PLACE_HOLD)?,
        max_held_names: read.one(&SIGNAL_MAX_HELD_NAMES)?,
        max_held_names_per_network: read.one(&SIGNAL_MAX_HELD_NAMES_PER_NETWORK)?,
        messages_per_second,
        message_burst: read
            .optional(&SIGNAL_MESSAGE_BURST)?
            .unwrap_or_else(|| messages_per_second.saturating_mul(20)),
    })
}

fn websocket(read: &Reader<'_>) -> Result<WsConfig, ConfigError> {
    let max_message = read.one(&SIGNAL_MAX_MESSAGE)?;
    let mut ws = WsConfig::default();
    ws.limits.max_frame = max_message;
    ws.limits.max_message = max_message;
    ws.limits.max_fragments = read.one(&WEBSOCKET_MAX_FRAGMENTS)?;
    ws.limits.max_waiting_pongs = read.one(&WEBSOCKET_MAX_WAITING_PONGS)?;
    ws.max_queued = read.one(&SIGNAL_MAX_QUEUE)?;
    ws.pause_reading_above = read.one(&WEBSOCKET_PAUSE_READING_ABOVE)?;
    ws.ping_interval = Some(read.one(&WEBSOCKET_PING_INTERVAL)?);
    ws.ping_timeout = read.one(&WEBSOCKET_PING_TIMEOUT)?;
    ws.write_timeout = read.one(&WEBSOCKET_WRITE_TIMEOUT)?;
    ws.close_timeout = read.one(&WEBSOCKET_CLOSE_TIMEOUT)?;
    ws.max_linger = read.one(&WEBSOCKET_MAX_LINGER)?;
    Ok(ws)
}

fn nat_discovery(read: &Reader<'_>) -> Result<NatDiscovery, ConfigError> {
    let discovery = NatDiscovery {
        others: read.many(&NAT_DISCOVERY)?,
        helpers: read.many(&NAT_DISCOVERY_HELPER)?,
        help: read.one(&NAT_DISCOVERY_HELP)?,
        port: read.one(&NAT_DISCOVERY_PORT)?,
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
    let cert = read.optional(&TLS_CERT)?;
    let key = read.optional(&TLS_KEY)?;
    let self_signed = read.one(&TLS_SELF_SIGNED)?;
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

/// Reads the values of keys, from what was typed or else from the table of defaults.
struct Reader<'a> {
    low: &'a Low,
}

impl Reader<'_> {
    /// Returns what was typed, or the default, and where.
    fn values(&self, key: &'static Key) -> (Source, Vec<String>) {
        match self.low.get(key) {
            Some((source, values)) => (source.clone(), values.to_vec()),
            None if key.default.is_empty() => (Source::Default, Vec::new()),
            None if key.kind.is_many() => {
                let values = key.default.split(", ").map(str::to_owned).collect();
                (Source::Default, values)
            }
            None => (Source::Default, vec![key.default.to_owned()]),
        }
    }

    fn many<T>(&self, typed: &'static Typed<T>) -> Result<Vec<T>, ConfigError> {
        let (source, values) = self.values(&typed.key);
        values
            .into_iter()
            .map(|value| (typed.parse)(&value).ok_or_else(|| refuse(&typed.key, &source, value)))
            .collect()
    }

    /// Reads the values of a key, and then those in the files that another key names: one a line,
    /// and at least one a file.
    fn secrets<T>(
        &self,
        typed: &'static Typed<T>,
        files: &'static Typed<PathBuf>,
    ) -> Result<Vec<T>, ConfigError> {
        let mut all = self.many(typed)?;
        for path in self.many(files)? {
            let lines = secret_file::lines(&path)?;
            let source = Source::File(path);
            if lines.is_empty() {
                return Err(refuse(&typed.key, &source, String::new()));
            }
            for line in lines {
                let value = (typed.parse)(&line);
                all.push(value.ok_or_else(|| refuse(&typed.key, &source, String::new()))?);
            }
        }
        Ok(all)
    }

    fn optional<T>(&self, typed: &'static Typed<T>) -> Result<Option<T>, ConfigError> {
        Ok(self.many(typed)?.pop())
    }

    /// Reads a key that has a default; an empty list is refused as an empty value.
    fn one<T>(&self, typed: &'static Typed<T>) -> Result<T, ConfigError> {
        self.optional(typed)?
            .ok_or_else(|| refuse(&typed.key, &self.values(&typed.key).0, String::new()))
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
    use crate::config::keys::Kind;

    #[test]
    fn nothing_typed_is_a_configuration() {
        let config = Config::resolve(&Low::default()).unwrap();
        assert_eq!(config.listen.len(), 2);
        assert!(config.listen_is_default);
        assert_eq!(config.relay_ports, 49_152..=65_535);
        assert_eq!(config.turn.bytes, Some(Rate::per_second(5_000_000)));
        assert_eq!(config.certificate, None);
    }

    #[test]
    fn every_key_refuses_nonsense_and_says_what_it_accepts() {
        for key in KEYS {
            // Any text of the right length is a secret, a realm or a directory.
            let nonsense = match key.name {
                "secret" => "short",
                "realm" | "data-dir" | "tls-cert" | "tls-key" | "secret-file" | "user-file" => "",
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
    fn one_sender_has_a_quarter_of_a_queue_unless_it_is_given() {
        let bytes = |pairs: &[(&str, &str)]| resolve(pairs).unwrap().signal_max_queue_per_sender;
        assert_eq!(bytes(&[]), 1 << 20);
        assert_eq!(bytes(&[("signal-max-queue", "1MiB")]), 256 << 10);
        assert_eq!(bytes(&[("signal-max-queue-per-sender", "2KiB")]), 2048);
    }

    #[test]
    fn the_burst_of_signaling_follows_the_rate_unless_it_is_given() {
        let burst = |pairs: &[(&str, &str)]| resolve(pairs).unwrap().signal.message_burst;
        assert_eq!(burst(&[]), 1_000);
        assert_eq!(burst(&[("signal-messages-per-second", "5")]), 100);
        let both = [
            ("signal-messages-per-second", "5"),
            ("signal-message-burst", "7"),
        ];
        assert_eq!(burst(&both), 7);
    }

    #[test]
    fn a_limit_of_zero_is_none_where_its_key_says_so() {
        let config = resolve(&[
            ("turn-max-packets-per-second", "0"),
            ("turn-max-bytes-per-second-per-network", "0"),
            ("socketio-handshakes-per-second", "3"),
        ])
        .unwrap();
        assert_eq!(config.turn.packets, None);
        assert_eq!(config.turn.bytes_per_network, None);
        assert_eq!(config.socketio.handshake_rate.unwrap().burst, 30);
    }

    #[test]
    fn secrets_stay_out_of_errors() {
        let error = resolve(&[("user", "annpassword")]).unwrap_err();
        assert!(!error.to_string().contains("annpassword"), "{error}");
    }

    #[test]
    fn secrets_and_users_may_come_from_files() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let secrets = write("secrets", "first-of-two-secrets\n\nsecond-of-two-secrets\n");
        let users = write("users", "ann:pass word \nben:b:c");
        let config = resolve(&[
            ("secret", "0123456789abcdef"),
            ("secret-file", &secrets),
            ("user-file", &users),
        ])
        .unwrap();
        assert_eq!(
            config.secrets,
            [
                "0123456789abcdef",
                "first-of-two-secrets",
                "second-of-two-secrets"
            ]
        );
        let user = |name: &str, password: &str| (name.to_owned(), password.to_owned());
        assert_eq!(
            config.users,
            [user("ann", "pass word "), user("ben", "b:c")]
        );
        for (key, text) in [
            ("secret-file", "short-one\n"),
            ("secret-file", "\n"),
            ("user-file", "annpassword"),
        ] {
            let path = write("wrong", text);
            let error = resolve(&[(key, &path)]).unwrap_err().to_string();
            assert!(error.contains(&path), "{error}");
            assert!(!error.contains("short-one"), "{error}");
            assert!(!error.contains("annpassword"), "{error}");
        }
        let missing = dir.path().join("missing");
        let error = resolve(&[("secret-file", missing.to_str().unwrap())]).unwrap_err();
        assert!(error.to_string().contains("cannot read"), "{error}");
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
