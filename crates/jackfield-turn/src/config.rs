//! How a server behaves, and each of its limits.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use jackfield_sansio::Rate;
use jackfield_stun::Key;
use jackfield_stun::behaviour::answer::ServerAddresses;

use crate::{Credentials, PeerRules, Registry};

/// How a [`Server`](crate::Server) behaves. Shards of one process get equal copies; `registry`
/// joins them.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The realm that clients are asked for; at most 127 characters. Keep it short: it is in every
    /// answer to a stranger.
    pub realm: String,
    /// The SOFTWARE attribute of answers to authenticated requests; others do not have it.
    /// Default: none.
    pub software: Option<String>,
    /// Who may allocate.
    pub credentials: Credentials,
    /// Signs nonces. All shards, and all servers behind one address, need the same.
    pub nonce_key: NonceKey,
    /// How long a nonce is good for; a client with an older one gets 438 (Stale Nonce) and a new
    /// one. Default: 1 hour.
    pub nonce_lifetime: Duration,
    /// Offer the SHA-256 mechanisms of RFC 8489 (PASSWORD-ALGORITHMS, MESSAGE-INTEGRITY-SHA256).
    /// Default: yes.
    ///
    /// Clients that know only RFC 5389 are served as ever; it adds 28 bytes to an answer to a
    /// stranger.
    pub password_algorithms: bool,
    /// What the shards of a process share: live relayed addresses, quotas, reservations.
    pub registry: Arc<Registry>,
    /// The addresses that relay sockets are bound to, and those that clients see. Empty (the
    /// default): both are the address that the client's packet came to, or for the other family
    /// one of [`PeerRules::own_addresses`] that reaches as far.
    pub relay_addresses: Vec<RelayAddress>,
    /// The ports relay sockets get. Default: 49152 to 65535.
    pub relay_ports: RangeInclusive<u16>,
    /// The family of an allocation whose request names none. Default: [`DefaultFamily::Client`].
    pub default_family: DefaultFamily,
    /// Accept DONT-FRAGMENT; the driver must then honour
    /// [`Relay::ToPeer::dont_fragment`](crate::Relay::ToPeer). Otherwise such a request is refused
    /// with 420 (Unknown Attribute). Default: accept.
    pub dont_fragment: bool,
    /// Accept channel numbers of RFC 5766 (0x5000 to 0x7FFF) beside those of RFC 8656. Default:
    /// accept.
    ///
    /// Debian's coturn tools pick such numbers. Their first bytes are QUIC's on a shared port (RFC
    /// 9443), so a driver asks [`Server::has_channel`](crate::Server::has_channel) before it takes
    /// such a datagram for QUIC.
    pub rfc5766_channels: bool,
    /// Behaviour discovery (RFC 5780). Default: none, and requests for it are refused with 420
    /// (Unknown Attribute).
    pub discovery: Discovery,
    /// Which peers clients may reach.
    pub peers: PeerRules,
    /// Every cap.
    pub limits: ServerLimits,
}

impl ServerConfig {
    /// Returns the defaults.
    pub fn new(
        realm: impl Into<String>,
        credentials: Credentials,
        nonce_key: NonceKey,
        registry: Arc<Registry>,
    ) -> Self {
        Self {
            realm: realm.into(),
            software: None,
            credentials,
            nonce_key,
            nonce_lifetime: Duration::from_secs(3600),
            password_algorithms: true,
            registry,
            relay_addresses: Vec::new(),
            relay_ports: 49_152..=65_535,
            default_family: DefaultFamily::Client,
            dont_fragment: true,
            rfc5766_channels: true,
            discovery: Discovery::default(),
            peers: PeerRules::default(),
            limits: ServerLimits::default(),
        }
    }
}

/// How a server takes part in behaviour discovery ([RFC 5780]), over UDP.
///
/// [RFC 5780]: https://www.rfc-editor.org/rfc/rfc5780
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// The addresses and ports to answer from, one entry for each address that clients ask. The
    /// driver listens on all of them: an answer may leave from another address and port than the
    /// one that its request came to.
    pub addresses: Vec<ServerAddresses>,
    /// The keys of questions to and from helpers
    /// ([`helper::key`](jackfield_stun::behaviour::helper::key)): the first signs ours, all are
    /// accepted.
    pub keys: Vec<Key>,
    /// Whether to answer for other servers that know a key.
    pub help: bool,
}

/// A key for signing nonces; its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct NonceKey(pub(crate) [u8; 32]);

impl NonceKey {
    /// Makes a key of 32 secret random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey(..)")
    }
}

/// An address for relay sockets. Both addresses are of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayAddress {
    /// What sockets are bound to.
    pub local: IpAddr,
    /// What clients and peers see: `local`, or the public address of a 1:1 NAT in front of it.
    pub advertised: IpAddr,
}

