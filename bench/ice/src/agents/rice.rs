//! librice's agent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_internet::Datagram;
use rice_proto::agent::{Agent, AgentPoll};
use rice_proto::candidate::{Candidate, CandidatePair, CandidateType};
use rice_proto::stream::Credentials;
use stun_proto::agent::Transmit;
use stun_proto::types::TransportType;

use super::{Contender, Local};

/// `rice_proto::agent::Agent` with one stream of one component.
#[derive(Debug)]
pub struct Rice {
    agent: Agent,
    stream: usize,
    component: usize,
    epoch: Instant,
    credentials: (String, String),
    locals: Vec<Candidate>,
    selected: Option<CandidatePair>,
}

impl Rice {
    /// Returns an agent; a fast one has the least Ta that RFC 8445 allows, and our RTO.
    pub fn new(now: Instant, controlling: bool, fast: bool) -> Self {
        let mut builder = Agent::builder().trickle_ice(true).controlling(controlling);
        if fast {
            builder = builder
                .timing_advance(Duration::from_millis(5))
                .set_request_retransmits(
                    Duration::from_millis(100),
                    Duration::from_secs(3),
                    7,
                    Duration::from_millis(1_600),
                );
        }
        let mut agent = builder.build();
        let stream = agent.add_stream();
        let credentials = if controlling {
            ("caller", "password-of-the-caller")
        } else {
            ("callee", "password-of-the-callee")
        };
        let credentials = (credentials.0.to_owned(), credentials.1.to_owned());
        let mut state = agent.mut_stream(stream).expect("just made");
        let component = state.add_component().expect("the first");
        state.set_local_credentials(of(&credentials));
        Self {
            agent,
            stream,
            component,
            epoch: now,
            credentials,
            locals: Vec::new(),
            selected: None,
        }
    }

    fn time(&self, now: Instant) -> stun_proto::Instant {
        let since = now.saturating_duration_since(self.epoch);
        stun_proto::Instant::from_nanos(since.as_nanos() as i64)
    }

    fn stream(&mut self) -> rice_proto::stream::StreamMut<'_> {
        self.agent.mut_stream(self.stream).expect("there is one")
    }
}

impl Contender for Rice {
    fn credentials(&self) -> (String, String) {
        self.credentials.clone()
    }

    fn add_local(&mut self, _now: Instant, local: Local) {
        let (kind, address, base) = match local {
            Local::Host(address) => (CandidateType::Host, address, address),
            Local::Reflexive { address, base } => (CandidateType::ServerReflexive, address, base),
            Local::Relayed { address, .. } => (CandidateType::Relayed, address, address),
        };
        // As rice's own gatherer numbers them: a later one has a lower local preference.
        let preference = self.locals.len() as u32;
        let priority = Candidate::calculate_priority(
            kind,
            TransportType::Udp,
            None,
            65_535 - preference,
            self.component,
        );
        let foundation = preference.to_string();
        let candidate = Candidate::builder(
            self.component,
            kind,
            TransportType::Udp,
            &foundation,
            address,
        )
        .priority(priority)
        .base_address(base)
        .build();
        if self.stream().add_local_candidate(candidate.clone()) {
            self.locals.push(candidate);
        }
    }

    fn candidates(&mut self) -> Vec<String> {
        let text = |candidate: &Candidate| candidate.to_sdp_string();
        self.locals.iter().map(text).collect()
    }

    fn set_remote(&mut self, _now: Instant, ufrag: &str, password: &str) {
        let credentials = Credentials::new(ufrag.to_owned(), password.to_owned());
        let mut stream = self.stream();
        stream.end_of_local_candidates();
        stream.set_remote_credentials(credentials);
    }

    fn add_remote(&mut self, _now: Instant, candidate: &str) {
        let candidate: Candidate = candidate.parse().expect("an agent wrote it");
        self.stream().add_remote_candidate(candidate);
    }

    fn end_of_remotes(&mut self, _now: Instant) {
        self.stream().end_of_remote_candidates();
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let now = self.time(now);
        let component = self.component;
        let transmit = Transmit::new(bytes, TransportType::Udp, remote, local);
        let mut stream = self.stream();
        let reply = stream.handle_incoming_data(component, transmit, now);
        let mut is_data = reply.data.is_some();
        if reply.have_more_data {
            while stream.poll_recv().is_some() {
                is_data = true;
            }
        }
        is_data
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll(&mut self, now: Instant, out: &mut Vec<Datagram>) -> Option<Instant> {
        let time = self.time(now);
        loop {
            let before = out.len();
            let wait = loop {
                match self.agent.poll(time) {
                    AgentPoll::WaitUntil(at) => break Some(at),
                    AgentPoll::Closed => break None,
                    AgentPoll::SelectedPair(pair) => {
                        self.selected = Some(pair.selected.candidate_pair().clone());
                    }
                    _ => {}
                }
            };
            while let Some(transmit) = self.agent.poll_transmit(time) {
                let transmit = transmit.transmit;
                out.push(Datagram {
                    source: transmit.from,
                    destination: transmit.to,
                    data: transmit.data.into_vec(),
                });
            }
            if out.len() == before {
                let wait = wait?.saturating_duration_since(stun_proto::Instant::ZERO);
                return Some(self.epoch + wait);
            }
        }
    }

    fn send(&mut self, _now: Instant, payload: &[u8]) -> Option<Datagram> {
        let pair = self.selected.as_ref()?;
        Some(Datagram {
            source: pair.local.base_address,
            destination: pair.remote.address,
            data: payload.to_vec(),
        })
    }
}

fn of((ufrag, password): &(String, String)) -> Credentials {
    Credentials::new(ufrag.clone(), password.clone())
}
