//! This machine, the name of the server, and what stands between, as lines.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::line::Draft;
use super::phrase::{self, millis};
use crate::conclusions::{Family, SECONDS_A_DAY};
use crate::facts::{
    CertificateEnd, Clock, Dns, Interception, Interface, InterfaceKind, Lookup, NetworkError,
    PathMtu, Proxy, Uplink,
};

pub(super) fn interfaces(all: &[Interface]) -> Draft {
    let tried = "Listed this machine's addresses.";
    let shown: Vec<String> = all
        .iter()
        .filter(|it| !is_link_local(it.ip))
        .map(|it| {
            let mut remarks = Vec::new();
            match it.kind {
                InterfaceKind::Tunnel => remarks.push("tunnel"),
                InterfaceKind::Containers => remarks.push("containers"),
                InterfaceKind::Network | InterfaceKind::Loopback => {}
            }
            if it.is_used {
                remarks.push("used");
            }
            let remarks = match remarks.as_slice() {
                [] => String::new(),
                remarks => format!(" ({})", remarks.join(", ")),
            };
            format!("{} {}{remarks}", it.name, it.ip)
        })
        .collect();
    if shown.is_empty() {
        return Draft::new("Interfaces", "none with an address")
            .tried(tried)
            .means("This machine is not connected to any network.");
    }
    let used = || all.iter().filter(|it| it.is_used);
    let means = if used().any(|it| it.kind == InterfaceKind::Tunnel) {
        "The server is reached through a tunnel, as of a VPN: what follows is about the network at \
         its far end."
    } else if used().next().is_some() {
        "The server is reached by the one in use."
    } else {
        "None of them leads to the server."
    };
    let has_containers = all.iter().any(|it| it.kind == InterfaceKind::Containers);
    let draft = Draft::new("Interfaces", shown.join(", ")).tried(tried);
    if has_containers {
        draft.means(format!(
            "{means} Browsers offer the addresses of containers to peers, where they lead nowhere; \
             that costs no more than a few packets."
        ))
    } else {
        draft.means(means)
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

pub(super) fn uplinks(all: &[Uplink]) -> Draft {
    let shown: Vec<String> = all
        .iter()
        .map(|it| format!("{} by {} (metric {})", it.interface, it.gateway, it.metric))
        .collect();
    Draft::new("Uplinks", shown.join(", "))
        .tried("Looked for the default routes of this machine.")
        .means("Packets leave by the route with the lowest metric, unless a rule says otherwise.")
}

pub(super) fn dns(dns: &Dns) -> Draft {
    let name = dns.name.as_deref().unwrap_or_default();
    let draft = if dns.addresses.is_empty() {
        let is_silent = dns.v4.error.is_some() && dns.v6.error.is_some();
        let seen = if is_silent {
            "no resolver answers"
        } else {
            "not found"
        };
        Draft::new("DNS", seen).means("Without its address the server cannot be reached.")
    } else {
        let all: Vec<String> = dns.addresses.iter().map(IpAddr::to_string).collect();
        Draft::new(
            "DNS",
            format!(
                "{}; IPv4 {}, IPv6 {}",
                all.join(", "),
                lookup(dns.v4),
                lookup(dns.v6)
            ),
        )
    };
    let draft = draft.tried(format!(
        "Looked up {name}, each family by itself, and a name that cannot exist."
    ));
    if dns.invented.is_empty() {
        draft
    } else {
        let invented: Vec<String> = dns.invented.iter().map(IpAddr::to_string).collect();
        draft.means(format!(
            "The resolver lies: it gave {} for the name that cannot exist.",
            invented.join(", ")
        ))
    }
}

fn lookup(lookup: Lookup) -> String {
    match lookup.error {
        Some(error) => format!("failed ({})", phrase::network(error)),
        None => format!("in {}", millis(lookup.took)),
    }
}

pub(super) fn tcp(family: Family, result: Result<Duration, NetworkError>) -> Draft {
    let topic = match family {
        Family::V4 => "TCP v4",
        Family::V6 => "TCP v6",
    };
    match result {
        Ok(took) => Draft::new(topic, format!("connected after {}", millis(took))),
        Err(error) => Draft::new(topic, phrase::network(error)),
    }
    .tried(format!(
        "Connected to the server over {family}, for 6 s at most."
    ))
}

pub(super) fn mtu(family: Family, mtu: PathMtu) -> Draft {
    let topic = match family {
        Family::V4 => "MTU v4",
        Family::V6 => "MTU v6",
    };
    let seen = if mtu.path >= mtu.local {
        format!("{} bytes, all that this machine sends", mtu.path)
    } else {
        format!(
            "{} bytes of the {} that this machine sends",
            mtu.path, mtu.local
        )
    };
    let means = match mtu.told_by {
        Some(router) => format!("The router {router} said so, and programs heed that."),
        None if mtu.path < mtu.local => "Larger packets get lost and no router says so: a black \
                                         hole, in which TCP hangs."
            .to_owned(),
        None => "Packets of every usual size get through.".to_owned(),
    };
    Draft::new(topic, seen)
        .tried("Sent STUN requests of many sizes that may not be cut into fragments.")
        .means(means)
}

pub(super) fn proxy(proxy: &Proxy) -> Draft {
    let through = match &proxy.result {
        Ok(took) => format!(
            "{} leads to the server in {}",
            proxy.authority,
            millis(*took)
        ),
        Err(error) if proxy.authority.is_empty() => phrase::proxy(error),
        Err(error) => format!("{}: {}", proxy.authority, phrase::proxy(error)),
    };
    let means = match &proxy.relay {
        _ if proxy.is_bypassed => "`no_proxy` exempts this server.".to_owned(),
        Some(Ok(took)) => format!(
            "Browsers reach the relay inside TLS through it, too (tried: {}).",
            millis(*took)
        ),
        Some(Err(error)) => format!(
            "The relay inside TLS is not reached through it: {}.",
            phrase::proxy(error)
        ),
        None => String::new(),
    };
    Draft::new("Proxy", through)
        .tried(format!(
            "Had the proxy of {} connect to the server.",
            phrase::naming(proxy.variable)
        ))
        .means(means)
}

pub(super) fn interception(found: &Interception) -> Draft {
    let draft = match found {
        Interception::Portal { login: Some(login) } => {
            Draft::new("Portal", format!("yes: it sends people to {login}"))
        }
        Interception::Portal { login: None } => Draft::new("Portal", "yes"),
        Interception::Proxy => Draft::new("Portal", "no, but a proxy takes all of port 80")
            .means("This network passes web pages on by itself; that harms no call."),
    };
    draft.tried("Asked an address that no host has (192.0.2.1) for a page.")
}

pub(super) fn clock(clock: Clock) -> Draft {
    let seen = match clock.ahead {
        0 => "agrees with the server's".to_owned(),
        ahead => phrase::skew(ahead),
    };
    Draft::new("Clock", seen).tried(format!(
        "Compared this machine's clock with the time of the server's answer, to within {} s.",
        clock.error
    ))
}

pub(super) fn certificate(end: &CertificateEnd, at: SystemTime) -> Draft {
    let seen = match end.ends.duration_since(at) {
        Ok(left) => format!(
            "{} days left, until {}",
            left.as_secs() / SECONDS_A_DAY,
            phrase::day(end.ends)
        ),
        Err(_) => format!("ended on {}", phrase::day(end.ends)),
    };
    let tried = match &end.relay {
        Some(url) => format!("Looked at the certificate that {url} shows."),
        None => "Looked at the certificate that the web server shows.".to_owned(),
    };
    Draft::new("Certificate", seen).tried(tried)
}
