//! str0m's agent.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};
use jackfield_internet::Datagram;

use super::{Contender, Local};

/// `is::IceAgent`, driven as str0m drives it: each datagram is followed by a call of its timeout.
pub struct Is {
    agent: IceAgent,
    candidates: Vec<String>,
    discovered: BTreeSet<SocketAddr>,
    nominated: Option<(SocketAddr, SocketAddr)>,
}

impl Is {
    /// Returns an agent; a fast one has the least Ta that RFC 8445 allows, our RTO, and room for
    /// all pairs.
    pub fn new(controlling: bool, fast: bool) -> Self {
        let mut agent = IceAgent::new(IceCreds::new());
        agent.set_controlling(controlling);
        if fast {
            agent.set_timing_advance(Duration::from_millis(5));
            agent.set_initial_stun_rto(Duration::from_millis(100));
            // With the default of 100 it forgets the only pair that works among 400.
            agent.set_max_candidate_pairs(1_000);
        }
        Self {
            agent,
            candidates: Vec::new(),
            discovered: BTreeSet::new(),
            nominated: None,
        }
    }
}

impl std::fmt::Debug for Is {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Is").finish_non_exhaustive()
    }
}

impl Contender for Is {
    fn credentials(&self) -> (String, String) {
        let credentials = self.agent.local_credentials();
        (credentials.ufrag.clone(), credentials.pass.clone())
    }

    fn add_local(&mut self, _now: Instant, local: Local) {
        let candidate = match local {
            Local::Host(address) => Candidate::host(address, "udp"),
            Local::Reflexive { address, base } => Candidate::server_reflexive(address, base, "udp"),
            Local::Relayed { address, base, .. } => Candidate::relayed(address, base, "udp"),
        };
        let candidate = candidate.expect("a valid address");
        if let Some(candidate) = self.agent.add_local_candidate(candidate) {
            self.candidates.push(candidate.to_sdp_string());
        }
    }

    fn candidates(&mut self) -> Vec<String> {
        std::mem::take(&mut self.candidates)
    }

    fn set_remote(&mut self, now: Instant, ufrag: &str, password: &str) {
        self.agent.set_remote_credentials(IceCreds {
            ufrag: ufrag.to_owned(),
            pass: password.to_owned(),
        });
        self.agent.handle_timeout(now);
    }

    fn add_remote(&mut self, now: Instant, candidate: &str) {
        let candidate = Candidate::from_sdp_string(candidate).expect("an agent wrote it");
        self.agent.add_remote_candidate(candidate);
        let _ = now;
    }

    fn end_of_remotes(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let Ok(message) = StunMessage::parse(bytes) else {
            return self.discovered.contains(&remote);
        };
        let packet = StunPacket {
            proto: Protocol::Udp,
            source: remote,
            destination: local,
            message,
        };
        self.agent.handle_packet(now, packet);
        self.agent.handle_timeout(now);
        false
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }

    fn poll(&mut self, _now: Instant, out: &mut Vec<Datagram>) -> Option<Instant> {
        while let Some(transmit) = self.agent.poll_transmit() {
            out.push(Datagram {
                source: transmit.source,
                destination: transmit.destination,
                data: transmit.contents.into(),
            });
        }
        while let Some(event) = self.agent.poll_event() {
            match event {
                IceAgentEvent::DiscoveredRecv { source, .. } => {
                    self.discovered.insert(source);
                }
                IceAgentEvent::NominatedSend {
                    source,
                    destination,
                    ..
                } => self.nominated = Some((source, destination)),
                _ => {}
            }
        }
        self.agent.poll_timeout()
    }

    fn send(&mut self, _now: Instant, payload: &[u8]) -> Option<Datagram> {
        let (source, destination) = self.nominated?;
        Some(Datagram {
            source,
            destination,
            data: payload.to_vec(),
        })
    }
}
