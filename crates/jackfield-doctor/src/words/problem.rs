//! Problems in plain words: what is wrong, on whose side, and what to do about it.

use std::net::{IpAddr, SocketAddr};

use jackfield_driver::discovery::layers::Sign;
use jackfield_stun::ErrorCode;
use jackfield_turn::client::Failure;

use super::{ProblemWords, phrase, surroundings};
use crate::conclusions::{
    Certified, Check, Conclusions, Family, Problem, RelayFinding, RelayProblem, Verdict,
};
use crate::facts::{CertificateError, NetworkError, RelayError, RelayTransport, TlsError};
use crate::target::{Target, TargetScheme};

/// Puts a problem into words; the conclusions are those that it is from.
pub(crate) fn describe(problem: &Problem, conclusions: &Conclusions) -> ProblemWords {
    match problem {
        Problem::Offline
        | Problem::NameNotFound { .. }
        | Problem::NothingListens { .. }
        | Problem::NothingAnswers { .. }
        | Problem::TcpFails { .. } => unreachable_server(problem),
        Problem::WrongUrl {
            given,
            right,
            is_redirect,
        } => wrong_url(given, right, *is_redirect),
        Problem::Certificate { of, error } => certificate(of, error),
        Problem::Tls { of, error } => tls(of, error),
        Problem::ProxyWithoutServer { .. }
        | Problem::NotJackfield { .. }
        | Problem::NotHttp { .. }
        | Problem::NoIce
        | Problem::NoSignaling
        | Problem::NoWebSocket
        | Problem::NoPolling => web(problem),
        Problem::UdpSilent { .. }
        | Problem::UdpRefused { .. }
        | Problem::NotStun { .. }
        | Problem::UdpNotSent { .. } => udp(problem, conclusions),
        Problem::Relay(problem) => relay(problem),
        Problem::NoRelayOffered { is_needed } => no_relay(*is_needed),
        Problem::MapsByDestination { .. }
        | Problem::StrictFilter
        | Problem::KindUnknown(_)
        | Problem::DoubleNat(_)
        | Problem::NoPortMapping
        | Problem::NoRoute(_)
        | Problem::Alg => nat(problem),
        Problem::ResolverSilent { .. }
        | Problem::ResolverLies { .. }
        | Problem::NameBlocked { .. }
        | Problem::SlowDns { .. }
        | Problem::CaptivePortal { .. }
        | Problem::HiddenProxy
        | Problem::OnlyHttps { .. }
        | Problem::ProxyNeeded { .. }
        | Problem::ProxyFails { .. }
        | Problem::BlackHole(_)
        | Problem::MtuBlackHole { .. }
        | Problem::MtuSmall { .. }
        | Problem::ClockSkew { .. }
        | Problem::CertificateEnds { .. }
        | Problem::SeveralUplinks { .. }
        | Problem::Tunnelled { .. } => surroundings::describe(problem).unwrap_or_default(),
    }
}

fn words(why: impl Into<String>, advice: &[String]) -> ProblemWords {
    ProblemWords {
        why: why.into(),
        advice: advice.to_vec(),
    }
}

fn unreachable_server(problem: &Problem) -> ProblemWords {
    match problem {
        Problem::NameNotFound { name } => words(
            format!("No name server knows an address for {name}."),
            &[
                "Check the name after `--server`, and this machine's DNS.".to_owned(),
                "If the name is new, give its DNS record some time, or name the server by its IP \
                 address."
                    .to_owned(),
            ],
        ),
        Problem::NothingListens { server } => words(
            format!(
                "The machine at {} is there and refuses connections to port {}, as machines do \
                 where no program listens. That is the server's side.",
                server.host, server.port
            ),
            &[
                "On the server: start Jackfield (`jackfield serve`). Its first lines say where it \
                 listens."
                    .to_owned(),
                "If it listens on another port, name that one: `jackfield doctor --server \
                 URL:PORT`."
                    .to_owned(),
            ],
        ),
        Problem::NothingAnswers { server, tcp } => words(
            match tcp {
                Some(error) => format!(
                    "TCP to {} fails ({}), and UDP is not answered either.",
                    server.authority(),
                    phrase::network(*error)
                ),
                None => format!("UDP to {} is not answered.", server.authority()),
            },
            &[
                "Check that the server's machine is on, and that its address is right.".to_owned(),
                format!(
                    "On the server: have its firewall, or its cloud's security group, let in TCP \
                     and UDP port {}.",
                    server.port
                ),
                "Open some other site from this machine: if that fails too, the fault is on this \
                 side."
                    .to_owned(),
            ],
        ),
        Problem::TcpFails { server, error } => words(
            format!(
                "TCP to {} fails ({}), although UDP is answered.",
                server.authority(),
                phrase::network(*error)
            ),
            &[if *error == NetworkError::Refused {
                "Check the port in the URL: `jackfield serve` prints its URLs when it starts."
                    .to_owned()
            } else {
                format!(
                    "On the server: have its firewall, or its cloud's security group, let in TCP \
                     port {}.",
                    server.port
                )
            }],
        ),
        _ => words(
            "This machine has no route beyond its own network.",
            &["Connect this machine to a network, and run `jackfield doctor` again.".to_owned()],
        ),
    }
}

