//! A TCP echo server for tests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use jackfield_tcp::{ConnectionId, Event, Stack};

use crate::program::TcpProgram;

/// A server that sends back what it receives ([RFC 862](https://www.rfc-editor.org/rfc/rfc862)),
/// and closes when its client has.
#[derive(Debug, Clone)]
pub struct TcpEcho {
    /// The peers that have connected, in order.
    pub peers: Vec<SocketAddr>,
    ports: Vec<u16>,
    /// The data that could not be sent yet, and whether the client has finished.
    unsent: BTreeMap<ConnectionId, (Vec<u8>, bool)>,
}

impl TcpEcho {
    /// Creates a server on these ports.
    pub fn new(ports: impl IntoIterator<Item = u16>) -> Self {
        Self {
            peers: Vec::new(),
            ports: ports.into_iter().collect(),
            unsent: BTreeMap::new(),
        }
    }

    /// Sends as much as there is room for, and closes after the last of it.
    fn flush(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        let Some((unsent, has_finished)) = self.unsent.get_mut(&id) else {
            return;
        };
        loop {
            let sent = stack.send(now, id, unsent);
            unsent.drain(..sent);
            if !unsent.is_empty() {
                return;
            }
            unsent.extend(stack.recv(now, id, MOST_BYTES));
            if unsent.is_empty() {
                break;
            }
        }
        if *has_finished {
            stack.close(now, id);
            self.unsent.remove(&id);
        }
    }
}

impl TcpProgram for TcpEcho {
    fn start(&mut self, _now: Instant, stack: &mut Stack) {
        for port in &self.ports {
            stack.listen(*port);
        }
    }

    fn handle_event(&mut self, now: Instant, stack: &mut Stack, event: Event) {
        match event {
            Event::Connected { id, remote, .. } => {
                self.peers.push(remote);
                self.unsent.insert(id, (Vec::new(), false));
            }
            Event::Data(id) | Event::Writable(id) => self.flush(now, stack, id),
            Event::Finished(id) => {
                if let Some((_, has_finished)) = self.unsent.get_mut(&id) {
                    *has_finished = true;
                }
                self.flush(now, stack, id);
            }
            Event::Closed(id) | Event::Reset(id, _) => {
                self.unsent.remove(&id);
            }
        }
    }
}

const MOST_BYTES: usize = 65_535;
