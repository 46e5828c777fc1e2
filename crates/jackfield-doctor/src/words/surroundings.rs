//! Problems with names, proxies, clocks and the sizes of packets, in plain words.

use std::net::IpAddr;

use super::{ProblemWords, phrase};
use crate::conclusions::{Certified, Family, Problem};
use crate::facts::ProxyError;

/// Puts such a problem into words; nothing if it is of another kind.
pub(super) fn describe(problem: &Problem) -> Option<ProblemWords> {
    Some(match problem {
        Problem::ResolverSilent { .. }
        | Problem::ResolverLies { .. }
        | Problem::NameBlocked { .. }
        | Problem::SlowDns { .. } => dns(problem),
        Problem::CaptivePortal { login } => portal(login.as_deref()),
        Problem::HiddenProxy => ProblemWords::new(
            "This network takes all connections to port 80 and passes web pages on by itself.",
            ["Ask for pages by https:, which such a proxy leaves alone."],
        ),
        Problem::OnlyHttps { given, right } => ProblemWords::new(
            format!("{given} leads nowhere from here, and {right} is answered by Jackfield."),
            [format!(
                "Take the other URL: `jackfield doctor --server {right}`."
            )],
        ),
        Problem::ProxyNeeded {
            proxy,
            variable,
            relay,
        } => proxy_needed(proxy, variable, *relay),
        Problem::ProxyFails {
            proxy,
            variable,
            error,
        } => proxy_fails(proxy, variable, error),
        Problem::BlackHole(family) => black_hole(*family),
        Problem::MtuBlackHole {
            family,
            path,
            local,
        } => ProblemWords::new(
            format!(
                "Over {family}, packets above {path} bytes get lost on the way, and no router says \
                 so by ICMP, although this machine sends up to {local}: long transfers and TLS \
                 handshakes hang."
            ),
            [
                "Have the firewalls on the way let ICMP through: type 3 code 4 for IPv4, type 2 \
                 for ICMPv6."
                    .to_owned(),
                format!(
                    "Until then, set the MTU of this machine's interface to {path}, or have the \
                     router lower TCP's segments (\"MSS clamping\")."
                ),
            ],
        ),
        Problem::MtuSmall { family, path } => ProblemWords::new(
            format!(
                "Over {family}, no packet above {path} bytes gets through; calls have packets of \
                 1,252 bytes."
            ),
            ["Raise the MTU of the tunnel or link on the way to 1,280 bytes at least."],
        ),
        Problem::ClockSkew { ahead } => ProblemWords::new(
            format!(
                "This machine's clock is {}: certificates and time-limited credentials may seem to \
                 have ended.",
                phrase::skew(*ahead)
            ),
            [
                "Set this machine's clock by the network (on Linux: `timedatectl set-ntp true`).",
                "If it is right, set the server's.",
            ],
        ),
        Problem::CertificateEnds { of, days } => certificate_ends(of, *days),
        Problem::SeveralUplinks {
            is_machine,
            externals,
        } => several_uplinks(*is_machine, externals),
        Problem::Tunnelled { interface } => ProblemWords::new(
            format!(
                "Calls go through the tunnel {interface}: the NAT and the delay are those at its \
                 far end."
            ),
            NONE,
        ),
        _ => return None,
    })
}

fn dns(problem: &Problem) -> ProblemWords {
    match problem {
        Problem::ResolverSilent { name } => ProblemWords::new(
            format!("No resolver answers a question for {name}, or for anything else."),
            [
                "Check this machine's resolvers (`/etc/resolv.conf`, `resolvectl status`), and \
                 that the network lets out UDP port 53.",
                "Until then, name the server by its IP address.",
            ],
        ),
        Problem::ResolverLies {
            invented,
            is_server: true,
            name,
        } => ProblemWords::new(
            format!(
                "The resolver gives {} for {name}, and the same for a name that cannot exist.",
                list(invented)
            ),
            [
                "Check the name after `--server`: it may not exist.".to_owned(),
                "Take another resolver than the network's: this one invents addresses.".to_owned(),
            ],
        ),
        Problem::ResolverLies { invented, .. } => ProblemWords::new(
            format!(
                "The resolver gives {} for a name that cannot exist, so a mistyped name leads to \
                 strangers.",
                list(invented)
            ),
            NONE,
        ),
        Problem::NameBlocked { name, address } => ProblemWords::new(
            format!(
                "The resolver gives {address} for {name}, which no server can have: so filters \
                block a name."
            ),
            [format!(
                "Have the network's filter (a Pi-hole, parental control, a company's resolver) let \
                 {name} through, or take another resolver."
            )],
        ),
        Problem::SlowDns { family, seconds } => ProblemWords::new(
            format!(
                "The look-up of {family} addresses took {seconds} s, for which each new connection \
                 waits."
            ),
            ["Take another resolver, or mend the network's: it drops such questions."],
        ),
        _ => ProblemWords::default(),
    }
}

