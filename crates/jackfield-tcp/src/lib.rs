//! A host's TCP over raw IP packets, sans-IO: [smoltcp](https://docs.rs/smoltcp) behind the
//! interface of our cores.
//!
//! A [`Stack`] takes packets and the time, and returns packets and [`Event`]s. A listening port
//! accepts any number of connections, up to [`StackLimits`]. A stack is `Clone`, so that its owner
//! can take snapshots: a clone continues byte for byte like the original.
//!
//! ```
//! use jackfield_tcp::{Event, Stack};
//!
//! let now = std::time::Instant::now();
//! let mut server = Stack::new(&["192.0.2.1".parse()?], [1; 32]);
//! let mut client = Stack::new(&["192.0.2.2".parse()?], [2; 32]);
//! server.listen(80);
//! let id = client.connect(now, 0, "192.0.2.1:80".parse()?)?;
//! let mut exchange = |server: &mut Stack, client: &mut Stack| loop {
//!     let (up, down) = (client.poll_packet(), server.poll_packet());
//!     if up.is_none() && down.is_none() {
//!         break;
//!     }
//!     up.inspect(|packet| server.handle_packet(now, packet));
//!     down.inspect(|packet| client.handle_packet(now, packet));
//! };
//! exchange(&mut server, &mut client);
//! assert!(matches!(client.poll_event(), Some(Event::Connected { .. })));
//! client.send(now, id, b"hello");
//! exchange(&mut server, &mut client);
//! let Some(Event::Connected { id, accepted: true, .. }) = server.poll_event() else { panic!() };
//! assert_eq!(server.poll_event(), Some(Event::Data(id)));
//! assert_eq!(server.recv(now, id, 100), b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Standards
//!
//! - [x] [RFC 9293](https://www.rfc-editor.org/rfc/rfc9293) TCP, with simultaneous open,
//!   half-close and zero-window probes
//! - [x] [RFC 6298](https://www.rfc-editor.org/rfc/rfc6298) retransmission timer,
//!   [RFC 7323](https://www.rfc-editor.org/rfc/rfc7323) window scale,
//!   [RFC 2018](https://www.rfc-editor.org/rfc/rfc2018) selective acknowledgements (sent, not
//!   acted upon)
//! - [x] [RFC 1122 §4.2.3.9](https://www.rfc-editor.org/rfc/rfc1122#section-4.2.3.9) ICMP errors
//!   end connections that are not open yet, and no others
//!
//! Left out on purpose: path MTU discovery ([`StackLimits::mtu`] has to fit every path),
//! congestion control, reassembly of fragments (the caller does it) and UDP, which needs no stack:
//! see [`jackfield_nat::packet::build::udp`].

mod connection;
mod event;
mod limits;
mod machine;
mod segment;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_nat::packet::{Headers, TcpFlags, Transport, verify};
use jackfield_sansio::Timers;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use smoltcp::socket::tcp::State;

use self::connection::{Connection, micros};
use self::machine::{Machine, Setup};

pub use self::event::{ConnectError, ConnectionId, Event, ResetReason};
pub use self::limits::{StackCounters, StackLimits};

/// The TCP of a host; see the [module](self).
#[derive(Debug)]
pub struct Stack {
    addresses: Vec<IpAddr>,
    limits: StackLimits,
    rng: ChaCha8Rng,
    /// When the time of the stack began: at its first input.
    origin: Option<Instant>,
    listening: BTreeSet<u16>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Connections by local and remote end.
    by_path: BTreeMap<(SocketAddr, SocketAddr), ConnectionId>,
    next_id: u64,
    timers: Timers<ConnectionId>,
    packets: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
    counters: StackCounters,
}

impl Stack {
    /// Creates a stack with these addresses; everything random comes from `seed`.
    #[must_use]
    pub fn new(addresses: &[IpAddr], seed: [u8; 32]) -> Self {
        Self::with_limits(addresses, seed, StackLimits::default())
    }

    /// Creates a stack with other limits than the default.
    #[must_use]
    pub fn with_limits(addresses: &[IpAddr], seed: [u8; 32], limits: StackLimits) -> Self {
        Self {
            addresses: addresses.to_vec(),
            limits,
            rng: ChaCha8Rng::from_seed(seed),
            origin: None,
            listening: BTreeSet::new(),
            connections: BTreeMap::new(),
            by_path: BTreeMap::new(),
            next_id: 0,
            timers: Timers::new(),
            packets: VecDeque::new(),
            events: VecDeque::new(),
            counters: StackCounters::default(),
        }
    }

