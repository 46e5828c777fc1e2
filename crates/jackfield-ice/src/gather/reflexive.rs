//! The addresses that servers see our sockets at.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_sansio::FiveTuple;
use jackfield_stun::{Message, TransactionId};

use super::query::{self, Answer, Query, QueryState};
use super::relay::Relay;
use super::{Event, Gatherer, Output};

impl Gatherer {
    /// Asks a STUN server that waits for its turn; returns whether there was one.
    pub(super) fn start_query(&mut self, now: Instant) -> bool {
        let Some(index) = self.queries.iter().position(Query::is_waiting) else {
            return false;
        };
        let id = TransactionId::new(self.random_bytes());
        let retransmission = self.config.retransmission;
        if let Some(query) = self.queries.get_mut(index) {
            query.ask(now, id, retransmission);
        }
        self.query_due(now, index);
        true
    }

    /// Does what is due by `now` for every query.
    pub(super) fn queries_due(&mut self, now: Instant) {
        for index in 0..self.queries.len() {
            self.query_due(now, index);
        }
    }

    fn query_due(&mut self, now: Instant, index: usize) {
        let Some(query) = self.queries.get_mut(index) else {
            return;
        };
        if let QueryState::Answered(Some(again)) | QueryState::Failed(Some(again)) = query.state
            && again <= now
        {
            // It is paced as a first question is.
            query.state = QueryState::Waiting;
            return;
        }
        let server = self.config.servers.get(query.server);
        let Some(remote) = server.map(|server| server.address) else {
            return;
        };
        let (base, outputs) = (query.base, &mut self.outputs);
        let transmit = |bytes| {
            let transmit = query::transmit(base, remote, bytes);
            outputs.push_back(Output::Transmit(transmit));
        };
        if let Some(answer) = query.handle_timeout(now, transmit) {
            self.answered(now, index, answer);
        }
    }

