//! One TCP connection in smoltcp, with an interface of its own.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpCidr, IpEndpoint};

/// The parameters of a connection. Two connections with the same parameters behave the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setup {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// Whether the peer opened it.
    pub(super) accepted: bool,
    /// The seed of its initial sequence number.
    pub(super) seed: u64,
    pub(super) receive_buffer: usize,
    pub(super) send_buffer: usize,
    pub(super) mtu: usize,
}

/// A running connection. Times are microseconds of the stack.
pub(super) struct Machine {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: Option<SocketHandle>,
    wire: Wire,
}

impl Machine {
    pub(super) fn new(setup: &Setup) -> Self {
        let mut machine = Self::without_socket(setup.local, setup.seed, setup.mtu);
        let buffer = |size: usize| SocketBuffer::new(vec![0; size.clamp(1, LARGEST_BUFFER)]);
        let mut socket = Socket::new(buffer(setup.receive_buffer), buffer(setup.send_buffer));
        let local = IpEndpoint::from(setup.local);
        let remote = IpEndpoint::from(setup.remote);
        // The stack has checked the endpoints; a socket that refuses them stays closed.
        let _ = if setup.accepted {
            socket.listen(local).map_err(|_| ())
        } else {
            socket
                .connect(machine.interface.context(), remote, local)
                .map_err(|_| ())
        };
        machine.handle = Some(machine.sockets.add(socket));
        machine
    }

    /// Creates a machine without a connection, which answers every segment with the reset that RFC
    /// 9293 §3.10.7.1 asks for.
    pub(super) fn without_socket(local: SocketAddr, seed: u64, mtu: usize) -> Self {
        let mut wire = Wire {
            incoming: None,
            outgoing: VecDeque::new(),
            mtu,
        };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            // A prefix of length zero puts every address on the link, so smoltcp needs no route or
            // gateway: packets leave whole.
            let _ = addresses.push(IpCidr::new(local.ip().into(), 0));
        });
        Self {
            interface,
            sockets: SocketSet::new(Vec::with_capacity(1)),
            handle: None,
            wire,
        }
    }

    /// Takes a packet, if any, and does what is due. [`Machine::outgoing`] returns the packets to
    /// send.
    pub(super) fn poll(&mut self, at: i64, packet: Option<&[u8]>) {
        self.wire.incoming = packet.map(<[u8]>::to_vec);
        let now = Instant::from_micros(at);
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
    }

    pub(super) fn outgoing(&mut self) -> Option<Vec<u8>> {
        self.wire.outgoing.pop_front()
    }

    /// Returns when [`Machine::poll`] has something to do after `at`.
    pub(super) fn next(&mut self, at: i64) -> Option<i64> {
        let now = Instant::from_micros(at);
        let next = self.interface.poll_at(now, &self.sockets)?;
        // smoltcp can ask to be polled at once and then do nothing. Without this wait, virtual
        // time would stand still.
        Some(next.total_micros().max(at + SHORTEST_WAIT))
    }

    pub(super) fn state(&self) -> State {
        self.socket().map_or(State::Closed, Socket::state)
    }

    pub(super) fn readable(&self) -> usize {
        self.socket().map_or(0, Socket::recv_queue)
    }

    pub(super) fn room(&self) -> usize {
        let room = |socket: &Socket<'_>| {
            let free = socket.send_capacity() - socket.send_queue();
            if socket.may_send() { free } else { 0 }
        };
        self.socket().map_or(0, room)
    }

    /// Returns whether the peer has data or a FIN to acknowledge.
    pub(super) fn is_waiting(&self) -> bool {
        let closing = matches!(
            self.state(),
            State::FinWait1 | State::Closing | State::LastAck
        );
        closing || self.socket().is_some_and(|socket| socket.send_queue() > 0)
    }

    pub(super) fn send(&mut self, data: &[u8]) -> usize {
        self.socket_mut()
            .map_or(0, |socket| socket.send_slice(data).unwrap_or(0))
    }

    pub(super) fn recv(&mut self, most: usize) -> Vec<u8> {
        let mut data = vec![0; most.min(self.readable())];
        let read = self
            .socket_mut()
            .map_or(0, |socket| socket.recv_slice(&mut data).unwrap_or(0));
        data.truncate(read);
        data
    }

    pub(super) fn close(&mut self) {
        if let Some(socket) = self.socket_mut() {
            socket.close();
        }
    }

    pub(super) fn abort(&mut self) {
        if let Some(socket) = self.socket_mut() {
            socket.abort();
        }
    }

    fn socket(&self) -> Option<&Socket<'static>> {
        self.handle.map(|handle| self.sockets.get(handle))
    }

    fn socket_mut(&mut self) -> Option<&mut Socket<'static>> {
        self.handle.map(|handle| self.sockets.get_mut(handle))
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Machine");
        fields.field("state", &self.state()).finish_non_exhaustive()
    }
}

/// The network device of smoltcp.
#[derive(Debug)]
struct Wire {
    incoming: Option<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
    mtu: usize,
}

impl Device for Wire {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let bytes = self.incoming.take()?;
        Some((Incoming(bytes), Outgoing(&mut self.outgoing)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu.max(SMALLEST_MTU);
        capabilities
    }
}

#[derive(Debug)]
struct Incoming(Vec<u8>);

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

#[derive(Debug)]
struct Outgoing<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut bytes = vec![0; length];
        let result = f(&mut bytes);
        self.0.push_back(bytes);
        result
    }
}

const LARGEST_BUFFER: usize = 1 << 30;
const SMALLEST_MTU: usize = 576;
const SHORTEST_WAIT: i64 = 1000;
