//! The interface of programs on hosts.

use std::any::Any;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_nat::packet::{Datagram, Headers};

/// A program on a host of the virtual internet: a sans-IO core with the methods that a driver
/// would call.
///
/// All but [`App::handle_datagram`] have defaults.
pub trait App: Any + std::fmt::Debug + Send + CloneApp {
    /// Takes the addresses of the interfaces that are up: first when the host is added, then
    /// whenever they change.
    fn handle_addresses(&mut self, _now: Instant, _addresses: &[IpAddr]) {}

    /// Takes a datagram to any port of the host.
    fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        data: &[u8],
    );

    /// Takes a whole IP packet that is not UDP, such as a TCP segment for a stack of the program
    /// (see [`TcpApp`](super::TcpApp)).
    fn handle_packet(&mut self, _now: Instant, _headers: &Headers, _bytes: &[u8]) {}

    /// Does what is due by `now`.
    fn handle_timeout(&mut self, _now: Instant) {}

    /// Returns when [`App::handle_timeout`] has something to do.
    fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// Returns the next datagram to send. The world calls it until it returns `None` after every
    /// other call.
    fn poll_transmit(&mut self) -> Option<Datagram> {
        None
    }

    /// Returns the next whole IP packet to send. The world calls it until it returns `None` after
    /// every other call.
    fn poll_packet(&mut self) -> Option<Vec<u8>> {
        None
    }
}

/// Clones a boxed [`App`]; implemented for every program that is `Clone`.
pub trait CloneApp {
    /// Returns a boxed clone.
    fn clone_app(&self) -> Box<dyn App>;
}

impl<T: App + Clone> CloneApp for T {
    fn clone_app(&self) -> Box<dyn App> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn App> {
    fn clone(&self) -> Self {
        self.as_ref().clone_app()
    }
}

/// A program that records the datagrams it receives, and sends those to port 7 back
/// ([RFC 862](https://www.rfc-editor.org/rfc/rfc862)).
#[derive(Debug, Clone, Default)]
pub struct Echo {
    /// The received datagrams with their sources.
    pub received: Vec<(SocketAddr, Vec<u8>)>,
    answers: VecDeque<Datagram>,
}

impl App for Echo {
    fn handle_datagram(
        &mut self,
        _now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        data: &[u8],
    ) {
        self.received.push((source, data.to_vec()));
        if destination.port() == ECHO_PORT {
            self.answers.push_back(Datagram {
                source: destination,
                destination: source,
                data: data.to_vec(),
            });
        }
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.answers.pop_front()
    }
}

const ECHO_PORT: u16 = 7;
