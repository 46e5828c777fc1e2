//! A program that opens TCP connections through NATs as ICE does with simultaneous-open candidates
//! (RFC 6544).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_internet::TcpProgram;
use jackfield_tcp::{ConnectionId, Event, Stack};

/// A host that learns its reflexive endpoint, receives that of its peer, and dials it from the
/// port on which it also listens.
///
/// It says hello on each connection again and again, for silence does not tell a connection from
/// one that the other end has given up.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    server: SocketAddr,
    port: u16,
    pub(crate) reflexive: Option<SocketAddr>,
    /// The server, and the peer's endpoint once it is known.
    wanted: BTreeSet<SocketAddr>,
    open: BTreeSet<ConnectionId>,
    due: Instant,
    /// The remote end of the first connection that a peer has said something on.
    pub(crate) found: Option<SocketAddr>,
}

impl Dialer {
    pub(crate) fn new(now: Instant, server: SocketAddr, port: u16) -> Self {
        Self {
            server,
            port,
            reflexive: None,
            wanted: BTreeSet::from([server]),
            open: BTreeSet::new(),
            due: now,
            found: None,
        }
    }

    /// Takes the peer's reflexive endpoint from signaling.
    pub(crate) fn learn(&mut self, now: Instant, stack: &mut Stack, peer: SocketAddr) {
        self.wanted.insert(peer);
        self.handle_timeout(now, stack);
    }

    fn hear(&mut self, data: &[u8], remote: SocketAddr) {
        if remote != self.server {
            self.found.get_or_insert(remote);
        } else if let Some(line) = std::str::from_utf8(data).unwrap().lines().next() {
            self.reflexive = Some(line.parse().unwrap());
        }
    }
}

impl TcpProgram for Dialer {
    fn start(&mut self, _now: Instant, stack: &mut Stack) {
        stack.listen(self.port);
    }

    fn handle_event(&mut self, now: Instant, stack: &mut Stack, event: Event) {
        let id = event.connection();
        match event {
            Event::Connected { .. } => {
                self.open.insert(id);
                stack.send(now, id, b"hello");
            }
            Event::Data(_) => {
                let data = stack.recv(now, id, 1000);
                if let Some((_, remote)) = stack.path(id) {
                    self.hear(&data, remote);
                }
            }
            Event::Reset(..) => {
                self.open.remove(&id);
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant, stack: &mut Stack) {
        for to in &self.wanted {
            // There may be a connection already.
            let _ = stack.connect(now, self.port, *to);
        }
        for id in &self.open {
            stack.send(now, *id, b"hello");
        }
        self.due = now + PACE;
    }

    fn next_timeout(&self) -> Option<Instant> {
        Some(self.due)
    }
}

/// A server that says where a connection came from, when asked.
#[derive(Debug, Clone)]
pub(crate) struct TcpMirror;

impl TcpProgram for TcpMirror {
    fn start(&mut self, _now: Instant, stack: &mut Stack) {
        stack.listen(3478);
    }

    fn handle_event(&mut self, now: Instant, stack: &mut Stack, event: Event) {
        if let Event::Data(id) = event
            && !stack.recv(now, id, 100).is_empty()
            && let Some((_, remote)) = stack.path(id)
        {
            stack.send(now, id, format!("{remote}\n").as_bytes());
        }
    }
}

const PACE: Duration = Duration::from_millis(1500);
