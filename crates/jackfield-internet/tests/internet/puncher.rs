//! A program that punches holes as ICE does, with nothing but what matters to NATs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_internet::{App, Datagram};
use jackfield_nat::Prefix;

/// A host that learns its reflexive endpoint, receives that of its peer, and checks every endpoint
/// that it knows.
///
/// On a network of IPv6 alone it knows IPv4 endpoints by their names under the well-known prefix.
#[derive(Debug, Clone)]
pub(crate) struct Puncher {
    server: SocketAddr,
    local: SocketAddr,
    pub(crate) reflexive: Option<SocketAddr>,
    known: BTreeSet<SocketAddr>,
    /// Where each check was sent.
    checks: BTreeMap<u64, SocketAddr>,
    next_check: u64,
    due: Instant,
    /// The remote end of the first pair that answered from where it was asked.
    pub(crate) found: Option<SocketAddr>,
    outbox: VecDeque<Datagram>,
}

impl Puncher {
    pub(crate) fn new(now: Instant, local: SocketAddr, server: SocketAddr) -> Self {
        Self {
            server,
            local,
            reflexive: None,
            known: BTreeSet::new(),
            checks: BTreeMap::new(),
            next_check: 0,
            due: now,
            found: None,
            outbox: VecDeque::new(),
        }
    }

    /// Takes an endpoint of the peer from signaling or from a check that came from there.
    pub(crate) fn learn(&mut self, now: Instant, peer: SocketAddr) {
        if self.known.len() < MOST_ENDPOINTS && self.known.insert(peer) {
            self.check(peer);
            self.due = now + PACE;
        }
    }

    fn check(&mut self, to: SocketAddr) {
        let id = self.next_check;
        self.next_check += 1;
        self.checks.insert(id, to);
        self.post(to, [&[CHECK], &id.to_be_bytes()[..]].concat());
    }

    fn post(&mut self, destination: SocketAddr, data: Vec<u8>) {
        let destination = match (self.local, destination.ip()) {
            (SocketAddr::V6(_), IpAddr::V4(ip)) => {
                let ip = Prefix::WELL_KNOWN_64.embed(ip).unwrap();
                SocketAddr::new(ip.into(), destination.port())
            }
            _ => destination,
        };
        self.outbox.push_back(Datagram {
            source: self.local,
            destination,
            data,
        });
    }
}

impl App for Puncher {
    fn handle_datagram(&mut self, now: Instant, from: SocketAddr, _to: SocketAddr, data: &[u8]) {
        let from = match from.ip() {
            IpAddr::V6(ip) => {
                let ip = Prefix::WELL_KNOWN_64.extract(ip).unwrap();
                SocketAddr::new(ip.into(), from.port())
            }
            IpAddr::V4(_) => from,
        };
        let id = || u64::from_be_bytes(data[1..9].try_into().unwrap());
        match data[0] {
            REFLEXIVE => {
                let text = std::str::from_utf8(&data[1..]).unwrap();
                self.reflexive = Some(text.parse().unwrap());
            }
            CHECK => {
                let mut answer = data.to_vec();
                answer[0] = ANSWER;
                self.post(from, answer);
                self.learn(now, from);
            }
            ANSWER if self.checks.get(&id()) == Some(&from) => {
                self.found.get_or_insert(from);
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.reflexive.is_none() {
            self.post(self.server, vec![WHO_AM_I]);
        }
        for peer in self.known.clone() {
            self.check(peer);
        }
        self.due = now + PACE;
    }

    fn next_timeout(&self) -> Option<Instant> {
        Some(self.due)
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }
}

/// A server that says where a packet came from, as STUN does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mirror {
    outbox: VecDeque<Datagram>,
}

impl App for Mirror {
    fn handle_datagram(&mut self, _now: Instant, from: SocketAddr, to: SocketAddr, data: &[u8]) {
        if data == [WHO_AM_I] {
            self.outbox.push_back(Datagram {
                source: to,
                destination: from,
                data: [&[REFLEXIVE], from.to_string().as_bytes()].concat(),
            });
        }
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }
}

const WHO_AM_I: u8 = 1;
const REFLEXIVE: u8 = 2;
const CHECK: u8 = 3;
const ANSWER: u8 = 4;
const PACE: Duration = Duration::from_millis(50);
const MOST_ENDPOINTS: usize = 12;
