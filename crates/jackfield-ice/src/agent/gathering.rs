//! What STUN and TURN servers give, and packets through relays.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_sansio::{FiveTuple, Transmit};

use super::context::Context;
use super::data::{Outgoing, SendError};
use super::local::{Local, NewLocal};
use super::pair::Pair;
use super::session::Session;
use super::{Agent, ConnectionId, Event, Output};
use crate::candidate::{CandidateKind, CandidateTransport, priority};
use crate::gather;

impl Agent {
    /// Takes what the gatherer wants and has found.
    pub(super) fn drain_gatherer(&mut self, now: Instant) {
        loop {
            match self.context.gatherer.poll_output() {
                gather::Output::Transmit(transmit) => {
                    self.context.outputs.push_back(Output::Transmit(transmit));
                }
                gather::Output::Connect {
                    id,
                    transport,
                    local,
                    remote,
                    server,
                    domain,
                } => self.context.outputs.push_back(Output::Connect {
                    id: ConnectionId(id),
                    transport,
                    local: Some(SocketAddr::new(local, 0)),
                    remote,
                    server: Some(server),
                    domain,
                }),
                gather::Output::Close(path) => self.context.close(path),
                gather::Output::Event(event) => self.handle_gathered(now, event),
                gather::Output::Wait(deadline) => {
                    self.gather_deadline = deadline;
                    return;
                }
            }
        }
    }

    fn handle_gathered(&mut self, now: Instant, event: gather::Event) {
        match event {
            gather::Event::Reflexive {
                base,
                address,
                server,
            } => {
                let reflexive = NewLocal {
                    kind: CandidateKind::ServerReflexive,
                    related: Some(base),
                    server: Some(server),
                    ..NewLocal::udp(address, base)
                };
                self.add_candidate(now, reflexive);
            }
            gather::Event::ReflexiveLost { base, address } => self.remove_locals(now, |local| {
                local.candidate.kind == CandidateKind::ServerReflexive
                    && local.base == base
                    && local.candidate.address.ip() == Some(address)
                    && !local.is_mapped
            }),
            gather::Event::Relayed {
                address,
                mapped,
                base,
                server,
                transport,
            } => {
                let types = priority::relay_preference(transport);
                let relayed = NewLocal {
                    kind: CandidateKind::Relayed,
                    related: Some(mapped),
                    server: Some(server),
                    type_preference: Some(types),
                    link: (transport.is_stream(), base.ip()),
                    ..NewLocal::udp(address, address)
                };
                self.add_candidate(now, relayed);
            }
            gather::Event::RelayedLost { address } => {
                self.remove_locals(now, |local| local.is_relayed() && local.base == address);
            }
            gather::Event::PeerRefused { relayed, peer } => {
                self.session.refuse_peer(&self.context, relayed, peer);
                self.session.select(&mut self.context, now);
            }
            gather::Event::Error(error) => self.context.event(Event::CandidateError(error)),
            gather::Event::Complete => self.note_gathered(),
        }
    }

    /// Notes that the system can send nothing along a path (no route, network unreachable): what
    /// was to be found out about it is known.
    pub fn handle_unreachable(&mut self, now: Instant, path: FiveTuple) {
        self.context.gatherer.handle_unreachable(now, path);
        self.session.unreachable(&self.context, path);
        self.session.select(&mut self.context, now);
        self.drive(now);
    }
}

impl Context {
    /// Sends a message from a relayed address.
    pub(super) fn transmit_relayed(
        &mut self,
        now: Instant,
        relayed: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        match self.gatherer.send(now, relayed, to, bytes) {
            Ok(Some((path, outgoing))) => {
                let padding = usize::from(outgoing.padding);
                let mut whole = outgoing.header.as_bytes().to_vec();
                whole.extend_from_slice(outgoing.payload);
                whole.resize(whole.len() + padding, 0);
                let transmit = Transmit { path, bytes: whole };
                self.outputs.push_back(Output::Transmit(transmit));
            }
            // It comes out of the gatherer once the server has let the peer in.
            Ok(None) => {}
            Err(_) => self.counters.dropped_by_relay += 1,
        }
    }

    /// Returns the packet that carries data along a pair.
    pub(super) fn outgoing<'b>(
        &mut self,
        now: Instant,
        pair: &Pair,
        payload: &'b [u8],
    ) -> Result<Outgoing<'b>, SendError> {
        let local = self.local(pair.local).ok_or(SendError::NotConnected)?;
        if !local.is_relayed() {
            return Ok(Outgoing {
                path: self.path(pair).ok_or(SendError::NotConnected)?,
                header: None,
                payload,
                padding: 0,
            });
        }
        let relayed = local.base;
        let sent = self.gatherer.send(now, relayed, pair.address, payload);
        let Ok(Some((path, outgoing))) = sent else {
            self.counters.dropped_by_relay += 1;
            return Err(SendError::Relay);
        };
        Ok(Outgoing {
            path,
            header: Some(outgoing.header),
            payload,
            padding: outgoing.padding,
        })
    }
}

impl Session {
    /// Has every relay let a remote candidate in, before any check goes there: the server takes a
    /// round trip to do so.
    pub(super) fn permit(&self, context: &mut Context, now: Instant) {
        for remote in &self.remotes {
            if remote.candidate.transport == CandidateTransport::Udp
                && !remote.is_mdns()
                && let Some(address) = remote.address
            {
                context.gatherer.permit(now, address.ip());
            }
        }
    }

    /// Fails the pairs from a relay to a peer that its server does not let in.
    fn refuse_peer(&mut self, context: &Context, relayed: SocketAddr, peer: IpAddr) {
        let is_refused = |pair: &&mut Pair| {
            let local = context.local(pair.local);
            let is_relay = |local: &Local| local.is_relayed() && local.base == relayed;
            pair.address.ip() == peer && local.is_some_and(is_relay)
        };
        self.pairs
            .iter_mut()
            .filter(is_refused)
            .for_each(Pair::fail);
    }

    /// Fails the pair of a path, unless it has worked: then it may again.
    fn unreachable(&mut self, context: &Context, path: FiveTuple) {
        let is_it = |pair: &&mut Pair| context.path(pair) == Some(path) && pair.answered.is_none();
        self.pairs.iter_mut().filter(is_it).for_each(Pair::fail);
    }
}
