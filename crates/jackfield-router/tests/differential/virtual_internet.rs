//! (a): the virtual internet.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_internet::{App, HostId, Link, World};
use jackfield_nat::packet::Headers;
use jackfield_tcp::{ConnectionId, Event, Stack};

use super::scenario::{
    Arrival, INSIDERS, Inside, Lab, OUTSIDERS, Peer, Protocol, SHORT_LIFE, Scenario, Sender,
    Subject, Verdict, peer,
};

/// Runs a scenario in a world of its own.
pub(crate) fn run(subject: &Subject, scenario: &Scenario) -> Vec<Verdict> {
    let mut world = World::new(Instant::now(), scenario.seed);
    let internet = world.network("internet", Link::latency(Duration::from_millis(1)));
    let prefix = "10.0.0.0/24".parse().unwrap();
    let nat = world.nat("nat", internet, prefix, subject.config.clone());
    let mut host = |name: &str, network, endpoint: std::net::SocketAddrV4| {
        let address = IpAddr::from(*endpoint.ip());
        world.host(name, network, address, Host::new(address, endpoint.port()))
    };
    let hosts = [0, 2].map(|n| host("host", nat.inside, subject.inside(Inside(n))));
    let peers = [0, 2].map(|n| host("peer", internet, peer(Peer(n))));
    let mut lab = Virtual {
        protocol: scenario.protocol,
        world,
        hosts,
        peers,
        insiders: std::array::from_fn(|n| subject.inside(Inside(n)).into()),
    };
    subject.play(scenario, &mut lab)
}

struct Virtual {
    protocol: Protocol,
    world: World,
    hosts: [HostId; 2],
    peers: [HostId; 2],
    insiders: [SocketAddr; INSIDERS],
}

impl Lab for Virtual {
    fn wait(&mut self) {
        self.world.run_for(2 * SHORT_LIFE);
    }

    fn send(&mut self, _tag: u32, from: Sender, to: SocketAddr) -> Option<Arrival> {
        let (host, port) = match from {
            Sender::Inside(Inside(n)) => (self.hosts[n / 2], self.insiders[n].port()),
            Sender::Peer(Peer(n)) => (self.peers[n / 2], peer(Peer(n)).port()),
        };
        match self.protocol {
            Protocol::Udp => self.world.send(host, port, to, b"packet"),
            Protocol::Tcp => {
                let connect = |host: &mut Host, now| {
                    let id = host.stack.connect(now, port, to).unwrap();
                    host.asking.insert(id);
                };
                self.world.with_app(host, connect).unwrap();
            }
        }
        self.world.run_for(Duration::from_millis(10));
        let all = self.hosts.into_iter().chain(self.peers);
        let mut arrived = Vec::new();
        for host in all {
            let take = |host: &mut Host, now| {
                host.give_up(now);
                arrived.append(&mut host.arrivals);
            };
            self.world.with_app(host, take);
        }
        // Only open ports hear.
        let is_open = |at: &SocketAddr| {
            self.insiders.contains(at)
                || (0..OUTSIDERS).any(|n| SocketAddr::from(peer(Peer(n))) == *at)
        };
        arrived.retain(|arrival| is_open(&arrival.at));
        assert!(arrived.len() <= 1, "one packet, {arrived:?}");
        arrived.pop()
    }
}

/// Keeps what comes, and accepts every connection.
#[derive(Debug, Clone)]
struct Host {
    arrivals: Vec<Arrival>,
    stack: Stack,
    /// Connections of our own that have no answer yet.
    asking: BTreeSet<ConnectionId>,
}

impl Host {
    /// The host has this port and the next.
    fn new(address: IpAddr, port: u16) -> Self {
        let mut stack = Stack::new(&[address], [7; 32]);
        stack.listen(port);
        stack.listen(port + 1);
        Self {
            arrivals: Vec::new(),
            stack,
            asking: BTreeSet::new(),
        }
    }

    /// Abandons what was not answered.
    fn give_up(&mut self, now: Instant) {
        for id in std::mem::take(&mut self.asking) {
            self.stack.abort(now, id);
        }
    }

    fn look(&mut self) {
        while let Some(event) = self.stack.poll_event() {
            match event {
                Event::Connected {
                    local,
                    remote,
                    accepted: true,
                    ..
                } => self.arrivals.push(Arrival {
                    at: local,
                    source: remote,
                }),
                other => {
                    self.asking.remove(&other.connection());
                }
            }
        }
    }
}

impl App for Host {
    fn handle_datagram(&mut self, _now: Instant, source: SocketAddr, at: SocketAddr, _data: &[u8]) {
        self.arrivals.push(Arrival { at, source });
    }

    fn handle_packet(&mut self, now: Instant, _headers: &Headers, bytes: &[u8]) {
        self.stack.handle_packet(now, bytes);
        self.look();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.stack.handle_timeout(now);
        self.look();
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.stack.next_timeout()
    }

    fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.stack.poll_packet()
    }
}
