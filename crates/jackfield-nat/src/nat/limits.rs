//! The limits of the state that a NAT keeps.

/// The limits of the state that a NAT keeps. Each has a [`crate::DropReason`] or a counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatLimits {
    /// Mappings of all hosts.
    pub mappings: usize,
    /// Mappings of one host (RFC 6888 REQ-4). An IPv6 host is its /64.
    pub mappings_per_host: usize,
    /// New mappings of one host in a second, so that no host keeps the NAT busy with making and
    /// ending mappings ([RFC 6888 §3, REQ-4c](https://www.rfc-editor.org/rfc/rfc6888#section-3));
    /// `None` sets no limit.
    pub new_mappings_per_host: Option<u32>,
    /// Flows, that is pairs of mapping and remote endpoint, of all hosts.
    pub flows: usize,
    /// Flows of one host (RFC 6888 REQ-5).
    pub flows_per_host: usize,
    /// New flows that one host starts in a second
    /// ([RFC 6888 §3, REQ-5b](https://www.rfc-editor.org/rfc/rfc6888#section-3)); `None` sets no
    /// limit. Flows that the outside starts do not count, because a port scan would use up the
    /// share of the host.
    pub new_flows_per_host: Option<u32>,
    /// Flows of one host that the outside has started and the inside has not answered, so that a
    /// port scan cannot use up the flows of the host.
    pub inbound_flows_per_host: usize,
    /// Whether mappings and flows that nothing has answered make room for new ones when there is
    /// none, as Linux's connection tracking has it.
    pub evict_unanswered: bool,
    /// Ports that rest at the same time after their mappings are gone, for [`Ports::hold_down`].
    /// One more is free at once
    /// ([RFC 6888 §3, REQ-8](https://www.rfc-editor.org/rfc/rfc6888#section-3)).
    ///
    /// [`Ports::hold_down`]: crate::Ports::hold_down
    pub resting_ports: usize,
    /// Incomplete fragmented datagrams. Those from outside whose first fragment has not come get
    /// half of them.
    pub datagrams: usize,
    /// The same for one host.
    pub datagrams_per_host: usize,
    /// Bytes of fragments that wait for their first. Those from outside get half of them, and one
    /// inside host an eighth.
    pub held_bytes: usize,
    /// Unsolicited SYNs that wait for their answer.
    pub held_syns: usize,
    /// ICMP errors of the NAT's own in a second.
    pub errors_per_second: u32,
    /// The same to one host, or a few that chance has thrown together.
    pub errors_per_host: u32,
}

impl Default for NatLimits {
    fn default() -> Self {
        Self {
            mappings: 1 << 20,
            mappings_per_host: 4096,
            new_mappings_per_host: None,
            flows: 1 << 20,
            flows_per_host: 16384,
            new_flows_per_host: None,
            inbound_flows_per_host: 4096,
            evict_unanswered: false,
            resting_ports: 1 << 20,
            datagrams: 1024,
            datagrams_per_host: 64,
            held_bytes: 1 << 20,
            held_syns: 1024,
            errors_per_second: 1000,
            errors_per_host: 100,
        }
    }
}
