//! ICE ([RFC 8445]) without sockets, clocks or tasks.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use jackfield_ice::{Agent, AgentConfig, Event, Output, Role};
//! use jackfield_sansio::FiveTuple;
//!
//! let mut now = Instant::now();
//! let config = |role| AgentConfig { role, ..AgentConfig::default() };
//! let agent = |role, seed| Agent::new(config(role), now, [seed; 32]);
//! let mut agents = [agent(Role::Controlling, 1), agent(Role::Controlled, 2)];
//!
//! // What the driver of each has: one UDP socket.
//! agents[0].add_socket(now, "192.0.2.1:1000".parse().unwrap());
//! agents[1].add_socket(now, "198.51.100.1:2000".parse().unwrap());
//!
//! // Signaling carries the parameters of each to the other, and later its candidates.
//! let parameters = agents.each_ref().map(|agent| agent.local_parameters().clone());
//! agents[0].set_remote_parameters(now, parameters[1].clone()).unwrap();
//! agents[1].set_remote_parameters(now, parameters[0].clone()).unwrap();
//!
//! while !agents.iter().all(|agent| agent.state().is_connected()) {
//!     now += Duration::from_millis(5);
//!     for index in [0, 1] {
//!         agents[index].handle_timeout(now);
//!         loop {
//!             match agents[index].poll_output() {
//!                 Output::Transmit(packet) => {
//!                     // The network turns the path around.
//!                     let path = FiveTuple {
//!                         local: packet.path.remote,
//!                         remote: packet.path.local,
//!                         ..packet.path
//!                     };
//!                     agents[1 - index].handle_datagram(now, path, &packet.bytes);
//!                 }
//!                 Output::Event(Event::LocalCandidate(candidate)) => {
//!                     agents[1 - index].add_remote_candidate(now, candidate).unwrap();
//!                 }
//!                 Output::Wait(_) => break,
//!                 _ => {}
//!             }
//!         }
//!     }
//! }
//! let outgoing = agents[0].send(now, b"hello").unwrap();
//! assert_eq!(outgoing.path.remote.to_string(), "198.51.100.1:2000");
//! ```
//!
//! # Standards
//! - [x] [RFC 8445] one component, full and lite; [RFC 8838] trickle; restarts; role conflicts
//! - [x] [RFC 7675] consent, [RFC 8863] patience
//! - [x] [RFC 6544] TCP: active, passive, simultaneous-open
//! - [x] draft-thatcher-ice-renomination
//! - [x] [RFC 8839] candidates and parameters in SDP ([`candidate`], [`sdp`])
//! - [x] [RFC 8445 §5.1.1.3] foundations, [RFC 8445 §5.1.2] priorities, with the rules of
//!   [RFC 6544] for TCP and of [RFC 8421] for two address families ([`candidate::priority`])
//! - [x] [RFC 8445 §5.1.1.2] server-reflexive and relayed candidates, over UDP, TCP and TLS, of
//!   both address families ([`gather`])
//! - [x] [RFC 4571] packets on a stream ([`framing`])
//! - [x] `.local` names (draft-ietf-mmusic-mdns-ice-candidates): theirs are looked up, and ours
//!   stand for addresses that are not to be shown ([`mdns`], [`Agent::show_name`])
//!
//! # Where we differ
//! - [RFC 8445] components: there is one, which is what BUNDLE and rtcp-mux leave.
//! - [RFC 8445 §6.1.2.6]: no pair is frozen; with one component that would only delay checks.
//! - [RFC 8445 §6.1.4.2]: pairs are checked in the order of their promise, not of their priority:
//!   addresses that are likely to reach each other come first.
//! - [RFC 8445 §7.1.1]: PRIORITY in checks through a relay says what the relay is worth, so that
//!   the other side does not take it for a direct path before the candidate arrives by signaling.
//! - [RFC 8445 §7.3.1.4]: triggered checks go out at once and not at the next Ta.
//! - [RFC 8445 §8.1.1]: a better pair is nominated after the first one, without a restart.
//! - [RFC 8445 §14]: Ta and RTO are smaller ([`Pacing`] has the reasons and the sum).
//! - [RFC 8489 §9.1.3]: a request without the right signature gets no answer.
//! - [RFC 7675 §5.1]: consent checks that were not answered are followed by probes before their
//!   next turn, so that a dead path is left after seconds.
//!   A pair that data has left for one that works has no consent to lose: when it is silent for
//!   30 s it counts as a pair that never worked, and is checked now and then.
//! - [RFC 8839 §5.1] wants candidates with domain names to be ignored. Those that end in `.local`
//!   are read, because browsers hide addresses behind them; others are an error.
//! - [RFC 8839 §5.4]: in what is read, a username fragment or a password may have the characters
//!   `-`, `=`, `#` and `_`, as in libwebrtc. What is written has none of them.
//! - [RFC 8839 §5.1] wants a foundation of at least one character. None at all is read, because
//!   some agents send that, and is a foundation of its own.
//!
//! [RFC 4571]: https://www.rfc-editor.org/rfc/rfc4571
//! [RFC 6544]: https://www.rfc-editor.org/rfc/rfc6544
//! [RFC 8421]: https://www.rfc-editor.org/rfc/rfc8421
//! [RFC 7675]: https://www.rfc-editor.org/rfc/rfc7675
//! [RFC 7675 §5.1]: https://www.rfc-editor.org/rfc/rfc7675#section-5.1
//! [RFC 8445 §6.1.2.6]: https://www.rfc-editor.org/rfc/rfc8445#section-6.1.2.6
//! [RFC 8445 §6.1.4.2]: https://www.rfc-editor.org/rfc/rfc8445#section-6.1.4.2
//! [RFC 8445 §7.1.1]: https://www.rfc-editor.org/rfc/rfc8445#section-7.1.1
//! [RFC 8445 §7.3.1.4]: https://www.rfc-editor.org/rfc/rfc8445#section-7.3.1.4
//! [RFC 8445 §8.1.1]: https://www.rfc-editor.org/rfc/rfc8445#section-8.1.1
//! [RFC 8445 §14]: https://www.rfc-editor.org/rfc/rfc8445#section-14
//! [RFC 8489 §9.1.3]: https://www.rfc-editor.org/rfc/rfc8489#section-9.1.3
//! [RFC 8838]: https://www.rfc-editor.org/rfc/rfc8838
//! [RFC 8863]: https://www.rfc-editor.org/rfc/rfc8863
//! [RFC 8445 §5.1.1.2]: https://www.rfc-editor.org/rfc/rfc8445#section-5.1.1.2
//! [RFC 8445 §5.1.1.3]: https://www.rfc-editor.org/rfc/rfc8445#section-5.1.1.3
//! [RFC 8445 §5.1.2]: https://www.rfc-editor.org/rfc/rfc8445#section-5.1.2
//! [RFC 8445]: https://www.rfc-editor.org/rfc/rfc8445
//! [RFC 8839 §5.1]: https://www.rfc-editor.org/rfc/rfc8839#section-5.1
//! [RFC 8839 §5.4]: https://www.rfc-editor.org/rfc/rfc8839#section-5.4
//! [RFC 8839]: https://www.rfc-editor.org/rfc/rfc8839

mod agent;
pub mod attribute;
pub mod candidate;
pub mod framing;
pub mod gather;
pub mod mdns;
mod parameters;
pub mod sdp;
mod username;

pub use agent::{
    AddressError, Agent, AgentConfig, AgentCounters, CandidatePolicy, CandidateStats, ConnectionId,
    Event, Limits, Outgoing, Output, Pacing, PairCounters, PairState, PairStats, ParametersError,
    RemoteCandidateError, RemotePolicy, Role, SelectedPair, SendError, State, Stats, Timing,
};
pub use candidate::{
    Candidate, CandidateAddress, CandidateError, CandidateKind, CandidateTransport, Foundation,
    MdnsName,
};
pub use parameters::{Credentials, CredentialsError, IceOptions, IceParameters};
pub use username::username;

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
