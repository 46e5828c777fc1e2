//! Allocations: in which order they are tried, and what becomes of them.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::transaction::Retransmission;
use jackfield_turn::Relayed;
use jackfield_turn::client::{
    Client, ClientConfig, Event as ClientEvent, Failure, Fault, Output as ClientOutput,
};

use super::query::{Query, is_address};
use super::relay::{MAX_PAUSE, Relay, RelayState, pause, rank};
use super::server::{ServerKind, can_reach};
use super::{Event, Gatherer, Handled, Output, RelaySockets};

impl Gatherer {
    /// Wants an allocation on a server, if there is room for one.
    pub(super) fn want_relay(
        &mut self,
        now: Instant,
        base: SocketAddr,
        server: usize,
        transport: Transport,
    ) {
        if self.relays.len() >= self.config.limits.allocations {
            self.counters.ignored_allocations += 1;
            return;
        }
        let state = self.held(now, transport);
        self.relays.push(Relay {
            base,
            server,
            transport,
            state,
            relayed: Relayed::default(),
            mapped: None,
            patience: None,
            spare: None,
            failures: 0,
            since: None,
            is_retried: false,
        });
    }

    /// Returns how a try over a transport begins.
    fn held(&self, now: Instant, transport: Transport) -> RelayState {
        match rank(transport) {
            0 => RelayState::Waiting,
            rank => RelayState::Held(Some(now + self.config.fallback.saturating_mul(rank))),
        }
    }

    /// Lets the slower ways be tried, where no faster one has succeeded by now or can any more.
    pub(super) fn release_held(&mut self, now: Instant) {
        for index in 0..self.relays.len() {
            let Some(relay) = self.relays.get(index) else {
                return;
            };
            let RelayState::Held(until) = relay.state else {
                continue;
            };
            let is_due = until.is_none_or(|until| until <= now)
                || !self.faster(relay).any(Relay::may_succeed);
            let is_superfluous = self.is_superfluous(relay);
            if is_due && let Some(relay) = self.relays.get_mut(index) {
                relay.state = match is_superfluous {
                    true => RelayState::Held(None),
                    false => RelayState::Waiting,
                };
            }
        }
    }

    /// Returns whether gathering waits for a slower way that may still be tried.
    pub(super) fn has_held(&self) -> bool {
        self.relays
            .iter()
            .any(|relay| matches!(relay.state, RelayState::Held(_)) && !self.is_superfluous(relay))
    }

    /// Returns whether a faster way from the same base has succeeded.
    fn is_superfluous(&self, relay: &Relay) -> bool {
        !self.config.fallback.is_zero() && self.faster(relay).any(Relay::is_allocated)
    }

    /// Returns the faster ways from the same base.
    fn faster<'a>(&'a self, relay: &'a Relay) -> impl Iterator<Item = &'a Relay> {
        self.relays.iter().filter(|other| {
            other.base == relay.base && rank(other.transport) < rank(relay.transport)
        })
    }

    /// Starts an allocation that waits for its turn; returns whether there was one.
    pub(super) fn start_relay(&mut self, now: Instant) -> bool {
        let is_waiting = |relay: &Relay| matches!(relay.state, RelayState::Waiting);
        let Some(index) = self.relays.iter().position(is_waiting) else {
            return false;
        };
        let Some(relay) = self.relays.get(index) else {
            return false;
        };
        let Some(server) = self.config.servers.get(relay.server) else {
            return false;
        };
        let (base, transport, remote) = (relay.base, relay.transport, server.address);
        if transport == Transport::Udp && self.config.relay_sockets == RelaySockets::Shared {
            let path = FiveTuple {
                transport,
                local: base,
                remote,
            };
            self.open(now, index, path);
        } else {
            self.connect(now, index, remote, None, None);
        }
        true
    }

    /// Asks for a connection to a server.
    fn connect(
        &mut self,
        now: Instant,
        index: usize,
        remote: SocketAddr,
        domain: Option<String>,
        client: Option<Box<Client>>,
    ) {
        let Some(relay) = self.relays.get_mut(index) else {
            return;
        };
        let id = self.next_connection;
        (relay.patience, relay.spare) = (None, None);
        relay.state = RelayState::Connecting {
            id,
            deadline: now + self.config.connect_timeout,
            client,
        };
        self.ask_connection(index, remote, domain);
    }

