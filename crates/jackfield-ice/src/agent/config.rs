//! How an agent behaves, and what it keeps at most.

use std::time::Duration;

use jackfield_sansio::Rate;

use super::{RemotePolicy, Role};
use crate::gather::GatherConfig;

/// How an agent behaves; the defaults are for an agent with a screen or a data channel behind it.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Who nominates. Default: controlling.
    pub role: Role,
    /// Whether the agent only answers checks (RFC 8445 §2.5): for servers with a public address.
    /// Default: no.
    pub lite: bool,
    /// The STUN and TURN servers, and how they are asked. Default: no servers.
    pub gather: GatherConfig,
    /// Which local candidates are used. Default: all.
    pub policy: CandidatePolicy,
    /// Which remote candidates are accepted.
    pub remote: RemotePolicy,
    /// Whether connections are opened to the other side's passive TCP candidates (RFC 6544).
    /// Default: yes.
    pub tcp_active: bool,
    /// Whether a listener also gives a simultaneous-open candidate (RFC 6544 §3). The driver then
    /// has to connect from the listener's port. Default: no.
    pub tcp_simultaneous_open: bool,
    /// How fast checks are sent.
    pub pacing: Pacing,
    /// How long things take.
    pub timing: Timing,
    /// Whether a selected pair is left for a better one by NOMINATION, if the other side says that
    /// it understands (`a=ice-options:renomination`). Default: yes.
    pub renomination: bool,
    /// What is kept at most.
    pub limits: Limits,
}

/// Which local candidates an agent uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CandidatePolicy {
    /// All of them.
    #[default]
    All,
    /// Relayed ones alone, so that the other side learns no address of ours.
    RelayOnly,
}

/// How fast checks are sent ([RFC 8445 §14]).
///
/// One pacer counts all checks that no message of the other side has triggered, repetitions
/// included, so that two of them are never less than [`Pacing::quick_interval`] apart. With the
/// defaults that is 5 ms, the least that RFC 8445 allows, and only for the first 20 checks; then it
/// is 20 ms. A hundred pairs, which 20 candidates a side are cut down to, are all checked
/// after 1.7 s instead of 5 s, and the most promising 20 after 100 ms.
///
/// The RFC's retransmission timer grows with the number of pairs so that every pair is checked
/// once before any is checked again; a lost packet on the best pair then costs seconds (§14.1 says
/// so itself). Here first checks and repetitions take turns, and a pair by which the other side was
/// heard goes before all: it works in one direction, so that its check was most likely lost, and it
/// is the one that the session waits for. It is repeated after 50 ms or two round trips, whichever
/// is more, and then after twice that and so on. The RFC's least RTO of 500 ms keeps agents from
/// repeating what is still under way; here that costs a pair whose round trip is not known yet two
/// packets of 100 bytes at most more than the RFC, as 50 ms, 150 ms and 350 ms are passed before
/// 500 ms.
///
/// The sum stays the RFC's: a pair is checked [`Pacing::transmissions`] times, as with Rc = 7, so
/// a hundred pairs cost at most 700 packets. libwebrtc, which checks some pair every 48 ms, sends
/// 822 in the 39.5 s of RFC 8863.
///
/// §14.2 has both sides use the slower proposal and takes silence for 50 ms. We slow down for a
/// proposal (`a=ice-pacing`) and not for silence, as no implementation in use sends one: at 20 ms
/// the checks take 46 to 64 kbit/s (appendix C), less than one call with G.711 does in each
/// direction. [`Pacing::RFC_8445`] is the letter of the RFC.
///
/// §14.2 also wants 5 ms between the transactions of all agents of a program together. Here each
/// agent paces its own checks, and its gatherer its own requests.
///
/// [RFC 8445 §14]: https://www.rfc-editor.org/rfc/rfc8445#section-14
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// How many checks start quickly. Default: 20.
    pub quick_checks: u32,
    /// The time between these, at least 5 ms. Default: 5 ms.
    pub quick_interval: Duration,
    /// The time between later ones (Ta), at least 5 ms. Default: 20 ms.
    pub interval: Duration,
    /// The least time before a check is repeated. Default: 100 ms.
    pub min_rto: Duration,
    /// The least time before a check of a pair is repeated by which a check of the other side has
    /// come; such repetitions come before all others. It is never more than
    /// [`Pacing::min_rto`]. Default: 50 ms.
    pub min_rto_heard: Duration,
    /// The most; it doubles up to there. Default: 3 s.
    pub max_rto: Duration,
    /// How often a pair is checked before it is given up. Default: 7.
    pub transmissions: u8,
    /// How many checks messages of the other side may trigger; they go out at once. Default: 50 a
    /// second, 40 at once.
    pub triggered: Rate,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The mean time between consent checks; each is 0.8 to 1.2 times as long
    /// ([RFC 7675 §5.1]). At least 5 s, so that none is shorter than 4 s. Default: 5 s.
    ///
    /// [RFC 7675 §5.1]: https://www.rfc-editor.org/rfc/rfc7675#section-5.1
    pub consent_interval: Duration,
    /// How long consent lasts; 30 s by RFC 7675. Default: 30 s.
    pub consent_expiry: Duration,
    /// How often pairs in reserve are checked, so that NATs remember them. Default: 15 s.
    pub keepalive: Duration,
    /// How long no answer may come to anything before the selected pair is probed, while data is
    /// sent. Default: 1 s.
    pub silence: Duration,
    /// The least time that an answer is waited for before a probe is repeated; three times the
    /// round trip if that is longer. Default: 500 ms.
    pub probe_interval: Duration,
    /// How many probes in a row stay unanswered before a pair no longer counts as working.
    /// Default: 4.
    pub unanswered_probes: u32,
    /// How long after the loss of every pair [`Event::RestartNeeded`] comes. Default: 3 s.
    ///
    /// [`Event::RestartNeeded`]: crate::Event::RestartNeeded
    pub restart_after: Duration,
    /// How long the agent waits for a pair that works before it fails ([RFC 8863 §4]).
    /// Default: 39.5 s.
    ///
    /// [RFC 8863 §4]: https://www.rfc-editor.org/rfc/rfc8863#section-4
    pub patience: Duration,
    /// How long a selected pair is kept before one of the same kind with a higher priority
    /// replaces it. A direct path replaces a relay at once. Default: 250 ms.
    pub dampening: Duration,
    /// How long a TCP connection may take, and how long an accepted one may stay silent.
    /// Default: 10 s.
    pub connect_timeout: Duration,
}