fn wrong_url(given: &Target, right: &Target, is_redirect: bool) -> ProblemWords {
    let take = format!("Take the other URL: `jackfield doctor --server {right}`.");
    if is_redirect {
        return words(format!("{given} sends clients on to {right}."), &[take]);
    }
    match right.scheme {
        TargetScheme::Https => words(
            format!(
                "Port {} of {} speaks HTTPS, and was asked in plain HTTP.",
                given.port, given.host
            ),
            &[take],
        ),
        TargetScheme::Http | TargetScheme::Stun => words(
            format!(
                "Port {} of {} speaks plain HTTP, and was asked for HTTPS.",
                given.port, given.host
            ),
            &[
                take,
                "Browsers allow cameras on https: pages alone. To serve them: `jackfield serve \
                 --listen-tls 0.0.0.0:443 --tls-cert FILE --tls-key FILE`."
                    .to_owned(),
            ],
        ),
    }
}

fn certificate(of: &Certified, error: &CertificateError) -> ProblemWords {
    let (place, host) = match of {
        Certified::Web(server) => (server.to_string(), server.host.clone()),
        Certified::Relay(url) => (format!("The relay {url}"), host_of(url)),
    };
    let why = format!(
        "{place} is not trusted: {}. That is {} side.",
        phrase::certificate(error),
        match error {
            CertificateError::NoAuthorities => "this machine's",
            _ => "the server's",
        }
    );
    // Public authorities vouch for names.
    let host = match host.parse::<IpAddr>() {
        Ok(_) => "a name of the server".to_owned(),
        Err(_) => host,
    };
    let get = format!(
        "On the server: get a certificate for {host} from a public authority, such as Let's \
         Encrypt, and start with `jackfield serve --tls-cert FILE --tls-key FILE`."
    );
    let look = "To look at the rest of the server meanwhile: `jackfield doctor --insecure`.";
    let advice = match error {
        CertificateError::Expired { .. } => vec![
            "On the server: renew the certificate (with certbot: `certbot renew`), then restart \
             Jackfield, which reads it when it starts."
                .to_owned(),
            "If that day has not come yet, set this machine's clock.".to_owned(),
        ],
        CertificateError::NotYetValid { .. } => vec![
            "Set this machine's clock if it is behind.".to_owned(),
            "If it is right, the clock of the machine where the certificate was made is ahead: \
             make the certificate again, or wait."
                .to_owned(),
        ],
        CertificateError::WrongName { names } => {
            let mut advice = Vec::new();
            if let (Certified::Web(server), Some(name)) = (of, names.iter().find(|it| is_name(it)))
            {
                let right = Target {
                    host: name.clone(),
                    ..server.clone()
                };
                advice.push(format!(
                    "Name the server as its certificate does, if it is the same one: `jackfield \
                     doctor --server {right}`."
                ));
            }
            advice.push(get);
            advice
        }
        CertificateError::SelfSigned => vec![
            get,
            look.to_owned(),
            "To trust this one certificate: `jackfield doctor --tls-ca FILE`, with the server's \
             certificate in FILE."
                .to_owned(),
        ],
        CertificateError::UnknownAuthority { is_alone } => {
            let mut advice = Vec::new();
            if *is_alone {
                advice.push(
                    "On the server: if the certificate is from a public authority, give Jackfield \
                     all of its chain (with certbot: `--tls-cert fullchain.pem`, not `cert.pem`)."
                        .to_owned(),
                );
            }
            advice.push(
                "If the authority is your own: `jackfield doctor --tls-ca FILE`, with its \
                 certificate in FILE. Browsers need it too."
                    .to_owned(),
            );
            advice
        }
        CertificateError::NoAuthorities => vec![
            "On this machine: install the system's list of authorities (on Debian: `apt install \
             ca-certificates`), or name one: `jackfield doctor --tls-ca FILE`."
                .to_owned(),
        ],
        CertificateError::Revoked | CertificateError::Unfit => vec![get],
    };
    words(why, &advice)
}

