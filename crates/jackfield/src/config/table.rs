//! The table of every key there is. Flags, variables, help, `config explain` and errors are made
//! from it.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use jackfield_turn::Cidr;

use super::keys::{Group, Key, Typed};
use super::resolved::LogFormat;
use super::value;

/// Makes a constant of each key, so that code names keys by identifier, and the list of them all.
macro_rules! keys {
    ($($group:ident { $($name:ident: $type:ty = $key:expr;)* })*) => {
        $($(pub(crate) static $name: Typed<$type> = $key.in_group(Group::$group);)*)*

        /// Every key there is, in the order in which help shows them.
        pub static KEYS: &[&Key] = &[$($(&$name.key,)*)*];
    };
}

keys! {
    Serving {
        LISTEN: SocketAddr = Typed::many(
            "listen",
            "ADDR",
            "0.0.0.0:3478, [::]:3478",
            ADDRESS,
            value::address,
            "Serves everything on this address, over UDP and TCP.",
        );
        LISTEN_TLS: SocketAddr = Typed::many(
            "listen-tls",
            "ADDR",
            "",
            ADDRESS,
            value::address,
            "Serves everything on this address inside TLS; needs a certificate or \
             tls-self-signed.",
        );
        TLS_CERT: PathBuf = Typed::one(
            "tls-cert",
            "FILE",
            "",
            "a PEM file with the certificate chain",
            value::path,
            "The certificate chain that TLS listeners show.",
        );
        TLS_KEY: PathBuf = Typed::one(
            "tls-key",
            "FILE",
            "",
            "a PEM file with one private key",
            value::path,
            "The private key of tls-cert.",
        );
        TLS_SELF_SIGNED: bool = switch(
            "tls-self-signed",
            "Makes a self-signed certificate at start; for development, browsers warn about it.",
        );
        PUBLIC_HOST: String = Typed::one(
            "public-host",
            "HOST[:PORT]",
            "",
            "a host name or address, with or without a port",
            value::authority,
            "The host that clients are told to find STUN and TURN at, and the port if it is not \
             the one listened on; by default the host they asked.",
        );
        CORS_ORIGIN: String = Typed::many(
            "cors-origin",
            "ORIGIN",
            "",
            "an origin such as https://app.example.org, or *",
            value::origin,
            "Lets pages of this origin use the server: WebSockets, Socket.IO and GET /ice. Pages of \
             the server's own origin may, and programs that send no Origin header.",
        );
        ALLOW_HOST: String = Typed::many(
            "allow-host",
            "HOST",
            "",
            "a DNS name without a port, or *",
            value::host_name,
            "Lets browsers inside a private network use the server by this name without TLS. IP \
             addresses, names that nobody can register (nas, nas.local, localhost), public-host \
             and this machine's own name need no entry.",
        );
        METRICS_FROM: Cidr = Typed::many(
            "metrics-from",
            "CIDR",
            "127.0.0.0/8, ::1/128, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7",
            "a network such as 10.0.0.0/8 or fd00::/8, or one address",
            value::parsed,
            "Lets this network read /metrics, beside this machine itself. What a proxy passes on \
             (X-Forwarded-For, X-Real-IP, Forwarded or Via) needs a metrics-token.",
        );
        METRICS_TOKEN: String = Typed::secrets(
            "metrics-token",
            "TOKEN",
            "a text of 16 characters or more",
            value::secret,
            "Lets clients from anywhere read /metrics that show this bearer token.",
        );
        DATA_DIR: PathBuf = Typed::one(
            "data-dir",
            "DIR",
            "",
            "a directory",
            value::path,
            "Where the generated secret is kept; by default jackfield in the user's data \
             directory.",
        );
        SHARDS: usize = Typed::one(
            "shards",
            "N",
            "0",
            "a whole number from 0 to 256; 0 means one a core",
            value::shards,
            "How many threads serve, each with its own listeners.",
        );
    }

    Turn {
        SECRET: String = Typed::secrets(
            "secret",
            "SECRET",
            "a text of 16 characters or more",
            value::secret,
            "Shared secret of time-limited TURN credentials; the first one mints, all are \
             accepted. Generated and kept in the data directory when absent. Other users of the \
             machine see flags: better a file, or a systemd credential of the name secret.",
        );
        SECRET_FILE: PathBuf = Typed::many(
            "secret-file",
            "FILE",
            "",
            "a file with a secret in each line",
            value::path,
            "Reads secrets from this file, after those of secret.",
        );
        USER: (String, String) = Typed::secrets(
            "user",
            "NAME:PASSWORD",
            "NAME:PASSWORD, both not empty",
            value::user,
            "A static TURN user, beside the time-limited ones. Other users of the machine see \
             flags: better a file, or a systemd credential of the name user.",
        );
        USER_FILE: PathBuf = Typed::many(
            "user-file",
            "FILE",
            "",
            "a file with NAME:PASSWORD in each line",
            value::path,
            "Reads static TURN users from this file.",
        );
        REALM: String = Typed::one(
            "realm",
            "REALM",
            "jackfield",
            "a text of 1 to 127 characters",
            value::realm,
            "The realm of TURN's long-term credentials.",
        );
        CREDENTIALS_TTL: Duration = time(
            "credentials-ttl",
            "1h",
            "How long minted TURN credentials last.",
        );
        EXTERNAL_IP: (IpAddr, Option<IpAddr>) = Typed::many(
            "external-ip",
            "IP[/LOCAL]",
            "",
            "an IP address, or PUBLIC/LOCAL",
            value::external_ip,
            "The public address that clients are told for relays bound to a local one, behind a \
             1:1 NAT.",
        );
        RELAY_PORTS: RangeInclusive<u16> = Typed::one(
            "relay-ports",
            "MIN-MAX",
            "49152-65535",
            "two ports from 1024 to 65535 with MIN <= MAX, such as 49152-65535",
            value::port_range,
            "The ports that relays are bound to.",
        );
        ALLOW_PEER: Cidr = Typed::many(
            "allow-peer",
            "CIDR",
            "",
            "a network such as 10.0.0.0/8 or fd00::/8, or one address",
            value::parsed,
            "Lets relays reach this network, although loopback, private and special ranges, what \
             clouds serve to their own machines, and the networks that this machine is in are \
             denied.",
        );
        DENY_PEER: Cidr = Typed::many(
            "deny-peer",
            "CIDR",
            "",
            "a network such as 192.0.2.0/24 or 2001:db8::/32, or one address",
            value::parsed,
            "Keeps relays from this network, although it is public; allow-peer wins.",
        );
        DENY_LOW_PORTS: bool = switch(
            "deny-low-ports",
            "Keeps relays from ports below 1024, where a machine's services are; calls use none of \
             them.",
        );
    }

    NatDiscovery {
        NAT_DISCOVERY: IpAddr = Typed::many(
            "nat-discovery",
            "IP",
            "",
            "a second IP address of this machine, one a family",
            value::specified_ip,
            "Tells clients what kind of NAT they are behind (RFC 5780), by answers from this \
             second address and from a second port. UDP only.",
        );
        NAT_DISCOVERY_PORT: u16 = Typed::one(
            "nat-discovery-port",
            "PORT",
            "3479",
            "a port from 1 to 65535 that is not listened on otherwise",
            value::port,
            "The second port of NAT discovery.",
        );
        NAT_DISCOVERY_HELPER: IpAddr = Typed::many(
            "nat-discovery-helper",
            "IP",
            "",
            "the IP address of another Jackfield with the same secret, port, nat-discovery-port \
             and nat-discovery-help, one a family",
            value::specified_ip,
            "Has another server answer for NAT discovery in place of a second address.",
        );
        NAT_DISCOVERY_HELP: bool = switch(
            "nat-discovery-help",
            "Answers for servers that name this one as their nat-discovery-helper and know the \
             secret.",
        );
        NAT_DISCOVERY_ANSWERS_PER_SECOND: u32 = count(
            "nat-discovery-answers-per-second",
            "50",
            value::count,
            "Answers of NAT discovery a second to one network (/24 or /64) that come from or go \
             to elsewhere, above a burst of eight times as many.",
        );
    }

    Logging {
        LOG: String = Typed::one(
            "log",
            "FILTER",
            "info",
            "error, warn, info, debug or trace, or a filter such as info,jackfield_turn=debug",
            value::log_filter,
            "How much is logged.",
        );
        LOG_FORMAT: LogFormat = Typed::one(
            "log-format",
            "FORMAT",
            "text",
            "text or json",
            value::log_format,
            "How log lines are written.",
        );
    }

    Connections {
        MAX_CONNECTIONS: usize = count(
            "max-connections",
            "10000",
            value::count,
            "Open TCP connections, in the whole process.",
        );
        MAX_CONNECTIONS_PER_NETWORK: usize = count(
            "max-connections-per-network",
            "1000",
            value::count,
            "Open TCP connections from one network (/24 or /64), WebSockets among them.",
        );
        TLS_HANDSHAKES_PER_SECOND: Option<u32> = Typed::one(
            "tls-handshakes-per-second",
            "N",
            "50",
            COUNT_OR_ZERO,
            value::count_or_none,
            "TLS handshakes a second from one network (/24 or /64), above a burst of ten times as \
             many.",
        );
        MAX_WAITING_MEMORY: usize = memory(
            "max-waiting-memory",
            "Memory of what waits for clients, in the whole process; where it is more, the client \
             with most of it is closed, in the network (/24 or /64) with most. A quarter of the \
             memory that the process may use unless given.",
        );
        MAX_WAITING_MEMORY_PER_NETWORK: usize = memory(
            "max-waiting-memory-per-network",
            "Memory of what waits for the clients of one network (/24 or /64). A quarter of \
             max-waiting-memory unless given.",
        );
        FIRST_BYTES_TIMEOUT: Duration = time(
            "first-bytes-timeout",
            "10s",
            "How long a new connection may take for its TLS handshake, and for its first bytes \
             or HTTP header.",
        );
        DEAD_PEER_TIMEOUT: Duration = time(
            "dead-peer-timeout",
            "60s",
            "How long a TCP peer may take none of what we send, or leave keep-alives unanswered.",
        );
        MAX_HEADER: usize = size(
            "max-header",
            "32KiB",
            "The largest HTTP header.",
        );
        SHUTDOWN_TIMEOUT: Duration = time(
            "shutdown-timeout",
            "10s",
            "How long open connections may take to finish after a signal to stop.",
        );
    }

    TurnLimits {
        TURN_MAX_ALLOCATIONS: u32 = count(
            "turn-max-allocations",
            "10000",
            value::count,
            "TURN allocations, in the whole process.",
        );
        TURN_MAX_ALLOCATIONS_PER_USER: u32 = count(
            "turn-max-allocations-per-user",
            "100",
            value::count,
            "TURN allocations of one user name.",
        );
        TURN_MAX_ALLOCATIONS_PER_NETWORK: u32 = count(
            "turn-max-allocations-per-network",
            "500",
            value::count,
            "TURN allocations of one network (/24 or /64), whatever their user names: minted \
             names cost nothing. Behind a proxy that hides addresses all clients are one network.",
        );
        TURN_MAX_PERMISSIONS: usize = count(
            "turn-max-permissions",
            "64",
            value::count,
            "Permissions of one TURN allocation.",
        );
        TURN_MAX_CHANNELS: usize = count(
            "turn-max-channels",
            "64",
            value::count,
            "Channels of one TURN allocation.",
        );
        TURN_DEFAULT_LIFETIME: Duration = time(
            "turn-default-lifetime",
            "10m",
            "The lifetime of a TURN allocation that asks for none, or for less.",
        );
        TURN_MAX_LIFETIME: Duration = time(
            "turn-max-lifetime",
            "1h",
            "The longest lifetime that a TURN allocation of a static user is given at once.",
        );
        TURN_MAX_LIFETIME_MINTED: Duration = time(
            "turn-max-lifetime-minted",
            "10m",
            "The same for time-limited credentials. What a client left behind is free again after \
             this time, and an allocation outlives its credential by twice this time at most.",
        );
        TURN_NONCE_LIFETIME: Duration = time(
            "turn-nonce-lifetime",
            "1h",
            "How long a TURN nonce is good for; a client with an older one gets a new one.",
        );
        TURN_MAX_RESERVATIONS: usize = count(
            "turn-max-reservations",
            "1024",
            value::count,
            "Ports that EVEN-PORT keeps for later allocations, in the whole process.",
        );
        TURN_MAX_RESERVATIONS_PER_NETWORK: usize = count(
            "turn-max-reservations-per-network",
            "64",
            value::count,
            "Ports that EVEN-PORT keeps for clients of one network (/24 or /64).",
        );
        TURN_RESERVATION_LIFETIME: Duration = time(
            "turn-reservation-lifetime",
            "30s",
            "How long a port that EVEN-PORT reserves is kept.",
        );
        TURN_MAX_PAYLOAD: usize = size(
            "turn-max-payload",
            "65507",
            "Bytes of payload in one relayed message; longer ones are dropped.",
        );
        TURN_MAX_BYTES_PER_SECOND: Option<u32> = Typed::one(
            "turn-max-bytes-per-second",
            "N",
            "5000000",
            COUNT_OR_ZERO,
            value::count_or_none,
            "Bytes a second that one TURN allocation may relay, both ways together; 5000000 are \
             40 Mbit/s, where a video call takes 2 to 8 each way.",
        );
        TURN_MAX_BYTES_PER_SECOND_PER_NETWORK: Option<u32> = Typed::one(
            "turn-max-bytes-per-second-per-network",
            "N",
            "25000000",
            COUNT_OR_ZERO,
            value::count_or_none,
            "Bytes a second that all TURN allocations of one network (/24 or /64) may relay, both \
             ways together; 25000000 are 200 Mbit/s, or some 40 video calls in both directions.",
        );
        TURN_MAX_PACKETS_PER_SECOND: Option<u32> = Typed::one(
            "turn-max-packets-per-second",
            "N",
            "10000",
            COUNT_OR_ZERO,
            value::count_or_none,
            "Packets a second that one TURN allocation may relay, both ways together.",
        );
        TURN_ANSWERS_PER_SECOND: u32 = count(
            "turn-answers-per-second",
            "500",
            value::count,
            "Error answers a second to one network (/24 or /64) that has not authenticated, \
             above a burst of four times as many.",
        );
        TURN_BINDINGS_PER_SECOND: u32 = count(
            "turn-bindings-per-second",
            "2000",
            value::count,
            "Binding answers a second to one network (/24 or /64), above a burst of twice as \
             many.",
        );
        TURN_WRONG_PASSWORDS_PER_SECOND: Option<u32> = Typed::one(
            "turn-wrong-passwords-per-second",
            "N",
            "1",
            COUNT_OR_ZERO,
            value::count_or_none,
            "Wrong TURN passwords a second from one network (/24 or /64), above a burst of thirty \
             times as many. Above it static users are not let in from there; allocations that \
             live, and minted credentials, go on.",
        );
        TURN_MAX_SOURCES: usize = count(
            "turn-max-sources",
            "16384",
            value::count,
            "Networks (/24 or /64) whose rates of answers and of wrong passwords are counted at one \
             time.",
        );
        TURN_BIND_ATTEMPTS: u8 = Typed::one(
            "turn-bind-attempts",
            "N",
            "16",
            "a whole number from 1 to 255",
            value::count,
            "Relay ports that are tried before an allocation is refused.",
        );
        TURN_CONNECTION_IDLE: Duration = time(
            "turn-connection-idle",
            "30s",
            "How long a TCP or TLS connection of TURN without an allocation may be silent.",
        );
        TURN_CONNECTION_QUEUE: usize = size(
            "turn-connection-queue",
            "256KiB",
            "Bytes that wait for one TCP or TLS client of TURN; data above it is dropped.",
        );
        TURN_MAX_MESSAGE: usize = size(
            "turn-max-message",
            "65540",
            "The longest STUN or TURN message on a TCP or TLS connection.",
        );
    }

    Socketio {
        SOCKETIO_PING_INTERVAL: Duration = time(
            "socketio-ping-interval",
            "25s",
            "How often a Socket.IO connection is asked whether it lives.",
        );
        SOCKETIO_PING_TIMEOUT: Duration = time(
            "socketio-ping-timeout",
            "20s",
            "How long its answer may take.",
        );
        SOCKETIO_MAX_PAYLOAD: usize = size(
            "socketio-max-payload",
            "1MB",
            "The largest Socket.IO packet or polling body.",
        );
        SOCKETIO_ALLOW_EIO3: bool = switch(
            "socketio-allow-eio3",
            "Lets Socket.IO 2 clients connect (Engine.IO 3).",
        );
        SOCKETIO_MAX_CONNECTIONS: usize = count(
            "socketio-max-connections",
            "10000",
            value::count,
            "Socket.IO sessions, in the whole process.",
        );
        SOCKETIO_MAX_CONNECTIONS_PER_NETWORK: usize = count(
            "socketio-max-connections-per-network",
            "2500",
            value::count,
            "Socket.IO sessions of one network (/24 or /64).",
        );
        SOCKETIO_HANDSHAKES_PER_SECOND: Option<u32> = Typed::one(
            "socketio-handshakes-per-second",
            "N",
            "0",
            COUNT_OR_ZERO,
            value::count_or_none,
            "Socket.IO handshakes a second from one network (/24 or /64), above a burst of ten \
             times as many.",
        );
        SOCKETIO_MAX_ATTACHMENTS: usize = count(
            "socketio-max-attachments",
            "10",
            value::count,
            "Binary attachments of one Socket.IO packet.",
        );
        SOCKETIO_MAX_QUEUE: usize = size(
            "socketio-max-queue",
            "4MiB",
            "Bytes that wait for one Socket.IO client; one that reads more slowly is closed.",
        );
        SOCKETIO_MAX_INBOUND: usize = size(
            "socketio-max-inbound",
            "1MiB",
            "Bytes of events that wait for the handlers of one Socket.IO client before nothing \
             more is read from it.",
        );
        SOCKETIO_CONNECT_TIMEOUT: Duration = time(
            "socketio-connect-timeout",
            "45s",
            "How long a Socket.IO client may take to join its first namespace.",
        );
        SOCKETIO_UPGRADE_TIMEOUT: Duration = time(
            "socketio-upgrade-timeout",
            "10s",
            "How long the move from polling to WebSocket may take.",
        );
        SOCKETIO_BODY_TIMEOUT: Duration = time(
            "socketio-body-timeout",
            "30s",
            "How long the body of a POST may take to arrive.",
        );
        SOCKETIO_CLOSE_TIMEOUT: Duration = time(
            "socketio-close-timeout",
            "30s",
            "How long a polling client has to fetch its last packets after the session was \
             closed.",
        );
        SOCKETIO_ACK_TIMEOUT: Duration = time(
            "socketio-ack-timeout",
            "30s",
            "How long an acknowledgement may take unless the call names a time.",
        );
    }

    Signaling {
        SIGNAL_MAX_MESSAGE: usize = size(
            "signal-max-message",
            "128KiB",
            "The largest signaling message.",
        );
        SIGNAL_MAX_DEPTH: usize = count(
            "signal-max-depth",
            "64",
            value::count,
            "Arrays and objects inside each other in a signaling message.",
        );
        SIGNAL_MAX_NAME: usize = count(
            "signal-max-name",
            "64",
            value::count,
            "Characters of a name.",
        );
        SIGNAL_MAX_ROOM_NAME: usize = count(
            "signal-max-room-name",
            "128",
            value::count,
            "Characters of a room's name.",
        );
        SIGNAL_MAX_TOKEN: usize = size(
            "signal-max-token",
            "8KiB",
            "Bytes of a token that a client shows to join a room.",
        );
        SIGNAL_MAX_MEMBERS: usize = count(
            "signal-max-members",
            "10000",
            value::count,
            "Clients connected for signaling.",
        );
        SIGNAL_MAX_MEMBERS_PER_ROOM: usize = count(
            "signal-max-members-per-room",
            "50",
            value::count,
            "Members of one room.",
        );
        SIGNAL_MAX_ROOMS: usize = count(
            "signal-max-rooms",
            "100000",
            value::count,
            "Rooms with somebody in them.",
        );
        SIGNAL_MAX_ROOMS_PER_MEMBER: usize = count(
            "signal-max-rooms-per-member",
            "8",
            value::count,
            "Rooms that one client is in.",
        );
        SIGNAL_MAX_LOBBY_MEMBERS: usize = count(
            "signal-max-lobby-members",
            "256",
            value::count,
            "Clients of MDN's sample, who all see each other.",
        );
        SIGNAL_LOBBY_BYTES_PER_SECOND: usize = size(
            "signal-lobby-bytes-per-second",
            "1MiB",
            "Bytes a second of the user lists for clients of MDN's sample, over all of them; \
             changes that come faster share a list.",
        );
        SIGNAL_JOINS_PER_SECOND: Option<u32> = Typed::one(
            "signal-joins-per-second",
            "N",
            "10",
            COUNT_OR_ZERO,
            value::count_or_none,
            "Joins of rooms a second that the clients of one network (/24 or /64) can keep making \
             together, with twenty times as many at once; 0 for no limit. A knock counts as ten.",
        );
        SIGNAL_MAX_WAITING_PER_ROOM: usize = count(
            "signal-max-waiting-per-room",
            "16",
            value::count,
            "Newcomers that wait at one room to be let in. Where as many wait, one of the network \
             of which most are waiting yields to a newcomer of another.",
        );
        SIGNAL_KNOCK_TIMEOUT: Duration = time(
            "signal-knock-timeout",
            "5min",
            "How long a newcomer waits to be let into a room.",
        );
        SIGNAL_NAME_HOLD: Duration = time(
            "signal-name-hold",
            "10s",
            "How long a room keeps the name of a member whose connection was lost, so that it can \
             come back by its session and nobody else takes the name.",
        );
        SIGNAL_PLACE_HOLD: Duration = time(
            "signal-place-hold",
            "2min",
            "How long it does so while it is locked or has newcomers knock: the member comes back \
             in without being let in.",
        );
        SIGNAL_MAX_HELD_NAMES: usize = count(
            "signal-max-held-names",
            "10000",
            value::count,
            "Names that are held for members whose connections were lost.",
        );
        SIGNAL_MAX_HELD_NAMES_PER_NETWORK: usize = count(
            "signal-max-held-names-per-network",
            "250",
            value::count,
            "Names that are held for members of one network (/24 or /64).",
        );
        SIGNAL_MESSAGES_PER_SECOND: u32 = count(
            "signal-messages-per-second",
            "50",
            value::count,
            "Signaling messages a second that one client can keep sending. A message counts once \
             more for each 16 KiB of itself and of what is sent to others because of it.",
        );
        SIGNAL_MESSAGE_BURST: u32 = count(
            "signal-message-burst",
            "",
            value::count,
            "Signaling messages from one client at once, before signal-messages-per-second \
             counts.",
        );
        SIGNAL_MAX_QUEUE: usize = size(
            "signal-max-queue",
            "4MiB",
            "Bytes that wait for one signaling client, a quarter of them for the server's own \
             messages. Changes that have no room come as one list later; a client without room for \
             answers to its own messages is closed.",
        );
        SIGNAL_MAX_QUEUE_PER_SENDER: usize = size(
            "signal-max-queue-per-sender",
            "",
            "Bytes of one client that wait for another; further messages are refused to their \
             sender. A quarter of signal-max-queue unless given.",
        );
    }

    Websockets {
        WEBSOCKET_PING_INTERVAL: Duration = time(
            "websocket-ping-interval",
            "25s",
            "How long a signaling WebSocket may be silent before it gets a Ping.",
        );
        WEBSOCKET_PING_TIMEOUT: Duration = time(
            "websocket-ping-timeout",
            "20s",
            "How long its answer may take.",
        );
        WEBSOCKET_WRITE_TIMEOUT: Duration = time(
            "websocket-write-timeout",
            "30s",
            "How long bytes may wait while a WebSocket takes none of them.",
        );
        WEBSOCKET_CLOSE_TIMEOUT: Duration = time(
            "websocket-close-timeout",
            "5s",
            "How long the closing handshake of a WebSocket may take.",
        );
        WEBSOCKET_MAX_FRAGMENTS: usize = count(
            "websocket-max-fragments",
            "65536",
            value::count,
            "Frames of one WebSocket message.",
        );
        WEBSOCKET_MAX_WAITING_PONGS: usize = count(
            "websocket-max-waiting-pongs",
            "16",
            value::count,
            "Pong frames that wait for one WebSocket; of further Pings only the last is answered.",
        );
        WEBSOCKET_PAUSE_READING_ABOVE: usize = size(
            "websocket-pause-reading-above",
            "1MiB",
            "Bytes that wait for one signaling WebSocket before nothing more is read from it.",
        );
        WEBSOCKET_MAX_LINGER: usize = size(
            "websocket-max-linger",
            "4MiB",
            "Bytes that are read and dropped from a client that broke the protocol, so that it \
             gets our Close.",
        );
    }
}

