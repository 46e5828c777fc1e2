//! One agent that strangers send to, and two agents whose packets are lost, repeated and forged.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_ice::{Agent, AgentConfig, Candidate, Event, Output, Role};
use jackfield_sansio::{FiveTuple, Transport};
use jackfield_testing::epoch;

/// Gives an agent without the other side's parameters packets of strangers: it sends nothing at
/// all, whatever comes, and passes nothing on.
pub fn bytes(data: &[u8]) {
    let mut now = epoch();
    let mut agent = Agent::new(AgentConfig::default(), now, [1; 32]);
    agent.add_socket(now, socket(1));
    agent.add_listener(now, socket(2));
    let mut rest = data;
    while let Some((&[step, length], tail)) = rest.split_first_chunk::<2>() {
        let (packet, tail) = tail.split_at(usize::from(length).min(tail.len()));
        rest = tail;
        let transport = if step & 1 == 0 {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        let path = FiveTuple {
            transport,
            local: socket(1 + u16::from(step & 1)),
            remote: socket(100 + u16::from(step >> 4)),
        };
        match step & 0b1110 {
            0 => agent.handle_accepted(now, path),
            2 => agent.handle_closed(now, path),
            4 => {
                now += Duration::from_millis(u64::from(length) * 50);
                agent.handle_timeout(now);
            }
            6 => {
                let text = str::from_utf8(packet).unwrap_or_default();
                if let Ok(candidate) = text.parse::<Candidate>() {
                    let _ = agent.add_remote_candidate(now, candidate);
                }
            }
            _ => assert_eq!(agent.handle_datagram(now, path, packet), None),
        }
        loop {
            match agent.poll_output() {
                Output::Transmit(transmit) => panic!("{transmit:?} to a stranger"),
                Output::Wait(_) => break,
                Output::Connect { .. }
                | Output::Close(_)
                | Output::Resolve(_)
                | Output::Event(_) => {}
            }
        }
        agent.check();
    }
}

/// Lets bytes choose what happens to two agents and to the packets between them. Whatever it is, no
/// table grows past its limit, and what one application sent is all that the other one gets.
pub fn scenario(data: &[u8]) {
    let mut world = World::new();
    for step in data.iter().take(400) {
        world.step(*step);
        world.agents.iter().for_each(Agent::check);
    }
    // Without further disturbance, time goes on and ends.
    for _ in 0..200 {
        world.advance(Duration::from_millis(500));
        world.agents.iter().for_each(Agent::check);
    }
}

struct World {
    now: Instant,
    agents: [Agent; 2],
    /// Packets on their way, and to which agent.
    wire: VecDeque<(usize, FiveTuple, Vec<u8>)>,
    /// Candidates on their way.
    signals: VecDeque<(usize, Candidate)>,
    sockets: u16,
}

impl World {
    fn new() -> Self {
        let now = epoch();
        let agent = |role, seed| {
            let config = AgentConfig {
                role,
                ..AgentConfig::default()
            };
            Agent::new(config, now, [seed; 32])
        };
        Self {
            now,
            agents: [agent(Role::Controlling, 1), agent(Role::Controlled, 2)],
            wire: VecDeque::new(),
            signals: VecDeque::new(),
            sockets: 0,
        }
    }

    fn step(&mut self, step: u8) {
        let who = usize::from(step & 1);
        match step >> 1 & 0x1F {
            0..=7 => self.deliver(),
            8 => {
                self.wire.pop_front();
            }
            9 => self.repeat(),
            10 => self.wire.rotate_left(usize::from(!self.wire.is_empty())),
            11 => self.forge(step),
            12 => self.signal(),
            13 => self.exchange(who),
            14 => self.with(who, Agent::restart),
            15 => self.add_socket(who),
            16 => {
                let socket = socket_of(who, u16::from(step >> 6));
                self.with(who, |agent, now| agent.remove_socket(now, socket));
            }
            17 => self.with(who, Agent::end_of_sockets),
            18 => self.with(who, Agent::end_of_remote_candidates),
            19 => self.send(who),
            20 => self.with(who, |agent, now| {
                agent.add_listener(now, socket_of(who, 60));
            }),
            21 if step >> 6 == 3 => self.with(who, Agent::close),
            22..=26 => self.advance(Duration::from_millis(10)),
            27..=29 => self.advance(Duration::from_millis(700)),
            _ => self.advance(Duration::from_secs(12)),
        }
    }

    fn with(&mut self, who: usize, input: impl FnOnce(&mut Agent, Instant)) {
        let now = self.now;
        if let Some(agent) = self.agents.get_mut(who) {
            input(agent, now);
        }
        self.drain(who);
    }

    fn add_socket(&mut self, who: usize) {
        self.sockets += 1;
        let socket = socket_of(who, self.sockets % 4);
        self.with(who, |agent, now| agent.add_socket(now, socket));
    }

    fn advance(&mut self, time: Duration) {
        self.now += time;
        for who in [0, 1] {
            self.with(who, Agent::handle_timeout);
        }
    }

    fn deliver(&mut self) {
        let Some((who, path, bytes)) = self.wire.pop_front() else {
            return;
        };
        let now = self.now;
        if let Some(agent) = self.agents.get_mut(who)
            && let Some(data) = agent.handle_datagram(now, path, &bytes)
        {
            assert_eq!(data, DATA, "nothing but the other application's data");
        }
        self.drain(who);
    }

    fn repeat(&mut self) {
        if let Some(packet) = self.wire.front().cloned() {
            self.wire.push_back(packet);
        }
    }

    /// Changes a bit of a packet, or sends it from another address.
    fn forge(&mut self, step: u8) {
        let Some((who, mut path, mut bytes)) = self.wire.front().cloned() else {
            return;
        };
        match step >> 6 {
            0 => path.remote = socket(999),
            bit => {
                // Past the header, without which it would be data that somebody has changed.
                let at = 20 + usize::from(step) * 7 % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at).filter(|_| !is_data(&self.wire)) {
                    *byte ^= 1 << bit;
                }
            }
        }
        self.wire.push_front((who, path, bytes));
        self.deliver();
    }

    fn signal(&mut self) {
        let Some((who, candidate)) = self.signals.pop_front() else {
            return;
        };
        self.with(who, |agent, now| {
            let _ = agent.add_remote_candidate(now, candidate);
        });
    }

    /// Gives an agent the other's parameters.
    fn exchange(&mut self, who: usize) {
        let theirs = self
            .agents
            .get(1 - who)
            .map(|agent| agent.local_parameters().clone());
        self.with(who, |agent, now| {
            if let Some(theirs) = theirs {
                let _ = agent.set_remote_parameters(now, theirs);
            }
        });
    }

    fn send(&mut self, who: usize) {
        let now = self.now;
        let sent = self
            .agents
            .get_mut(who)
            .and_then(|agent| agent.send(now, DATA).ok());
        if let Some(sent) = sent {
            self.wire
                .push_back((1 - who, turned(sent.path), DATA.to_vec()));
        }
        self.drain(who);
    }

    fn drain(&mut self, who: usize) {
        let Some(agent) = self.agents.get_mut(who) else {
            return;
        };
        loop {
            match agent.poll_output() {
                Output::Transmit(transmit) => {
                    let packet = (1 - who, turned(transmit.path), transmit.bytes);
                    self.wire.push_back(packet);
                }
                Output::Connect { id, .. } => agent.handle_connect_failed(self.now, id),
                Output::Event(Event::LocalCandidate(candidate)) => {
                    self.signals.push_back((1 - who, candidate));
                }
                Output::Close(_) | Output::Resolve(_) | Output::Event(_) => {}
                Output::Wait(_) => return,
            }
        }
    }
}

fn is_data(wire: &VecDeque<(usize, FiveTuple, Vec<u8>)>) -> bool {
    wire.front().is_some_and(|(_, _, bytes)| bytes == DATA)
}

fn turned(path: FiveTuple) -> FiveTuple {
    FiveTuple {
        local: path.remote,
        remote: path.local,
        ..path
    }
}

fn socket(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(192, 0, 2, 1).into(), port)
}

fn socket_of(who: usize, port: u16) -> SocketAddr {
    let last = if who == 0 { 1 } else { 2 };
    SocketAddr::new(Ipv4Addr::new(198, 51, 100, last).into(), 1_000 + port)
}

const DATA: &[u8] = b"\x17 a DTLS record";