    /// Changes the addresses. Connections of removed addresses stay, silent, in case their address
    /// comes back.
    pub fn set_addresses(&mut self, addresses: &[IpAddr]) {
        self.addresses = addresses.to_vec();
    }

    /// Returns the addresses.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Accepts connections to a port from now on.
    pub fn listen(&mut self, port: u16) {
        self.listening.insert(port);
    }

    /// Accepts no more connections to a port; existing ones continue.
    pub fn unlisten(&mut self, port: u16) {
        self.listening.remove(&port);
    }

    /// Opens a connection from a local port; 0 stands for any free port.
    ///
    /// # Errors
    /// Fails as [`ConnectError`] lists. A peer that does not answer is not an error here, but an
    /// [`Event::Reset`] later.
    pub fn connect(
        &mut self,
        now: Instant,
        from_port: u16,
        to: SocketAddr,
    ) -> Result<ConnectionId, ConnectError> {
        let mut mine = self.addresses.iter();
        let local = mine.find(|address| address.is_ipv4() == to.is_ipv4());
        let local = *local.ok_or(ConnectError::NoAddress)?;
        self.connect_from(now, SocketAddr::new(local, from_port), to)
    }

    /// Opens a connection from a local address and port; port 0 stands for any free port.
    ///
    /// # Errors
    /// As [`Stack::connect`].
    pub fn connect_from(
        &mut self,
        now: Instant,
        mut from: SocketAddr,
        to: SocketAddr,
    ) -> Result<ConnectionId, ConnectError> {
        if !self.addresses.contains(&from.ip()) || from.is_ipv4() != to.is_ipv4() {
            return Err(ConnectError::NoAddress);
        }
        if to.port() == 0 || !is_one_host(to.ip()) {
            return Err(ConnectError::Destination);
        }
        if from.port() == 0 {
            let port = self.free_port().ok_or(ConnectError::PortInUse)?;
            from.set_port(port);
        }
        match self.by_path.get(&(from, to)).copied() {
            Some(id) if self.state(id) != Some(State::TimeWait) => {
                return Err(ConnectError::PortInUse);
            }
            Some(id) => self.forget(id),
            None => {}
        }
        if self.connections.len() >= self.limits.connections {
            return Err(ConnectError::Full);
        }
        let at = self.at(now);
        let id = self.begin(at, from, to, false);
        self.poll_connection(id, at, None);
        Ok(id)
    }

    /// Takes an IP packet for this host.
    pub fn handle_packet(&mut self, now: Instant, bytes: &[u8]) {
        self.counters.packets_in += 1;
        let at = self.at(now);
        let headers = match Headers::parse(bytes) {
            Ok(headers) if headers.fragment.is_none() && verify(bytes).is_ok() => headers,
            _ => {
                self.counters.malformed += 1;
                return;
            }
        };
        if !self.addresses.contains(&headers.destination.into()) {
            self.counters.not_ours += 1;
            return;
        }
        let bytes = bytes.get(..headers.length).unwrap_or(bytes);
        match headers.transport {
            Transport::Tcp { flags, .. } => self.segment(at, &headers, flags, bytes),
            Transport::Error => self.icmp_error(&headers, bytes),
            _ => self.counters.malformed += 1,
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let at = self.at(now);
        while let Some(id) = self.timers.expire(now) {
            let Some(connection) = self.connections.get(&id) else {
                continue;
            };
            let (deadline, reason) = connection.deadline(&self.limits);
            if deadline <= at {
                self.count_timeout(id, reason);
                self.end(id, at, reason);
            } else {
                self.poll_connection(id, at, None);
            }
        }
    }

    /// Returns when [`Stack::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Returns the next packet to send. Call it until it returns `None` after every other call.
    pub fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.packets.pop_front()
    }

    /// Returns the next event. Call it until it returns `None` after every other call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Sends data on a connection. Returns how many bytes fit into the buffer; 0 when nothing can
    /// be sent any more.
    ///
    /// If not everything fits, [`Event::Writable`] follows when there is room again.
    pub fn send(&mut self, now: Instant, id: ConnectionId, data: &[u8]) -> usize {
        let at = self.at(now);
        let Some(connection) = self.connections.get_mut(&id) else {
            return 0;
        };
        let taken = connection.send(data);
        if taken < data.len() {
            connection.notified.wants_room = true;
        }
        if taken > 0 {
            self.poll_connection(id, at, None);
        }
        taken
    }

    /// Takes up to `most` received bytes of a connection.
    pub fn recv(&mut self, now: Instant, id: ConnectionId, most: usize) -> Vec<u8> {
        let at = self.at(now);
        let Some(connection) = self.connections.get_mut(&id) else {
            return Vec::new();
        };
        let data = connection.recv(most);
        connection.notified.data = false;
        // Reading makes room, which the peer may be waiting to hear of.
        self.poll_connection(id, at, None);
        data
    }

