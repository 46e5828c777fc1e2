//! Our agent.

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_ice::gather::GatherConfig;
use jackfield_ice::{
    Agent, AgentConfig, Candidate, Credentials, Event, IceParameters, Output, Role,
};
use jackfield_internet::Datagram;
use jackfield_sansio::{FiveTuple, Transport};

use super::{Contender, Local};

/// Our agent, as it is by default.
#[derive(Debug)]
pub struct Jackfield {
    agent: Agent,
    candidates: Vec<String>,
    outbox: Vec<Datagram>,
    deadline: Option<Instant>,
    /// Whether it has a server to ask, and that one's answer is still to come.
    is_asking: bool,
}

impl Jackfield {
    /// Returns an agent. It makes no TCP candidates, as the others make none.
    pub fn new(now: Instant, controlling: bool, seed: [u8; 32], servers: GatherConfig) -> Self {
        let is_asking = !servers.servers.is_empty();
        let config = AgentConfig {
            gather: GatherConfig {
                servers: servers.servers,
                ..AgentConfig::default().gather
            },
            role: if controlling {
                Role::Controlling
            } else {
                Role::Controlled
            },
            tcp_active: false,
            ..AgentConfig::default()
        };
        Self {
            agent: Agent::new(config, now, seed),
            candidates: Vec::new(),
            outbox: Vec::new(),
            deadline: None,
            is_asking,
        }
    }

    fn drain(&mut self) {
        loop {
            match self.agent.poll_output() {
                Output::Transmit(transmit) => self.outbox.push(Datagram {
                    source: transmit.path.local,
                    destination: transmit.path.remote,
                    data: transmit.bytes,
                }),
                Output::Event(Event::LocalCandidate(candidate)) => {
                    self.candidates.push(candidate.to_string());
                }
                Output::Event(Event::GatheringComplete) => self.is_asking = false,
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    return;
                }
                _ => {}
            }
        }
    }
}

impl Contender for Jackfield {
    fn end_of_sockets(&mut self, now: Instant) {
        // Without a server of its own, more addresses come from outside.
        if self.is_asking {
            self.agent.end_of_sockets(now);
            self.drain();
        }
    }

    fn is_gathered(&self) -> bool {
        !self.is_asking
    }

    fn credentials(&self) -> (String, String) {
        let credentials = &self.agent.local_parameters().credentials;
        (credentials.ufrag().into(), credentials.password().into())
    }

    fn add_local(&mut self, now: Instant, local: Local) {
        match local {
            Local::Host(address) => self.agent.add_socket(now, address),
            Local::Reflexive { address, base } => self.agent.add_mapped_address(now, base, address),
            Local::Relayed { .. } => unreachable!("it asks servers itself"),
        }
        self.drain();
    }

    fn candidates(&mut self) -> Vec<String> {
        std::mem::take(&mut self.candidates)
    }

    fn set_remote(&mut self, now: Instant, ufrag: &str, password: &str) {
        self.agent.end_of_sockets(now);
        let credentials = Credentials::new(ufrag, password).expect("an agent made them");
        let parameters = IceParameters::new(credentials);
        let result = self.agent.set_remote_parameters(now, parameters);
        result.expect("an agent made them");
    }

    fn add_remote(&mut self, now: Instant, candidate: &str) {
        let candidate: Candidate = candidate.parse().expect("an agent wrote it");
        // One that the policy or a limit refuses is refused in real use, too.
        let _refused = self.agent.add_remote_candidate(now, candidate);
    }

    fn end_of_remotes(&mut self, now: Instant) {
        self.agent.end_of_remote_candidates(now);
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let path = FiveTuple {
            transport: Transport::Udp,
            local,
            remote,
        };
        self.agent.handle_datagram(now, path, bytes).is_some()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }

    fn poll(&mut self, _now: Instant, out: &mut Vec<Datagram>) -> Option<Instant> {
        self.drain();
        out.extend(std::mem::take(&mut self.outbox));
        self.deadline
    }

    fn send(&mut self, now: Instant, payload: &[u8]) -> Option<Datagram> {
        let outgoing = self.agent.send(now, payload).ok()?;
        let header = outgoing.header.as_ref().map(|it| it.as_bytes().to_vec());
        let padding = vec![0; usize::from(outgoing.padding)];
        Some(Datagram {
            source: outgoing.path.local,
            destination: outgoing.path.remote,
            data: [&header.unwrap_or_default()[..], outgoing.payload, &padding].concat(),
        })
    }
}