    /// Takes a message; returns whether it answers a query.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'_>,
    ) -> bool {
        let servers = &self.config.servers;
        let is_answered = |query: &Query| {
            let server = servers.get(query.server).map(|server| server.address);
            query.base == path.local && server == Some(path.remote) && query.is_answered_by(message)
        };
        let Some(index) = self.queries.iter().position(is_answered) else {
            return false;
        };
        self.answered(now, index, query::read(message));
        true
    }

    fn answered(&mut self, now: Instant, index: usize, answer: Answer) {
        let Some(query) = self.queries.get_mut(index) else {
            return;
        };
        let was_wanted = std::mem::take(&mut query.is_wanted);
        query.silences = match answer {
            Answer::Nothing => query.silences.saturating_add(1),
            _ => 0,
        };
        let (base, server, before) = (query.base, query.server, query.mapped);
        let keepalive = now + self.config.keepalive;
        match answer {
            Answer::Mapped(mapped) => {
                query.mapped = Some(mapped);
                query.state = QueryState::Answered(None);
                let is_kept = self.queries.iter().any(|query| query.keeps(base, mapped));
                // One server is enough to keep a binding; the others have said all there is to say.
                if !is_kept && let Some(query) = self.queries.get_mut(index) {
                    query.state = QueryState::Answered(Some(keepalive));
                }
                if before != Some(mapped) {
                    self.ask_others(base, before);
                    self.reflexive_found(index, base, mapped, server);
                    self.reflexive_left(base, before);
                }
            }
            // A server that has answered before is asked again later.
            Answer::Nothing | Answer::Malformed | Answer::Refused(_) if before.is_some() => {
                query.state = QueryState::Answered(Some(keepalive));
            }
            Answer::Nothing => {
                let again = Some(now + retry_after(query.silences));
                match was_wanted {
                    true => self.query_failed(index, again, None, "no answer came from the server"),
                    // It was said when the server was silent for the first time.
                    false => query.state = QueryState::Failed(again),
                }
            }
            Answer::Malformed => {
                self.counters.malformed += 1;
                self.query_failed(
                    index,
                    None,
                    None,
                    "the server's answer names no usable address",
                );
            }
            Answer::Refused(code) => {
                self.query_failed(
                    index,
                    None,
                    Some(code),
                    "the server refused to tell the address",
                );
            }
        }
    }

    /// Asks all servers again that have seen a base at an address where one sees it no longer.
    fn ask_others(&mut self, base: SocketAddr, before: Option<SocketAddr>) {
        for query in &mut self.queries {
            if before.is_some() && query.base == base && query.mapped == before {
                // A NAT that has given one binding anew has likely forgotten the others, too.
                (query.state, query.mapped) = (QueryState::Waiting, None);
                query.is_wanted = true;
            }
        }
    }

    fn query_failed(
        &mut self,
        index: usize,
        again: Option<Instant>,
        code: Option<u16>,
        text: &str,
    ) {
        let Some(query) = self.queries.get_mut(index) else {
            return;
        };
        query.state = QueryState::Failed(again);
        let (base, server) = (query.base, query.server);
        self.error(base, server, code, text.to_owned());
    }

    /// Says that a query has found an address, unless that is known, or is the base itself: the
    /// candidate would be redundant ([RFC 8445 §5.1.3]).
    ///
    /// [RFC 8445 §5.1.3]: https://www.rfc-editor.org/rfc/rfc8445#section-5.1.3
    fn reflexive_found(
        &mut self,
        index: usize,
        base: SocketAddr,
        mapped: SocketAddr,
        server: usize,
    ) {
        let others = self.queries.iter().enumerate();
        let mut others = others.filter(|(other, _)| *other != index);
        let is_known = others.any(|(_, query)| query.base == base && query.mapped == Some(mapped))
            || self.is_mapped_by_relay(base, mapped);
        if !is_known {
            self.say_reflexive(base, mapped, server);
        }
    }

    /// Says that a server sees a base at another address.
    pub(super) fn say_reflexive(&mut self, base: SocketAddr, address: SocketAddr, server: usize) {
        let server = self.config.servers.get(server).map(|server| server.address);
        if let Some(server) = server
            && address != base
        {
            self.event(Event::Reflexive {
                base,
                address,
                server,
            });
        }
    }

    /// Says that an address is gone, if no server sees it any more.
    pub(super) fn reflexive_left(&mut self, base: SocketAddr, address: Option<SocketAddr>) {
        let Some(address) = address.filter(|address| *address != base) else {
            return;
        };
        if !self.is_mapped_by_query(base, address) && !self.is_mapped_by_relay(base, address) {
            self.event(Event::ReflexiveLost { base, address });
        }
    }

    pub(super) fn is_mapped_by_query(&self, base: SocketAddr, mapped: SocketAddr) -> bool {
        let is_it = |query: &Query| query.base == base && query.mapped == Some(mapped);
        self.queries.iter().any(is_it)
    }

    pub(super) fn is_mapped_by_relay(&self, base: SocketAddr, mapped: SocketAddr) -> bool {
        let is_it = |relay: &Relay| relay.base == base && relay.mapped == Some(mapped);
        self.relays.iter().any(is_it)
    }

    /// Notes that nothing can be sent along a path.
    pub(super) fn queries_unreachable(&mut self, path: FiveTuple) {
        for index in 0..self.queries.len() {
            let Some(query) = self.queries.get(index) else {
                return;
            };
            let server = self.config.servers.get(query.server);
            let is_of_path = query.base == path.local
                && server.is_some_and(|server| server.address == path.remote);
            if is_of_path && query.is_pending() {
                self.query_failed(index, None, None, "no route leads to the server");
            }
        }
    }

    /// Asks every server once more. An address that one has told stays until it tells another.
    pub(super) fn ask_again(&mut self) {
        for query in &mut self.queries {
            if matches!(query.state, QueryState::Failed(_) | QueryState::Answered(_)) {
                query.state = QueryState::Waiting;
                query.is_wanted = true;
            }
        }
    }

    /// Forgets what was asked from a base.
    pub(super) fn forget_queries(&mut self, base: SocketAddr) {
        let mut addresses: Vec<SocketAddr> = Vec::new();
        self.queries.retain(|query| {
            let is_gone = query.base == base;
            addresses.extend(query.mapped.filter(|_| is_gone));
            !is_gone
        });
        addresses.sort_unstable();
        addresses.dedup();
        for address in addresses {
            self.reflexive_left(base, Some(address));
        }
    }
}

/// Returns how long a server that was silent so many times is left alone: a network that was away,
/// or a server that was started anew, is found again, and one that is gone costs little.
fn retry_after(silences: u32) -> Duration {
    FIRST_RETRY * 2_u32.pow(silences.saturating_sub(1).min(5))
}

const FIRST_RETRY: Duration = Duration::from_secs(10);
