//! The server core: takes messages apart and hands them to their handlers.

mod allocate;
mod answer;
mod bind;
mod binding;
mod channel_bind;
mod create_permission;
mod data;
mod expiry;
mod pending;
mod refresh;

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use jackfield_sansio::{Epoch, FiveTuple, PacketType, Seed, Timers};
use jackfield_stun::attribute::AttributeType;
use jackfield_stun::{Class, DecodeError, ErrorCode, Message, Method};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use self::answer::ResponseContext;
use self::pending::PendingAllocations;
use crate::allocations::Allocations;
use crate::attribute::{kind, method};
use crate::authenticator::{Authenticated, Authenticator, Rejection};
use crate::guesses::{AddressProof, GuessReport, Guesses};
use crate::relay_addresses::RelayAddresses;
use crate::source_limiter::SourceLimiter;
use crate::{
    AllocationId, BindError, ChannelNumber, Cidr, Credentials, DropReason, EndReason, Output,
    PeerPolicy, Registry, Relay, ServerConfig, ServerCounters,
};

/// A TURN and STUN server for the clients of one shard ([RFC 8656], [RFC 8489]), without sockets.
///
/// A driver feeds it what arrives and takes what [`Server::poll_output`] gives, after each input or
/// batch of inputs. Calls on network bytes return no errors: what cannot be answered is dropped and
/// counted in [`ServerCounters`].
///
/// [RFC 8656]: https://www.rfc-editor.org/rfc/rfc8656
/// [RFC 8489]: https://www.rfc-editor.org/rfc/rfc8489
pub struct Server {
    config: ServerConfig,
    epoch: Epoch,
    authenticator: Authenticator,
    policy: PeerPolicy,
    registry: Arc<Registry>,
    relay_addresses: RelayAddresses,
    allocations: Allocations,
    pending: PendingAllocations,
    timers: Timers<Timer>,
    /// Limits errors to sources that could be forged.
    unauthenticated: SourceLimiter,
    /// Limits Binding answers to such sources.
    bindings: SourceLimiter,
    /// Limits answers of behaviour discovery that come from or go to elsewhere.
    discoveries: SourceLimiter,
    random: ChaCha12Rng,
    outputs: VecDeque<Output>,
    counters: ServerCounters,
}

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Something of this allocation ends.
    Allocation(AllocationId),
    /// Reservations end.
    Reservations,
    /// What is known of wrong passwords is logged.
    Guesses,
}

/// An authenticated request on its way to its handler.
struct Request<'m, 'b> {
    now: Instant,
    message: &'m Message<'b>,
    context: ResponseContext,
}

impl Server {
    /// Makes a server. The same configuration, seed and inputs give the same outputs.
    ///
    /// `seed` is for relay ports, reservation tokens and hash tables: 32 random bytes, different
    /// for each shard.
    #[must_use]
    pub fn new(mut config: ServerConfig, epoch: Epoch, seed: [u8; 32]) -> Self {
        let mut random = ChaCha12Rng::from_seed(seed);
        let mut table_seed = || Seed::new([random.next_u64(), random.next_u64()]);
        let authenticator = Authenticator::new(&config);
        //= https://www.rfc-editor.org/rfc/rfc8656#section-6
        //# For security reasons, the server MUST NOT store the password
        //# explicitly and MUST store the key value
        config.credentials = Credentials::new();
        let limits = &config.limits;
        config.registry.count_guesses(Guesses::new(
            limits.wrong_passwords,
            limits.sources,
            table_seed(),
        ));
        Self {
            epoch,
            authenticator,
            policy: policy(&config),
            registry: Arc::clone(&config.registry),
            relay_addresses: RelayAddresses::new(
                &config.relay_addresses,
                &config.peers.own_addresses,
            ),
            allocations: Allocations::new(table_seed()),
            pending: PendingAllocations::new(table_seed()),
            timers: Timers::new(),
            unauthenticated: SourceLimiter::new(
                limits.unauthenticated,
                limits.sources,
                table_seed(),
            ),
            bindings: SourceLimiter::new(limits.bindings, limits.sources, table_seed()),
            discoveries: SourceLimiter::new(limits.discoveries, limits.sources, table_seed()),
            random,
            outputs: VecDeque::new(),
            counters: ServerCounters::default(),
            config,
        }
    }

