//! What a server counts.

use jackfield_stun::ErrorCode;

/// CounterArray of one server, all since it was made. A driver adds up those of its shards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ServerCounters {
    /// Binding requests answered.
    pub bindings: u64,
    /// Those of them that asked for an answer from elsewhere, to elsewhere, or with padding.
    pub discoveries: u64,
    /// Answers sent for another server that asked for help.
    pub helped: u64,
    /// Allocations there are.
    pub allocations: u64,
    /// Allocations made so far.
    pub allocated: u64,
    /// Packets and bytes of payload from clients to peers.
    pub packets_to_peers: u64,
    /// Bytes of payload from clients to peers.
    pub bytes_to_peers: u64,
    /// Packets from peers to clients.
    pub packets_to_clients: u64,
    /// Bytes of payload from peers to clients.
    pub bytes_to_clients: u64,
    /// Success responses sent to TURN requests.
    pub successes: u64,
    /// Requests with a wrong password or an unknown name, answered or not.
    pub wrong_passwords: u64,
    errors: CounterArray<{ ERROR_CODES.len() }>,
    over_limit: CounterArray<{ Limit::ALL.len() }>,
    dropped: CounterArray<{ DropReason::ALL.len() }>,
}

impl ServerCounters {
    /// Returns how many error responses with this code were sent.
    #[must_use]
    pub fn errors(&self, code: ErrorCode) -> u64 {
        ERROR_CODES
            .iter()
            .position(|known| *known == code)
            .map_or(0, |index| self.errors.read(index))
    }

