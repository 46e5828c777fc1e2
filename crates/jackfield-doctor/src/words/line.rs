//! Checks as lines: what was tried, what was seen, what it means.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_driver::discovery::layers::{Evidence, Layers, Sign};
use jackfield_driver::portmap::{Dialect, Probe, Support};

use super::phrase::{self, millis};
use super::{Line, host, nat};
use crate::conclusions::{Check, Family, RelayFinding};
use crate::facts::{Delivery, NetworkError, RelayTransport, Udp, WebError};

/// What a line says, before its health is known.
pub(super) struct Draft {
    pub(super) topic: &'static str,
    pub(super) seen: String,
    pub(super) tried: String,
    pub(super) means: String,
}

impl Draft {
    pub(super) fn new(topic: &'static str, seen: impl Into<String>) -> Self {
        Self {
            topic,
            seen: seen.into(),
            tried: String::new(),
            means: String::new(),
        }
    }

    pub(super) fn tried(mut self, tried: impl Into<String>) -> Self {
        self.tried = tried.into();
        self
    }

    pub(super) fn means(mut self, means: impl Into<String>) -> Self {
        self.means = means.into();
        self
    }
}

/// Puts a check into words.
pub(super) fn of(check: &Check) -> Line {
    let draft = match check {
        Check::Interfaces(all) => host::interfaces(all),
        Check::Uplinks(all) => host::uplinks(all),
        Check::Dns(found) => host::dns(found),
        Check::Tcp { family, result } => host::tcp(*family, *result),
        Check::Mtu { family, mtu } => host::mtu(*family, *mtu),
        Check::Proxy(found) => host::proxy(found),
        Check::Interception(found) => host::interception(found),
        Check::Clock(clock) => host::clock(*clock),
        Check::Certificate { end, at } => host::certificate(end, *at),
        Check::Udp {
            family,
            result,
            is_guess,
        } => udp(*family, result, *is_guess),
        Check::Nat(report) => nat::translation(report),
        Check::Mapping(report) => nat::mapping(report),
        Check::Filtering(report) => nat::filtering(report),
        Check::Ports(report) => nat::ports(report),
        Check::Hairpinning(finding) => nat::hairpinning(*finding),
        Check::Alg(finding) => nat::alg(*finding),
        Check::Fragments(finding) => nat::fragments(*finding),
        Check::Lifetime(finding) => nat::lifetime(*finding),
        Check::Layers(evidence) => layers(evidence),
        Check::PortMapping(found) => port_mapping(found),
        Check::Signaling(result) => signaling(result),
        Check::Polling(result) => polling(result),
        Check::Ice { urls } => ice(urls),
        Check::Relay {
            transport,
            url,
            minutes,
            allocated,
            finding,
        } => relay(*transport, *allocated, finding).tried(format!(
            "Allocated at {url} with credentials for {minutes} min."
        )),
    };
    Line {
        topic: draft.topic,
        health: check.health(),
        seen: draft.seen,
        tried: draft.tried,
        means: draft.means,
    }
}

fn udp(family: Family, udp: &Udp, is_guess: bool) -> Draft {
    let (topic, family) = match family {
        Family::V4 => ("UDP v4", "IPv4"),
        Family::V6 => ("UDP v6", "IPv6"),
    };
    let asked = |server: &SocketAddr| {
        let port = if is_guess {
            " The port is a guess, for the server did not name one."
        } else {
            ""
        };
        format!("Sent STUN requests to {server} for 5.5 s, or until the first answer.{port}")
    };
    match udp {
        Udp::NoAddress => {
            Draft::new(topic, "not tried").means(format!("The server has no {family} address."))
        }
        Udp::NoRoute => Draft::new(topic, "no route")
            .tried(format!("Looked for a way to {family} addresses."))
            .means(format!("This machine's network has no {family}.")),
        Udp::Answered(server, binding) => Draft::new(
            topic,
            format!(
                "answered in {}; seen as {}",
                millis(binding.round_trip),
                binding.mapped
            ),
        )
        .tried(asked(server))
        .means("UDP gets out and back."),
        Udp::Silent(server) => {
            Draft::new(topic, "no answer")
                .tried(asked(server))
                .means(if is_guess {
                    ""
                } else {
                    "Something drops UDP on the way, or the server is down."
                })
        }
        Udp::Refused(server) => Draft::new(topic, "refused")
            .tried(asked(server))
            .means("UDP gets to the server's machine, but nothing listens there."),
        Udp::NotStun(server) => Draft::new(topic, "answered, but not with STUN")
            .tried(asked(server))
            .means("Another program listens there."),
        Udp::Failed(server, error) => {
            Draft::new(topic, phrase::network(*error)).tried(asked(server))
        }
    }
}