    /// Closes the sending half of a connection once everything is sent; the peer may still send.
    pub fn close(&mut self, now: Instant, id: ConnectionId) {
        let at = self.at(now);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.close();
        // A connection that is not open yet ends without an event, because its program has just
        // ended it.
        connection.notified.closed |= connection.snapshot.state == State::SynSent;
        self.poll_connection(id, at, None);
    }

    /// Resets a connection; no event follows.
    pub fn abort(&mut self, now: Instant, id: ConnectionId) {
        let at = self.at(now);
        self.reset(id, at);
    }

    /// Returns the local and the remote end of a connection, as long as it exists.
    pub fn path(&self, id: ConnectionId) -> Option<(SocketAddr, SocketAddr)> {
        self.connections.get(&id).map(Connection::path)
    }

    /// Returns how many received bytes of a connection wait to be read.
    #[must_use]
    pub fn readable(&self, id: ConnectionId) -> usize {
        let connection = self.connections.get(&id);
        connection.map_or(0, |connection| connection.snapshot.readable)
    }

    /// Returns how many bytes [`Stack::send`] would take.
    #[must_use]
    pub fn room(&self, id: ConnectionId) -> usize {
        let connection = self.connections.get(&id);
        connection.map_or(0, |connection| connection.snapshot.room)
    }

    /// Returns all connections, in any state.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.connections.keys().copied()
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> StackCounters {
        self.counters
    }

    /// Returns the limits.
    #[must_use]
    pub fn limits(&self) -> &StackLimits {
        &self.limits
    }

    fn segment(&mut self, at: i64, headers: &Headers, flags: TcpFlags, bytes: &[u8]) {
        let (Some(remote), Some(local)) =
            (headers.source_endpoint(), headers.destination_endpoint())
        else {
            return;
        };
        let (local, remote) = (SocketAddr::from(local), SocketAddr::from(remote));
        let opens = flags.has(TcpFlags::SYN) && flags.0 & (TcpFlags::ACK | TcpFlags::RST) == 0;
        if let Some(id) = self.by_path.get(&(local, remote)).copied() {
            match self.state(id) {
                // RFC 9293 §3.6.1: a SYN may open the connection anew from TIME-WAIT.
                Some(State::TimeWait) if opens => self.forget(id),
                Some(state) if opens && state != State::SynSent => {
                    self.challenge(id, at);
                    return;
                }
                // smoltcp ignores the acknowledgement that comes with the SYN of a simultaneous
                // open, and would wait for another one forever. Without its SYN the segment is a
                // plain acknowledgement.
                Some(State::SynReceived) if flags.has(TcpFlags::SYN) => {
                    let bare = segment::without_syn(bytes, headers);
                    self.poll_connection(id, at, Some(&bare));
                    return;
                }
                _ => {
                    self.poll_connection(id, at, Some(bytes));
                    return;
                }
            }
        }
        let sane = remote.port() != 0 && is_one_host(remote.ip());
        if opens && sane && self.listening.contains(&local.port()) {
            self.accept(at, local, remote, bytes);
        } else if sane {
            self.refuse(at, local, flags, bytes);
        } else {
            self.counters.malformed += 1;
        }
    }

    fn challenge(&mut self, id: ConnectionId, at: i64) {
        let connection = self.connections.get_mut(&id);
        if let Some(packet) = connection.and_then(|it| it.challenge(at)) {
            self.queue(packet);
        }
    }

    fn accept(&mut self, at: i64, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let of_peer = |it: &&Connection| it.setup.remote.ip() == remote.ip();
        // Half-open connections have a limit of their own: a flood of SYNs from forged addresses
        // makes no others.
        let half_open = |it: &&Connection| it.setup.accepted && !it.notified.connected;
        let all = self.connections.values();
        if self.connections.len() >= self.limits.connections {
            self.counters.too_many_connections += 1;
        } else if all.clone().filter(of_peer).count() >= self.limits.connections_per_address {
            self.counters.too_many_per_address += 1;
        } else if all.filter(half_open).count() >= self.limits.half_open {
            self.counters.too_many_half_open += 1;
        } else {
            let id = self.begin(at, local, remote, true);
            self.poll_connection(id, at, Some(bytes));
        }
    }

