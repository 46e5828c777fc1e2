//! The interface of programs with TCP.

use std::any::Any;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_nat::packet::Datagram;
use jackfield_nat::packet::Headers;
use jackfield_tcp::{Event, Stack, StackLimits};

use super::app::App;

/// A program on a host with TCP: it takes the events of its connections, and acts on them through
/// the stack.
///
/// All methods but the one for events have defaults. UDP is available as for every [`App`].
pub trait TcpProgram: Any + Debug + Send + Clone {
    /// Starts, once, as soon as the host has an address: the place to listen and to connect.
    fn start(&mut self, _now: Instant, _stack: &mut Stack) {}

    /// Takes notice that the addresses of the host have changed; [`Stack::addresses`] returns
    /// them. Connections of removed addresses stay, silent, until they are ended or time out.
    fn handle_addresses(&mut self, _now: Instant, _stack: &mut Stack) {}

    /// Takes an event of a connection.
    fn handle_event(&mut self, now: Instant, stack: &mut Stack, event: Event);

    /// Takes a datagram to any port of the host.
    fn handle_datagram(
        &mut self,
        _now: Instant,
        _stack: &mut Stack,
        _source: SocketAddr,
        _destination: SocketAddr,
        _data: &[u8],
    ) {
    }

    /// Does what is due by `now`.
    fn handle_timeout(&mut self, _now: Instant, _stack: &mut Stack) {}

    /// Returns when [`TcpProgram::handle_timeout`] has something to do.
    fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// Returns the next datagram to send.
    fn poll_transmit(&mut self) -> Option<Datagram> {
        None
    }
}

/// The TCP stack of a host and the program that uses it.
#[derive(Debug, Clone)]
pub struct TcpApp<P> {
    /// The program.
    pub program: P,
    stack: Stack,
    has_started: bool,
}

impl<P: TcpProgram> TcpApp<P> {
    /// Creates a program with a stack that draws its sequence numbers and ports from `seed`. Its
    /// journal has no limit, so that a world with it can be cloned at any time.
    pub fn new(seed: u64, program: P) -> Self {
        let limits = StackLimits {
            journal: usize::MAX,
            ..StackLimits::default()
        };
        Self::with_limits(seed, program, limits)
    }

    /// Creates a program with other limits of its stack.
    pub fn with_limits(seed: u64, program: P, limits: StackLimits) -> Self {
        let mut bytes = [0; 32];
        let (first, _) = bytes.split_at_mut(8);
        first.copy_from_slice(&seed.to_be_bytes());
        Self {
            program,
            stack: Stack::with_limits(&[], bytes, limits),
            has_started: false,
        }
    }

    /// Returns the stack.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Changes the program and the stack, for example opens a connection.
    pub fn act<R>(&mut self, now: Instant, act: impl FnOnce(&mut P, &mut Stack) -> R) -> R {
        let result = act(&mut self.program, &mut self.stack);
        self.pump(now);
        result
    }

    fn pump(&mut self, now: Instant) {
        while let Some(event) = self.stack.poll_event() {
            self.program.handle_event(now, &mut self.stack, event);
        }
    }
}

impl<P: TcpProgram> App for TcpApp<P> {
    fn handle_addresses(&mut self, now: Instant, addresses: &[IpAddr]) {
        self.stack.set_addresses(addresses);
        // The program starts with its first address: without one it could neither listen nor
        // connect.
        if self.has_started {
            self.program.handle_addresses(now, &mut self.stack);
        } else if !addresses.is_empty() {
            self.has_started = true;
            self.program.start(now, &mut self.stack);
        }
        self.pump(now);
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        data: &[u8],
    ) {
        self.program
            .handle_datagram(now, &mut self.stack, source, destination, data);
        self.pump(now);
    }

    fn handle_packet(&mut self, now: Instant, _headers: &Headers, bytes: &[u8]) {
        self.stack.handle_packet(now, bytes);
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.stack.handle_timeout(now);
        if self.program.next_timeout().is_some_and(|due| due <= now) {
            self.program.handle_timeout(now, &mut self.stack);
        }
        self.pump(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        let timers = [self.stack.next_timeout(), self.program.next_timeout()];
        timers.into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.program.poll_transmit()
    }

    fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.stack.poll_packet()
    }
}
