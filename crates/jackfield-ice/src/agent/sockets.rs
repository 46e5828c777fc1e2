//! Sockets and listeners that come and go, and what their addresses are outside.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::local::{Local, LocalId, NewLocal};
use super::{Agent, Event, State};
use crate::candidate::{CandidateKind, CandidateTransport, MdnsName};

impl Agent {
    /// Shows a `.local` name in place of an address of this host, in every candidate that is
    /// signaled from here on: call it before the address's socket is added.
    ///
    /// Somebody has to answer for the name on the address's network ([`mdns`](crate::mdns)). The
    /// other side learns the address all the same once it is found there, or by our checks.
    pub fn show_name(&mut self, address: IpAddr, name: MdnsName) {
        let names = &mut self.context.names;
        names.retain(|(of, _)| *of != address);
        // Sockets have the same limit: an address without one is in no candidate.
        if names.len() >= self.context.config.limits.sockets {
            names.remove(0);
        }
        names.push((address, name));
    }

    /// Takes a UDP socket: it gives a host candidate.
    ///
    /// `local` names an interface's address, never a wildcard; one address and port is taken once.
    /// The interfaces that are preferred come first.
    pub fn add_socket(&mut self, now: Instant, local: SocketAddr) {
        let context = &mut self.context;
        if self.state == State::Closed || context.bases.contains(&local) || !context.has_room() {
            return;
        }
        context.bases.push(local);
        self.add_candidate(now, NewLocal::host(CandidateTransport::Udp, local, local));
        self.add_active(now, local.ip());
        self.context.gatherer.add_socket(now, local);
        self.drive(now);
    }

    /// Takes the loss of a UDP socket, because its interface is gone: its pairs end at once.
    pub fn remove_socket(&mut self, now: Instant, local: SocketAddr) {
        self.context.bases.retain(|base| *base != local);
        self.remove_locals(now, |candidate| {
            candidate.candidate.transport == CandidateTransport::Udp && candidate.base == local
        });
        self.remove_active(now, local.ip());
        self.context.gatherer.remove_socket(now, local);
        self.drive(now);
    }

    /// Takes a TCP listener: it gives a passive candidate ([RFC 6544 §3]).
    ///
    /// [RFC 6544 §3]: https://www.rfc-editor.org/rfc/rfc6544#section-3
    pub fn add_listener(&mut self, now: Instant, local: SocketAddr) {
        let context = &mut self.context;
        let is_known = context.listeners.contains(&local);
        if self.state == State::Closed || is_known || !context.has_room() {
            return;
        }
        context.listeners.push(local);
        self.add_candidate(
            now,
            NewLocal::host(CandidateTransport::TcpPassive, local, local),
        );
        if self.context.config.tcp_simultaneous_open {
            self.add_candidate(
                now,
                NewLocal::host(CandidateTransport::TcpSimultaneousOpen, local, local),
            );
        }
        self.add_active(now, local.ip());
        self.drive(now);
    }

    /// Takes the end of a listener. Its connections go on until they are closed.
    pub fn remove_listener(&mut self, now: Instant, local: SocketAddr) {
        self.context.listeners.retain(|listener| *listener != local);
        self.remove_locals(now, |candidate| {
            let transport = candidate.candidate.transport;
            let listens = matches!(
                transport,
                CandidateTransport::TcpPassive | CandidateTransport::TcpSimultaneousOpen
            );
            listens && candidate.base == local
        });
        self.remove_active(now, local.ip());
        self.drive(now);
    }

    /// Takes an address of this host that has no UDP socket: TURN servers are asked from it over
    /// TCP and TLS, and connections are opened to the other side's passive candidates.
    ///
    /// An address of a socket needs no mention. Those that are preferred come first.
    pub fn add_address(&mut self, now: Instant, local: IpAddr) {
        let context = &mut self.context;
        let is_known = context.addresses.contains(&local);
        if self.state == State::Closed || is_known || !context.has_room() {
            return;
        }
        context.addresses.push(local);
        self.add_active(now, local);
        self.context.gatherer.add_address(now, local);
        self.drive(now);
    }

