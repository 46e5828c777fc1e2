//! What comes in from the network.

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::{Class, Message, Method, looks_like_stun};

use super::respond::Arrival;
use super::{Agent, State};
use crate::candidate::CandidateTransport;
use crate::gather::Handled;

impl Agent {
    /// Takes one datagram, or one frame of a stream; returns what of it is the application's,
    /// borrowed.
    ///
    /// `path.local` is the socket's address as it was given. Application data is only taken from
    /// addresses whose checks were signed with this session's credentials: a stranger that guesses
    /// our port cannot speak DTLS to what is behind it.
    pub fn handle_datagram<'b>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        bytes: &'b [u8],
    ) -> Option<&'b [u8]> {
        if self.state == State::Closed {
            return None;
        }
        match self.context.gatherer.handle_datagram(now, path, bytes) {
            Handled::NotOurs => {}
            Handled::Consumed => {
                self.drive(now);
                return None;
            }
            Handled::Data {
                relayed,
                peer,
                data,
            } => {
                let relay = self.context.base(relayed, CandidateTransport::Udp)?;
                let arrival = Arrival {
                    local: relay.id,
                    source: peer,
                    connection: None,
                };
                return self.receive(now, arrival, data);
            }
        }
        let Some(arrival) = self.arrival(path) else {
            self.context.counters.dropped_unknown_path += 1;
            return None;
        };
        self.receive(now, arrival, bytes)
    }

    /// Takes a packet that came to a base.
    pub(super) fn receive<'b>(
        &mut self,
        now: Instant,
        arrival: Arrival,
        bytes: &'b [u8],
    ) -> Option<&'b [u8]> {
        if looks_like_stun(bytes) {
            self.handle_stun(now, arrival, bytes);
            self.drive(now);
            return None;
        }
        self.take_data(now, arrival, bytes)
    }

    /// Returns where a packet came in, or `None` if the agent has no such socket or connection.
    fn arrival(&self, path: FiveTuple) -> Option<Arrival> {
        if path.transport == Transport::Udp {
            let local = self.context.base(path.local, CandidateTransport::Udp)?;
            return Some(Arrival {
                local: local.id,
                source: path.remote,
                connection: None,
            });
        }
        let previous = self
            .previous
            .iter()
            .flat_map(|previous| &previous.session.pairs);
        let mut pairs = self.session.pairs.iter().chain(previous);
        let known = pairs.find(|pair| pair.connection == Some(path));
        let local = match known {
            Some(pair) => pair.local,
            None if self.context.is_accepted(path) => self.listener(path.local)?,
            None => return None,
        };
        Some(Arrival {
            local,
            source: path.remote,
            connection: Some(path),
        })
    }

    /// Returns the passive candidate that a connection was accepted for.
    fn listener(&self, local: SocketAddr) -> Option<super::local::LocalId> {
        let found = self.context.base(local, CandidateTransport::TcpPassive)?;
        Some(found.id)
    }

    fn handle_stun(&mut self, now: Instant, arrival: Arrival, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else {
            self.context.counters.malformed += 1;
            return;
        };
        let is_binding = message.method() == Method::BINDING;
        match message.class() {
            Class::Request if is_binding => self.handle_request(now, arrival, &message),
            Class::Success | Class::Error if is_binding => {
                self.handle_response(now, arrival, &message);
            }
            // A keepalive, which wants nothing (RFC 8445 §11).
            Class::Indication if is_binding => {}
            _ => self.context.counters.dropped_unexpected += 1,
        }
    }

    fn handle_request(&mut self, now: Instant, arrival: Arrival, message: &Message<'_>) {
        let context = &mut self.context;
        if self.session.handle_request(context, now, arrival, message) {
            return;
        }
        let previous = self.previous.as_mut().map(|previous| &mut previous.session);
        let is_previous =
            previous.is_some_and(|session| session.handle_request(context, now, arrival, message));
        if !is_previous {
            context.counters.dropped_unsigned += 1;
        }
    }

    fn handle_response(&mut self, now: Instant, arrival: Arrival, message: &Message<'_>) {
        let context = &mut self.context;
        if self.session.handle_response(context, now, arrival, message) {
            return;
        }
        let previous = self.previous.as_mut().map(|previous| &mut previous.session);
        let is_previous =
            previous.is_some_and(|session| session.handle_response(context, now, arrival, message));
        if !is_previous {
            context.counters.dropped_unexpected += 1;
        }
    }
}
