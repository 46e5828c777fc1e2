use std::net::SocketAddr;
use std::time::Instant;

use super::TcpProgram;
use crate::stack::{ConnectError, ConnectionId, Event, Reason, Stack};

/// A client that connects once, sends a request and keeps the response.
#[derive(Debug, Clone)]
pub struct TcpClient {
    /// Everything that came back.
    pub response: Vec<u8>,
    /// How far it got.
    pub outcome: Outcome,
    to: SocketAddr,
    from_port: u16,
    /// What is still to be sent.
    request: Vec<u8>,
    stays: bool,
    connection: Option<ConnectionId>,
}

/// How far a [`TcpClient`] got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has not begun, or waits for an answer to its SYN.
    Connecting,
    /// It is connected.
    Connected,
    /// The server has finished its response.
    Finished,
    /// Both have closed.
    Closed,
    /// The connection has ended before its time, or never came to be.
    Reset(Reason),
    /// The connection could not even begin.
    Failed(ConnectError),
}

impl TcpClient {
    /// Returns a client that connects as soon as its host has an address, sends `request` and closes its half.
    pub fn new(to: SocketAddr, request: impl Into<Vec<u8>>) -> Self {
        Self {
            response: Vec::new(),
            outcome: Outcome::Connecting,
            to,
            from_port: 0,
            request: request.into(),
            stays: false,
            connection: None,
        }
    }

    /// Has it connect from this port.
    pub fn from_port(mut self, port: u16) -> Self {
        self.from_port = port;
        self
    }

    /// Has it leave its half of the connection open.
    pub fn stay(mut self) -> Self {
        self.stays = true;
        self
    }

    /// Returns its connection, once it has begun.
    pub fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    /// Sends more on the connection.
    pub fn say(&mut self, now: Instant, stack: &mut Stack, data: &[u8]) {
        self.request.extend(data);
        if let Some(id) = self.connection {
            self.flush(now, stack, id);
        }
    }

    fn flush(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        let sent = stack.send(now, id, &self.request);
        self.request.drain(..sent);
        if self.request.is_empty() && !self.stays {
            stack.close(now, id);
        }
    }

    fn finish(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        self.outcome = Outcome::Finished;
        if self.stays {
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
            Event::Connected { .. } => {
                self.outcome = Outcome::Connected;
                self.flush(now, stack, id);
            }
            Event::Writable(_) => self.flush(now, stack, id),
            Event::Data(_) => {
                let data = stack.recv(now, id, usize::MAX);
                self.response.extend(data);
            }
            Event::Finished(_) => self.finish(now, stack, id),
            Event::Closed(_) => self.outcome = Outcome::Closed,
            Event::Reset(_, reason) => self.outcome = Outcome::Reset(reason),
        }
    }
}