    /// Asks for a connection to a server; it has the next number.
    fn ask_connection(&mut self, index: usize, remote: SocketAddr, domain: Option<String>) {
        let Some(relay) = self.relays.get(index) else {
            return;
        };
        let id = self.next_connection;
        self.next_connection = self.next_connection.wrapping_sub(1);
        self.outputs.push_back(Output::Connect {
            id,
            transport: relay.transport,
            local: relay.base.ip(),
            remote,
            server: relay.server,
            domain,
        });
    }

    /// Asks a server for an allocation along a path.
    fn open(&mut self, now: Instant, index: usize, path: FiveTuple) {
        let seed = self.random_bytes();
        let Some(relay) = self.relays.get_mut(index) else {
            return;
        };
        let server = self.config.servers.get(relay.server);
        let credential = match server.map(|server| &server.kind) {
            Some(ServerKind::Turn(credential)) => credential.clone(),
            Some(ServerKind::Stun) | None => None,
        };
        let is_stream = path.transport.is_stream();
        // TCP doubles its own timer from 1 s on. What a stream holds back arrives, unless the
        // stream ends, and a permission that was given up meanwhile would be lost for nothing.
        let retransmission = match is_stream {
            true => Retransmission::default(),
            false => self.config.retransmission,
        };
        let config = ClientConfig {
            credential,
            dual_stack: true,
            // Checks go to many peers, few of which are heard of again: a channel is for the pair
            // that data takes.
            channels: false,
            retransmission,
            keepalive: Some(self.config.keepalive),
            ..ClientConfig::default()
        };
        let client = Client::new(config, now, path, seed);
        relay.state = RelayState::Active(Box::new(client), None);
        (relay.patience, relay.spare) = (None, None);
        self.drain_relay(now, index);
    }

    /// Takes a connection that was asked for; returns whether it was by this gatherer.
    pub(super) fn relay_connected(&mut self, now: Instant, id: u32, path: FiveTuple) -> bool {
        if let Some(index) = self.spare(id) {
            self.replace_stream(now, index, path);
            return true;
        }
        let Some(index) = self.connecting(id) else {
            // It took too long and was given up; the driver may not know yet.
            // Numbers go down, so that those above have been given out.
            let is_ours = id > self.next_connection;
            if is_ours {
                self.outputs.push_back(Output::Close(path));
            }
            return is_ours;
        };
        let relay = self.relays.get_mut(index);
        let state = relay.map(|relay| std::mem::replace(&mut relay.state, RelayState::Failed));
        match state {
            Some(RelayState::Connecting {
                client: Some(mut client),
                ..
            }) => {
                client.handle_connected(now, path);
                if let Some(relay) = self.relays.get_mut(index) {
                    relay.state = RelayState::Active(client, None);
                }
                self.drain_relay(now, index);
            }
            _ => self.open(now, index, path),
        }
        true
    }

    /// Takes the connection that was opened beside a stalled one: what the old one holds back is
    /// given up, with its allocation.
    fn replace_stream(&mut self, now: Instant, index: usize, path: FiveTuple) {
        self.counters.lost_allocations += 1;
        let old = self.relays.get(index).and_then(Relay::path);
        self.close_path(index, old);
        self.lose(index);
        if let Some(relay) = self.relays.get_mut(index) {
            relay.is_retried = true;
            relay.since = None;
        }
        self.open(now, index, path);
    }

    /// Notes that a connection could not be made; returns whether it was asked for by this
    /// gatherer.
    pub(super) fn relay_unconnected(&mut self, now: Instant, id: u32) -> bool {
        if let Some(index) = self.spare(id) {
            // The patience with the stream ends once more.
            if let Some(relay) = self.relays.get_mut(index) {
                relay.spare = None;
            }
            return true;
        }
        let Some(index) = self.connecting(id) else {
            return id > self.next_connection;
        };
        self.relay_failed(now, index, Failure::Disconnected);
        true
    }

    /// Returns the allocation whose stream has stalled and is replaced by this connection.
    fn spare(&self, id: u32) -> Option<usize> {
        let is_it = |relay: &Relay| relay.spare == Some(id);
        self.relays.iter().position(is_it)
    }

