//! The idle times of a NAT.

use std::time::Duration;

/// How long the NAT keeps idle state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timers {
    /// UDP mappings.
    pub udp: Duration,
    /// UDP mappings that no packet has come in on; `None` means `udp`. Linux has 30 seconds here.
    pub udp_unreplied: Option<Duration>,
    /// UDP mappings made by a packet to a port below 1024; `None` means `udp` (RFC 4787 REQ-5a).
    pub udp_well_known: Option<Duration>,
    /// The permission for a remote endpoint to send to a UDP mapping.
    pub udp_filter: Duration,
    /// TCP connections that are open.
    pub tcp_established: Duration,
    /// TCP connections that have seen one SYN.
    pub tcp_opening: Duration,
    /// TCP connections that have seen both FINs.
    pub tcp_closing: Duration,
    /// TCP connections that have seen a RST.
    pub tcp_reset: Duration,
    /// ICMP queries.
    pub icmp: Duration,
    /// Incomplete datagrams.
    pub fragment: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        const FOUR_MINUTES: Duration = Duration::from_secs(240);
        Self {
            // RFC 4787 REQ-5c: five minutes or more.
            udp: Duration::from_secs(300),
            udp_unreplied: None,
            udp_well_known: None,
            udp_filter: Duration::from_secs(300),
            // RFC 5382 REQ-5: at least 2 hours and 4 minutes, and 4 minutes while opening or
            // closing.
            tcp_established: Duration::from_secs(2 * 3600 + 240),
            tcp_opening: FOUR_MINUTES,
            tcp_closing: FOUR_MINUTES,
            tcp_reset: FOUR_MINUTES,
            // RFC 5508 REQ-2: at least 60 seconds.
            icmp: Duration::from_secs(60),
            // RFC 6146 §4 asks a NAT64 for at least 2 seconds.
            fragment: Duration::from_secs(10),
        }
    }
}
