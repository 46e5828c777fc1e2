//! A TCP client for tests.

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_proxy::{Handshake, HandshakeError, Progress};
use jackfield_tcp::{ConnectError, ConnectionId, Event, ResetReason, Stack};

use crate::program::TcpProgram;

/// A client that connects once, sends a request and keeps the response.
#[derive(Debug, Clone)]
pub struct TcpClient {
    /// The received data.
    pub response: Vec<u8>,
    /// How far it got.
    pub outcome: Outcome,
    to: SocketAddr,
    from_port: u16,
    /// The data that is still to be sent.
    request: Vec<u8>,
    keeps_open: bool,
    connection: Option<ConnectionId>,
    /// The handshake with a proxy, and its first message.
    handshake: Option<(Handshake, Vec<u8>)>,
}

/// How far a [`TcpClient`] got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has not started, or waits for the answer to its SYN.
    Connecting,
    /// It is connected.
    Connected,
    /// The server has sent its whole response.
    Finished,
    /// Both sides have closed.
    Closed,
    /// The connection has ended early, or was never opened.
    Reset(ResetReason),
    /// The connection could not be started.
    Failed(ConnectError),
    /// The proxy made no tunnel.
    NoTunnel(HandshakeError),
}

impl TcpClient {
    /// Creates a client that connects as soon as its host has an address, sends `request` and
    /// closes its half.
    pub fn new(to: SocketAddr, request: impl Into<Vec<u8>>) -> Self {
        Self {
            response: Vec::new(),
            outcome: Outcome::Connecting,
            to,
            from_port: 0,
            request: request.into(),
            keeps_open: false,
            connection: None,
            handshake: None,
        }
    }

    /// Sets the local port.
    #[must_use]
    pub fn from_port(mut self, port: u16) -> Self {
        self.from_port = port;
        self
    }

    /// Leaves its half of the connection open after the request.
    #[must_use]
    pub fn keep_open(mut self) -> Self {
        self.keeps_open = true;
        self
    }

    /// Connects through a tunnel: `to` is then a proxy, and `handshake` the conversation with it
    /// and its first message.
    #[must_use]
    pub fn via_proxy(mut self, handshake: (Handshake, Vec<u8>)) -> Self {
        self.handshake = Some(handshake);
        self
    }

    /// Returns its connection, once it has started.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    /// Sends more on the connection.
    pub fn send(&mut self, now: Instant, stack: &mut Stack, data: &[u8]) {
        self.request.extend(data);
        if let Some(id) = self.connection.filter(|_| self.handshake.is_none()) {
            self.flush(now, stack, id);
        }
    }

    fn flush(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        let sent = stack.send(now, id, &self.request);
        self.request.drain(..sent);
        if self.request.is_empty() && !self.keeps_open {
            stack.close(now, id);
        }
    }

    /// Starts the handshake with the proxy, or the request if there is none.
    fn begin(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        match &mut self.handshake {
            Some((_, first)) => {
                stack.send(now, id, &std::mem::take(first));
            }
            None => self.connected(now, stack, id, &[]),
        }
    }

    fn connected(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId, rest: &[u8]) {
        self.handshake = None;
        self.outcome = Outcome::Connected;
        self.response.extend(rest);
        self.flush(now, stack, id);
    }

    fn receive(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        let data = stack.recv(now, id, usize::MAX);
        let Some((handshake, _)) = &mut self.handshake else {
            self.response.extend(data);
            return;
        };
        match handshake.handle(&data) {
            Ok(Progress::Wait) => {}
            Ok(Progress::Send(more)) => {
                stack.send(now, id, &more);
            }
            Ok(Progress::Done { rest, .. }) => self.connected(now, stack, id, &rest),
            Err(error) => {
                self.outcome = Outcome::NoTunnel(error);
                self.connection = None;
                stack.abort(now, id);
            }
        }
    }

    fn finish(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        self.outcome = Outcome::Finished;
        if self.keeps_open {
            stack.close(now, id);
        }
    }
}

impl TcpProgram for TcpClient {
    fn start(&mut self, now: Instant, stack: &mut Stack) {
        match stack.connect(now, self.from_port, self.to) {
            Ok(id) => self.connection = Some(id),
            Err(error) => self.outcome = Outcome::Failed(error),
        }
    }

    fn handle_event(&mut self, now: Instant, stack: &mut Stack, event: Event) {
        let id = event.connection();
        if self.connection != Some(id) {
            return;
        }
        match event {
            Event::Connected { .. } => self.begin(now, stack, id),
            Event::Writable(_) => self.flush(now, stack, id),
            Event::Data(_) => self.receive(now, stack, id),
            Event::Finished(_) => self.finish(now, stack, id),
            Event::Closed(_) => self.outcome = Outcome::Closed,
            Event::Reset(_, reason) => self.outcome = Outcome::Reset(reason),
        }
    }
}