    fn connecting(&self, id: u32) -> Option<usize> {
        let is_it = |relay: &Relay| matches!(relay.state, RelayState::Connecting { id: asked, .. } if asked == id);
        self.relays.iter().position(is_it)
    }

    /// Takes the end of a path to a server; returns whether there is one along it.
    pub(super) fn relay_closed(&mut self, now: Instant, path: FiveTuple) -> bool {
        let is_of_path = |relay: &Relay| relay.path() == Some(path);
        let Some(index) = self.relays.iter().position(is_of_path) else {
            return false;
        };
        if let Some(RelayState::Active(client, _)) = self.state_mut(index) {
            client.handle_closed(now);
        }
        self.drain_relay(now, index);
        true
    }

    /// Notes that nothing can be sent along a path: an allocation that is asked for cannot be had.
    /// One that exists may outlast that, as routes come back.
    pub(super) fn relay_unreachable(&mut self, now: Instant, path: FiveTuple) {
        let is_asking = |relay: &Relay| relay.path() == Some(path) && !relay.is_allocated();
        if self.relays.iter().any(is_asking) {
            self.relay_closed(now, path);
        }
    }

    /// Takes what came from the server of an allocation.
    pub(super) fn handle_relay<'b>(
        &mut self,
        now: Instant,
        index: usize,
        bytes: &'b [u8],
    ) -> Handled<'b> {
        let Some(relay) = self.relays.get_mut(index) else {
            return Handled::NotOurs;
        };
        let relayed = relay.relayed;
        (relay.patience, relay.spare) = (None, None);
        let RelayState::Active(client, _) = &mut relay.state else {
            return Handled::NotOurs;
        };
        if let Some(received) = client.handle_server(now, bytes) {
            let address = match received.peer {
                SocketAddr::V4(_) => relayed.v4,
                SocketAddr::V6(_) => relayed.v6,
            };
            return address.map_or(Handled::Consumed, |relayed| Handled::Data {
                relayed,
                peer: received.peer,
                data: received.data,
            });
        }
        self.drain_relay(now, index);
        self.advance(now);
        Handled::Consumed
    }

    /// Does what is due by `now` for every allocation.
    pub(super) fn relays_due(&mut self, now: Instant) {
        for index in 0..self.relays.len() {
            let Some(relay) = self.relays.get_mut(index) else {
                return;
            };
            if relay.deadline().is_none_or(|deadline| deadline > now) {
                continue;
            }
            let is_stalled = relay.patience.is_some_and(|patience| patience <= now);
            match &mut relay.state {
                RelayState::Active(..) if is_stalled => self.stream_stalled(now, index),
                RelayState::Active(client, _) => {
                    client.handle_timeout(now);
                    self.drain_relay(now, index);
                }
                RelayState::Connecting { .. } => self.relay_failed(now, index, Failure::TimedOut),
                RelayState::Retry(_) => relay.state = RelayState::Waiting,
                // `release_held` decides.
                RelayState::Held(_) | RelayState::Waiting | RelayState::Failed => {}
            }
        }
    }

    /// Gives up a stream that brings no allocation, and opens another one beside one that has:
    /// until that is open, it may be the network that is away.
    ///
    /// TCP waits ever longer before it sends again what was lost, up to a minute, and for as long
    /// as that where a NAT has forgotten the connection. A new one begins anew.
    fn stream_stalled(&mut self, now: Instant, index: usize) {
        let Some(relay) = self.relays.get_mut(index) else {
            return;
        };
        let server = self.config.servers.get(relay.server);
        let (Some(server), true) = (server, relay.is_allocated()) else {
            self.relay_failed(now, index, Failure::TimedOut);
            return;
        };
        let remote = server.address;
        self.counters.starts += 1;
        relay.patience = Some(now + self.config.connect_timeout);
        relay.spare = Some(self.next_connection);
        self.ask_connection(index, remote, None);
    }

    /// Does what the clients of all allocations want.
    pub(super) fn drain_relays(&mut self, now: Instant) {
        for index in 0..self.relays.len() {
            self.drain_relay(now, index);
        }
    }

    fn drain_relay(&mut self, now: Instant, index: usize) {
        while let Some(RelayState::Active(client, wake)) = self.state_mut(index) {
            match client.poll_output() {
                ClientOutput::Transmit(transmit) => {
                    self.outputs.push_back(Output::Transmit(transmit));
                }
                ClientOutput::Connect { server, domain } => {
                    self.reconnect(now, index, server, domain);
                }
                ClientOutput::Event(event) => self.relay_event(now, index, event),
                ClientOutput::Wait(until) => {
                    *wake = until;
                    let is_asking = client.awaits_answer() && client.path().transport.is_stream();
                    let limit = (!self.is_closed).then(|| now + self.config.connect_timeout);
                    if let Some(relay) = self.relays.get_mut(index) {
                        relay.patience = relay.patience.or(limit).filter(|_| is_asking);
                    }
                    return;
                }
            }
        }
    }

    /// Follows a server that names another, or that knows our port from an earlier life.
    fn reconnect(
        &mut self,
        now: Instant,
        index: usize,
        remote: SocketAddr,
        domain: Option<String>,
    ) {
        let Some(relay) = self.relays.get_mut(index) else {
            return;
        };
        let base = relay.base;
        let Some(before) = relay.path() else {
            return;
        };
        // A redirection must not lead to where the first server would not have been asked.
        if !can_reach(base.ip(), remote.ip()) || is_internal(remote, before.remote) {
            self.relay_failed(now, index, Failure::TooManyRedirects);
            return;
        }
        let state = std::mem::replace(&mut relay.state, RelayState::Failed);
        let RelayState::Active(mut client, _) = state else {
            return;
        };
        let is_shared = before.transport == Transport::Udp && before.local == base;
        // A UDP socket can send to the other server as well. For another allocation on the same
        // server, it has to be another socket: the server knows an allocation by its five-tuple.
        if is_shared && before.remote != remote {
            let path = FiveTuple { remote, ..before };
            client.handle_connected(now, path);
            relay.state = RelayState::Active(client, None);
            return;
        }
        if is_shared {
            // What it sees of that one says nothing of the base.
            self.ask_mapped(index);
        } else {
            self.outputs.push_back(Output::Close(before));
        }
        self.connect(now, index, remote, domain, Some(client));
    }

    fn relay_event(&mut self, now: Instant, index: usize, event: ClientEvent) {
        match event {
            ClientEvent::Allocated {
                relayed, mapped, ..
            } => self.allocated(now, index, relayed, mapped),
            // The next packet to the peer asks again.
            ClientEvent::PeerRefused { why, .. } if why.is_passing() => {}
            ClientEvent::PeerRefused { peer, why } => {
                tracing::debug!(%peer, %why, "Peer refused by a relay");
                let relay = self.relays.get(index);
                let family = |address: &SocketAddr| address.is_ipv4() == peer.is_ipv4();
                if let Some(relayed) = relay.and_then(|relay| relay.addresses().find(family)) {
                    self.event(Event::PeerRefused { relayed, peer });
                }
            }
            ClientEvent::Failed(why) if !self.is_closed => self.relay_failed(now, index, why),
            ClientEvent::Failed(_) | ClientEvent::Closed => {
                let path = self.relays.get(index).and_then(Relay::path);
                self.close_path(index, path);
                if let Some(relay) = self.relays.get_mut(index) {
                    relay.state = RelayState::Failed;
                }
            }
            _ => {}
        }
    }

    fn allocated(&mut self, now: Instant, index: usize, relayed: Relayed, mapped: SocketAddr) {
        let is_usable = |address: &SocketAddr| is_address(*address);
        let relayed = Relayed {
            v4: relayed.v4.filter(is_usable),
            v6: relayed.v6.filter(is_usable),
        };
        let Some(relay) = self.relays.get_mut(index) else {
            return;
        };
        if relayed == Relayed::default() || !is_address(mapped) {
            self.relay_failed(now, index, Failure::Malformed);
            return;
        }
        let (base, server, transport) = (relay.base, relay.server, relay.transport);
        let path = relay.path();
        let is_seen =
            self.is_mapped_by_query(base, mapped) || self.is_mapped_by_relay(base, mapped);
        let is_shared =
            path.is_some_and(|path| path.transport == Transport::Udp && path.local == base);
        let tells_mapped = is_shared && self.config.reflexive;
        if let Some(relay) = self.relays.get_mut(index) {
            relay.relayed = relayed;
            relay.mapped = tells_mapped.then_some(mapped);
            relay.since = Some(now);
        }
        if tells_mapped && !is_seen {
            self.say_reflexive(base, mapped, server);
        }
        let address_of = |path: FiveTuple| path.remote;
        for address in [relayed.v4, relayed.v6].into_iter().flatten() {
            self.event(Event::Relayed {
                address,
                mapped,
                base,
                server: path.map_or(mapped, address_of),
                transport,
            });
        }
        for peer in self.peers.clone() {
            self.permit_by(now, index, peer);
        }
    }

    /// Asks every allocation to let a peer in.
    pub(super) fn permit_by_relays(&mut self, now: Instant, peer: IpAddr) {
        for index in 0..self.relays.len() {
            self.permit_by(now, index, peer);
            self.drain_relay(now, index);
        }
    }

    fn permit_by(&mut self, now: Instant, index: usize, peer: IpAddr) {
        let Some(relay) = self.relays.get_mut(index) else {
            return;
        };
        let has_family = relay
            .addresses()
            .any(|address| address.is_ipv4() == peer.is_ipv4());
        if has_family
            && let RelayState::Active(client, _) = &mut relay.state
            && client.permit(now, peer).is_err()
        {
            self.counters.refused_permits += 1;
        }
    }

    /// Notes that there is no allocation, or no more; tries again later where that can help.
    fn relay_failed(&mut self, now: Instant, index: usize, why: Failure) {
        let was_allocated = self.relays.get(index).is_some_and(Relay::is_allocated);
        if let Some(relay) = self.relays.get_mut(index)
            && let Some(since) = relay.since.take()
            && now >= since + MAX_PAUSE
        {
            relay.failures = 0;
        }
        let again = self.relays.get(index).and_then(|relay| {
            let is_lost = was_allocated || relay.is_retried;
            // A lossy path may swallow the SYNs of five seconds, or all four requests by UDP. A
            // stream may be the only way, and UDP the one that shows where a NAT maps us.
            let may_be_late = why == Failure::TimedOut && relay.failures < SILENCE_RETRIES;
            pause(why, relay.failures).filter(|_| is_lost || may_be_late)
        });
        if was_allocated {
            self.counters.lost_allocations += 1;
        }
        let path = self.relays.get(index).and_then(Relay::path);
        let is_first = self.relays.get(index).is_some_and(|it| it.failures == 0);
        if let Some(relay) = self.relays.get_mut(index) {
            (relay.patience, relay.spare) = (None, None);
            relay.is_retried |= was_allocated;
            relay.state = match again {
                Some(pause) => RelayState::Retry(now + pause),
                None => RelayState::Failed,
            };
            relay.failures = relay.failures.saturating_add(u32::from(again.is_some()));
        }
        self.close_path(index, path);
        if !was_allocated && why.fault() != Fault::Network {
            self.ask_mapped(index);
        }
        if was_allocated {
            self.lose(index);
            self.rearm_held(now, index);
        } else if let Some(relay) = self.relays.get(index)
            && (again.is_none() || is_first)
        {
            let (base, server) = (relay.base, relay.server);
            let code = why.code().map(jackfield_stun::ErrorCode::value);
            self.error(base, server, code, why.to_string());
        }
    }

    /// Asks a server where it sees a base that it gives no allocation.
    //= https://www.rfc-editor.org/rfc/rfc8445#section-5.1.1.2
    //# If the Allocate request is
    //# rejected because the server lacks resources to fulfill it, the agent
    //# SHOULD instead send a Binding request to obtain a server-reflexive
    //# candidate.
    fn ask_mapped(&mut self, index: usize) {
        let Some(relay) = self.relays.get(index) else {
            return;
        };
        let (base, server) = (relay.base, relay.server);
        let is_asked = |query: &Query| query.base == base && query.server == server;
        // What a server sees of a socket of the allocation's own is of no use to the base.
        let tells_mapped = self.config.reflexive
            && relay.transport == Transport::Udp
            && self.config.relay_sockets == RelaySockets::Shared;
        if tells_mapped && !self.queries.iter().any(is_asked) {
            self.queries.push(Query::new(base, server));
        }
    }

    /// Closes the connection of an allocation, if it has one of its own.
    fn close_path(&mut self, index: usize, path: Option<FiveTuple>) {
        let base = self.relays.get(index).map(|relay| relay.base);
        if let Some(path) = path
            && (path.transport != Transport::Udp || Some(path.local) != base)
        {
            self.outputs.push_back(Output::Close(path));
        }
    }

    /// Says that what an allocation gave is gone.
    fn lose(&mut self, index: usize) {
        let Some(relay) = self.relays.get_mut(index) else {
            return;
        };
        let base = relay.base;
        let relayed = std::mem::take(&mut relay.relayed);
        let mapped = relay.mapped.take();
        for address in [relayed.v4, relayed.v6].into_iter().flatten() {
            self.event(Event::RelayedLost { address });
        }
        self.reflexive_left(base, mapped);
    }

    /// Lets the slower ways be tried in their order, once an allocation that made them superfluous
    /// is lost.
    fn rearm_held(&mut self, now: Instant, index: usize) {
        let Some(lost) = self.relays.get(index) else {
            return;
        };
        let (base, lost) = (lost.base, rank(lost.transport));
        let fallback = self.config.fallback;
        for relay in self.relays.iter_mut().filter(|relay| relay.base == base) {
            let slower = rank(relay.transport).saturating_sub(lost);
            if matches!(relay.state, RelayState::Held(None)) && slower > 0 {
                relay.state = RelayState::Held(Some(now + fallback.saturating_mul(slower - 1)));
            }
        }
    }

    /// Forgets allocations without giving them back: their socket is gone.
    pub(super) fn forget_relays(&mut self, is_gone: impl Fn(&Relay) -> bool) {
        for index in (0..self.relays.len()).rev() {
            if !self.relays.get(index).is_some_and(&is_gone) {
                continue;
            }
            let path = self.relays.get(index).and_then(Relay::path);
            self.close_path(index, path);
            self.lose(index);
            self.relays.remove(index);
        }
    }

    /// Gives all allocations back; the clients go once their servers have answered.
    pub(super) fn release_relays(&mut self, now: Instant) {
        self.relays.retain_mut(|relay| match &mut relay.state {
            RelayState::Active(client, _) => {
                client.close(now);
                // The end of what has no address is no event: the owner has asked for it.
                (relay.relayed, relay.mapped, relay.since) = (Relayed::default(), None, None);
                (relay.patience, relay.spare) = (None, None);
                true
            }
            RelayState::Held(_)
            | RelayState::Waiting
            | RelayState::Connecting { .. }
            | RelayState::Retry(_)
            | RelayState::Failed => false,
        });
        self.drain_relays(now);
    }

    /// Tries allocations that have failed once more, and has the others refreshed: a server that
    /// sees us at another address does not know them.
    pub(super) fn renew_relays(&mut self, now: Instant) {
        for index in 0..self.relays.len() {
            let Some(relay) = self.relays.get_mut(index) else {
                return;
            };
            if let RelayState::Active(client, _) = &mut relay.state {
                client.refresh_now(now);
                self.drain_relay(now, index);
                continue;
            }
            let transport = relay.transport;
            if matches!(relay.state, RelayState::Failed | RelayState::Retry(_)) {
                let state = self.held(now, transport);
                if let Some(relay) = self.relays.get_mut(index) {
                    relay.state = state;
                    relay.failures = 0;
                }
            }
        }
    }

    fn state_mut(&mut self, index: usize) -> Option<&mut RelayState> {
        self.relays.get_mut(index).map(|relay| &mut relay.state)
    }
}

/// Returns whether a redirection leads to this machine from a server elsewhere.
fn is_internal(to: SocketAddr, from: SocketAddr) -> bool {
    to.ip().is_loopback() && !from.ip().is_loopback() || !is_address(to)
}

/// How often a server is tried again that was silent, or not connected in time.
const SILENCE_RETRIES: u32 = 3;