/// What an agent keeps at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sockets, listeners, and addresses without a socket. Default: 32.
    pub sockets: usize,
    /// Local candidates, those that servers and peers discover included. Default: 64.
    pub local_candidates: usize,
    /// Remote candidates, peer-reflexive ones included. Default: 64.
    pub remote_candidates: usize,
    /// Candidate pairs; the least promising give way ([RFC 8445 §6.1.2.5]). Default: 100.
    ///
    /// [RFC 8445 §6.1.2.5]: https://www.rfc-editor.org/rfc/rfc8445#section-6.1.2.5
    pub pairs: usize,
    /// Pairs towards one remote address, whatever the port, so that the other side cannot aim our
    /// checks at one host. Default: 25.
    pub pairs_per_address: usize,
    /// Checks that come before the other side's parameters and are remembered. Default: 16.
    pub early_checks: usize,
    /// Bytes of datagrams that come before the other side's parameters, from where checks have come
    /// as well, and are kept for [`Event::EarlyData`](crate::Event::EarlyData). Default: 4,096.
    pub early_bytes: usize,
    /// Remote mDNS names that are looked up, in one ICE generation. Default: 8.
    pub names: usize,
    /// TCP connections, accepted ones included. Default: 16.
    pub connections: usize,
    /// Pairs in reserve that are kept working beside the selected one. Default: 2.
    pub reserves: usize,
}

impl Pacing {
    /// The values of RFC 8445: one check in 50 ms, repeated after 500 ms at the earliest.
    pub const RFC_8445: Self = Self {
        quick_checks: 0,
        quick_interval: Duration::from_millis(50),
        interval: Duration::from_millis(50),
        min_rto: Duration::from_millis(500),
        min_rto_heard: Duration::from_millis(500),
        max_rto: Duration::from_secs(8),
        transmissions: 7,
        triggered: Rate::new(20, 1),
    };
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            role: Role::Controlling,
            lite: false,
            gather: GatherConfig::default(),
            policy: CandidatePolicy::All,
            remote: RemotePolicy::default(),
            tcp_active: true,
            tcp_simultaneous_open: false,
            pacing: Pacing::default(),
            timing: Timing::default(),
            renomination: true,
            limits: Limits::default(),
        }
    }
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            quick_checks: 20,
            quick_interval: Duration::from_millis(5),
            interval: Duration::from_millis(20),
            min_rto: Duration::from_millis(100),
            min_rto_heard: Duration::from_millis(50),
            max_rto: Duration::from_secs(3),
            transmissions: 7,
            triggered: Rate::new(50, 40),
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            consent_interval: Duration::from_secs(5),
            consent_expiry: Duration::from_secs(30),
            keepalive: Duration::from_secs(15),
            silence: Duration::from_secs(1),
            probe_interval: Duration::from_millis(500),
            unanswered_probes: 4,
            restart_after: Duration::from_secs(3),
            patience: Duration::from_millis(39_500),
            dampening: Duration::from_millis(250),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sockets: 32,
            local_candidates: 64,
            remote_candidates: 64,
            pairs: 100,
            pairs_per_address: 25,
            early_checks: 16,
            early_bytes: 4_096,
            names: 8,
            connections: 16,
            reserves: 2,
        }
    }
}
