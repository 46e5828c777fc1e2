//! TCP connections to and from the other side ([RFC 6544]): one for each pair.
//!
//! [RFC 6544]: https://www.rfc-editor.org/rfc/rfc6544

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_sansio::{FiveTuple, Transport};

use super::context::Context;
use super::pair::{PairId, PairState};
use super::session::Session;
use super::{ConnectionId, Output};
use crate::candidate::CandidateTransport;

/// A connection that is being opened, or was accepted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connection {
    /// What it is for.
    pub(super) purpose: ConnectionPurpose,
    /// When it is given up, unless it is of use by then.
    pub(super) deadline: Instant,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionPurpose {
    /// A pair of ours waits for it.
    Opening(ConnectionId, PairId),
    /// The other side has opened it, and has sent no check yet.
    Accepted(FiveTuple),
}

impl Context {
    /// Closes a connection.
    pub(super) fn close(&mut self, path: FiveTuple) {
        self.outputs.push_back(Output::Close(path));
    }

    /// Notes that an accepted connection has brought a check, and belongs to a pair.
    pub(super) fn claim(&mut self, connection: Option<FiveTuple>) {
        let Some(path) = connection else { return };
        let purpose = ConnectionPurpose::Accepted(path);
        self.connections.retain(|known| known.purpose != purpose);
    }

    /// Notes a connection that the other side has opened to a listener of ours; closes it if there
    /// are too many.
    pub(super) fn accepted(&mut self, now: Instant, path: FiveTuple) {
        if self.connections.len() >= self.config.limits.connections
            || !self.listeners.contains(&path.local)
        {
            self.counters.dropped_connections += 1;
            self.close(path);
            return;
        }
        self.connections.push(Connection {
            purpose: ConnectionPurpose::Accepted(path),
            deadline: now + self.config.timing.connect_timeout,
        });
    }

    /// Returns whether a connection was accepted and has brought no check yet.
    pub(super) fn is_accepted(&self, path: FiveTuple) -> bool {
        let purpose = ConnectionPurpose::Accepted(path);
        self.connections
            .iter()
            .any(|known| known.purpose == purpose)
    }

    /// Takes out every accepted connection that has brought no check.
    pub(super) fn take_accepted(&mut self) -> Vec<FiveTuple> {
        let all = std::mem::take(&mut self.connections);
        let accepted = |known: Connection| match known.purpose {
            ConnectionPurpose::Accepted(path) => Some(path),
            ConnectionPurpose::Opening(..) => None,
        };
        all.into_iter().filter_map(accepted).collect()
    }

    /// Forgets an accepted connection; returns whether it was known.
    pub(super) fn forget_accepted(&mut self, path: FiveTuple) -> bool {
        let before = self.connections.len();
        self.claim(Some(path));
        self.connections.len() < before
    }

    pub(super) fn next_connection_id(&mut self) -> ConnectionId {
        self.next_connection = self.next_connection.wrapping_add(1);
        ConnectionId(self.next_connection)
    }
}

impl Session {
    /// Opens the connection of a pair.
    pub(super) fn connect(&mut self, context: &mut Context, now: Instant, id: PairId) {
        let Some(pair) = self.pair(id) else { return };
        let is_opening = |known: &&Connection| matches!(known.purpose, ConnectionPurpose::Opening(_, of) if of == id);
        if let Some(opening) = context.connections.iter().find(is_opening) {
            let deadline = opening.deadline;
            self.await_connection(id, deadline);
            return;
        }
        let Some(local) = context.local(pair.local) else {
            return;
        };
        let transport = local.candidate.transport;
        // The other side opens the connections to our passive candidates.
        if transport == CandidateTransport::TcpPassive
            || context.connections.len() >= context.config.limits.connections
        {
            if let Some(pair) = self.pair_mut(id) {
                pair.fail();
            }
            return;
        }
        let port = match transport {
            CandidateTransport::TcpSimultaneousOpen => local.base.port(),
            CandidateTransport::TcpActive
            | CandidateTransport::TcpPassive
            | CandidateTransport::Udp => 0,
        };
        let from = SocketAddr::new(local.base.ip(), port);
        let remote = pair.address;
        let connection = context.next_connection_id();
        let deadline = now + context.config.timing.connect_timeout;
        context.connections.push(Connection {
            purpose: ConnectionPurpose::Opening(connection, id),
            deadline,
        });
        context.outputs.push_back(Output::Connect {
            id: connection,
            transport: Transport::Tcp,
            local: Some(from),
            remote,
            server: None,
            domain: None,
        });
        self.await_connection(id, deadline);
    }

    /// Makes a pair wait for its connection; no check is repeated meanwhile.
    fn await_connection(&mut self, id: PairId, deadline: Instant) {
        if let Some(pair) = self.pair_mut(id) {
            pair.state = PairState::InProgress;
            pair.transmissions = u8::MAX;
            pair.due = Some(deadline);
        }
    }

    /// Takes a connection that a pair has asked for; returns whether one did.
    pub(super) fn connected(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: ConnectionId,
        path: FiveTuple,
    ) -> bool {
        let Some(pair) = self.take_opening(context, id) else {
            return false;
        };
        let Some(found) = self.pair_mut(pair) else {
            context.close(path);
            return true;
        };
        found.connection = Some(path);
        found.reset();
        found.is_triggered = true;
        self.send_triggered(context, now);
        true
    }

    /// Takes the failure of a connection that a pair has asked for; returns whether one did.
    pub(super) fn connect_failed(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: ConnectionId,
    ) -> bool {
        let Some(pair) = self.take_opening(context, id) else {
            return false;
        };
        if let Some(pair) = self.pair_mut(pair) {
            pair.fail();
        }
        self.select(context, now);
        true
    }

    /// Gives up the connections that were not of use in time.
    pub(super) fn expire_connections(&mut self, context: &mut Context, now: Instant) {
        let all = std::mem::take(&mut context.connections);
        let (over, kept): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|known: &Connection| known.deadline <= now);
        context.connections = kept;
        for connection in over {
            match connection.purpose {
                ConnectionPurpose::Accepted(path) => context.close(path),
                ConnectionPurpose::Opening(_, id) => {
                    if let Some(pair) = self.pair_mut(id) {
                        pair.fail();
                    }
                }
            }
        }
    }

    fn take_opening(&self, context: &mut Context, id: ConnectionId) -> Option<PairId> {
        let opening = |known: &Connection| match known.purpose {
            ConnectionPurpose::Opening(connection, pair) if connection == id => Some(pair),
            ConnectionPurpose::Opening(..) | ConnectionPurpose::Accepted(_) => None,
        };
        let pair = context.connections.iter().find_map(opening)?;
        context.connections.retain(|known| opening(known).is_none());
        Some(pair)
    }

    /// Takes the end of a connection; returns whether a pair had it.
    ///
    /// The pair fails at once and not when its consent ends: nothing can be sent by it.
    pub(super) fn closed(&mut self, context: &mut Context, now: Instant, path: FiveTuple) -> bool {
        let has_it = |pair: &&mut super::pair::Pair| pair.connection == Some(path);
        let Some(pair) = self.pairs.iter_mut().find(has_it) else {
            return false;
        };
        pair.connection = None;
        pair.fail();
        self.select(context, now);
        true
    }
}
