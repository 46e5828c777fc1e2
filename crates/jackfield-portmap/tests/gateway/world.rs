//! Port mapping in the virtual internet: what it does for hosts that could not meet without it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_internet::{App, Datagram, HostId, Link, NatBox, World};
use jackfield_nat::oracle::{Path, Traits, oracle};
use jackfield_nat::{Behaviour, Filtering, Mapping, NatConfig};
use jackfield_portmap::client::{Client, ClientConfig, Event, MapRequest, Output};
use jackfield_portmap::{GatewayConfig, TransportProtocol};
use jackfield_testing::epoch;

use crate::rig::{at, ip};

/// The port that a peer talks on.
const TALK: u16 = 40_000;
/// The port that its port mapping client asks from.
const ASK: u16 = 40_001;

/// A host that has its port mapped, and answers every ping.
#[derive(Debug, Clone)]
struct Peer {
    local: SocketAddr,
    client: Client,
    external: Option<SocketAddr>,
    heard: Vec<(SocketAddr, Vec<u8>)>,
    outbox: VecDeque<Datagram>,
}

impl Peer {
    fn new(now: Instant, local: SocketAddr, gateway: &str) -> Self {
        let mut config = ClientConfig::new(ip(gateway), local.ip());
        config.dialects.upnp = false;
        let mut client = Client::new(now, config, [7; 32]);
        client.map(now, MapRequest::new(TransportProtocol::Udp, TALK));
        let mut peer = Self {
            local,
            client,
            external: None,
            heard: Vec::new(),
            outbox: VecDeque::new(),
        };
        peer.drain();
        peer
    }

    fn say(&mut self, to: SocketAddr, data: &[u8]) {
        self.outbox.push_back(Datagram {
            source: self.local,
            destination: to,
            data: data.to_vec(),
        });
    }

    fn drain(&mut self) {
        loop {
            match self.client.poll_output() {
                Output::Transmit { to, bytes } => self.outbox.push_back(Datagram {
                    source: SocketAddr::new(self.local.ip(), ASK),
                    destination: to,
                    data: bytes,
                }),
                Output::Event(Event::Mapped(_, mapping)) => self.external = Some(mapping.external),
                Output::Event(_) | Output::Search { .. } | Output::Fetch { .. } => {}
                Output::Wait(_) => return,
            }
        }
    }
}

impl App for Peer {
    fn handle_datagram(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, data: &[u8]) {
        if to.port() == TALK {
            self.heard.push((from, data.to_vec()));
            if data == b"ping" {
                self.say(from, b"pong");
            }
        } else {
            self.client.handle_datagram(now, from, data);
            self.drain();
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        self.drain();
    }

    fn next_timeout(&self) -> Option<Instant> {
        match self.client.clone().poll_output() {
            Output::Wait(next) => next,
            _ => None,
        }
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }
}

/// Two hosts, each behind a NAT of its own.
struct Town {
    world: World,
    homes: [NatBox; 2],
    hosts: [HostId; 2],
}

impl Town {
    /// `maps` says whether the first NAT leases its ports.
    fn new(nats: [NatConfig; 2], maps: bool) -> Self {
        let mut world = World::new(epoch(), 7);
        let internet = world.network("internet", Link::latency(Duration::from_millis(5)));
        let mut homes = Vec::new();
        let mut hosts = Vec::new();
        for (number, mut config) in nats.into_iter().enumerate() {
            config.externals = vec![ip(&format!("203.0.113.{}", number + 1))];
            let prefix = format!("192.168.{number}.0/24").parse().unwrap();
            let home = world.nat(&format!("nat{number}"), internet, prefix, config);
            if maps && number == 0 {
                world.map_ports(home, GatewayConfig::default());
            }
            let gateway = format!("192.168.{number}.1");
            let local = at(&format!("192.168.{number}.2"), TALK);
            let peer = Peer::new(world.now(), local, &gateway);
            hosts.push(world.host(&format!("host{number}"), home.inside, local.ip(), peer));
            homes.push(home);
        }
        world.run_for(Duration::from_secs(3));
        Self {
            world,
            homes: [homes[0], homes[1]],
            hosts: [hosts[0], hosts[1]],
        }
    }

