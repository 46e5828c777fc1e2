//! NATs of every kind in the virtual internet, found by a discovery there: the doctor says of each
//! what the oracle says.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_doctor::conclusions::Reach;
use jackfield_doctor::{Conclusions, Health, Words};
use jackfield_internet::{App, Datagram, Link, World};
use jackfield_nat::oracle::{Path, Traits, oracle};
use jackfield_nat::{Behaviour, Filtering, Mapping, NatConfig};
use jackfield_stun::Message;
use jackfield_stun::behaviour::answer::{
    Action, Alternate, ServerAddress, ServerAddresses, answer,
};
use jackfield_stun::behaviour::{Discovery, DiscoveryConfig, Finding, Output, Report, SocketId};

use crate::facts::{SERVER, healthy};

#[test]
fn the_reach_behind_each_of_the_nine_kinds_is_the_oracles() {
    for own in kinds() {
        let conclusions = conclude(own);
        let own_traits = [traits(own)];
        let except: Vec<Behaviour> = kinds()
            .filter(|peer| oracle(&own_traits, &[traits(*peer)]) != Path::Direct)
            .collect();
        assert_eq!(conclusions.reach.except(), except, "{own:?}");
        let is_few = matches!(conclusions.reach, Reach::Few { .. });
        let health = if is_few {
            Health::Degraded
        } else {
            Health::Note
        };
        assert!(conclusions.health <= health, "{own:?} {conclusions:#?}");
        assert_eq!(conclusions.is_problem_found(), is_few, "{own:?}");
    }
}

#[test]
fn a_nat_that_maps_by_destination_without_a_filter_reaches_all_peers() {
    for mapping in [Mapping::AddressDependent, Mapping::AddressAndPortDependent] {
        let own = Behaviour {
            mapping,
            filtering: Filtering::EndpointIndependent,
        };
        let conclusions = conclude(own);
        assert_eq!(conclusions.reach, Reach::All);
        assert_eq!(conclusions.health, Health::Ok, "{conclusions:#?}");
        let said = Words::of(&conclusions);
        assert!(said.verdict.contains("all peers: this NAT lets them in"));
        assert!(said.advice.is_empty(), "{said:#?}");
    }
}

#[test]
fn behind_a_symmetric_nat_the_advice_is_the_routers_switch() {
    let conclusions = conclude(Behaviour {
        mapping: Mapping::AddressAndPortDependent,
        filtering: Filtering::AddressAndPortDependent,
    });
    let said = Words::of(&conclusions);
    assert_eq!(conclusions.health, Health::Degraded);
    assert!(said.verdict.contains("few peers") && said.verdict.contains("relay, which works"));
    assert!(said.advice[0].contains("\"full cone\""), "{said:#?}");
}

fn conclude(own: Behaviour) -> Conclusions {
    let report = discover(own);
    assert_eq!(report.nat, Finding::Known(true), "{own:?}");
    let mut facts = healthy();
    facts.report = Some(report);
    Conclusions::of(&facts)
}

fn kinds() -> impl Iterator<Item = Behaviour> {
    let pair = |mapping| Filtering::ALL.map(|filtering| Behaviour { mapping, filtering });
    Mapping::ALL.into_iter().flat_map(pair)
}

fn traits(kind: Behaviour) -> Traits {
    Traits::plain(kind.mapping, kind.filtering)
}

/// Runs a discovery behind such a NAT, with a server that has two addresses.
fn discover(own: Behaviour) -> Report {
    let mut world = World::new(Instant::now(), 1);
    world.record(false);
    let internet = world.network("internet", Link::latency(Duration::from_millis(15)));
    let [first, second] = ["198.51.100.1", "198.51.100.2"].map(|ip| ip.parse().unwrap());
    let host = world.host("server", internet, first, Server::new([first, second]));
    world.add_interface(host, internet, second);
    let nat = NatConfig {
        externals: vec!["203.0.113.1".parse().unwrap()],
        udp: own,
        ..NatConfig::default()
    };
    let prefix = "10.0.0.0/24".parse().unwrap();
    let inside = world.nat("nat", internet, prefix, nat).inside;
    let local = "10.0.0.20".parse().unwrap();
    let client = Client::new(world.now(), local);
    let client = world.host("client", inside, local, client);
    let ended = world.run_until_true(Duration::from_secs(60), |world| {
        world.app::<Client>(client).unwrap().until.is_none()
    });
    assert!(ended, "a discovery ends");
    world.app::<Client>(client).unwrap().discovery.report()
}

/// A program that runs a discovery, with a port of its own for each socket.
#[derive(Debug, Clone)]
struct Client {
    discovery: Discovery,
    local: IpAddr,
    out: VecDeque<Datagram>,
    /// When it wants to be woken; nothing when it has ended.
    until: Option<Instant>,
}

impl Client {
    fn new(now: Instant, local: IpAddr) -> Self {
        let config = DiscoveryConfig::new(vec![SERVER.parse().unwrap()]);
        let mut client = Self {
            discovery: Discovery::new(config, [7; 32]),
            local,
            out: VecDeque::new(),
            until: None,
        };
        client.drain(now);
        client
    }

    fn address(&self, socket: SocketId) -> SocketAddr {
        SocketAddr::new(self.local, 20_000 + u16::try_from(socket.index()).unwrap())
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.discovery.poll_output() {
                Output::Bind(socket) => {
                    let local = self.address(socket);
                    self.discovery.handle_bound(now, socket, Ok(local));
                }
                Output::Transmit {
                    socket,
                    destination,
                    bytes,
                } => self.out.push_back(Datagram {
                    source: self.address(socket),
                    destination,
                    data: bytes,
                }),
                Output::Wait(until) => {
                    self.until = until;
                    return;
                }
            }
        }
    }
}

impl App for Client {
    fn handle_datagram(&mut self, now: Instant, source: SocketAddr, to: SocketAddr, data: &[u8]) {
        let socket = SocketId::new(usize::from(to.port() - 20_000));
        self.discovery.handle_datagram(now, socket, source, data);
        self.drain(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.discovery.handle_timeout(now);
        self.drain(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.until
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.out.pop_front()
    }
}

/// A STUN server with two addresses.
#[derive(Debug, Clone)]
struct Server {
    addresses: Vec<ServerAddresses>,
    out: VecDeque<Datagram>,
}

impl Server {
    fn new(addresses: [IpAddr; 2]) -> Self {
        let [own, other] = addresses.map(|ip| ServerAddress {
            local: ip,
            advertised: ip,
        });
        Self {
            addresses: vec![ServerAddresses {
                primary: own,
                alternate: Some(Alternate::Own(other)),
                ports: [3478, 3479],
            }],
            out: VecDeque::new(),
        }
    }
}

impl App for Server {
    fn handle_datagram(&mut self, _now: Instant, from: SocketAddr, to: SocketAddr, data: &[u8]) {
        let message = Message::parse(data).unwrap();
        let mut bytes = Vec::new();
        match answer(&message, to, from, &self.addresses, &mut bytes).unwrap() {
            Action::Respond { from, to } => self.out.push_back(Datagram {
                source: from,
                destination: to,
                data: bytes,
            }),
            Action::AskHelper { .. } => panic!("this server has both addresses itself"),
        }
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.out.pop_front()
    }
}