    /// Takes the loss of an address of [`Agent::add_address`].
    pub fn remove_address(&mut self, now: Instant, local: IpAddr) {
        self.context.addresses.retain(|address| *address != local);
        self.remove_active(now, local);
        self.context.gatherer.remove_address(now, local);
        self.drive(now);
    }

    /// Takes the address outside that a STUN server or a port mapping (UPnP, NAT-PMP, PCP) has
    /// given a socket or a listener: it gives a server-reflexive candidate.
    ///
    /// Where a socket and a listener have the same address and port, the address is of the socket.
    pub fn add_mapped_address(&mut self, now: Instant, local: SocketAddr, outside: SocketAddr) {
        let transports = [CandidateTransport::Udp, CandidateTransport::TcpPassive];
        let has_base = |transport: &_| self.context.base(local, *transport).is_some();
        let known = transports.into_iter().find(has_base);
        if let Some(transport) = known.filter(|_| outside != local) {
            self.add_candidate(
                now,
                NewLocal {
                    kind: CandidateKind::ServerReflexive,
                    related: Some(local),
                    ..NewLocal::host(transport, outside, local)
                },
            );
        }
        self.drive(now);
    }

    /// Takes the end of every port mapping of a socket or listener.
    pub fn remove_mapped_address(&mut self, now: Instant, local: SocketAddr) {
        // A mapped candidate has no server; those of servers keep theirs.
        self.remove_locals(now, |candidate| {
            candidate.base == local && candidate.is_mapped
        });
    }

    /// Says that there are no more sockets for now: gathering completes once every server has
    /// answered or was given up.
    pub fn end_of_sockets(&mut self, now: Instant) {
        self.context.gatherer.end_of_sockets(now);
        self.drive(now);
    }

    /// Tells the application once when there is nothing left to gather.
    pub(super) fn note_gathered(&mut self) {
        if !self.is_gathered {
            self.is_gathered = true;
            self.context.event(Event::GatheringComplete);
        }
    }

    /// Adds the candidate that opens connections from an address.
    fn add_active(&mut self, now: Instant, ip: IpAddr) {
        if self.context.config.tcp_active {
            let active = SocketAddr::new(ip, ACTIVE_PORT);
            let new = NewLocal::host(CandidateTransport::TcpActive, active, active);
            self.add_candidate(now, new);
        }
    }

    /// Removes the candidate that opens connections from an address, once nothing is there.
    fn remove_active(&mut self, now: Instant, ip: IpAddr) {
        if !self.context.is_local(ip) {
            self.remove_locals(now, |candidate| {
                candidate.candidate.transport == CandidateTransport::TcpActive
                    && candidate.base.ip() == ip
            });
        }
    }

    /// Adds a candidate, tells the application, and makes its pairs.
    pub(super) fn add_candidate(&mut self, now: Instant, new: NewLocal) -> Option<LocalId> {
        let id = self.context.add_local(new)?;
        let ufrag = self.session.local.credentials.ufrag();
        self.context.announce(id, ufrag);
        if self.context.local(id).is_some_and(Local::is_base) {
            self.session.pair_local(&self.context, id);
            self.session.permit(&mut self.context, now);
        }
        Some(id)
    }

    /// Removes candidates and the pairs that they are the base of.
    pub(super) fn remove_locals(&mut self, now: Instant, is_gone: impl Fn(&Local) -> bool) {
        let gone = self.context.remove_locals(is_gone);
        let context = &mut self.context;
        let previous = self.previous.as_mut().map(|previous| &mut previous.session);
        for session in std::iter::once(&mut self.session).chain(previous) {
            session.remove_pairs(context, |pair| gone.contains(&pair.local));
            for pair in &mut session.pairs {
                pair.mapped = pair.mapped.filter(|mapped| !gone.contains(mapped));
            }
        }
        self.session.select(&mut self.context, now);
    }
}

/// The port of an active candidate, which takes no connections ([RFC 6544 §4.5]).
///
/// [RFC 6544 §4.5]: https://www.rfc-editor.org/rfc/rfc6544#section-4.5
const ACTIVE_PORT: u16 = 9;