const fn switch(name: &'static str, doc: &'static str) -> Typed<bool> {
    Typed::switch(name, value::parsed, doc)
}

const fn count<T>(
    name: &'static str,
    default: &'static str,
    parse: fn(&str) -> Option<T>,
    doc: &'static str,
) -> Typed<T> {
    Typed::one(name, "N", default, COUNT, parse, doc)
}

const fn size(name: &'static str, default: &'static str, doc: &'static str) -> Typed<usize> {
    let accepts = "a size from 1 KiB to 1 GiB such as 64KiB or 1MiB";
    Typed::one(name, "SIZE", default, accepts, value::size, doc)
}

const fn memory(name: &'static str, doc: &'static str) -> Typed<usize> {
    let accepts = "a size from 1 MiB to 1 TiB such as 256MiB or 1GiB";
    Typed::one(name, "SIZE", "", accepts, value::memory, doc)
}

const fn time(name: &'static str, default: &'static str, doc: &'static str) -> Typed<Duration> {
    Typed::one(name, "TIME", default, TIME, value::time, doc)
}

const ADDRESS: &str = "an address and port such as 0.0.0.0:3478 or [::]:3478";
const COUNT: &str = "a whole number from 1 to 4294967295";
const COUNT_OR_ZERO: &str = "a whole number from 0 to 4294967295; 0 means no limit";
const TIME: &str = "a time from 1 s to 7 days such as 30s, 10m or 2h";