    /// Returns each error code and how many responses carried it.
    pub fn all_errors(&self) -> impl Iterator<Item = (ErrorCode, u64)> + '_ {
        ERROR_CODES.iter().map(|code| (*code, self.errors(*code)))
    }

    /// Returns how many requests this limit has refused.
    #[must_use]
    pub fn over_limit(&self, limit: Limit) -> u64 {
        self.over_limit.read(limit as usize)
    }

    /// Returns each limit and how many requests it has refused.
    pub fn all_over_limit(&self) -> impl Iterator<Item = (Limit, u64)> + '_ {
        Limit::ALL
            .iter()
            .map(|limit| (*limit, self.over_limit(*limit)))
    }

    /// Returns how much was dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.read(reason as usize)
    }

    /// Returns each reason and how much was dropped for it.
    pub fn all_dropped(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL
            .iter()
            .map(|reason| (*reason, self.dropped(*reason)))
    }

    pub(crate) fn count_error(&mut self, code: ErrorCode) {
        if let Some(index) = ERROR_CODES.iter().position(|known| *known == code) {
            self.errors.add(index);
        }
    }

    pub(crate) fn count_over_limit(&mut self, limit: Limit) {
        self.over_limit.add(limit as usize);
    }

    pub(crate) fn count_drop(&mut self, reason: DropReason) {
        self.dropped.add(reason as usize);
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct CounterArray<const N: usize>([u64; N]);

impl<const N: usize> Default for CounterArray<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> CounterArray<N> {
    fn read(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    fn add(&mut self, index: usize) {
        if let Some(counter) = self.0.get_mut(index) {
            *counter += 1;
        }
    }
}

macro_rules! causes {
    (
        $(#[$enum_doc:meta])*
        pub enum $enum:ident {
            $($(#[$doc:meta])* $variant:ident => $name:literal,)+
        }
    ) => {
        $(#[$enum_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $enum {
            $($(#[$doc])* $variant,)+
        }

        impl $enum {
            /// Every one there is.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// Returns a name for metrics, in snake case.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

causes! {
    /// Why something was dropped without an answer.
    pub enum DropReason {
        /// A message from a client that is neither STUN nor ChannelData.
        NotStun => "not_stun",
        /// A STUN message that breaks the format, or whose FINGERPRINT is wrong.
        Malformed => "malformed",
        /// A STUN message of a class or method that a server does not take.
        Unexpected => "unexpected",
        /// An indication with a comprehension-required attribute we do not know.
        UnknownAttribute => "unknown_attribute",
        /// Data from a client without an allocation.
        NoAllocation => "no_allocation",
        /// Data for a peer without a permission.
        NoPermission => "no_permission",
        /// ChannelData on a number that is not bound.
        NoChannel => "no_channel",
        /// ChannelData longer than what arrived.
        Truncated => "truncated",
        /// Data for a peer that the policy denies.
        PeerDenied => "peer_denied",
        /// Data for a peer of a family that the allocation has no relayed address of.
        FamilyMismatch => "family_mismatch",
        /// A payload longer than [`ServerLimits::payload`](crate::ServerLimits::payload).
        TooLong => "too_long",
        /// Over [`ServerLimits::packets`](crate::ServerLimits::packets).
        PacketRate => "packet_rate",
        /// Over [`ServerLimits::bytes`](crate::ServerLimits::bytes).
        ByteRate => "byte_rate",
        /// Over [`ServerLimits::bytes_per_network`](crate::ServerLimits::bytes_per_network).
        NetworkByteRate => "network_byte_rate",
        /// An answer to an unauthenticated request over
        /// [`ServerLimits::unauthenticated`](crate::ServerLimits::unauthenticated).
        UnauthenticatedRate => "unauthenticated_rate",
        /// A request whose password was wrong, or was not checked, over
        /// [`ServerLimits::wrong_passwords`](crate::ServerLimits::wrong_passwords).
        WrongPasswordRate => "wrong_password_rate",
        /// A Binding answer over [`ServerLimits::bindings`](crate::ServerLimits::bindings).
        BindingRate => "binding_rate",
        /// An answer of behaviour discovery over
        /// [`ServerLimits::discoveries`](crate::ServerLimits::discoveries).
        DiscoveryRate => "discovery_rate",
        /// A question for help without the secret, too old, or for the other family; or one of ours
        /// without a secret.
        HelperDenied => "helper_denied",
        /// A packet at a relayed address that no allocation has.
        UnknownRelayed => "unknown_relayed",
        /// A packet from a peer without a permission.
        PeerWithoutPermission => "peer_without_permission",
        /// A repeated request whose first copy is still being worked on.
        InProgress => "in_progress",
        /// A response that did not fit into a message.
        ResponseTooLong => "response_too_long",
    }
}

causes! {
    /// A limit over which a request is refused with 486 (Allocation Quota Reached) or 508
    /// (Insufficient Capacity).
    pub enum Limit {
        /// [`ServerLimits::allocations_per_user`](crate::ServerLimits::allocations_per_user).
        AllocationsPerUser => "allocations_per_user",
        /// [`ServerLimits::allocations_per_network`](crate::ServerLimits::allocations_per_network).
        AllocationsPerNetwork => "allocations_per_network",
        /// [`ServerLimits::allocations`](crate::ServerLimits::allocations).
        Allocations => "allocations",
        /// No relay socket could be bound: no port was free in
        /// [`ServerLimits::bind_attempts`](crate::ServerLimits::bind_attempts), or the process has
        /// no resources left.
        RelaySockets => "relay_sockets",
        /// [`ServerLimits::reservations`](crate::ServerLimits::reservations).
        Reservations => "reservations",
        /// [`ServerLimits::reservations_per_network`](crate::ServerLimits::reservations_per_network).
        ReservationsPerNetwork => "reservations_per_network",
        /// [`ServerLimits::permissions`](crate::ServerLimits::permissions).
        Permissions => "permissions",
        /// [`ServerLimits::channels`](crate::ServerLimits::channels).
        Channels => "channels",
    }
}

impl Limit {
    /// Returns the code that a request over this limit is refused with.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::AllocationsPerUser | Self::AllocationsPerNetwork => {
                ErrorCode::ALLOCATION_QUOTA_REACHED
            }
            Self::Allocations
            | Self::RelaySockets
            | Self::Reservations
            | Self::ReservationsPerNetwork
            | Self::Permissions
            | Self::Channels => ErrorCode::INSUFFICIENT_CAPACITY,
        }
    }
}

/// Every error code a server sends.
const ERROR_CODES: [ErrorCode; 12] = [
    ErrorCode::BAD_REQUEST,
    ErrorCode::UNAUTHENTICATED,
    ErrorCode::FORBIDDEN,
    ErrorCode::UNKNOWN_ATTRIBUTE,
    ErrorCode::ALLOCATION_MISMATCH,
    ErrorCode::STALE_NONCE,
    ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED,
    ErrorCode::WRONG_CREDENTIALS,
    ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL,
    ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH,
    ErrorCode::ALLOCATION_QUOTA_REACHED,
    ErrorCode::INSUFFICIENT_CAPACITY,
];
