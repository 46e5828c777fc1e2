//! What all lines come to, why it is not better, and what to do about it.

use jackfield_driver::discovery::layers::Layers;
use jackfield_stun::behaviour::{Filtering, Finding, Mapping, Reason};

use super::diagnosis::{Health, Verdict};
use super::facts::{Facts, TurnTry, Udp};
use super::lines;

/// Draws the conclusion.
pub(super) fn of(facts: &Facts) -> Verdict {
    let (health, text) = sentence(facts);
    Verdict {
        health,
        text,
        why_not: why_not(facts),
        advice: advice(facts),
    }
}

fn udp_works(facts: &Facts) -> bool {
    facts.v4.binding().is_some() || facts.v6.binding().is_some()
}

/// Returns whether a relay was had, by UDP or by a stream.
fn relay_works(facts: &Facts, udp: bool) -> bool {
    let mut tries = facts.turn.iter();
    tries.any(|it| it.result.is_ok() && (it.transport == "udp") == udp)
}

fn any_relay(facts: &Facts) -> bool {
    relay_works(facts, true) || relay_works(facts, false)
}

fn signaling_fails(facts: &Facts) -> bool {
    matches!(&facts.websocket, Some(Err(_))) && matches!(&facts.polling, Some(Err(_)))
}

/// How peers get through by UDP, if it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directness {
    /// Everybody can send first.
    Everybody,
    /// All but those behind a NAT that maps by destination and is strict.
    NotSymmetric,
    /// Only those behind lenient filters.
    OnlyLenient,
    /// It cannot be told.
    Unknown,
}

fn directness(facts: &Facts) -> Directness {
    let Some(report) = &facts.report else {
        return Directness::Unknown;
    };
    match (report.mapping, report.filtering) {
        (
            Finding::Known(Mapping::EndpointIndependent),
            Finding::Known(Filtering::EndpointIndependent | Filtering::AddressDependent),
        ) => Directness::Everybody,
        (Finding::Known(Mapping::EndpointIndependent), Finding::Known(_)) => {
            Directness::NotSymmetric
        }
        (Finding::Known(Mapping::EndpointIndependent), Finding::Unknown(_)) => Directness::Unknown,
        (Finding::Known(_) | Finding::Unknown(Reason::VariesByDestination), _) => {
            Directness::OnlyLenient
        }
        (Finding::Unknown(_), _) => Directness::Unknown,
    }
}

fn sentence(facts: &Facts) -> (Health, String) {
    if facts.dns.error.is_some() {
        return (
            Health::Broken,
            "Nothing can be tried: the server's name leads nowhere.".to_owned(),
        );
    }
    if signaling_fails(facts) && !udp_works(facts) {
        return (
            Health::Broken,
            "The server cannot be reached from here, neither by UDP nor by TCP.".to_owned(),
        );
    }
    if !udp_works(facts) {
        return if relay_works(facts, false) {
            (
                Health::Degraded,
                "UDP is blocked: calls work through a relay over TCP alone, with more delay."
                    .to_owned(),
            )
        } else {
            (
                Health::Broken,
                "UDP is blocked and no relay can be had: no call gets through.".to_owned(),
            )
        };
    }
    let (health, mut text) = by_udp(facts);
    let health = if signaling_fails(facts) {
        text.push_str(" But the server does not answer by HTTP, so people cannot find each other.");
        Health::Broken
    } else {
        health
    };
    (health, text)
}

fn by_udp(facts: &Facts) -> (Health, String) {
    let relays = facts.ice.is_some();
    let rest = match (any_relay(facts), relays) {
        (true, _) => "the others are reached through the relay, which works.",
        (false, true) => "the others are not reached at all, for no relay can be had.",
        (false, false) => "the others need a relay, which was not tried.",
    };
    let is_natted = !matches!(
        facts.report.as_ref().map(|report| report.nat),
        Some(Finding::Known(false))
    );
    let relay_fails = relays && !any_relay(facts);
    match directness(facts) {
        Directness::Everybody => (
            if relay_fails {
                Health::Degraded
            } else {
                Health::Ok
            },
            if is_natted {
                "Direct connections to all peers: this NAT lets them in.".to_owned()
            } else {
                "Direct connections to all peers: there is no NAT, and nobody is kept out."
                    .to_owned()
            },
        ),
        Directness::NotSymmetric => (
            if relay_fails {
                Health::Degraded
            } else {
                Health::Ok
            },
            format!(
                "Direct connections to most peers. Those behind symmetric NATs are the exception; {rest}"
            ),
        ),
        Directness::OnlyLenient => (
            Health::Degraded,
            format!(
                "Direct connections to few peers, as this NAT gives each of them another address; {rest}"
            ),
        ),
        Directness::Unknown => (
            if relay_fails {
                Health::Degraded
            } else {
                Health::Ok
            },
            if any_relay(facts) {
                "UDP works, and so does the relay; how many peers are reached directly cannot be told.".to_owned()
            } else {
                "UDP works; how many peers are reached directly cannot be told.".to_owned()
            },
        ),
    }
}