fn portal(login: Option<&str>) -> ProblemWords {
    ProblemWords::new(
        "This network answers in place of every server until you have logged in (a captive \
        portal, as hotels and trains have).",
        [match login {
            Some(login) => format!("Open {login} in a browser, log in, and run this again."),
            None => "Open any http: page in a browser, such as http://192.0.2.1, log in, and run \
                     this again."
                .to_owned(),
        }],
    )
}

fn proxy_needed(proxy: &str, variable: &str, relay: Option<bool>) -> ProblemWords {
    let serve = "`jackfield serve --listen-tls 0.0.0.0:443 --tls-cert FILE --tls-key FILE`";
    ProblemWords::new(
        format!(
            "Nothing comes back from the server but through the proxy {proxy}, which {} names.",
            phrase::naming(variable)
        ),
        [match relay {
            Some(true) => "Have the browser use this proxy, too: it then reaches the relay inside \
                           TLS through it."
                .to_owned(),
            Some(false) => format!(
                "Have the proxy allow CONNECT to the server's TLS port; most allow port 443 alone: \
                 {serve}."
            ),
            None => format!("Give the server a TLS listener on port 443: {serve}."),
        }],
    )
}

fn proxy_fails(proxy: &str, variable: &str, error: &ProxyError) -> ProblemWords {
    let advice = match error {
        ProxyError::BadUrl => format!(
            "Set {variable} to the URL of a proxy, such as http://proxy.example:3128 or \
             socks5h://proxy.example:1080, or unset it."
        ),
        ProxyError::LoginWanted => {
            format!("Put the user name and password into {variable}: http://NAME:PASSWORD@{proxy}.")
        }
        ProxyError::Refused(_) => {
            "Have the proxy allow CONNECT to the server's port; most allow port 443 alone."
                .to_owned()
        }
        _ if variable.starts_with('-') => {
            format!("Name a proxy that works, or leave {variable} out.")
        }
        _ => format!("Set {variable} to a proxy that works, or unset it."),
    };
    let what = if proxy.is_empty() {
        format!("The variable {variable} is {}.", phrase::proxy(error))
    } else {
        format!(
            "The proxy {proxy}, which {} names, leads nowhere: {}. Programs that use it do not \
             reach the server.",
            phrase::naming(variable),
            phrase::proxy(error)
        )
    };
    ProblemWords::new(what, [advice])
}

fn black_hole(family: Family) -> ProblemWords {
    ProblemWords::new(
        format!(
            "{family} is a black hole: there is a route and the server has an address, and neither \
             UDP nor TCP comes back. Programs that try one family after the other wait for it."
        ),
        [
            format!(
                "Open some other {family} site from this machine: if that fails too, mend {family} \
                 in the router, or switch it off."
            ),
            format!(
                "If it works, the server's {family} does not: mend it there, or take that address \
                 out of DNS."
            ),
        ],
    )
}

fn certificate_ends(of: &Certified, days: u64) -> ProblemWords {
    let whose = match of {
        Certified::Web(server) => server.to_string(),
        Certified::Relay(url) => format!("the relay {url}"),
    };
    let days = match days {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    ProblemWords::new(
        format!("The certificate of {whose} ends in {days}, and has not been renewed."),
        [
            "On the server: renew the certificate (with certbot: `certbot renew`), then restart \
          Jackfield, which reads it when it starts.",
        ],
    )
}

fn several_uplinks(is_machine: bool, externals: &[IpAddr]) -> ProblemWords {
    let why = format!(
        "Packets to different destinations leave by different outside addresses ({}): {}. Peers \
         see another address than the server told them.",
        list(externals),
        if is_machine {
            "this machine has several ways out"
        } else {
            "the router has several ways out, or shares out a pool of addresses"
        }
    );
    let advice = if is_machine {
        [
            "Let one interface lead everywhere: remove the other default routes, or the rules that \
             share traffic out (`ip route`, `ip rule`).",
        ]
    } else {
        [
            "Have the router send all traffic of one machine by one uplink and one address \
             (\"sticky\" or source-based balancing; RFC 4787 calls that paired pooling).",
        ]
    };
    ProblemWords::new(why, advice)
}

fn list(all: &[IpAddr]) -> String {
    let all: Vec<String> = all.iter().map(IpAddr::to_string).collect();
    all.join(", ")
}

/// No advice.
const NONE: [&str; 0] = [];
