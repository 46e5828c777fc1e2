//! The agent of webrtc-rs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use jackfield_internet::Datagram;
use rtc_ice::agent::{Agent, agent_config::AgentConfig};
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::candidate::candidate_relay::CandidateRelayConfig;
use rtc_ice::candidate::candidate_server_reflexive::CandidateServerReflexiveConfig;
use rtc_ice::candidate::{CandidateConfig, unmarshal_candidate};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;

use super::{Contender, Local};

/// `rtc_ice::agent::Agent`.
pub struct Rtc {
    agent: Agent,
    is_controlling: bool,
}

impl Rtc {
    /// Returns an agent; a fast one checks every 50 ms and nominates any candidate at once.
    pub fn new(now: Instant, controlling: bool, fast: bool) -> Self {
        let mut config = AgentConfig {
            is_controlling: controlling,
            ..AgentConfig::default()
        };
        if fast {
            let none = Some(Duration::ZERO);
            config.check_interval = Duration::from_millis(50);
            // Seven would end a pair after 350 ms.
            config.max_binding_requests = Some(60);
            config.host_acceptance_min_wait = none;
            config.srflx_acceptance_min_wait = none;
            config.prflx_acceptance_min_wait = none;
            config.relay_acceptance_min_wait = none;
        }
        let provider = rtc_ice::crypto::default_provider().expect("ring is compiled in");
        let agent = Agent::new(now, Arc::new(config), provider).expect("a valid configuration");
        Self {
            agent,
            is_controlling: controlling,
        }
    }
}

impl std::fmt::Debug for Rtc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rtc").finish_non_exhaustive()
    }
}

impl Contender for Rtc {
    fn credentials(&self) -> (String, String) {
        let credentials = self.agent.get_local_credentials();
        (credentials.ufrag.clone(), credentials.pwd.clone())
    }

    fn add_local(&mut self, _now: Instant, local: Local) {
        let base_config = |address: SocketAddr| CandidateConfig {
            network: "udp".to_owned(),
            address: address.ip().to_string(),
            port: address.port(),
            component: 1,
            ..CandidateConfig::default()
        };
        let candidate = match local {
            Local::Host(address) => CandidateHostConfig {
                base_config: base_config(address),
                ..CandidateHostConfig::default()
            }
            .new_candidate_host(),
            Local::Reflexive { address, base } => CandidateServerReflexiveConfig {
                base_config: base_config(address),
                rel_addr: base.ip().to_string(),
                rel_port: base.port(),
                url: None,
            }
            .new_candidate_server_reflexive(),
            // Its related address is the mapped one, as RFC 8839 has it: the agent takes whatever
            // comes to a related address for the candidate's, so that the base would be wrong.
            Local::Relayed {
                address, mapped, ..
            } => CandidateRelayConfig {
                base_config: base_config(address),
                rel_addr: mapped.ip().to_string(),
                rel_port: mapped.port(),
                url: None,
            }
            .new_candidate_relay(),
        };
        let candidate = candidate.expect("a valid address");
        let result = self.agent.add_local_candidate(candidate);
        result.expect("a valid candidate");
    }

    fn candidates(&mut self) -> Vec<String> {
        let candidates = self.agent.get_local_candidates().iter();
        candidates.map(|candidate| candidate.marshal()).collect()
    }

    fn set_remote(&mut self, now: Instant, ufrag: &str, password: &str) {
        let (ufrag, password) = (ufrag.to_owned(), password.to_owned());
        let result =
            self.agent
                .start_connectivity_checks(now, self.is_controlling, ufrag, password);
        result.expect("an agent made them");
    }

    fn add_remote(&mut self, _now: Instant, candidate: &str) {
        let candidate = unmarshal_candidate(candidate).expect("an agent wrote it");
        let result = self.agent.add_remote_candidate(candidate);
        result.expect("an agent wrote it");
    }

    fn end_of_remotes(&mut self, _now: Instant) {}

    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let transport = TransportContext {
            local_addr: local,
            peer_addr: remote,
            transport_protocol: TransportProtocol::UDP,
            ecn: None,
        };
        if rtc_stun::message::is_stun_message(bytes) {
            // What it does not accept is dropped, as its drivers do.
            let _dropped = self.agent.handle_read(TransportMessage {
                now,
                transport,
                message: BytesMut::from(bytes),
            });
            return false;
        }
        self.agent.is_valid_non_stun_traffic(now, transport)
    }

    fn handle_timeout(&mut self, now: Instant) {
        let result = self.agent.handle_timeout(now);
        result.expect("it has no reason to fail");
    }

    fn poll(&mut self, _now: Instant, out: &mut Vec<Datagram>) -> Option<Instant> {
        while let Some(transmit) = self.agent.poll_write() {
            out.push(Datagram {
                source: transmit.transport.local_addr,
                destination: transmit.transport.peer_addr,
                data: transmit.message.to_vec(),
            });
        }
        while self.agent.poll_event().is_some() {}
        self.agent.poll_timeout()
    }

    fn send(&mut self, _now: Instant, payload: &[u8]) -> Option<Datagram> {
        let (local, remote) = self.agent.get_selected_candidate_pair()?;
        Some(Datagram {
            source: local.base_addr(),
            destination: remote.addr(),
            data: payload.to_vec(),
        })
    }
}