fn layers(evidence: &Evidence) -> Draft {
    let routers: Vec<String> = evidence
        .hops
        .iter()
        .map(|hop| hop.map_or_else(|| "?".to_owned(), |ip| ip.to_string()))
        .collect();
    let tried = match (&evidence.gateway_external, routers.as_slice()) {
        (Some(external), _) => format!(
            "Asked the gateway for its outside address ({external}); the first routers are {}.",
            routers.join(", ")
        ),
        (None, []) => "Asked for the routers on the way; none answered.".to_owned(),
        (None, _) => format!("The first routers on the way are {}.", routers.join(", ")),
    };
    let draft = match evidence.layers() {
        Layers::One => Draft::new("Double NAT", "no, one NAT"),
        // A private address proves nothing: offices and labs have such routers inside.
        Layers::PerhapsSeveral(hop) => Draft::new(
            "Double NAT",
            format!("not known: {hop} is one more router with a private address"),
        )
        .means(
            "In an office that is usual, and no NAT. At home it may be a second NAT, which would \
             keep programs from opening ports.",
        ),
        Layers::Several(sign) => Draft::new("Double NAT", sign_in_words(sign)).means(
            if sign.is_carriers() {
                "The carrier shares one address among customers (CGNAT): no port can be opened from \
                 here."
            } else {
                "Ports opened on the first router do not open the second one."
            },
        ),
        Layers::None | Layers::AtLeastOne | Layers::Unknown => {
            Draft::new("Double NAT", "not known: the routers do not tell")
        }
    };
    draft.tried(tried)
}

/// Says what shows that there are two NATs.
fn sign_in_words(sign: Sign) -> String {
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

fn port_mapping(found: &Result<Probe, NetworkError>) -> Draft {
    let probe = match found {
        Ok(probe) => probe,
        Err(error) => {
            let seen = format!("not known: {}", phrase::network(*error));
            return Draft::new("Port mapping", seen).tried("Asked the gateway.");
        }
    };
    let Some(gateway) = probe.gateway else {
        return Draft::new("Port mapping", "no gateway")
            .tried("Looked for a default route.")
            .means("There is no router to ask for ports.");
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
                Support::Present { .. } => format!("{name} yes"),
                Support::Absent(why) => format!("{name} no ({why})"),
            }
        })
        .collect();
    Draft::new("Port mapping", offers.join(", "))
        .tried(format!("Asked the gateway {gateway}."))
        .means(if probe.is_any_present() {
            "Programs can open ports on the gateway."
        } else {
            "Programs cannot open ports on the gateway."
        })
}

fn signaling(result: &Result<Duration, WebError>) -> Draft {
    let draft = match result {
        Ok(took) => Draft::new(
            "Signaling",
            format!("the server said hello after {}", millis(*took)),
        ),
        Err(error) => Draft::new("Signaling", phrase::web(error))
            .means("People cannot find each other by WebSocket."),
    };
    draft.tried("Opened a WebSocket to /signal.")
}

fn polling(result: &Result<Duration, WebError>) -> Draft {
    let draft = match result {
        Ok(took) => Draft::new("Polling", format!("a session after {}", millis(*took))),
        Err(error) => {
            Draft::new("Polling", phrase::web(error)).means("Socket.IO cannot connect by polling.")
        }
    };
    draft.tried("Asked /socket.io/ for a session by polling.")
}

fn ice(urls: &Result<Vec<String>, WebError>) -> Draft {
    match urls {
        Ok(urls) => Draft::new("Relay", "the server names none")
            .tried(format!("Asked /ice, which names {}.", phrase::list(urls))),
        Err(error) => Draft::new("Relay", format!("not tried: {}", phrase::web(error)))
            .tried("Asked /ice for relays and credentials.")
            .means("Without credentials no relay can be tried."),
    }
}

fn relay(
    transport: RelayTransport,
    allocated: Option<(Duration, SocketAddr)>,
    finding: &RelayFinding,
) -> Draft {
    let topic = match transport {
        RelayTransport::Udp => "Relay UDP",
        RelayTransport::Tcp => "Relay TCP",
        RelayTransport::Tls => "Relay TLS",
    };
    let allocated = allocated.map_or_else(String::new, |(took, relayed)| {
        format!("{relayed} after {}", millis(took))
    });
    let with = |what: &str| Draft::new(topic, format!("{allocated}; {what}"));
    match finding {
        RelayFinding::Works(Delivery {
            sent,
            returned,
            arrived,
        }) => with(&format!(
            "{} of {sent} datagrams came through from outside{}",
            arrived,
            if returned == arrived {
                " and back".to_owned()
            } else {
                format!(", {returned} back")
            }
        ))
        .means("Calls get through by this relay."),
        RelayFinding::WorksInside(Delivery { sent, arrived, .. }, why) => {
            with(&format!("{arrived} of {sent} datagrams came through")).means(format!(
                "Two clients of this relay reach each other. Datagrams from outside could not be \
             tried, for {}.",
                phrase::not_tested(*why)
            ))
        }
        RelayFinding::Untested(why) => with("no datagrams were tried").means(format!(
            "There is a relay; what it carries could not be tried, for {}.",
            phrase::not_tested(*why)
        )),
        RelayFinding::PrivateAddress => with("a private address").means(
            "Nobody outside the server's own network can send there, so calls do not get through.",
        ),
        RelayFinding::Unreachable => with("no datagram came in from outside").means(
            "A firewall drops what peers send to this relay, so most calls do not get through.",
        ),
        RelayFinding::NoWayBack => with("datagrams came in from outside, and none went back")
            .means("Calls do not get through by this relay."),
        RelayFinding::Dead => {
            with("no datagram came through").means("Calls do not get through by this relay.")
        }
        RelayFinding::Failed(error) => {
            Draft::new(topic, phrase::relay(error)).means("There is no relay this way.")
        }
    }
}
