//! What outlives an ICE generation: configuration, role, sockets, local candidates, outputs.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_sansio::{FiveTuple, Seed, TokenBucket, Transmit};
use jackfield_stun::TransactionId;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::Rng;

use super::connection::Connection;
use super::local::{Local, LocalId};
use super::pair::Pair;
use super::{AgentConfig, AgentCounters, Event, Output, Role};
use crate::attribute::OpaqueAttribute;
use crate::candidate::MdnsName;
use crate::gather::Gatherer;

/// What outlives an ICE generation.
pub(super) struct Context {
    pub(super) config: AgentConfig,
    pub(super) role: Role,
    pub(super) tie_breaker: u64,
    pub(super) random: ChaCha12Rng,
    /// What foundations are hashed with.
    pub(super) secret: Seed,
    /// The UDP sockets.
    pub(super) bases: Vec<SocketAddr>,
    /// Addresses without a UDP socket.
    pub(super) addresses: Vec<IpAddr>,
    /// The TCP listeners.
    pub(super) listeners: Vec<SocketAddr>,
    /// The names that are shown in place of addresses.
    pub(super) names: Vec<(IpAddr, MdnsName)>,
    pub(super) locals: Vec<Local>,
    pub(super) next_local: u32,
    pub(super) connections: Vec<Connection>,
    pub(super) next_connection: u32,
    pub(super) gatherer: Gatherer,
    /// How many checks may be triggered still.
    pub(super) triggered: TokenBucket,
    /// What the application adds to checks.
    pub(super) attributes: Vec<OpaqueAttribute>,
    /// The smoothed round-trip time of everything that was asked, servers included.
    pub(super) rtt: Option<Duration>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) counters: AgentCounters,
}

impl Context {
    /// Returns a transaction id that cannot be guessed.
    pub(super) fn new_transaction(&mut self) -> TransactionId {
        let mut id = [0; 12];
        self.random.fill_bytes(&mut id);
        TransactionId::new(id)
    }

    /// Returns a time from 0.8 to 1.2 times as long.
    pub(super) fn randomized(&mut self, time: Duration) -> Duration {
        let permille = 800 + self.random.next_u32() % 401;
        time * permille / 1_000
    }

    /// Returns whether there is room for one more socket, listener or address.
    pub(super) fn has_room(&mut self) -> bool {
        let count = self.bases.len() + self.listeners.len() + self.addresses.len();
        let has_room = count < self.config.limits.sockets;
        self.counters.dropped_sockets += u64::from(!has_room);
        has_room
    }

    /// Returns whether a socket or a listener is at an address, or the address stands for itself.
    pub(super) fn is_local(&self, ip: IpAddr) -> bool {
        let mut with_port = self.bases.iter().chain(&self.listeners);
        with_port.any(|local| local.ip() == ip) || self.addresses.contains(&ip)
    }

    /// Sends a message from a base to a remote address.
    pub(super) fn transmit(
        &mut self,
        now: Instant,
        from: LocalId,
        to: SocketAddr,
        connection: Option<FiveTuple>,
        bytes: Vec<u8>,
    ) {
        if let Some(path) = connection {
            self.outputs
                .push_back(Output::Transmit(Transmit { path, bytes }));
            return;
        }
        let Some(local) = self.local(from) else {
            return;
        };
        if local.candidate.transport.is_tcp() {
            return;
        }
        let (base, is_relayed) = (local.base, local.is_relayed());
        if is_relayed {
            self.transmit_relayed(now, base, to, &bytes);
            return;
        }
        let path = udp(base, to);
        self.outputs
            .push_back(Output::Transmit(Transmit { path, bytes }));
    }

    /// Adds a round-trip time to the mean of all.
    pub(super) fn add_rtt(&mut self, rtt: Duration) {
        self.rtt = Some(match self.rtt {
            Some(smoothed) => (smoothed * 7 + rtt) / 8,
            None => rtt,
        });
    }

    /// Returns how a pair leaves the host: whether by a stream, and from which address. Two pairs
    /// with the same way fail together when that way does.
    pub(super) fn link(&self, pair: &Pair) -> (bool, IpAddr) {
        let link = self.local(pair.local).map(|local| local.link);
        link.unwrap_or_else(|| (false, pair.address.ip()))
    }

    /// Returns where a pair's packets leave from and go to.
    pub(super) fn path(&self, pair: &Pair) -> Option<FiveTuple> {
        if pair.connection.is_some() {
            return pair.connection;
        }
        let local = self.local(pair.local)?;
        match local.is_relayed() {
            true => self.gatherer.path(local.base),
            false => Some(udp(local.base, pair.address)),
        }
    }

    pub(super) fn switch_role(&mut self) {
        self.role = self.role.other();
        //= https://www.rfc-editor.org/rfc/rfc8445#section-7.2.5.1
        //# The agent MUST change the tiebreaker value.
        self.tie_breaker = self.random.next_u64();
        self.counters.role_conflicts += 1;
        self.event(Event::RoleChanged(self.role));
    }
}

/// Returns the path of datagrams.
pub(super) fn udp(local: SocketAddr, remote: SocketAddr) -> FiveTuple {
    FiveTuple {
        transport: jackfield_sansio::Transport::Udp,
        local,
        remote,
    }
}