    fn peer(&self, number: usize) -> &Peer {
        self.world.app::<Peer>(self.hosts[number]).unwrap()
    }

    /// Has the second host ping an endpoint of the first; returns from where the answer came, if
    /// one did.
    fn ping(&mut self, to: SocketAddr) -> Option<SocketAddr> {
        let host = self.hosts[1];
        self.world
            .with_app(host, |peer: &mut Peer, _| peer.say(to, b"ping"));
        self.world.run_for(Duration::from_secs(1));
        let mut pongs = self.peer(1).heard.iter();
        pongs
            .find(|(_, data)| data == b"pong")
            .map(|(from, _)| *from)
    }
}

fn behaviour(mapping: Mapping, filtering: Filtering) -> NatConfig {
    NatConfig {
        udp: Behaviour { mapping, filtering },
        ..NatConfig::default()
    }
}

fn symmetric() -> NatConfig {
    behaviour(
        Mapping::AddressAndPortDependent,
        Filtering::AddressAndPortDependent,
    )
}

#[test]
fn symmetric_meets_symmetric_once_one_of_them_has_a_port_mapped() {
    let traits = Traits::of(&symmetric());
    assert_eq!(oracle(&[traits], &[traits]), Path::Relay);
    let mut town = Town::new([symmetric(), symmetric()], false);
    assert_eq!(town.peer(0).external, None);
    assert_eq!(town.ping(at("203.0.113.1", TALK)), None);

    assert_eq!(oracle(&[traits.forwarded()], &[traits]), Path::Direct);
    let mut town = Town::new([symmetric(), symmetric()], true);
    let external = town.peer(0).external.unwrap();
    assert_eq!(external, at("203.0.113.1", TALK));
    assert_eq!(
        town.ping(external),
        Some(external),
        "the answer leaves from the mapped port"
    );
}

#[test]
fn a_mapped_port_is_reached_from_behind_every_nat() {
    for mapping in Mapping::ALL {
        for filtering in Filtering::ALL {
            let other = behaviour(mapping, filtering);
            let path = oracle(
                &[Traits::of(&symmetric()).forwarded()],
                &[Traits::of(&other)],
            );
            assert_eq!(path, Path::Direct);
            let mut town = Town::new([symmetric(), other], true);
            let external = town.peer(0).external.unwrap();
            assert_eq!(
                town.ping(external),
                Some(external),
                "{mapping:?} {filtering:?}"
            );
        }
    }
}

#[test]
fn a_provider_that_renumbers_moves_the_mapping() {
    let mut town = Town::new([symmetric(), symmetric()], true);
    town.world.run_for(Duration::from_secs(500));
    let home = town.homes[0];
    town.world
        .with_nat(home, |nat| nat.renumber(vec![ip("203.0.113.77")]));
    town.world.run_for(Duration::from_secs(3));
    let external = town.peer(0).external.unwrap();
    assert_eq!(external, at("203.0.113.77", TALK));
    assert_eq!(town.ping(external), Some(external));
    assert_eq!(town.world.gateway_of(home).unwrap().counters().lost, 1);
}

#[test]
fn a_mapping_outlives_days_without_a_packet_and_ends_with_its_host() {
    let mut town = Town::new([symmetric(), symmetric()], true);
    let external = town.peer(0).external.unwrap();
    town.world.record(false);
    town.world.run_for(Duration::from_secs(3 * 86_400));
    assert_eq!(town.ping(external), Some(external));
    let host = town.hosts[0];
    let interface = town.world.interfaces_of(host).next().unwrap();
    town.world.set_up(interface, false);
    town.world.run_for(Duration::from_secs(3 * 3600));
    let gateway = town.world.gateway_of(town.homes[0]).unwrap();
    assert_eq!(gateway.leases().count(), 0);
    assert_eq!(gateway.counters().expired, 1);
}
