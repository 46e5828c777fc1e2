//! Conclusions for programs: kinds by name, and the same words as on a terminal.

mod facts;

use jackfield_stun::behaviour::{Finding, Fragments, Report};
use serde_json::{Value, json};

use crate::conclusions::{Conclusions, Problem, Verdict};
use crate::words::{Words, describe};

pub use facts::of_facts;

/// Returns conclusions as JSON.
///
/// Scripts should go by the kinds: `verdict.kind`, `reach.kind`, and `kind`, `side` and `health` of
/// each of the `problems`. The texts are for people, and may change.
pub fn of_conclusions(conclusions: &Conclusions) -> Value {
    let words = Words::of(conclusions);
    let problems: Vec<Value> = conclusions
        .problems
        .iter()
        .map(|it| problem(it, conclusions))
        .collect();
    let except: Vec<Value> = conclusions
        .reach
        .except()
        .iter()
        .map(|peer| {
            json!({
                "mapping": peer.mapping.to_string(),
                "filtering": peer.filtering.to_string(),
            })
        })
        .collect();
    json!({
        "server": conclusions.server.to_string(),
        "verdict": {
            "health": conclusions.health,
            "kind": kind(conclusions),
            "text": words.verdict,
            "why_not": words.why_not,
            "do": words.advice,
        },
        "reach": { "kind": conclusions.reach.kind(), "except": except },
        "relay": conclusions.relay.kind(),
        "problems": problems,
        "lines": words.lines,
        "nat": conclusions.nat.as_ref().map(of_report),
    })
}

fn kind(conclusions: &Conclusions) -> &'static str {
    match &conclusions.verdict {
        Verdict::Direct => conclusions.reach.kind(),
        verdict => verdict.kind(),
    }
}

fn problem(problem: &Problem, conclusions: &Conclusions) -> Value {
    let words = describe(problem, conclusions);
    json!({
        "kind": problem.kind(),
        "side": problem.side(),
        "health": problem.severity(),
        "why": words.why,
        "do": words.advice,
    })
}

/// Returns what a discovery has found. Each finding is its value, or null with the reason under
/// `unknown`.
pub fn of_report(report: &Report) -> Value {
    let mut unknown = serde_json::Map::new();
    let mut text = |name: &str, finding: Finding<String>| match finding {
        Finding::Known(text) => Value::from(text),
        Finding::Unknown(reason) => {
            unknown.insert(name.to_owned(), reason.to_string().into());
            Value::Null
        }
    };
    let mapping = text("mapping", report.mapping.map(|it| it.to_string()));
    let filtering = text("filtering", report.filtering.map(|it| it.to_string()));
    let ports = text("ports", report.ports.map(|it| it.to_string()));
    let local = text("local", report.local.map(|it| it.to_string()));
    let mapped = text("mapped", report.mapped.map(|it| it.to_string()));
    let fragments = text(
        "fragments",
        report.fragments.map(|it| {
            match it {
                Fragments::BothWays => "both-ways",
                Fragments::Outbound => "outbound",
                Fragments::Dropped => "dropped",
            }
            .to_owned()
        }),
    );
    let mut flag = |name: &str, finding: Finding<bool>| match finding {
        Finding::Known(flag) => Value::from(flag),
        Finding::Unknown(reason) => {
            unknown.insert(name.to_owned(), reason.to_string().into());
            Value::Null
        }
    };
    let nat = flag("nat", report.nat);
    let hairpinning = flag("hairpinning", report.hairpinning);
    let alg = flag("alg", report.alg);
    let lifetime = match report.lifetime {
        Finding::Known(lifetime) => json!({
            "at_least_s": lifetime.at_least.as_secs_f64(),
            "at_most_s": lifetime.at_most.map(|most| most.as_secs_f64()),
        }),
        Finding::Unknown(reason) => {
            unknown.insert("lifetime".to_owned(), reason.to_string().into());
            Value::Null
        }
    };
    json!({
        "server": report.server.map(|it| it.to_string()),
        "other": report.other.map(|it| it.to_string()),
        "round_trip_ms": report.round_trip.known().map(|it| it.as_secs_f64() * 1e3),
        "local": local,
        "mapped": mapped,
        "nat": nat,
        "label": report.label().map(|it| it.to_string()),
        "mapping": mapping,
        "mapping_stability": report.mapping_stability.to_string(),
        "filtering": filtering,
        "filtering_stability": report.filtering_stability.to_string(),
        "ports": ports,
        "externals": report.externals.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "hairpinning": hairpinning,
        "alg": alg,
        "fragments": fragments,
        "lifetime": lifetime,
        "unknown": unknown,
    })
}
