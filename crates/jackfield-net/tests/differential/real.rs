//! Sockets in namespaces on both sides of a NAT that translates real packets.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use super::netns::Namespace;
use super::scenario::{Arrival, INSIDERS, Inside, Lab, OUTSIDERS, Peer, Sender, Subject, peer};

/// The addresses outside; the last one is for the guide's other end.
pub(crate) const OUTSIDE: [&str; 3] = ["198.18.0.1", "198.18.0.2", "198.18.0.3"];

/// Both ends of every socket of a scenario.
pub(crate) struct Real {
    inside: Vec<UdpSocket>,
    outside: Vec<UdpSocket>,
    /// A pair whose packets follow the others through the NAT, and so tell that these have come as far as they will.
    guide: (UdpSocket, UdpSocket),
}

impl Real {
    /// Opens the sockets.
    pub(crate) fn new(subject: &Subject, inside: &Namespace, outside: &Namespace) -> Self {
        let open = |namespace: &Namespace, endpoint: SocketAddrV4| {
            let bound = namespace.netns().run(|| UdpSocket::bind(endpoint));
            let socket = bound.unwrap().unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let guide_inside = SocketAddrV4::new(*subject.inside(Inside(0)).ip(), GUIDE);
        let guide = (open(inside, guide_inside), open(outside, guide_peer()));
        guide.0.set_nonblocking(false).unwrap();
        guide.1.set_nonblocking(false).unwrap();
        guide.0.set_read_timeout(Some(PATIENCE)).unwrap();
        guide.1.set_read_timeout(Some(PATIENCE)).unwrap();
        let real = Self {
            inside: (0..INSIDERS)
                .map(|n| open(inside, subject.inside(Inside(n))))
                .collect(),
            outside: (0..OUTSIDERS)
                .map(|n| open(outside, peer(Peer(n))))
                .collect(),
            guide,
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

    fn arrived(&self, tag: u32) -> Option<Arrival> {
        let mut arrival = None;
        for socket in self.inside.iter().chain(&self.outside) {
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
}

impl Lab for Real {
    fn wait(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn send(&mut self, tag: u32, from: Sender, to: SocketAddr) -> Option<Arrival> {
        let socket = match from {
            Sender::Inside(Inside(n)) => &self.inside[n],
            Sender::Peer(Peer(n)) => &self.outside[n],
        };
        let start = Instant::now();
        while let Err(error) = socket.send_to(&tag.to_be_bytes(), to) {
            // What an earlier packet was answered with is told to the next one.
            assert!(start.elapsed() < PATIENCE, "{error}");
        }
        // Twice, for on its first way in it may overtake a packet that had to go out first.
        self.follow();
        self.follow();
        self.arrived(tag)
    }
}

fn guide_peer() -> SocketAddrV4 {
    let address: Ipv4Addr = OUTSIDE[2].parse().unwrap();
    SocketAddrV4::new(address, GUIDE)
}

const GUIDE: u16 = 9000;
const PATIENCE: Duration = Duration::from_secs(10);
