//! What a gatherer counts.

/// Counters of one gatherer, all since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GatherCounters {
    /// Transactions that were started: queries, allocations and connections, without repetitions.
    pub starts: u64,
    /// Answers of STUN servers that say nothing, or no address that packets can be sent to.
    pub malformed: u64,
    /// Sockets above [`GatherLimits::sockets`](super::GatherLimits::sockets).
    pub ignored_sockets: u64,
    /// Servers above [`GatherLimits::servers`](super::GatherLimits::servers), for each socket.
    pub ignored_servers: u64,
    /// Allocations above [`GatherLimits::allocations`](super::GatherLimits::allocations).
    pub ignored_allocations: u64,
    /// Peers that gave way to others, by [`GatherLimits::peers`](super::GatherLimits::peers).
    pub displaced_peers: u64,
    /// Peers that an allocation could not be asked to let in.
    pub refused_permits: u64,
    /// Channels that an allocation could not be asked for.
    pub refused_channels: u64,
    /// Allocations that ended before they were given back.
    pub lost_allocations: u64,
}
