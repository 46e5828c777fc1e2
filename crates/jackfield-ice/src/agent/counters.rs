//! What an agent counts.

/// Counters of one agent, all since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AgentCounters {
    /// Checks of the other side that were answered with success.
    pub requests_accepted: u64,
    /// Checks of the other side that were answered with an error.
    pub requests_refused: u64,
    /// Role conflicts that have changed our role.
    pub role_conflicts: u64,
    /// Pairs whose consent has ended.
    pub consent_lost: u64,
    /// STUN messages that are broken.
    pub malformed: u64,
    /// Messages that were not signed with the credentials of this session; they are not answered.
    pub dropped_unsigned: u64,
    /// STUN messages that answer nothing and ask for nothing.
    pub dropped_unexpected: u64,
    /// Answers from another address than the question went to.
    pub dropped_asymmetric: u64,
    /// Packets that are not STUN, from addresses that no check has come from.
    pub dropped_unverified: u64,
    /// Packets from or to addresses that the agent has no socket for.
    pub dropped_unknown_path: u64,
    /// Checks and datagrams that came before the other side's parameters, past
    /// [`Limits::early_checks`](crate::Limits::early_checks) and
    /// [`Limits::early_bytes`](crate::Limits::early_bytes).
    pub dropped_early: u64,
    /// Candidates past their limits.
    pub dropped_candidates: u64,
    /// Connections past [`Limits::connections`](crate::Limits::connections), or to no listener.
    pub dropped_connections: u64,
    /// Packets that a relay did not take: its server has not let the peer in, or is gone.
    pub dropped_by_relay: u64,
    /// Sockets past [`Limits::sockets`](crate::Limits::sockets).
    pub dropped_sockets: u64,
}
