//! (a): the virtual internet.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_nat::net::{App, HostId, Link, World};

use super::scenario::{
    Arrival, INSIDERS, Inside, Lab, OUTSIDERS, Peer, Scenario, Sender, Subject, Verdict, peer,
};

/// Runs a scenario in a world of its own.
pub(crate) fn run(subject: &Subject, scenario: &Scenario) -> Vec<Verdict> {
    let mut world = World::new(Instant::now(), scenario.seed);
    let internet = world.network("internet", Link::latency(Duration::from_millis(1)));
    let prefix = "10.0.0.0/24".parse().unwrap();
    let nat = world.nat("nat", internet, prefix, subject.config.clone());
    let mut host = |name: &str, network, endpoint: std::net::SocketAddrV4| {
        world.host(name, network, (*endpoint.ip()).into(), Mailbox::default())
    };
    let hosts = [0, 2].map(|n| host("host", nat.inside, subject.inside(Inside(n))));
    let peers = [0, 2].map(|n| host("peer", internet, peer(Peer(n))));
    let mut lab = Virtual {
        world,
        hosts,
        peers,
        insiders: std::array::from_fn(|n| subject.inside(Inside(n)).into()),
    };
    subject.play(scenario, &mut lab)
}

struct Virtual {
    world: World,
    hosts: [HostId; 2],
    peers: [HostId; 2],
    insiders: [SocketAddr; INSIDERS],
}

impl Lab for Virtual {
    fn wait(&mut self, time: Duration) {
        self.world.run_for(time);
    }

    fn send(&mut self, _tag: u32, from: Sender, to: SocketAddr) -> Option<Arrival> {
        let (host, port) = match from {
            Sender::Inside(Inside(n)) => (self.hosts[n / 2], self.insiders[n].port()),
            Sender::Peer(Peer(n)) => (self.peers[n / 2], peer(Peer(n)).port()),
        };
        self.world.send(host, port, to, b"packet");
        self.world.run_for(Duration::from_millis(10));
        let all = self.hosts.into_iter().chain(self.peers);
        let mut arrived = Vec::new();
        for host in all {
            let take = |mailbox: &mut Mailbox, _| arrived.extend(mailbox.0.drain(..));
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

/// Keeps what comes.
#[derive(Debug, Clone, Default)]
struct Mailbox(VecDeque<Arrival>);

impl App for Mailbox {
    fn handle_datagram(&mut self, _now: Instant, source: SocketAddr, at: SocketAddr, _data: &[u8]) {
        self.0.push_back(Arrival { at, source });
    }
}
