//! How servers are asked, and what is kept at most.

use std::sync::Arc;
use std::time::Duration;

use jackfield_stun::transaction::Retransmission;

use super::IceServer;

/// How a [`Gatherer`](super::Gatherer) asks servers.
#[derive(Debug, Clone)]
pub struct GatherConfig {
    /// The servers; many gatherers can share one list. Default: none.
    pub servers: Arc<[IceServer]>,
    /// Whether addresses that servers see us at are wanted, or relayed ones alone. Default: yes.
    pub reflexive: bool,
    /// Which sockets allocations are made from over UDP. Default: [`RelaySockets::Shared`].
    pub relay_sockets: RelaySockets,
    /// How long an allocation over UDP has before one over TCP is tried from the same base, and one
    /// over TCP before one over TLS.
    ///
    /// Zero tries all at once and keeps all: a relay over TCP or TLS stands beside the one over
    /// UDP, so that data can move to it at once when the network stops passing UDP. Anything longer
    /// makes the slower ways superfluous where a faster one has succeeded, until that is lost: it
    /// costs the servers less and leaves fewer pairs to check, and 250 ms is enough for a server on
    /// the other side of the world. Default: zero.
    pub fallback: Duration,
    /// The least time between the starts of two transactions (Ta of [RFC 8445 §14.2], which allows
    /// 5 ms at least). Default: 5 ms.
    ///
    /// [RFC 8445 §14.2]: https://www.rfc-editor.org/rfc/rfc8445#section-14.2
    pub pacing: Duration,
    /// How often a request is sent over UDP before a server is given up. Default: 4 times, 250 ms
    /// apart at first, and given up after 3.75 s. Over a stream a request is sent once, and its
    /// answer awaited for 39.5 s.
    pub retransmission: Retransmission,
    /// How often a server is asked again, so that NATs on the way keep the binding. Default: 15 s.
    pub keepalive: Duration,
    /// How long a connection to a server may take, and how long it may leave a request unanswered
    /// before another one is opened, which takes its place if it is first. Default: 5 s.
    pub connect_timeout: Duration,
    /// What is kept at most.
    pub limits: GatherLimits,
}

/// Which sockets allocations are made from over UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RelaySockets {
    /// Those that checks are sent from.
    #[default]
    Shared,
    /// A new one for each allocation, asked for by [`Output::Connect`](super::Output::Connect).
    ///
    /// That is for agents which share a port: a server knows an allocation by the addresses of both
    /// ends, so that only one of them could have one from it.
    Own,
}

/// What a [`Gatherer`](super::Gatherer) keeps at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatherLimits {
    /// Sockets and addresses that servers are asked from; further ones are ignored. Default: 32.
    pub sockets: usize,
    /// Servers that are asked, the first of the list. Default: 8.
    pub servers: usize,
    /// Allocations, tries included; further ones are not tried. Default: 8.
    pub allocations: usize,
    /// Addresses of peers that are let in by every allocation; the oldest gives way. Default: 64.
    pub peers: usize,
}

impl Default for GatherConfig {
    fn default() -> Self {
        Self {
            servers: Arc::new([]),
            reflexive: true,
            relay_sockets: RelaySockets::Shared,
            fallback: Duration::ZERO,
            pacing: Duration::from_millis(5),
            retransmission: Retransmission {
                rto: Duration::from_millis(250),
                count: 4,
                patience: 8,
                reliable: false,
            },
            keepalive: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            limits: GatherLimits::default(),
        }
    }
}

impl Default for GatherLimits {
    fn default() -> Self {
        Self {
            sockets: 32,
            servers: 8,
            allocations: 8,
            peers: 64,
        }
    }
}