/// Returns the host in a `turns:` URL.
fn host_of(url: &str) -> String {
    let uri = url.parse::<jackfield_stun::uri::Uri>();
    uri.map_or_else(
        |_| "the server".to_owned(),
        |uri| match uri.host {
            jackfield_stun::uri::Host::Ipv6(ip) => ip.to_string(),
            jackfield_stun::uri::Host::Name(name) => name,
        },
    )
}

/// Returns whether a name from a certificate can be asked for as it stands.
fn is_name(name: &str) -> bool {
    !name.contains('*') && name.parse::<Target>().is_ok()
}

fn tls(of: &Certified, error: &TlsError) -> ProblemWords {
    let why = match of {
        Certified::Web(server) => format!("TLS with {server} fails: {}.", phrase::tls(error)),
        Certified::Relay(url) => format!("The relay {url} fails: {}.", phrase::tls(error)),
    };
    words(
        why,
        &[
            "On the server: check that this port is one of its TLS ports (`jackfield serve \
             --listen-tls ADDR`)."
                .to_owned(),
        ],
    )
}

fn web(problem: &Problem) -> ProblemWords {
    let pass_on = "If a proxy is in front of Jackfield, have it pass on /ice, /signal and \
                   /socket.io/."
        .to_owned();
    match problem {
        Problem::ProxyWithoutServer { server, status } => words(
            format!("{server} answers with status {status}. That is the server's side."),
            &[
                "On the server: check that Jackfield runs (`jackfield serve`), and that the proxy \
                 passes requests on to the port where it listens."
                    .to_owned(),
            ],
        ),
        Problem::NotJackfield { server } => words(
            format!(
                "{server} has no list of relays at /ice, and opens no WebSocket at /signal, as \
                 Jackfield does."
            ),
            &[
                "Check the URL and its port: Jackfield listens on 3478 by default.".to_owned(),
                pass_on,
            ],
        ),
        Problem::NotHttp {
            server,
            is_silent: true,
        } => words(
            format!("{server} accepted the connection, and sent nothing for 6 s."),
            &[
                "Check the port: another program may listen there.".to_owned(),
                "If it is Jackfield's port, look at its log, and restart it.".to_owned(),
            ],
        ),
        Problem::NotHttp { server, .. } => words(
            format!("{server} accepts connections, and does not answer as web servers do."),
            &["Check the port: another program listens there.".to_owned()],
        ),
        Problem::NoIce => words(
            "The server does not say where its relays are: /ice does not answer as it should.",
            &["If a proxy is in front of Jackfield, have it pass on /ice too.".to_owned()],
        ),
        Problem::NoWebSocket => words(
            "WebSockets to /signal do not open, although pages are served.",
            &[
                "If a proxy is in front of Jackfield, have it pass on WebSockets (nginx: \
                 `proxy_http_version 1.1`, and the headers Upgrade and Connection)."
                    .to_owned(),
            ],
        ),
        Problem::NoPolling => words(
            "Socket.IO gets no session by polling.",
            &["If a proxy is in front of Jackfield, have it pass on /socket.io/ too.".to_owned()],
        ),
        _ => words(
            "Neither a WebSocket to /signal nor a session by polling comes about.",
            &[pass_on],
        ),
    }
}

