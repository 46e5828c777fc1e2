//! Facts as lines: what was tried, what was seen, what it means.

use std::net::IpAddr;
use std::time::Duration;

use jackfield_driver::discovery::layers::{Layers, Sign};
use jackfield_driver::portmap::{Dialect, Support as Offer};
use jackfield_stun::behaviour::Finding;

use super::behaviour;
use super::diagnosis::{Health, Line};
use super::facts::{Facts, TurnTry, Udp};

/// Returns the lines of an examination.
pub(super) fn of(facts: &Facts) -> Vec<Line> {
    let mut lines = vec![interfaces(facts)];
    lines.extend(dns(facts));
    lines.push(udp("UDP v4", "IPv4", &facts.v4));
    lines.push(udp("UDP v6", "IPv6", &facts.v6));
    if let Some(report) = &facts.report {
        lines.extend(behaviour::lines(report));
    }
    lines.extend(double_nat(facts));
    lines.push(port_mapping(facts));
    lines.extend(signaling(facts));
    lines.extend(turn(facts));
    lines
}

fn interfaces(facts: &Facts) -> Line {
    let tried = "Listed this machine's addresses.";
    let shown: Vec<String> = facts
        .interfaces
        .iter()
        .filter(|it| !is_link_local(it.ip))
        .map(|it| {
            let used = if it.is_used { " (used)" } else { "" };
            format!("{} {}{used}", it.name, it.ip)
        })
        .collect();
    if shown.is_empty() {
        return Line::new("Interfaces", Health::Broken, "none with an address")
            .tried(tried)
            .means("This machine is not connected to any network.");
    }
    let used = facts.interfaces.iter().any(|it| it.is_used);
    let line = Line::new("Interfaces", Health::Ok, shown.join(", ")).tried(tried);
    if used {
        line.means("The server is reached by the one in use.")
    } else {
        line.means("None of them leads to the server.")
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn dns(facts: &Facts) -> Option<Line> {
    let name = facts.dns.name.as_ref()?;
    let line = match &facts.dns.error {
        None => {
            let all: Vec<String> = facts.dns.addresses.iter().map(IpAddr::to_string).collect();
            let seen = format!("{} in {}", all.join(", "), millis(facts.dns.took));
            Line::new("DNS", Health::Ok, seen)
        }
        Some(error) => Line::new("DNS", Health::Broken, error.as_str())
            .means("Without its address the server cannot be reached."),
    };
    Some(line.tried(format!("Looked up {name}.")))
}

fn udp(topic: &'static str, family: &str, udp: &Udp) -> Line {
    let asked =
        |server| format!("Sent STUN requests to {server} for 5.5 s, or until the first answer.");
    match udp {
        Udp::NoAddress => Line::new(topic, Health::Note, "not tried")
            .means(format!("The server has no {family} address.")),
        Udp::NoRoute => Line::new(topic, Health::Note, "no route")
            .tried(format!("Looked for a way to {family} addresses."))
            .means(format!("This machine's network has no {family}.")),
        Udp::Answered(server, binding) => Line::new(
            topic,
            Health::Ok,
            format!(
                "answered in {}; seen as {}",
                millis(binding.round_trip),
                binding.mapped
            ),
        )
        .tried(asked(server))
        .means("UDP gets out and back."),
        Udp::Silent(server) => Line::new(topic, Health::Broken, "no answer")
            .tried(asked(server))
            .means("Something drops UDP on the way, or the server is down."),
        Udp::Refused(server) => Line::new(topic, Health::Broken, "refused")
            .tried(asked(server))
            .means("UDP gets to the server's machine, but nobody listens there."),
        Udp::Failed(server, why) => {
            Line::new(topic, Health::Broken, why.as_str()).tried(asked(server))
        }
    }
}

fn double_nat(facts: &Facts) -> Option<Line> {
    let routers: Vec<String> = facts
        .evidence
        .hops
        .iter()
        .map(|hop| hop.map_or_else(|| "?".to_owned(), |ip| ip.to_string()))
        .collect();
    let tried = match (&facts.evidence.gateway_external, routers.as_slice()) {
        (Some(external), _) => format!(
            "Asked the gateway for its outside address ({external}); the first routers are {}.",
            routers.join(", ")
        ),
        (None, []) => "Asked for the routers on the way; none answered.".to_owned(),
        (None, _) => format!("The first routers on the way are {}.", routers.join(", ")),
    };
    let line = match facts.evidence.layers() {
        Layers::None | Layers::Unknown => return None,
        Layers::One => Line::new("Double NAT", Health::Ok, "no, one NAT"),
        Layers::AtLeastOne => Line::new("Double NAT", Health::Note, "unknown: the routers do not tell"),
        Layers::PerhapsSeveral(hop) => Line::new(
            "Double NAT",
            Health::Note,
            format!("perhaps: {hop}, beyond the first router, is a private address"),
        )
        .means("A second NAT there would make port mapping useless."),
        Layers::Several(sign) => Line::new("Double NAT", Health::Degraded, sign_in_words(sign)).means(
            if sign.is_carriers() {
                "The carrier shares one address among customers (CGNAT): no port can be opened from here."
            } else {
                "Ports opened on the first router do not open the second one."
            },
        ),
    };
    Some(line.tried(tried))
}

/// Says what shows that there are two NATs.
pub(super) fn sign_in_words(sign: Sign) -> String {
    match sign {
        Sign::CarrierGateway(ip) => {
            format!("yes, a carrier's: the gateway's outside address is {ip}, of 100.64.0.0/10")
        }
        Sign::PrivateGateway(ip) => {
            format!("yes: the gateway's outside address {ip} is private")
        }
        Sign::OtherGateway(ip) => {
            format!("yes: the gateway's outside address {ip} is not the one that is seen")
        }
        Sign::CarrierHop { number, address } => {
            format!("yes, a carrier's: router {number} is {address}, of 100.64.0.0/10")
        }
    }
}

fn port_mapping(facts: &Facts) -> Line {
    let probe = match &facts.gateway {
        Ok(probe) => probe,
        Err(error) => {
            return Line::new("Port mapping", Health::Note, format!("unknown: {error}"))
                .tried("Asked the gateway.");
        }
    };
    let Some(gateway) = probe.gateway else {
        return Line::new("Port mapping", Health::Note, "no gateway")
            .tried("Looked for a default route.")
            .means("There is nobody to ask for ports.");
    };
    let offers: Vec<String> = Dialect::ALL
        .into_iter()
        .map(|dialect| {
            let name = match dialect {
                Dialect::Pcp => "PCP",
                Dialect::NatPmp => "NAT-PMP",
                Dialect::Upnp => "UPnP",
            };
            match probe.finding(dialect) {
                Offer::Present { .. } => format!("{name} yes"),
                Offer::Absent(why) => format!("{name} no ({why})"),
            }
        })
        .collect();
    let (health, means) = if probe.is_any_present() {
        (Health::Ok, "Programs can open ports on the gateway.")
    } else {
        (Health::Note, "Programs cannot open ports on the gateway.")
    };
    Line::new("Port mapping", health, offers.join(", "))
        .tried(format!("Asked the gateway {gateway}."))
        .means(means)
}

fn signaling(facts: &Facts) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(websocket) = &facts.websocket {
        let line = match websocket {
            Ok(took) => Line::new(
                "Signaling",
                Health::Ok,
                format!("the server said hello after {}", millis(*took)),
            ),
            Err(error) => Line::new("Signaling", Health::Broken, error.as_str())
                .means("People cannot find each other by WebSocket."),
        };
        lines.push(line.tried("Opened a WebSocket to /signal."));
    }
    if let Some(polling) = &facts.polling {
        let line = match polling {
            Ok(took) => Line::new(
                "Polling",
                Health::Ok,
                format!("a session after {}", millis(*took)),
            ),
            Err(error) => Line::new("Polling", Health::Broken, error.as_str())
                .means("Socket.IO cannot connect at all."),
        };
        lines.push(line.tried("Asked /socket.io/ for a session by polling."));
    }
    lines
}

fn turn(facts: &Facts) -> Vec<Line> {
    match &facts.ice {
        None => Vec::new(),
        Some(Err(error)) => vec![
            Line::new("Relay", Health::Broken, format!("unknown: {error}"))
                .tried("Asked /ice for relays and credentials.")
                .means("Without credentials no relay can be tried."),
        ],
        Some(Ok(ice)) if facts.turn.is_empty() => vec![
            Line::new("Relay", Health::Note, "the server names none")
                .tried(format!("Asked /ice, which names {}.", ice.urls.join(", "))),
        ],
        Some(Ok(ice)) => facts.turn.iter().map(|it| relay(it, ice.ttl)).collect(),
    }
}

fn relay(attempt: &TurnTry, ttl: u64) -> Line {
    let topic = match attempt.transport {
        "udp" => "Relay UDP",
        "tcp" => "Relay TCP",
        _ => "Relay TLS",
    };
    let line = match &attempt.result {
        Ok(relayed) => {
            let had = format!("{} after {}", relayed.address, millis(relayed.took));
            let (health, seen, means) = match relayed.echoed {
                None => (
                    Health::Ok,
                    had,
                    "There is a relay; the server lets no two relays talk, so datagrams were not tried.",
                ),
                Some((0, sent)) => (
                    Health::Note,
                    format!("{had}; none of {sent} datagrams came through"),
                    "There is a relay, but nothing came from it to another one, which some servers forbid.",
                ),
                Some((heard, sent)) => (
                    if heard < sent {
                        Health::Degraded
                    } else {
                        Health::Ok
                    },
                    format!("{had}; {heard} of {sent} datagrams came through"),
                    "Calls get through by this relay.",
                ),
            };
            Line::new(topic, health, seen).means(means)
        }
        Err(error) => {
            Line::new(topic, Health::Broken, error.as_str()).means("No relay can be had this way.")
        }
    };
    line.tried(format!(
        "Allocated at {} with credentials for {} min.",
        attempt.url,
        ttl / 60
    ))
}

/// Writes a time as a person would say it.
pub(super) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{millis:.0} ms")
    }
}

/// Returns whether the server's own answers leave the NAT's kind open.
pub(super) fn is_kind_unknown(facts: &Facts) -> bool {
    facts.report.as_ref().is_some_and(|report| {
        report.nat == Finding::Known(true)
            && (report.mapping.known().is_none() || report.filtering.known().is_none())
    })
}
