//! How a client behaves, and what it keeps at most.

use std::time::Duration;

use jackfield_stun::transaction::Retransmission;

use super::Credential;
use crate::attribute::AddressFamily;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Our credential; `None` for a server that asks for none. Default of
    /// [`ClientConfig::default`]: none.
    pub credential: Option<Credential>,
    /// The family of the relayed address (REQUESTED-ADDRESS-FAMILY); `None` leaves it to the
    /// server. Default: none.
    pub family: Option<AddressFamily>,
    /// Whether an IPv4 and an IPv6 address are asked for (ADDITIONAL-ADDRESS-FAMILY), of which the
    /// server may give one alone; of no effect with [`ClientConfig::family`]. Default: no.
    pub dual_stack: bool,
    /// How long the allocation is to last between refreshes, in whole seconds; `None` leaves it to
    /// the server, which mostly gives 10 minutes. Default: none.
    pub lifetime: Option<Duration>,
    /// Whether each peer that is sent to gets a channel, which saves 32 bytes a packet. Default:
    /// yes.
    pub channels: bool,
    /// SOFTWARE, if it is to be sent. Default: none.
    pub software: Option<String>,
    /// How often a request is sent over UDP, and for how long an answer is awaited on any
    /// transport.
    pub retransmission: Retransmission,
    /// Over UDP, how long nothing may be sent before NATs on the way are reminded of us; `None`:
    /// never. Default: 15 s.
    pub keepalive: Option<Duration>,
    /// What is kept at most.
    pub limits: ClientLimits,
}

/// What a client keeps at most.
#[derive(Debug, Clone)]
pub struct ClientLimits {
    /// Peer addresses with a permission, or asked for one. Default: 1,024. At most 4,096 channels
    /// are ever bound.
    pub peers: usize,
    /// Packets that wait for the server to let their peer in. Default: 64.
    pub waiting_packets: usize,
    /// Bytes of those packets. Default: 128 KiB.
    pub waiting_bytes: usize,
    /// How often another connection may be asked for by
    /// [`Output::Connect`](super::Output::Connect). Default: 3.
    pub reconnects: usize,
}

impl ClientConfig {
    /// Returns the defaults with a credential.
    #[must_use]
    pub fn new(credential: Credential) -> Self {
        Self {
            credential: Some(credential),
            ..Self::default()
        }
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            credential: None,
            family: None,
            dual_stack: false,
            lifetime: None,
            channels: true,
            software: None,
            retransmission: Retransmission::default(),
            keepalive: Some(Duration::from_secs(15)),
            limits: ClientLimits::default(),
        }
    }
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            peers: 1_024,
            waiting_packets: 64,
            waiting_bytes: 128 * 1024,
            reconnects: 3,
        }
    }
}
