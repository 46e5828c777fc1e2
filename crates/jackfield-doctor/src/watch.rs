//! What has changed from one examination to the next.

use crate::conclusions::{Check, Conclusions, RelayFinding};
use crate::facts::{Interception, Udp};
use crate::words::Line;

/// Something that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is about, as in [`Line::topic`].
    pub topic: &'static str,
    /// The line before; nothing if there was none.
    pub before: Option<Line>,
    /// The line after; nothing if there is none.
    pub after: Option<Line>,
}

/// Returns what has changed, in order; times, and ports that are new each time, are no changes.
#[must_use]
pub fn changes(before: &Conclusions, after: &Conclusions) -> Vec<Change> {
    let (old, new) = (states(before), states(after));
    let mut changes: Vec<Change> = new
        .iter()
        .filter_map(|state| {
            let known = old.iter().find(|it| it.name == state.name);
            let is_same = known.is_some_and(|known| known.seen == state.seen);
            (!is_same).then(|| Change {
                topic: state.line.topic,
                before: known.map(|known| known.line.clone()),
                after: Some(state.line.clone()),
            })
        })
        .collect();
    let gone = old
        .iter()
        .filter(|state| new.iter().all(|it| it.name != state.name));
    changes.extend(gone.map(|state| Change {
        topic: state.line.topic,
        before: Some(state.line.clone()),
        after: None,
    }));
    changes
}

/// What a check comes to.
struct State {
    /// Which check it is; the server may name several relays of one kind.
    name: String,
    seen: String,
    line: Line,
}

fn states(conclusions: &Conclusions) -> Vec<State> {
    let checks = conclusions.checks.iter();
    checks
        .map(|check| {
            let line = Line::of(check);
            let name = match check {
                Check::Relay { url, .. } => url.clone(),
                Check::Certificate { end, .. } => format!("{} {:?}", line.topic, end.relay),
                _ => line.topic.to_owned(),
            };
            State {
                name,
                seen: format!("{:?} {}", check.health(), gist(check)),
                line,
            }
        })
        .collect()
}

/// Returns what a check has seen, as far as it is the same the next time unless something happens.
fn gist(check: &Check) -> String {
    match check {
        Check::Interfaces(all) => format!("{all:?}"),
        Check::Uplinks(all) => format!("{all:?}"),
        Check::Dns(dns) => format!("{:?} {:?}", dns.addresses, dns.invented),
        Check::Udp { result, .. } => match result {
            Udp::Answered(server, binding) => format!("{server} {}", binding.mapped.ip()),
            other => format!("{other:?}"),
        },
        Check::Tcp { result, .. } => format!("{:?}", result.err()),
        Check::Mtu { mtu, .. } => format!("{mtu:?}"),
        Check::Proxy(proxy) => format!("{:?} {:?}", proxy.authority, proxy.result.as_ref().err()),
        Check::Interception(found) => match found {
            // A portal's page may have a name that is new each time.
            Interception::Portal { .. } => "portal".to_owned(),
            Interception::Proxy => "proxy".to_owned(),
        },
        Check::Clock(_) => String::new(),
        Check::Certificate { end, .. } => format!("{:?}", end.ends),
        Check::Nat(report) => format!("{:?} {:?}", report.nat, report.externals),
        Check::Mapping(report) => format!("{:?}", report.mapping),
        Check::Filtering(report) => format!("{:?}", report.filtering),
        Check::Ports(report) => format!("{:?}", report.ports),
        Check::Hairpinning(finding) | Check::Alg(finding) => format!("{finding:?}"),
        Check::Fragments(finding) => format!("{finding:?}"),
        // A search ends a little elsewhere each time; whether it is too short is its health.
        Check::Lifetime(_) => String::new(),
        Check::Layers(evidence) => format!("{:?}", evidence.layers()),
        Check::PortMapping(found) => match found {
            Ok(probe) => format!("{} {:?}", probe.is_any_present(), probe.gateway),
            Err(error) => format!("{error:?}"),
        },
        Check::Signaling(result) | Check::Polling(result) => format!("{:?}", result.as_ref().err()),
        Check::Ice { urls } => format!("{urls:?}"),
        Check::Relay { finding, .. } => match finding {
            RelayFinding::Works(_) => "works".to_owned(),
            RelayFinding::WorksInside(..) => "works inside".to_owned(),
            other => format!("{other:?}"),
        },
    }
}
