//! What an endpoint drives: an ICE agent, or something around one.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_ice::{Agent, ConnectionId, Event, MdnsName, Output};
use jackfield_sansio::{FiveTuple, Transmit, Transport};

/// A core that an [`IceEndpoint`](super::IceEndpoint) can drive: an [`Agent`], or one that owns an
/// agent and has its network inputs.
pub trait Core: Send + 'static {
    /// What it tells the application.
    type Event: Debug + Send + 'static;

    /// Returns the agent, whose username fragment tells which packets are for this core.
    fn agent(&self) -> &Agent;

    /// Shows a name in place of an address that is added next.
    fn show_name(&mut self, local: IpAddr, name: &MdnsName);

    /// Takes a UDP socket.
    fn add_socket(&mut self, now: Instant, local: SocketAddr);

    /// Takes the loss of a UDP socket.
    fn remove_socket(&mut self, now: Instant, local: SocketAddr);

    /// Takes a TCP listener.
    fn add_listener(&mut self, now: Instant, local: SocketAddr);

    /// Takes the end of a TCP listener.
    fn remove_listener(&mut self, now: Instant, local: SocketAddr);

    /// Takes an address of this machine that has no UDP socket.
    fn add_address(&mut self, now: Instant, local: IpAddr);

    /// Takes the loss of an address without a UDP socket.
    fn remove_address(&mut self, now: Instant, local: IpAddr);

    /// Takes the address at which a socket is seen outside.
    fn add_mapped_address(&mut self, now: Instant, local: SocketAddr, outside: SocketAddr);

    /// Takes the end of every address at which a socket was seen outside.
    fn remove_mapped_address(&mut self, now: Instant, local: SocketAddr);

    /// Takes that all sockets are known for now.
    fn end_of_sockets(&mut self, now: Instant);

    /// Takes a packet; returns what of it is for the application.
    fn handle_datagram<'b>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        bytes: &'b [u8],
    ) -> Option<&'b [u8]>;

    /// Takes a connection that was asked for.
    fn handle_connected(&mut self, now: Instant, id: ConnectionId, path: FiveTuple);

    /// Takes that a connection could not be made.
    fn handle_connect_failed(&mut self, now: Instant, id: ConnectionId);

    /// Takes a connection to a listener.
    fn handle_accepted(&mut self, now: Instant, path: FiveTuple);

    /// Takes the end of a connection.
    fn handle_closed(&mut self, now: Instant, path: FiveTuple);

    /// Takes the address of an mDNS name, or that there is none.
    fn handle_resolved(&mut self, now: Instant, name: &str, address: Option<IpAddr>);

    /// Does what is due by `now`.
    fn handle_timeout(&mut self, now: Instant);

    /// Ends the session.
    fn close(&mut self, now: Instant);

    /// Returns the next thing to do.
    fn poll_output(&mut self) -> CoreOutput<Self::Event>;
}

/// What a core wants done; [`Output`] says what each means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoreOutput<E> {
    /// Send these bytes.
    Transmit(Transmit),
    /// Open a connection.
    Connect {
        /// Which one the answer is about.
        id: ConnectionId,
        /// UDP, TCP or TLS.
        transport: Transport,
        /// From where.
        local: Option<SocketAddr>,
        /// Where to.
        remote: SocketAddr,
        /// Which server it is, if it is one.
        server: Option<usize>,
        /// What name the certificate has to be for, if the server named another than its own.
        domain: Option<String>,
    },
    /// Close this connection.
    Close(FiveTuple),
    /// Look up this name.
    Resolve(String),
    /// Give the application this packet, which came earlier than it could be taken.
    Data(Box<[u8]>),
    /// Something the application wants to know.
    Event(E),
    /// Nothing more to do before this instant.
    Wait(Option<Instant>),
}

impl Core for Agent {
    type Event = Event;

    fn agent(&self) -> &Agent {
        self
    }

    fn show_name(&mut self, local: IpAddr, name: &MdnsName) {
        Self::show_name(self, local, name.clone());
    }

    fn add_socket(&mut self, now: Instant, local: SocketAddr) {
        Self::add_socket(self, now, local);
    }

    fn remove_socket(&mut self, now: Instant, local: SocketAddr) {
        Self::remove_socket(self, now, local);
    }

    fn add_listener(&mut self, now: Instant, local: SocketAddr) {
        Self::add_listener(self, now, local);
    }

    fn remove_listener(&mut self, now: Instant, local: SocketAddr) {
        Self::remove_listener(self, now, local);
    }

    fn add_address(&mut self, now: Instant, local: IpAddr) {
        Self::add_address(self, now, local);
    }

    fn remove_address(&mut self, now: Instant, local: IpAddr) {
        Self::remove_address(self, now, local);
    }

    fn add_mapped_address(&mut self, now: Instant, local: SocketAddr, outside: SocketAddr) {
        Self::add_mapped_address(self, now, local, outside);
    }

    fn remove_mapped_address(&mut self, now: Instant, local: SocketAddr) {
        Self::remove_mapped_address(self, now, local);
    }

    fn end_of_sockets(&mut self, now: Instant) {
        Self::end_of_sockets(self, now);
    }

    fn handle_datagram<'b>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        bytes: &'b [u8],
    ) -> Option<&'b [u8]> {
        Self::handle_datagram(self, now, path, bytes)
    }

    fn handle_connected(&mut self, now: Instant, id: ConnectionId, path: FiveTuple) {
        Self::handle_connected(self, now, id, path);
    }

    fn handle_connect_failed(&mut self, now: Instant, id: ConnectionId) {
        Self::handle_connect_failed(self, now, id);
    }

    fn handle_accepted(&mut self, now: Instant, path: FiveTuple) {
        Self::handle_accepted(self, now, path);
    }

    fn handle_closed(&mut self, now: Instant, path: FiveTuple) {
        Self::handle_closed(self, now, path);
    }

    fn handle_resolved(&mut self, now: Instant, name: &str, address: Option<IpAddr>) {
        Self::handle_resolved(self, now, name, address);
    }

    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn close(&mut self, now: Instant) {
        Self::close(self, now);
    }

    fn poll_output(&mut self) -> CoreOutput<Event> {
        match Self::poll_output(self) {
            Output::Transmit(transmit) => CoreOutput::Transmit(transmit),
            Output::Connect {
                id,
                transport,
                local,
                remote,
                server,
                domain,
            } => CoreOutput::Connect {
                id,
                transport,
                local,
                remote,
                server,
                domain,
            },
            Output::Close(path) => CoreOutput::Close(path),
            Output::Resolve(name) => CoreOutput::Resolve(name),
            Output::Event(Event::EarlyData(data)) => CoreOutput::Data(data),
            Output::Event(event) => CoreOutput::Event(event),
            Output::Wait(until) => CoreOutput::Wait(until),
        }
    }
}