fn why_not(facts: &Facts) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut add = |text: &str| reasons.push(text.to_owned());
    match &facts.v4 {
        Udp::Silent(server) => add(&format!("UDP to {server} is not answered.")),
        Udp::Refused(server) => add(&format!("Nobody listens at {server} by UDP.")),
        _ => {}
    }
    match directness(facts) {
        Directness::NotSymmetric => add(
            "Only who was sent to gets in, address and port: a peer behind a symmetric NAT comes from a port that nobody knew.",
        ),
        Directness::OnlyLenient => add(
            "The NAT maps by destination (\"symmetric\"): the address that a server tells is not the one that peers see.",
        ),
        Directness::Unknown if lines::is_kind_unknown(facts) => {
            let report = facts.report.as_ref();
            let why = report.and_then(|report| match (report.mapping, report.filtering) {
                (Finding::Unknown(reason), _) | (_, Finding::Unknown(reason)) => Some(reason),
                _ => None,
            });
            if let Some(why) = why {
                add(&format!("The kind of NAT is not known: {why}."));
            }
        }
        Directness::Everybody | Directness::Unknown => {}
    }
    match facts.evidence.layers() {
        Layers::Several(sign) if sign.is_carriers() => {
            add("There are two NATs, and the outer one belongs to the carrier.");
        }
        Layers::Several(_) => add("There are two NATs, one behind the other."),
        _ => {}
    }
    if matches!(facts.v6, Udp::NoRoute) {
        add("IPv6 would need no NAT, but this network has none.");
    }
    for attempt in &facts.turn {
        if let Err(error) = &attempt.result {
            add(&format!("The relay {} fails: {error}.", attempt.url));
        }
    }
    reasons
}