fn udp(problem: &Problem, conclusions: &Conclusions) -> ProblemWords {
    match problem {
        Problem::UdpSilent {
            server,
            works_otherwise: true,
        } => words(
            format!("UDP to {server} is not answered."),
            &[format!(
                "On the server: have its firewall let in UDP to {server} too."
            )],
        ),
        Problem::UdpSilent { server, .. } => {
            let mut advice = vec![
                format!(
                    "Have the firewall let out UDP to port {} of the server, and its answers back \
                     in.",
                    server.port()
                ),
                format!(
                    "If UDP fails from everywhere, have the server's firewall, or its cloud's \
                     security group, let in UDP port {}.",
                    server.port()
                ),
            ];
            if conclusions.verdict == Verdict::NoCalls {
                advice.push(way_inside_tls(conclusions));
            }
            words(
                format!("UDP to {server} is not answered, although TCP to the server works."),
                &advice,
            )
        }
        Problem::UdpRefused { server } => words(
            format!(
                "Nothing listens on UDP port {} of the server.",
                server.port()
            ),
            &[format!(
                "On the server: check that `jackfield serve --listen` names port {}, and that no \
                 firewall turns UDP away.",
                server.port()
            )],
        ),
        Problem::NotStun { server } => words(
            format!("What answers at {server} by UDP does not speak STUN."),
            &[format!(
                "On the server: check which program has UDP port {}.",
                server.port()
            )],
        ),
        Problem::UdpNotSent { server, error } => words(
            format!(
                "This machine cannot send UDP to {server}: {}.",
                phrase::network(*error)
            ),
            &["On this machine: have its firewall let out UDP.".to_owned()],
        ),
        _ => ProblemWords::default(),
    }
}

/// Says what to do about TLS, which is the last way out: the server may have it and it may fail.
fn way_inside_tls(conclusions: &Conclusions) -> String {
    let listener = conclusions.checks.iter().find_map(|check| match check {
        Check::Relay {
            transport: RelayTransport::Tls,
            url,
            ..
        } => url.parse::<jackfield_stun::uri::Uri>().ok(),
        _ => None,
    });
    match listener.map(|uri| uri.port()) {
        None => "Give the server a TLS listener on port 443, which few firewalls block: \
                 `jackfield serve --listen-tls 0.0.0.0:443 --tls-cert FILE --tls-key FILE`."
            .to_owned(),
        Some(443) => "The server has a TLS listener on port 443 already, and its relay fails from \
                      here as well: have the firewall let that out, or name the network's proxy to \
                      browsers."
            .to_owned(),
        Some(port) => format!(
            "The server has its TLS listener on port {port}; put it on port 443, which fewer \
             firewalls block: `jackfield serve --listen-tls 0.0.0.0:443`."
        ),
    }
}

fn relay(problem: &RelayProblem) -> ProblemWords {
    let ports = "On the server: have its firewall, or its cloud's security group, let in UDP to \
                 the relays' ports, 49152 to 65535 unless `--relay-ports` says otherwise.";
    let relayed = |relayed: Option<SocketAddr>| {
        relayed.map_or_else(|| "its address".to_owned(), |relayed| relayed.to_string())
    };
    match &problem.finding {
        RelayFinding::PrivateAddress => {
            let local = problem.relayed.map(|relayed| relayed.ip());
            let pair = problem.server.zip(local);
            let flag = pair.map_or_else(
                || "PUBLIC/LOCAL".to_owned(),
                |(public, local)| format!("{public}/{local}"),
            );
            words(
                format!(
                    "The relay gives out {}, a private address, which no peer outside the server's \
                    own network can send to: the server does not know its public one.",
                    relayed(problem.relayed)
                ),
                &[format!(
                    "On the server: start with its public address, `jackfield serve --external-ip \
                     {flag}`."
                )],
            )
        }
        RelayFinding::Unreachable => words(
            format!(
                "Datagrams from this machine do not come in at the relay's {}: a firewall drops \
                 them, the server's or one on this side.",
                relayed(problem.relayed)
            ),
            &[
                ports.to_owned(),
                "If the relay works from elsewhere, have the firewall on this side let out UDP to \
                 those ports."
                    .to_owned(),
            ],
        ),
        RelayFinding::NoWayBack => words(
            format!(
                "Datagrams come in at the relay's {}, and its own do not come out.",
                relayed(problem.relayed)
            ),
            &[
                "On the server: have its firewall let out UDP from the relays' ports, 49152 to \
                 65535 unless `--relay-ports` says otherwise."
                    .to_owned(),
            ],
        ),
        RelayFinding::Dead => words(
            format!(
                "The relay {} gives an address, and carries no datagram.",
                problem.url
            ),
            &["On the server: look at its log and its firewall.".to_owned()],
        ),
        RelayFinding::Failed(error) => words(
            format!("The relay {} fails: {}.", problem.url, phrase::relay(error)),
            &[failed_relay(&problem.url, error)],
        ),
        RelayFinding::Works(_) | RelayFinding::WorksInside(..) | RelayFinding::Untested(_) => {
            ProblemWords::default()
        }
    }
}

