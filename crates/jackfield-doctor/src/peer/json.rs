//! What two machines concluded, for programs.

use std::time::Duration;

use jackfield_nat::oracle::Path;
use serde_json::{Value, json};

use super::{PeerConclusions, PeerProblem, Sight, Who, words_of};

/// Returns conclusions as JSON.
///
/// Scripts should go by the kinds: `verdict.kind`, `cause.kind`, and `kind` of each of the
/// `problems`. The texts are for people, and may change.
#[must_use]
pub fn of_peer_conclusions(conclusions: &PeerConclusions) -> Value {
    let words = words_of(conclusions);
    let facts = &conclusions.facts;
    json!({
        "server": facts.server.to_string(),
        "peer": facts.peer,
        "verdict": {
            "health": conclusions.health,
            "kind": conclusions.verdict.kind(),
            "text": words.verdict,
            "why_not": words.why_not,
            "do": words.advice,
        },
        "expected": conclusions.expected.map(expected),
        "cause": conclusions.cause.map(|cause| json!({
            "kind": cause.kind(),
            "who": cause.who().map(Who::kind),
        })),
        "problems": conclusions.problems.iter().map(problem).collect::<Vec<_>>(),
        "path": facts.route.as_ref().map(|route| json!({
            "local": route.local,
            "remote": route.remote,
            "protocol": route.protocol,
        })),
        "rtt_ms": facts.delay.map(|delay| json!({
            "min": millis(delay.min),
            "median": millis(delay.median),
            "max": millis(delay.max),
        })),
        "loss": facts.loss.map(|loss| json!({
            "sent": loss.sent,
            "answered": loss.answered,
            "per_mille": loss.per_mille(),
        })),
        "bytes_per_second": (!facts.throughput.is_unknown()).then(|| json!({
            "to_peer": facts.throughput.to_peer,
            "from_peer": facts.throughput.from_peer,
        })),
        "mtu": facts.mtu,
        "lines": words.lines,
        "here": sight(&facts.here),
        "there": facts.there.as_ref().map(sight),
    })
}

fn expected(path: Path) -> &'static str {
    match path {
        Path::Direct => "direct",
        Path::Nondeterministic => "chance",
        Path::Relay => "relay",
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn problem(problem: &PeerProblem) -> Value {
    json!({ "kind": problem.kind(), "health": problem.health() })
}

fn sight(sight: &Sight) -> Value {
    json!({
        "udp": sight.udp,
        "nat": sight.nat.as_ref().map(|nat| json!({
            "translates": nat.translates,
            "mapping": nat.mapping,
            "filtering": nat.filtering,
            "several_addresses": nat.several_addresses,
        })),
        "relay_udp": sight.relay_udp,
        "relay_stream": sight.relay_stream,
        "mtu": sight.mtu,
    })
}
