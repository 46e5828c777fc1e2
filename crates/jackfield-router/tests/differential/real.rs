//! Sockets in namespaces on both sides of a NAT that translates real packets.

use std::any::Any;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use jackfield_router::Netns;
use socket2::{Domain, Socket, Type};

use super::netns::Namespace;
use super::scenario::{
    Arrival, INSIDERS, Inside, Lab, OUTSIDERS, Peer, Protocol, Sender, Subject, peer,
};

/// The addresses outside; the last one is for the guide's other end.
pub(crate) const OUTSIDE: [&str; 3] = ["198.18.0.1", "198.18.0.2", "198.18.0.3"];

/// Both ends of every socket of a scenario.
pub(crate) struct Real {
    sockets: Sockets,
    /// A pair whose packets follow the others through the NAT, and so tell that these have come as
    /// far as they will.
    guide: (UdpSocket, UdpSocket),
    /// Says whether the NAT has no mapping left.
    has_forgotten: Box<dyn Fn() -> bool>,
}

impl Real {
    /// Opens the sockets.
    pub(crate) fn new(
        subject: &Subject,
        protocol: Protocol,
        inside: &Namespace,
        outside: &Namespace,
        has_forgotten: impl Fn() -> bool + 'static,
    ) -> Self {
        let guide_inside = SocketAddrV4::new(*subject.inside(Inside(0)).ip(), GUIDE);
        let guide = (
            datagrams(inside, guide_inside),
            datagrams(outside, guide_peer()),
        );
        for socket in [&guide.0, &guide.1] {
            socket.set_nonblocking(false).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let insiders = (0..INSIDERS).map(|n| (inside, subject.inside(Inside(n))));
        let all = insiders.chain((0..OUTSIDERS).map(|n| (outside, peer(Peer(n)))));
        let sockets = match protocol {
            Protocol::Udp => Sockets::Udp(
                all.map(|(namespace, endpoint)| datagrams(namespace, endpoint))
                    .collect(),
            ),
            Protocol::Tcp => Sockets::Tcp(
                all.map(|(namespace, endpoint)| Listener::new(namespace.netns(), endpoint))
                    .collect(),
            ),
        };
        let real = Self {
            sockets,
            guide,
            has_forgotten: Box::new(has_forgotten),
        };
        real.follow();
        real
    }

    /// Sends the guide out and back in again.
    fn follow(&self) {
        let mut buffer = [0; 16];
        let (inside, outside) = &self.guide;
        inside.send_to(b"guide", guide_peer()).unwrap();
        let (_, from) = outside.recv_from(&mut buffer).expect("the guide gets out");
        outside.send_to(b"guide", from).unwrap();
        inside.recv_from(&mut buffer).expect("the guide gets in");
    }
}

impl Lab for Real {
    fn wait(&mut self) {
        let start = Instant::now();
        while !(self.has_forgotten)() {
            assert!(start.elapsed() < PATIENCE, "mappings do not end");
            std::thread::sleep(PAUSE);
        }
    }

    fn send(&mut self, tag: u32, from: Sender, to: SocketAddr) -> Option<Arrival> {
        let number = match from {
            Sender::Inside(Inside(n)) => n,
            Sender::Peer(Peer(n)) => INSIDERS + n,
        };
        match &mut self.sockets {
            Sockets::Udp(sockets) => send(&sockets[number], tag, to),
            Sockets::Tcp(listeners) => listeners[number].connect(to),
        }
        // More than once: on its first way in the guide may overtake what has to go out first, as
        // an answer to a SYN.
        for _ in 0..3 {
            self.follow();
        }
        match &mut self.sockets {
            Sockets::Udp(sockets) => arrived(sockets, tag),
            Sockets::Tcp(listeners) => accepted(listeners),
        }
    }
}

/// A socket for each endpoint, inside and then outside.
enum Sockets {
    Udp(Vec<UdpSocket>),
    Tcp(Vec<Listener>),
}

/// An endpoint that listens, and connects from where it listens.
struct Listener {
    netns: Netns,
    endpoint: SocketAddrV4,
    listener: TcpListener,
    /// What keeps connections open.
    connections: Vec<Box<dyn Any>>,
    asking: Option<Socket>,
}

impl Listener {
    fn new(netns: Netns, endpoint: SocketAddrV4) -> Self {
        let socket = stream(&netns, endpoint);
        socket.listen(16).unwrap();
        Self {
            netns,
            endpoint,
            listener: socket.into(),
            connections: Vec::new(),
            asking: None,
        }
    }

    fn connect(&mut self, to: SocketAddr) {
        let socket = stream(&self.netns, self.endpoint);
        let begun = socket.connect(&to.into());
        assert!(
            begun.is_err_and(|error| error.raw_os_error() == Some(libc::EINPROGRESS)),
            "{} to {to}",
            self.endpoint
        );
        self.asking = Some(socket);
    }
}

/// Returns the connection that a listener has accepted, and closes attempts that none has.
fn accepted(listeners: &mut [Listener]) -> Option<Arrival> {
    let mut arrival = None;
    for listener in listeners.iter_mut() {
        match listener.listener.accept() {
            Ok((connection, source)) => {
                assert!(arrival.is_none(), "one connection arrived twice");
                let at = listener.endpoint.into();
                arrival = Some(Arrival { at, source });
                listener.connections.push(Box::new(connection));
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    for listener in listeners {
        if let Some(asking) = listener.asking.take()
            && arrival.is_some()
        {
            listener.connections.push(Box::new(asking));
        }
    }
    arrival
}

fn stream(netns: &Netns, endpoint: SocketAddrV4) -> Socket {
    let made = netns.run(|| Socket::new(Domain::IPV4, Type::STREAM, None));
    let socket = made.unwrap().unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.bind(&SocketAddr::from(endpoint).into()).unwrap();
    socket
}

fn datagrams(namespace: &Namespace, endpoint: SocketAddrV4) -> UdpSocket {
    let bound = namespace.netns().run(|| UdpSocket::bind(endpoint));
    let socket = bound.unwrap().unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

fn send(socket: &UdpSocket, tag: u32, to: SocketAddr) {
    let start = Instant::now();
    while let Err(error) = socket.send_to(&tag.to_be_bytes(), to) {
        // The kernel reports an ICMP error about an earlier packet when the next one is sent.
        assert!(start.elapsed() < PATIENCE, "{error}");
    }
}

fn arrived(sockets: &[UdpSocket], tag: u32) -> Option<Arrival> {
    let mut arrival = None;
    for socket in sockets {
        let mut buffer = [0; 16];
        loop {
            match socket.recv_from(&mut buffer) {
                Ok((length, source)) => {
                    let at = socket.local_addr().unwrap();
                    assert_eq!(
                        &buffer[..length],
                        tag.to_be_bytes(),
                        "{source} -> {at} came late"
                    );
                    assert!(arrival.is_none(), "one packet arrived twice");
                    arrival = Some(Arrival { at, source });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // An ICMP error about what was sent before.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    arrival
}

fn guide_peer() -> SocketAddrV4 {
    let address: Ipv4Addr = OUTSIDE[2].parse().unwrap();
    SocketAddrV4::new(address, GUIDE)
}

const GUIDE: u16 = 9000;
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it is until the NAT is asked again.
const PAUSE: Duration = Duration::from_millis(20);