    /// Answers a segment that belongs to no connection
    /// ([RFC 9293 §3.10.7.1](https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.1)).
    fn refuse(&mut self, at: i64, local: SocketAddr, flags: TcpFlags, bytes: &[u8]) {
        if flags.has(TcpFlags::RST) {
            return;
        }
        self.counters.refused += 1;
        // A machine without a socket answers as the RFC asks of a closed port, so the rules for
        // the numbers of a RST stay in one place.
        let mut closed = Machine::without_socket(local, 0, self.limits.mtu);
        closed.poll(at, Some(bytes));
        while let Some(packet) = closed.outgoing() {
            self.queue(packet);
        }
    }

    /// Takes an ICMP error: it ends what is not open yet
    /// ([RFC 1122 §4.2.3.9](https://www.rfc-editor.org/rfc/rfc1122#section-4.2.3.9)).
    fn icmp_error(&mut self, headers: &Headers, bytes: &[u8]) {
        let byte = |offset| bytes.get(headers.transport_at + offset).copied();
        let unreachable = match (headers.is_v4(), byte(0), byte(1)) {
            // Code 4 asks for smaller packets and says nothing against the connection.
            (true, Some(3), Some(code)) => code != 4,
            (false, Some(1), _) => true,
            _ => false,
        };
        let quoted = bytes.get(headers.transport_at + 8..).unwrap_or_default();
        let Ok(quoted) = Headers::parse_quoted(quoted) else {
            self.counters.malformed += 1;
            return;
        };
        let (Transport::Tcp { .. }, Some(local), Some(remote)) = (
            quoted.transport,
            quoted.source_endpoint(),
            quoted.destination_endpoint(),
        ) else {
            return;
        };
        let id = self.by_path.get(&(local.into(), remote.into())).copied();
        if let Some(id) = id.filter(|id| unreachable && self.state(*id) == Some(State::SynSent)) {
            self.counters.reset += 1;
            self.events
                .push_back(Event::Reset(id, ResetReason::Refused));
            self.forget(id);
        }
    }

    fn begin(
        &mut self,
        at: i64,
        local: SocketAddr,
        remote: SocketAddr,
        accepted: bool,
    ) -> ConnectionId {
        let setup = Setup {
            local,
            remote,
            accepted,
            seed: self.rng.next_u64(),
            receive_buffer: self.limits.receive_buffer,
            send_buffer: self.limits.send_buffer,
            mtu: self.limits.mtu,
        };
        let id = ConnectionId(self.next_id);
        self.next_id += 1;
        let connection = Connection::new(setup, at, self.limits.journal);
        self.connections.insert(id, connection);
        self.by_path.insert((local, remote), id);
        id
    }

