//! What an agent has seen, in the terms of [W3C's statistics].
//!
//! [W3C's statistics]: https://www.w3.org/TR/webrtc-stats/

use std::net::SocketAddr;
use std::time::Duration;

use super::pair::Nominated;
use super::session::Session;
use super::{Agent, PairCounters, PairState, Role, State};
use crate::candidate::{CandidateAddress, CandidateKind, CandidateTransport};

/// A picture of an agent at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// `iceRole`.
    pub role: Role,
    /// `iceState`.
    pub state: State,
    /// `iceLocalUsernameFragment`.
    pub local_ufrag: String,
    /// Our candidates.
    pub local_candidates: Vec<CandidateStats>,
    /// The other side's candidates.
    pub remote_candidates: Vec<CandidateStats>,
    /// The pairs of the current generation.
    pub pairs: Vec<PairStats>,
    /// `selectedCandidatePairId`: the place of the selected pair in [`Stats::pairs`].
    pub selected_pair: Option<usize>,
}

/// `RTCIceCandidateStats`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateStats {
    /// Its number on its side.
    pub id: u32,
    /// `candidateType`.
    pub kind: CandidateKind,
    /// `protocol` and `tcpType`.
    pub transport: CandidateTransport,
    /// `address` and `port`; `None` where signaling has not shown it: of a peer-reflexive remote
    /// candidate, which may be one that the other side hides behind an mDNS name.
    pub address: Option<CandidateAddress>,
    /// `relatedAddress` and `relatedPort`.
    pub related: Option<SocketAddr>,
    /// `priority`.
    pub priority: u32,
    /// `foundation`.
    pub foundation: String,
}

/// `RTCIceCandidatePairStats`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairStats {
    /// `localCandidateId`.
    pub local: u32,
    /// `remoteCandidateId`.
    pub remote: u32,
    /// `state`.
    pub state: PairState,
    /// `nominated`.
    pub nominated: bool,
    /// The pair's priority.
    pub priority: u64,
    /// `currentRoundTripTime`, smoothed.
    pub rtt: Option<Duration>,
    /// What was sent and came.
    pub counters: PairCounters,
}

impl Agent {
    /// Returns a picture of the agent.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let session = &self.session;
        let is_selected = |pair: &super::pair::Pair| Some(pair.id) == session.selected;
        Stats {
            role: self.context.role,
            state: self.state,
            local_ufrag: session.local.credentials.ufrag().to_owned(),
            local_candidates: self.local_stats(),
            remote_candidates: session.remote_stats(),
            pairs: session.pair_stats(),
            selected_pair: session.pairs.iter().position(is_selected),
        }
    }

    fn local_stats(&self) -> Vec<CandidateStats> {
        let locals = self.context.locals.iter();
        let of_local = |local: &super::local::Local| CandidateStats {
            id: local.id.0,
            kind: local.candidate.kind,
            transport: local.candidate.transport,
            address: Some(local.candidate.address.clone()),
            related: local.candidate.related,
            priority: local.candidate.priority,
            foundation: local.candidate.foundation.to_string(),
        };
        locals.map(of_local).collect()
    }
}

impl Session {
    fn remote_stats(&self) -> Vec<CandidateStats> {
        let of_remote = |remote: &super::remote::Remote| CandidateStats {
            id: remote.id.0,
            kind: remote.candidate.kind,
            transport: remote.candidate.transport,
            address: remote
                .is_signaled()
                .then(|| remote.candidate.address.clone()),
            related: remote.candidate.related,
            priority: remote.candidate.priority,
            foundation: remote.candidate.foundation.to_string(),
        };
        self.remotes.iter().map(of_remote).collect()
    }

    fn pair_stats(&self) -> Vec<PairStats> {
        let of_pair = |pair: &super::pair::Pair| PairStats {
            local: pair.mapped.unwrap_or(pair.local).0,
            remote: pair.remote.0,
            state: pair.state,
            nominated: matches!(pair.nomination, Nominated::Yes(_)),
            priority: pair.priority,
            rtt: pair.rtt,
            counters: pair.counters,
        };
        self.pairs.iter().map(of_pair).collect()
    }
}
