//! A host with an ICE agent, and what it needs: sockets, a STUN and TURN client, data to send.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_ice::gather::{Event, GatherConfig, Gatherer, Handled, IceServer, Output};
use jackfield_internet::{App, CloneApp, Datagram};
use jackfield_sansio::{FiveTuple, Transport};

use crate::agents::{Contender, Kind, Local, address_of};

/// What signaling carries from one side to the other.
#[derive(Debug, Clone)]
pub struct Signal {
    credentials: (String, String),
    /// Each as an SDP attribute's value, in the order in which they were gathered.
    pub candidates: Vec<String>,
}

/// What an agent has sent, application data left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    pub packets: u64,
    /// Bytes of IP packets.
    pub bytes: u64,
}

/// The program of a host.
#[derive(Debug)]
pub struct IceHost {
    agent: Box<dyn Contender>,
    /// The client of servers, for agents that have none: all of them are given the same.
    gatherer: Gatherer,
    gatherer_wait: Option<Instant>,
    agent_wait: Option<Instant>,
    outbox: VecDeque<Datagram>,
    /// Whether the other side's parameters have come.
    is_started: bool,
    next_data: Option<Instant>,
    /// When the first datagram of application data came.
    pub first_data: Option<Instant>,
    pub spent: Spent,
}

impl CloneApp for IceHost {
    fn clone_app(&self) -> Box<dyn App> {
        unreachable!("no world is cloned here")
    }
}

impl IceHost {
    /// Returns a host with an agent that has a host candidate for each of the sockets; the servers
    /// are asked from `main` alone, the one that leads to the internet.
    pub fn new(
        now: Instant,
        kind: Kind,
        controlling: bool,
        seed: [u8; 32],
        sockets: &[SocketAddr],
        main: SocketAddr,
        servers: GatherConfig,
    ) -> Self {
        let allocates = kind.allocates() && servers.servers.iter().any(IceServer::is_turn);
        let none = GatherConfig::default();
        let (its, ours) = if allocates {
            (servers, none)
        } else {
            (none, servers)
        };
        let mut agent = counted(|| kind.build(now, controlling, seed, its));
        for socket in sockets {
            counted(|| agent.add_local(now, Local::Host(*socket)));
        }
        counted(|| agent.end_of_sockets(now));
        let mut gatherer = Gatherer::new(ours, now, seed);
        gatherer.add_socket(now, main);
        gatherer.end_of_sockets(now);
        let mut host = Self {
            agent,
            gatherer,
            gatherer_wait: None,
            agent_wait: None,
            outbox: VecDeque::new(),
            is_started: false,
            next_data: None,
            first_data: None,
            spent: Spent::default(),
        };
        host.settle(now);
        host
    }

    /// Returns whether every server has answered or was given up.
    pub fn is_gathered(&self) -> bool {
        self.gatherer.is_complete() && self.agent.is_gathered()
    }

    /// Returns what the other side has to know.
    pub fn signal(&mut self) -> Signal {
        Signal {
            credentials: self.agent.credentials(),
            candidates: self.agent.candidates(),
        }
    }

    /// Takes the parameters of the other side; the count of packets starts here.
    pub fn hear(&mut self, now: Instant, signal: &Signal) {
        self.is_started = true;
        self.spent = Spent::default();
        let (ufrag, password) = &signal.credentials;
        counted(|| self.agent.set_remote(now, ufrag, password));
        self.settle(now);
    }

    /// Takes candidates of the other side, and whether they are the last ones.
    pub fn hear_candidates(&mut self, now: Instant, candidates: &[String], last: bool) {
        for candidate in candidates {
            if let Some(address) = address_of(candidate) {
                self.gatherer.permit(now, address.ip());
            }
            counted(|| self.agent.add_remote(now, candidate));
        }
        if last {
            counted(|| self.agent.end_of_remotes(now));
        }
        self.settle(now);
    }

