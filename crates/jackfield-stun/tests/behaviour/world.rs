//! A client with a discovery, servers, and the NATs between.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_internet::{App, Datagram, HostId, Link, World};
use jackfield_nat::NatConfig;
use jackfield_stun::behaviour::answer::{Action, ServerAddress, ServerAddresses, answer};
use jackfield_stun::behaviour::helper::{Question, key};
use jackfield_stun::behaviour::{Discovery, DiscoveryConfig, Output, Report, SocketId};
use jackfield_stun::{Class, Key, Message};
pub(crate) use jackfield_testing::epoch;

pub(crate) const SERVER: &str = "198.51.100.1:3478";
pub(crate) const SECOND_ADDRESS: &str = "198.51.100.2";
pub(crate) const HELPER: &str = "192.0.2.77";

/// A program that runs a discovery, with a port of its own for each socket.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    discovery: Discovery,
    local: IpAddr,
    out: VecDeque<Datagram>,
    pub(crate) done: bool,
    until: Option<Instant>,
}

/// Ports that no sequence looks like.
fn port_of(socket: SocketId) -> u16 {
    20_000 + u16::try_from(socket.index() * 977 % 40_000).unwrap()
}

impl Client {
    pub(crate) fn new(now: Instant, local: IpAddr, config: DiscoveryConfig, seed: u8) -> Self {
        let mut client = Self {
            discovery: Discovery::new(config, [seed; 32]),
            local,
            out: VecDeque::new(),
            done: false,
            until: None,
        };
        client.drain(now);
        client
    }

    pub(crate) fn report(&self) -> Report {
        self.discovery.report()
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.discovery.poll_output() {
                Output::Bind(socket) => {
                    let local = SocketAddr::new(self.local, port_of(socket));
                    self.discovery.handle_bound(now, socket, Ok(local));
                }
                Output::Transmit {
                    socket,
                    destination,
                    bytes,
                } => self.out.push_back(Datagram {
                    source: SocketAddr::new(self.local, port_of(socket)),
                    destination,
                    data: bytes,
                }),
                Output::Wait(until) => {
                    self.until = until;
                    self.done = until.is_none();
                    return;
                }
            }
        }
    }
}

impl App for Client {
    fn handle_datagram(&mut self, now: Instant, source: SocketAddr, to: SocketAddr, data: &[u8]) {
        let socket = (0..64)
            .map(SocketId::new)
            .find(|socket| port_of(*socket) == to.port());
        if let Some(socket) = socket {
            self.discovery.handle_datagram(now, socket, source, data);
            self.drain(now);
        }
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

/// A server that answers from the given addresses.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) addresses: Vec<ServerAddresses>,
    /// The secret of its questions, or of those it answers.
    pub(crate) key: Option<Key>,
    pub(crate) out: VecDeque<Datagram>,
}

/// The time since 1970 in the world; no second of it matters.
const UNIX: Duration = Duration::from_secs(1_800_000_000);

impl Server {
    pub(crate) fn new(addresses: Vec<ServerAddresses>) -> Self {
        Self {
            addresses,
            key: Some(key("a shared secret")),
            out: VecDeque::new(),
        }
    }

    fn send(&mut self, source: SocketAddr, destination: SocketAddr, data: Vec<u8>) {
        self.out.push_back(Datagram {
            source,
            destination,
            data,
        });
    }
}

impl App for Server {
    fn handle_datagram(&mut self, _now: Instant, from: SocketAddr, to: SocketAddr, data: &[u8]) {
        let message = Message::parse(data).unwrap();
        let mut bytes = Vec::new();
        if message.class() == Class::Indication {
            let keys: Vec<Key> = self.key.clone().into_iter().collect();
            let question = Question::read(&message, &keys, UNIX).unwrap();
            question.answer(to, &mut bytes).unwrap();
            return self.send(to, question.client(), bytes);
        }
        match answer(&message, to, from, &self.addresses, &mut bytes).unwrap() {
            Action::Respond { from, to } => self.send(from, to, bytes),
            Action::AskHelper {
                from,
                helper,
                question,
            } => {
                let key = self.key.clone().unwrap();
                question.write(&key, UNIX, &mut bytes).unwrap();
                self.send(from, helper, bytes);
            }
        }
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.out.pop_front()
    }
}

pub(crate) fn server_address(ip: &str) -> ServerAddress {
    let ip = ip.parse().unwrap();
    ServerAddress {
        local: ip,
        advertised: ip,
    }
}

/// A way from a client to the servers.
pub(crate) struct Way {
    pub(crate) world: World,
    pub(crate) client: HostId,
}

/// What a way is made of.
pub(crate) struct Setup<'a> {
    pub(crate) servers: Vec<(&'a [&'a str], Server)>,
    /// From the client outwards; none for a client on the internet.
    pub(crate) nats: Vec<NatConfig>,
    /// What the client's own network is like.
    pub(crate) link: Link,
    pub(crate) config: DiscoveryConfig,
    pub(crate) seed: u64,
}

impl Way {
    pub(crate) fn new(setup: Setup<'_>) -> Self {
        let mut world = World::new(epoch(), setup.seed);
        world.record(false);
        let internet = world.network("internet", Link::latency(Duration::from_millis(15)));
        for (addresses, server) in setup.servers {
            let mut addresses = addresses.iter().map(|ip| ip.parse().unwrap());
            let host = world.host("server", internet, addresses.next().unwrap(), server);
            for address in addresses {
                world.add_interface(host, internet, address);
            }
        }
        let mut network = internet;
        for (level, config) in setup.nats.into_iter().enumerate().rev() {
            let prefix = format!("10.0.{level}.0/24").parse().unwrap();
            network = world.nat("nat", network, prefix, config).inside;
        }
        let local: IpAddr = if network == internet {
            "203.0.113.200".parse().unwrap()
        } else {
            "10.0.0.20".parse().unwrap()
        };
        let seed = u8::try_from(setup.seed % 251).unwrap();
        let client = Client::new(world.now(), local, setup.config, seed);
        let client = world.host("client", network, local, client);
        for interface in world.interfaces_of(client).collect::<Vec<_>>() {
            world.set_link(interface, setup.link.clone(), setup.link.clone());
        }
        Self { world, client }
    }

    /// Lets the discovery end, and returns what it found.
    pub(crate) fn discover(mut self) -> Report {
        let client = self.client;
        let ended = self
            .world
            .run_until_true(Duration::from_secs(900), |world| {
                world.app::<Client>(client).unwrap().done
            });
        assert!(ended, "a discovery ends");
        self.world.app::<Client>(client).unwrap().report()
    }
}

pub(crate) fn config() -> DiscoveryConfig {
    DiscoveryConfig::new(vec![SERVER.parse().unwrap()])
}