fn failed_relay(url: &str, error: &RelayError) -> String {
    match error {
        RelayError::NameNotFound => "On the server: check the name after `--public-host`, which \
                                     clients look for relays at."
            .to_owned(),
        RelayError::Unreachable(_) | RelayError::Silent => format!(
            "On the server: check that it listens where {url} says, and have its firewall let \
             that in."
        ),
        RelayError::Refused(Failure::CredentialRefused | Failure::Untrusted)
        | RelayError::Unusable => "On the server: give every Jackfield of this site the same \
                                   `--secret`, and check its clock."
            .to_owned(),
        RelayError::Refused(Failure::Refused(
            ErrorCode::ALLOCATION_QUOTA_REACHED | ErrorCode::INSUFFICIENT_CAPACITY,
        )) => "On the server: it has no more room for relays; see the limits in `jackfield config \
             explain`."
            .to_owned(),
        RelayError::Refused(_) | RelayError::Tls(_) => {
            "On the server: look at its log, which says why it gave no relay.".to_owned()
        }
    }
}

fn no_relay(is_needed: bool) -> ProblemWords {
    words(
        "The server names no relay.",
        &if is_needed {
            vec![
                "On the server: have /ice name a `turn:` URL, as `jackfield serve` does by \
                 itself."
                    .to_owned(),
            ]
        } else {
            Vec::new()
        },
    )
}

fn nat(problem: &Problem) -> ProblemWords {
    match problem {
        Problem::MapsByDestination { is_carriers } => {
            let mut advice = Vec::new();
            if !is_carriers {
                advice.push(
                    "Set the router's NAT to \"full cone\", \"open\" or endpoint-independent, if \
                     it has such a switch."
                        .to_owned(),
                );
            }
            words(
                "The NAT maps by destination (\"symmetric\"): the address that a server tells is \
                 not the one that peers see.",
                &advice,
            )
        }
        Problem::StrictFilter => words(
            "Only an address and port that was sent to gets in, and a peer behind a symmetric NAT \
             comes from a port that could not be known.",
            &[],
        ),
        Problem::KindUnknown(reason) => words(
            format!("The kind of NAT is not known: {reason}."),
            &[
                "To learn it, give the server a second address (`jackfield serve --nat-discovery \
                 IP`), or a second server that helps (`--nat-discovery-helper IP`)."
                    .to_owned(),
            ],
        ),
        Problem::DoubleNat(sign) => double_nat(*sign),
        Problem::NoPortMapping => words(
            "The router opens no ports for programs that ask for them.",
            &[
                "Switch on PCP, NAT-PMP or UPnP in the router, so that programs can open ports."
                    .to_owned(),
            ],
        ),
        Problem::NoRoute(Family::V6) => words(
            "IPv6 would need no NAT, but this network has none.",
            &["Switch on IPv6, where the network offers it.".to_owned()],
        ),
        Problem::NoRoute(Family::V4) => words("This network has no IPv4.", &[]),
        _ => words(
            "The router changes addresses inside messages.",
            &[
                "Switch off the router's ALG (\"SIP helper\"), which changes what programs say."
                    .to_owned(),
            ],
        ),
    }
}

fn double_nat(sign: Sign) -> ProblemWords {
    if sign.is_carriers() {
        words(
            "There are two NATs, and the outer one belongs to the carrier.",
            &["Ask the carrier for a public IPv4 address or for IPv6; nothing on this side opens \
               its NAT."
                .to_owned()],
        )
    } else {
        words(
            "There are two NATs, one behind the other.",
            &["Put the inner router into bridge mode, so that one NAT is left.".to_owned()],
        )
    }
}