    /// Replaces the tie between monotonic and calendar time, after the wall clock was stepped.
    pub fn set_epoch(&mut self, epoch: Epoch) {
        self.epoch = epoch;
    }

    /// Replaces [`PeerRules::own_addresses`](crate::PeerRules::own_addresses) and
    /// [`PeerRules::connected`](crate::PeerRules::connected), after interfaces have changed. The
    /// next packet is judged by them, also where a permission was made before.
    pub fn set_local_networks(&mut self, own_addresses: Vec<IpAddr>, connected: Vec<Cidr>) {
        self.config.peers.own_addresses = own_addresses;
        self.config.peers.connected = connected;
        self.policy = policy(&self.config);
        self.relay_addresses = RelayAddresses::new(
            &self.config.relay_addresses,
            &self.config.peers.own_addresses,
        );
    }

    /// Takes what a client sent: one datagram, or one message of a stream as
    /// `jackfield_stun::framing` cuts it.
    ///
    /// Data for a peer comes straight back, borrowed; send it before the next call.
    pub fn handle_client<'b>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        bytes: &'b [u8],
    ) -> Option<Relay<'b>> {
        let relayed = match PacketType::of(bytes) {
            // Channel numbers of RFC 5766 above 0x4FFF begin with bytes that RFC 9443 gives to
            // QUIC.
            PacketType::TurnChannel | PacketType::QuicShort => {
                self.channel_data(now, path, bytes).map(Some)
            }
            PacketType::Stun => self.stun(now, path, bytes),
            _ => Err(DropReason::NotStun),
        };
        self.or_count(relayed)
    }

    /// Takes the end of a client's connection (TCP, TLS, DTLS): its allocation ends with it.
    pub fn handle_client_closed(&mut self, now: Instant, path: FiveTuple) {
        let _ = now;
        // The path may be used anew while the driver still binds the socket of the old request.
        self.pending.abandon(&path);
        if let Some(allocation) = self.allocations.by_path(&path) {
            let id = allocation.id;
            self.end_allocation(id, EndReason::Disconnected);
        }
    }

    /// Takes a datagram that `peer` sent to the relay socket bound to `relayed`.
    pub fn handle_peer<'b>(
        &mut self,
        now: Instant,
        relayed: SocketAddr,
        peer: SocketAddr,
        bytes: &'b [u8],
    ) -> Option<Relay<'b>> {
        let relayed = self.relay_to_client(now, plain(relayed), plain(peer), bytes);
        self.or_count(relayed.map(Some))
    }

    /// Takes the answer to [`Output::Bind`]: the address bound to, which is the one asked for, or
    /// why not.
    pub fn handle_bound(
        &mut self,
        now: Instant,
        id: AllocationId,
        relayed: Result<SocketAddr, BindError>,
    ) {
        self.continue_allocate(now, id, relayed.map(plain));
    }

    /// Ends what is due by `now`: allocations, permissions, channels, reservations.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(due) = self.timers.expire(now) {
            match due {
                Timer::Allocation(id) => self.sweep_allocation(now, id),
                Timer::Reservations => {
                    if let Some(next) = self.registry.expire_reservations(now) {
                        self.timers.set(Timer::Reservations, next);
                    }
                }
                Timer::Guesses => self.report_guesses(now),
            }
        }
    }

    /// Ends an allocation for the operator, if it still is.
    pub fn deallocate(&mut self, now: Instant, id: AllocationId) {
        let _ = now;
        self.end_allocation(id, EndReason::Revoked);
    }

    /// Returns the next thing to do; call it until it returns [`Output::Wait`].
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        match self.outputs.pop_front() {
            Some(output) => output,
            None => Output::Wait(self.timers.next()),
        }
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> &ServerCounters {
        &self.counters
    }

    /// Returns whether a relay socket of this server is bound to `address`, and an allocation has
    /// it.
    #[must_use]
    pub fn is_relayed(&self, address: &SocketAddr) -> bool {
        self.allocations.has_relayed(address)
    }

    /// Returns whether these bytes are ChannelData on a channel that this client has bound.
    ///
    /// For datagrams whose first byte, 80 to 127, says either QUIC or a channel of RFC 5766.
    #[must_use]
    pub fn has_channel(&self, now: Instant, path: &FiveTuple, bytes: &[u8]) -> bool {
        let Some(&[n0, n1]) = bytes.first_chunk::<2>() else {
            return false;
        };
        let number = ChannelNumber::new(u16::from_be_bytes([n0, n1]));
        number
            .zip(self.allocations.at_path(path))
            .is_some_and(|(number, allocation)| allocation.channels.peer(number, now).is_some())
    }

    fn or_count<'b>(
        &mut self,
        relayed: Result<Option<Relay<'b>>, DropReason>,
    ) -> Option<Relay<'b>> {
        relayed.unwrap_or_else(|reason| {
            tracing::trace!(reason = reason.name(), "Dropped");
            self.counters.count_drop(reason);
            None
        })
    }

    /// Takes a STUN message from a client.
    fn stun<'b>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        bytes: &'b [u8],
    ) -> Result<Option<Relay<'b>>, DropReason> {
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(DecodeError::Cookie) => {
                return self.classic_binding(now, path, bytes).map(|()| None);
            }
            Err(_) => return Err(DropReason::Malformed),
        };
        match (message.class(), message.method()) {
            (Class::Indication, method::SEND) => {
                self.send_indication(now, path, &message).map(Some)
            }
            (Class::Request, Method::BINDING) => self.binding(now, path, &message).map(|()| None),
            (Class::Indication, Method::BINDING) => {
                self.binding_indication(now, path, &message).map(|()| None)
            }
            (
                Class::Request,
                method::ALLOCATE
                | method::REFRESH
                | method::CREATE_PERMISSION
                | method::CHANNEL_BIND,
            ) => self.request(now, path, &message).map(|()| None),
            _ => Err(DropReason::Unexpected),
        }
    }

    /// Takes a TURN request: who is it, and does it ask only what we understand?
    fn request(
        &mut self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let unix = self.epoch.unix(now);
        let client = plain(path.remote).ip();
        let (allocations, registry) = (&self.allocations, &self.registry);
        let may_check = |name: &str, proof| {
            // Somebody else's guesses do not end the calls of those who came before.
            let own = allocations.at_path(&path);
            own.is_some_and(|own| *own.username == *name)
                || registry
                    .guesses()
                    .is_none_or(|mut guesses| guesses.may_check(now, client, proof))
        };
        let user = self
            .authenticator
            .authenticate(message, path, unix, may_check);
        let context = ResponseContext::new(path, message);
        let user = match user {
            Ok(user) if self.accepts_credential(path, message.method(), &user) => user,
            // A credential whose time is over proves no more than a wrong one.
            Ok(_) => return self.challenge(now, &context, ErrorCode::UNAUTHENTICATED),
            Err(Rejection::Unauthenticated) => {
                return self.challenge(now, &context, ErrorCode::UNAUTHENTICATED);
            }
            Err(Rejection::StaleNonce) => {
                return self.challenge(now, &context, ErrorCode::STALE_NONCE);
            }
            Err(Rejection::BadRequest) => {
                return self.refuse_unauthenticated(now, &context, ErrorCode::BAD_REQUEST);
            }
            Err(Rejection::NotChecked) => {
                self.note_guess(now, client, AddressProof::Given);
                return Err(DropReason::WrongPasswordRate);
            }
            Err(Rejection::WrongPassword(proof)) if self.note_guess(now, client, proof) => {
                return self.challenge(now, &context, ErrorCode::UNAUTHENTICATED);
            }
            Err(Rejection::WrongPassword(_)) => return Err(DropReason::WrongPasswordRate),
        };
        let context = context.by(user);
        // RFC 8489 §6.3 looks for unknown attributes once authentication is done.
        let unknown: Vec<_> = self.unknown_attributes(message).take(MAX_UNKNOWN).collect();
        if !unknown.is_empty() {
            return self.refuse_unknown(&context, unknown);
        }
        let request = Request {
            now,
            message,
            context,
        };
        match message.method() {
            method::ALLOCATE => self.allocate(&request),
            method::REFRESH => self.refresh(&request),
            method::CREATE_PERMISSION => self.create_permission(&request),
            method::CHANNEL_BIND => self.channel_bind(&request),
            _ => Err(DropReason::Unexpected),
        }
    }

    /// Counts a wrong password, or one that was not checked; returns whether the client may be
    /// told.
    fn note_guess(&mut self, now: Instant, client: IpAddr, proof: AddressProof) -> bool {
        self.counters.wrong_passwords += 1;
        let may_be_told = self
            .registry
            .guesses()
            .is_none_or(|mut guesses| guesses.note(now, client, proof));
        if !may_be_told {
            self.report_guesses(now);
        }
        may_be_told
    }

    /// Logs where wrong passwords come from, at most once a minute for all shards.
    fn report_guesses(&mut self, now: Instant) {
        let Some(mut guesses) = self.registry.guesses() else {
            return;
        };
        let (report, next) = (guesses.report(now), guesses.next_report());
        drop(guesses);
        if let Some(GuessReport {
            network,
            guesses,
            other_networks,
        }) = report
        {
            tracing::warn!(
                %network,
                guesses,
                other_networks,
                "Wrong TURN passwords come too often: somebody may be guessing"
            );
        }
        if let Some(next) = next
            && self.timers.deadline(&Timer::Guesses).is_none()
        {
            self.timers.set(Timer::Guesses, next);
        }
    }

    /// Returns whether a credential whose time may be over is still good for this request.
    ///
    /// It is for the permissions and channels of an allocation that lives, and for one Refresh, so
    /// that a call does not break while its application fetches a new credential.
    fn accepts_credential(
        &mut self,
        path: FiveTuple,
        context: Method,
        user: &Authenticated,
    ) -> bool {
        if !user.expired {
            return true;
        }
        match self.allocations.by_path(&path) {
            Some(allocation) => {
                allocation.username == user.username
                    && (context != method::REFRESH || !allocation.used_grace)
            }
            None => false,
        }
    }

    /// Returns the attributes that must be understood and are not.
    fn unknown_attributes<'a>(
        &self,
        message: &Message<'a>,
    ) -> impl Iterator<Item = AttributeType> + use<'a> {
        let dont_fragment = self.config.dont_fragment;
        message
            .unknown(KNOWN)
            .filter(move |unknown| !(dont_fragment && *unknown == kind::DONT_FRAGMENT))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("allocations", &self.allocations.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// Returns the judge of peers, which counts the relay addresses among this machine's own.
fn policy(config: &ServerConfig) -> PeerPolicy {
    let mut rules = config.peers.clone();
    let relays = config.relay_addresses.iter();
    rules
        .own_addresses
        .extend(relays.flat_map(|pair| [pair.local, pair.advertised]));
    PeerPolicy::new(&rules, Arc::clone(&config.registry))
}

/// Returns an address as its family has it: IPv4-mapped ones of dual-stack sockets become IPv4,
/// without scope or flow.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// What requests and indications may carry without being refused or dropped.
///
/// What belongs elsewhere is known and ignored ("known-but-unexpected", RFC 8489 §6.3).
/// DONT-FRAGMENT is not here because it is known only where [`ServerConfig::dont_fragment`] says
/// so. What data has comes first: each packet is looked up here.
const KNOWN: &[AttributeType] = &[
    kind::XOR_PEER_ADDRESS,
    kind::DATA,
    AttributeType::MAPPED_ADDRESS,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::USERNAME,
    AttributeType::USERHASH,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHM,
    kind::CHANNEL_NUMBER,
    kind::LIFETIME,
    kind::XOR_RELAYED_ADDRESS,
    kind::REQUESTED_ADDRESS_FAMILY,
    kind::EVEN_PORT,
    kind::REQUESTED_TRANSPORT,
    kind::RESERVATION_TOKEN,
];

/// An answer names no more unknown attributes than these.
const MAX_UNKNOWN: usize = 16;