fn advice(facts: &Facts) -> Vec<String> {
    let mut advice: Vec<String> = Vec::new();
    let mut add = |text: &str| advice.push(text.to_owned());
    if facts.dns.error.is_some() {
        add("Check the server's name, and this machine's DNS.");
        return advice;
    }
    if matches!(facts.v4, Udp::Silent(_) | Udp::Refused(_)) && facts.v6.binding().is_none() {
        add("Have the firewall let out UDP to the server's port, and its answers back in.");
        if !relay_works(facts, false) {
            add(
                "Give the server a TLS listener at port 443 (`--listen-tls`), which few firewalls block.",
            );
        }
    }
    let layers = facts.evidence.layers();
    let strict = matches!(
        directness(facts),
        Directness::OnlyLenient | Directness::NotSymmetric
    );
    let is_natted = facts
        .report
        .as_ref()
        .is_some_and(|report| report.nat == Finding::Known(true));
    match layers {
        Layers::Several(sign) if sign.is_carriers() => {
            add(
                "Ask the carrier for a public IPv4 address or for IPv6; nothing on this side opens its NAT.",
            );
        }
        Layers::Several(_) => {
            add("Put the inner router into bridge mode, so that one NAT is left.");
        }
        _ => {}
    }
    if directness(facts) == Directness::OnlyLenient {
        add(
            "Set the router's NAT to \"full cone\", \"open\" or endpoint-independent, if it has such a switch.",
        );
    }
    let may_map = matches!(&facts.gateway, Ok(probe) if probe.is_any_present());
    if strict && is_natted && !may_map && !matches!(layers, Layers::Several(_)) {
        add("Switch on PCP, NAT-PMP or UPnP in the router, so that programs can open ports.");
    }
    if matches!(facts.v6, Udp::NoRoute) && strict && is_natted {
        add("Switch on IPv6, where the network offers it.");
    }
    if facts.ice.is_some() && !any_relay(facts) && udp_works(facts) {
        add("Have a look at the server: its relay is what strict NATs depend on.");
    }
    let distrusted =
        |it: &TurnTry| matches!(&it.result, Err(error) if error.contains("certificate"));
    if facts.turn.iter().any(distrusted) {
        add(
            "Give the server a certificate that browsers believe; with its own one, calls by `turns:` fail in them too.",
        );
    }
    if lines::is_kind_unknown(facts) {
        add(
            "Give the server a second address (`nat-discovery`), or a helper, to learn what kind of NAT this is.",
        );
    }
    if facts
        .report
        .as_ref()
        .is_some_and(|report| report.alg == Finding::Known(true))
    {
        add("Switch off the router's ALG (\"SIP helper\"), which changes what programs say.");
    }
    advice
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use jackfield_driver::discovery::Binding;
    use jackfield_driver::discovery::layers::Evidence;
    use jackfield_stun::behaviour::{Config, Discovery, Report};

    use super::*;
    use crate::facts::{Dns, Ice, Relayed};

    const SERVER: &str = "198.51.100.1:3478";

    /// Returns the facts of a network behind a NAT of this kind, with a server that can do everything.
    fn behind(mapping: Mapping, filtering: Filtering) -> Facts {
        let server: SocketAddr = SERVER.parse().unwrap();
        let binding = Binding {
            local: "10.0.0.2:4000".parse().unwrap(),
            mapped: "203.0.113.1:4000".parse().unwrap(),
            round_trip: Duration::from_millis(20),
        };
        let report = Report {
            nat: Finding::Known(true),
            mapping: Finding::Known(mapping),
            filtering: Finding::Known(filtering),
            mapped: Finding::Known(binding.mapped),
            ..Discovery::new(Config::new(vec![server]), [0; 32]).report()
        };
        Facts {
            server: format!("http://{SERVER}"),
            interfaces: Vec::new(),
            dns: Dns::default(),
            v4: Udp::Answered(server, binding),
            v6: Udp::NoRoute,
            report: Some(report),
            evidence: Evidence::default(),
            gateway: Err("no gateway".to_owned()),
            ice: Some(Ok(Ice {
                urls: Vec::new(),
                username: "u".to_owned(),
                credential: "c".to_owned(),
                ttl: 3600,
            })),
            websocket: Some(Ok(Duration::from_millis(1))),
            polling: Some(Ok(Duration::from_millis(1))),
            turn: vec![relay("udp", true), relay("tcp", true)],
        }
    }

    fn relay(transport: &'static str, works: bool) -> TurnTry {
        TurnTry {
            url: format!("turn:{SERVER}?transport={transport}"),
            transport,
            result: if works {
                Ok(Relayed {
                    took: Duration::from_millis(3),
                    address: SERVER.parse().unwrap(),
                    echoed: Some((10, 10)),
                })
            } else {
                Err("no answer in 7 s".to_owned())
            },
        }
    }

    fn of_kind(mapping: Mapping, filtering: Filtering) -> (Health, String) {
        let verdict = of(&behind(mapping, filtering));
        (verdict.health, verdict.text)
    }

    #[test]
    fn each_kind_of_nat_has_its_verdict() {
        use Filtering as F;
        use Mapping as M;
        for (mapping, filtering, health, text) in [
            (
                M::EndpointIndependent,
                F::EndpointIndependent,
                Health::Ok,
                "all peers",
            ),
            (
                M::EndpointIndependent,
                F::AddressDependent,
                Health::Ok,
                "all peers",
            ),
            (
                M::EndpointIndependent,
                F::AddressAndPortDependent,
                Health::Ok,
                "most peers",
            ),
            (
                M::AddressDependent,
                F::EndpointIndependent,
                Health::Degraded,
                "few peers",
            ),
            (
                M::AddressAndPortDependent,
                F::AddressAndPortDependent,
                Health::Degraded,
                "few peers",
            ),
        ] {
            let (found, said) = of_kind(mapping, filtering);
            assert_eq!(found, health, "{mapping} {filtering}");
            assert!(said.contains(text), "{said}");
        }
    }

    #[test]
    fn a_relay_that_fails_is_a_problem_and_so_is_silence_by_http() {
        let mut facts = behind(
            Mapping::EndpointIndependent,
            Filtering::AddressAndPortDependent,
        );
        facts.turn = vec![relay("udp", false)];
        let verdict = of(&facts);
        assert_eq!(verdict.health, Health::Degraded);
        assert!(
            verdict.text.contains("no relay can be had"),
            "{}",
            verdict.text
        );
        facts.websocket = Some(Err("nobody listens there".to_owned()));
        facts.polling = facts.websocket.clone();
        assert_eq!(of(&facts).health, Health::Broken);
    }

    #[test]
    fn blocked_udp_is_bad_with_a_relay_by_tcp_and_worse_without() {
        let mut facts = behind(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
        facts.v4 = Udp::Silent(SERVER.parse().unwrap());
        facts.report = None;
        facts.turn = vec![relay("udp", false), relay("tcp", true)];
        let verdict = of(&facts);
        assert_eq!(verdict.health, Health::Degraded);
        assert!(verdict.text.contains("over TCP alone"), "{}", verdict.text);
        facts.turn = vec![relay("udp", false), relay("tcp", false)];
        let verdict = of(&facts);
        assert_eq!(verdict.health, Health::Broken);
        assert!(verdict.advice.iter().any(|it| it.contains("--listen-tls")));
    }

    #[test]
    fn a_carriers_nat_is_told_and_no_router_at_home_is_blamed_for_it() {
        let mut facts = behind(
            Mapping::AddressAndPortDependent,
            Filtering::AddressAndPortDependent,
        );
        facts.evidence = Evidence {
            local: Some("10.0.0.2".parse().unwrap()),
            mapped: Some("203.0.113.1".parse().unwrap()),
            hops: ["10.0.0.1", "100.64.0.1"].map(|ip| ip.parse().ok()).into(),
            ..Evidence::default()
        };
        let verdict = of(&facts);
        assert!(verdict.why_not.iter().any(|it| it.contains("carrier")));
        assert!(
            verdict
                .advice
                .iter()
                .any(|it| it.contains("Ask the carrier"))
        );
        assert!(!verdict.advice.iter().any(|it| it.contains("PCP")));
    }

    #[test]
    fn a_name_that_leads_nowhere_ends_it() {
        let mut facts = behind(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
        facts.dns.error = Some("not found".to_owned());
        let verdict = of(&facts);
        assert_eq!(verdict.health, Health::Broken);
        assert_eq!(verdict.advice.len(), 1);
    }
}