    fn poll_connection(&mut self, id: ConnectionId, at: i64, packet: Option<&[u8]>) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let before = connection.snapshot.state;
        let sent = connection.poll(at, packet);
        for packet in sent {
            self.queue(packet);
        }
        self.notify_progress(id);
        let ended = self
            .state(id)
            .is_some_and(|state| matches!(state, State::Closed | State::Listen));
        if ended {
            self.notify_end(id, before, packet.is_some());
            self.forget(id);
        } else {
            self.set_timer(id);
        }
    }

    fn notify_progress(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let (snapshot, notified) = (connection.snapshot, &mut connection.notified);
        if !notified.connected && is_open(snapshot.state) {
            notified.connected = true;
            self.counters.connected += 1;
            self.events.push_back(Event::Connected {
                id,
                local: connection.setup.local,
                remote: connection.setup.remote,
                accepted: connection.setup.accepted,
            });
        }
        if !notified.connected {
            return;
        }
        if snapshot.readable > 0 && !notified.data {
            notified.data = true;
            self.events.push_back(Event::Data(id));
        }
        if snapshot.room > 0 && notified.wants_room {
            notified.wants_room = false;
            self.events.push_back(Event::Writable(id));
        }
        if !notified.finished && has_finished(snapshot.state) {
            notified.finished = true;
            self.events.push_back(Event::Finished(id));
        }
        if !notified.closed && snapshot.state == State::TimeWait {
            notified.closed = true;
            self.events.push_back(Event::Closed(id));
        }
    }

    /// Says how a connection ended that is closed by now, unless its program knows.
    fn notify_end(&mut self, id: ConnectionId, before: State, by_packet: bool) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        if connection.notified.closed {
            return;
        }
        // In LAST-ACK the peer acknowledges our FIN, which is the regular end.
        if before == State::LastAck && by_packet {
            self.events.push_back(Event::Closed(id));
            return;
        }
        self.counters.reset += 1;
        let reason = match before {
            State::SynSent => ResetReason::Refused,
            _ => ResetReason::ByPeer,
        };
        // The program does not know a connection from outside that never opened.
        if connection.notified.connected || !connection.setup.accepted {
            self.events.push_back(Event::Reset(id, reason));
        }
    }

    fn count_timeout(&mut self, id: ConnectionId, reason: ResetReason) {
        let connected = self
            .connections
            .get(&id)
            .is_some_and(|it| it.notified.connected);
        match reason {
            ResetReason::Idle => self.counters.idle_timeouts += 1,
            _ if connected => self.counters.timeouts += 1,
            _ => self.counters.handshake_timeouts += 1,
        }
    }

    /// Resets a connection and reports why, unless its program does not know it yet.
    fn end(&mut self, id: ConnectionId, at: i64, reason: ResetReason) {
        let known = self.connections.get(&id);
        let known = known.is_some_and(|it| it.notified.connected || !it.setup.accepted);
        self.reset(id, at);
        if known {
            self.events.push_back(Event::Reset(id, reason));
        }
    }

    fn reset(&mut self, id: ConnectionId, at: i64) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.abort();
        for packet in connection.poll(at, None) {
            self.queue(packet);
        }
        self.forget(id);
    }

    fn forget(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.remove(&id) {
            self.by_path.remove(&connection.path());
        }
        self.timers.cancel(&id);
    }

    fn set_timer(&mut self, id: ConnectionId) {
        let (Some(connection), Some(origin)) = (self.connections.get(&id), self.origin) else {
            return;
        };
        let (deadline, _) = connection.deadline(&self.limits);
        let at = connection.snapshot.next.unwrap_or(i64::MAX).min(deadline);
        let due = Duration::from_micros(u64::try_from(at).unwrap_or(0));
        match origin.checked_add(due) {
            Some(due) => self.timers.set(id, due),
            None => {
                self.timers.cancel(&id);
            }
        }
    }

    fn queue(&mut self, packet: Vec<u8>) {
        if self.packets.len() < self.limits.packets {
            self.counters.packets_out += 1;
            self.packets.push_back(packet);
        } else {
            // TCP sends a lost packet again, so nothing else is needed.
            self.counters.packets_dropped += 1;
        }
    }

    fn state(&self, id: ConnectionId) -> Option<State> {
        self.connections.get(&id).map(|it| it.snapshot.state)
    }

    fn free_port(&mut self) -> Option<u16> {
        let used: BTreeSet<u16> = self.by_path.keys().map(|(local, _)| local.port()).collect();
        // A random start keeps the next port hard to guess; the search after it finds any port
        // that is left.
        let first = (self.rng.next_u32() % u32::from(EPHEMERAL_PORTS)) as u16;
        let mut ports =
            (0..EPHEMERAL_PORTS).map(|n| FIRST_EPHEMERAL_PORT + (first + n) % EPHEMERAL_PORTS);
        ports.find(|port| !used.contains(port) && !self.listening.contains(port))
    }

    /// Returns the time of the stack, in microseconds since its first input.
    fn at(&mut self, now: Instant) -> i64 {
        let origin = *self.origin.get_or_insert(now);
        micros(now.saturating_duration_since(origin))
    }
}

impl Clone for Stack {
    fn clone(&self) -> Self {
        let mut clone = Self {
            addresses: self.addresses.clone(),
            limits: self.limits.clone(),
            rng: self.rng.clone(),
            origin: self.origin,
            listening: self.listening.clone(),
            connections: BTreeMap::new(),
            by_path: self.by_path.clone(),
            next_id: self.next_id,
            timers: self.timers.clone(),
            packets: self.packets.clone(),
            events: self.events.clone(),
            counters: self.counters,
        };
        for (id, connection) in &self.connections {
            match connection.try_clone() {
                Some(connection) => {
                    clone.connections.insert(*id, connection);
                }
                None => {
                    clone.by_path.remove(&connection.path());
                    clone.timers.cancel(id);
                    clone.counters.not_cloned += 1;
                    let reset = Event::Reset(*id, ResetReason::NotCloned);
                    clone.events.push_back(reset);
                }
            }
        }
        clone
    }
}

fn is_open(state: State) -> bool {
    !matches!(
        state,
        State::Closed | State::Listen | State::SynSent | State::SynReceived
    )
}

fn has_finished(state: State) -> bool {
    matches!(
        state,
        State::CloseWait | State::LastAck | State::Closing | State::TimeWait
    )
}

fn is_one_host(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(broadcast || address.is_multicast() || address.is_unspecified())
}

// The code of the README is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The dynamic ports of [RFC 6335 §6](https://www.rfc-editor.org/rfc/rfc6335#section-6).
const FIRST_EPHEMERAL_PORT: u16 = 49_152;
const EPHEMERAL_PORTS: u16 = 16_384;