    fn settle(&mut self, now: Instant) {
        self.drain_gatherer(now);
        let mut out = Vec::new();
        self.agent_wait = counted(|| self.agent.poll(now, &mut out));
        for datagram in out {
            self.post(now, datagram, false);
        }
        if self.is_started && self.next_data.is_none_or(|at| at <= now) {
            let payload = [0x80; DATA];
            if let Some(datagram) = counted(|| self.agent.send(now, &payload)) {
                self.next_data = Some(now + DATA_INTERVAL);
                self.post(now, datagram, true);
            }
        }
        self.drain_gatherer(now);
    }

    /// Sends a datagram of the agent, from a socket or by the relay.
    fn post(&mut self, now: Instant, datagram: Datagram, is_data: bool) {
        let relayed = datagram.source;
        if self.gatherer.path(relayed).is_none() {
            self.put(datagram, is_data);
            return;
        }
        let sent = self
            .gatherer
            .send(now, relayed, datagram.destination, &datagram.data);
        // A peer that the relay refuses is one that no check reaches.
        if let Ok(Some((path, outgoing))) = sent {
            let padding = vec![0; usize::from(outgoing.padding)];
            let data = [outgoing.header.as_bytes(), outgoing.payload, &padding].concat();
            let datagram = Datagram {
                source: path.local,
                destination: path.remote,
                data,
            };
            self.put(datagram, is_data);
        }
    }

    fn put(&mut self, datagram: Datagram, is_data: bool) {
        if !is_data {
            self.spent.packets += 1;
            self.spent.bytes += datagram.data.len() as u64 + HEADERS;
        }
        self.outbox.push_back(datagram);
    }

    fn drain_gatherer(&mut self, now: Instant) {
        loop {
            match self.gatherer.poll_output() {
                Output::Transmit(transmit) => self.put(
                    Datagram {
                        source: transmit.path.local,
                        destination: transmit.path.remote,
                        data: transmit.bytes,
                    },
                    false,
                ),
                Output::Event(Event::Reflexive { base, address, .. }) if base != address => {
                    counted(|| {
                        self.agent
                            .add_local(now, Local::Reflexive { address, base })
                    });
                }
                Output::Event(Event::Relayed {
                    address,
                    base,
                    mapped,
                    ..
                }) => {
                    let relayed = Local::Relayed {
                        address,
                        base,
                        mapped,
                    };
                    counted(|| self.agent.add_local(now, relayed));
                }
                Output::Wait(until) => {
                    self.gatherer_wait = until;
                    return;
                }
                _ => {}
            }
        }
    }

    fn receive(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let is_data = counted(|| self.agent.handle_datagram(now, local, remote, bytes));
        if is_data {
            self.first_data.get_or_insert(now);
        }
    }
}

impl App for IceHost {
    fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        data: &[u8],
    ) {
        let path = FiveTuple {
            transport: Transport::Udp,
            local: destination,
            remote: source,
        };
        match self.gatherer.handle_datagram(now, path, data) {
            Handled::NotOurs => self.receive(now, destination, source, data),
            Handled::Consumed => {}
            Handled::Data {
                relayed,
                peer,
                data,
            } => {
                let data = data.to_vec();
                self.receive(now, relayed, peer, &data);
            }
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.gatherer.handle_timeout(now);
        if self.agent_wait.is_some_and(|at| at <= now) {
            counted(|| self.agent.handle_timeout(now));
        }
        self.settle(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        let waits = [self.gatherer_wait, self.agent_wait, self.next_data];
        waits.into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }
}

/// Calls an agent. Valgrind counts the instructions in here, so that it is never inlined.
#[inline(never)]
pub fn counted<R>(call: impl FnOnce() -> R) -> R {
    call()
}

/// The bytes of IPv4 and UDP.
const HEADERS: u64 = 28;
/// The bytes of a datagram of application data.
const DATA: usize = 36;
/// Until data arrives it is sent again, as audio is.
const DATA_INTERVAL: Duration = Duration::from_millis(20);