/// The family of an allocation whose request has no REQUESTED-ADDRESS-FAMILY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultFamily {
    /// The family the client came by, if there is a relay address of it, else the other.
    ///
    /// This departs from RFC 8656 §7.2, as coturn and pion do: browsers never name a family, and in
    /// an IPv6-only network IPv4 would always fail.
    #[default]
    Client,
    /// IPv4, to the letter of RFC 8656 §7.2.
    Ipv4,
}

/// Every cap of a server. When one is hit, a counter in [`ServerCounters`](crate::ServerCounters)
/// says so.
///
/// [`ClientNetwork`]: jackfield_sansio::ClientNetwork
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLimits {
    /// Allocations of one user, over all shards; more get 486 (Allocation Quota Reached). Default:
    /// 256.
    pub allocations_per_user: u32,
    /// Allocations of one client network ([`ClientNetwork`]), over all users and shards; more get
    /// 486. Minted names cost nothing, so a quota by name alone does not stop one client from
    /// taking all. Default: 500.
    ///
    /// [`ClientNetwork`]: jackfield_sansio::ClientNetwork
    pub allocations_per_network: u32,
    /// Allocations of all users, over all shards; more get 508 (Insufficient Capacity). Default:
    /// 16,000.
    pub allocations: u32,
    /// Permissions of one allocation; more get 508. Default: 64.
    pub permissions: usize,
    /// Channels of one allocation; more get 508. Default: 64.
    pub channels: usize,
    /// The lifetime of an allocation that asks for none or for less. Default: 10 minutes.
    pub default_lifetime: Duration,
    /// The longest lifetime granted to static users; more is lowered. Default: 1 hour.
    pub max_lifetime: Duration,
    /// The longest lifetime granted to time-limited credentials, if `max_lifetime` is not less.
    /// Default: 10 minutes.
    ///
    /// What one of them holds without a sign of life is free again after this time, and the
    /// longest that an allocation outlives its credential is twice this time: its last Refresh,
    /// and one more that an expired credential is good for.
    pub max_lifetime_minted: Duration,
    /// The most bytes of payload in one message, either way; longer ones are dropped. Default:
    /// 65,507.
    pub payload: usize,
    /// Packets of one allocation, both ways together; what is over is dropped. Default: 10,000 a
    /// second.
    pub packets: Option<Rate>,
    /// Bytes of payload of one allocation, both ways together; what is over is dropped. Default:
    /// 5,000,000 a second (40 Mbit/s).
    ///
    /// A video call takes 2 to 8 Mbit/s in each direction.
    pub bytes: Option<Rate>,
    /// Bytes of payload of all allocations of one client network, over all shards and both ways
    /// together; what is over is dropped. Default: 25,000,000 a second (200 Mbit/s).
    pub bytes_per_network: Option<Rate>,
    /// Error answers to unauthenticated datagrams, for each source network ([`ClientNetwork`]);
    /// over it we are silent. Loopback is exempt: it cannot be spoofed from outside. Default: 500
    /// a second, 2,000 at once.
    ///
    /// [`ClientNetwork`]: jackfield_sansio::ClientNetwork
    pub unauthenticated: Option<Rate>,
    /// The same for Binding answers. Default: 2,000 a second, 4,000 at once.
    pub bindings: Option<Rate>,
    /// The same for answers of behaviour discovery that come from elsewhere, go elsewhere or are
    /// padded, a helper's included. Default: 50 a second, 400 at once.
    pub discoveries: Option<Rate>,
    /// Wrong passwords and unknown names of one client network, over all shards and transports;
    /// over it nothing is answered, and the passwords of static users are not even checked.
    /// Default: 1 a second, 30 at once.
    pub wrong_passwords: Option<Rate>,
    /// How many sources are tracked for each of those rates; when full, the one closest to a full
    /// bucket is forgotten. Default: 16,384.
    pub sources: usize,
    /// How many ports are tried before 508. Default: 16.
    pub bind_attempts: u8,
    /// How long a port reserved by EVEN-PORT is kept. Default: 30 seconds.
    pub reservation_lifetime: Duration,
    /// Ports kept for RESERVATION-TOKENs at one time, over all shards; more get 508. Default:
    /// 1,024.
    pub reservations: usize,
    /// Those of them of one client network; more get 508. Default: 64.
    pub reservations_per_network: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            allocations_per_user: 256,
            allocations_per_network: 500,
            allocations: 16_000,
            permissions: 64,
            channels: 64,
            default_lifetime: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(3600),
            max_lifetime_minted: Duration::from_secs(600),
            payload: 65_507,
            packets: Some(Rate::per_second(10_000)),
            bytes: Some(Rate::per_second(5_000_000)),
            bytes_per_network: Some(Rate::per_second(25_000_000)),
            unauthenticated: Some(Rate::new(500, 2_000)),
            bindings: Some(Rate::new(2_000, 4_000)),
            discoveries: Some(Rate::new(50, 400)),
            wrong_passwords: Some(Rate::new(1, 30)),
            sources: 16_384,
            bind_attempts: 16,
            reservation_lifetime: Duration::from_secs(30),
            reservations: 1_024,
            reservations_per_network: 64,
        }
    }
}
