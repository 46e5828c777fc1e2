//! What stands between a host of the grid and the internet.

use std::net::SocketAddr;

use jackfield_nat::oracle::{Access, Traits};
use jackfield_nat::{Filtering, Mapping, Policy, Protocol, Side};
use serde::Serialize;

use super::transport::RelayWay;
use crate::nat::{Change, Firewall};
use crate::plan::{Plan, ProxyPlan};
use crate::proxy::ProxyKind;
use crate::spec::{self, SiteSpec, SpecError};

/// A line and a column of the grid: the NATs and the firewall between a host and the internet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkType {
    /// The text that it was read from.
    pub name: String,
    /// A description in plain words.
    pub about: String,
    /// The NATs, innermost first.
    #[serde(skip)]
    nats: Vec<Change>,
    #[serde(skip)]
    firewall: Option<Firewall>,
    #[serde(skip)]
    pub(super) proxy: Option<ProxyKind>,
}

impl NetworkType {
    /// Reads a network type: NATs from the host outwards, at most one firewall, and at most one
    /// proxy, with `+` between them, or `open`.
    ///
    /// # Errors
    /// Names the word that is neither, and what is accepted.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let mut network_type = Self {
            name: text.to_owned(),
            about: String::new(),
            nats: Vec::new(),
            firewall: None,
            proxy: None,
        };
        for word in text.split('+').map(str::trim) {
            let firewall = Firewall::find(word).filter(|it| *it != Firewall::None);
            if let Some(kind) = proxy(word) {
                network_type.proxy = Some(kind);
            } else if let Some(firewall) = firewall {
                network_type.firewall = Some(firewall);
            } else {
                network_type.nats.extend(spec::nat(word));
            }
        }
        let site = network_type.site("type");
        site.check("--types").map_err(|error| match error {
            SpecError::Value { value, accepted, .. } => SpecError::Value {
                key: "--types".to_owned(),
                value,
                accepted: format!("open, no-udp, no-udp-no-incoming-tcp, only-https, http-proxy, socks-proxy, MAPPING/FILTERING, or {accepted}"),
            },
            other => other,
        })?;
        network_type.about = network_type.describe();
        Ok(network_type)
    }

    /// Returns a site of this type.
    pub(super) fn site(&self, name: &str) -> SiteSpec {
        let change = Change {
            firewall: self.firewall.map(|firewall| firewall.name().to_owned()),
            ..Change::default()
        };
        SiteSpec {
            name: name.to_owned(),
            nats: self.nats.clone(),
            change,
            externals: 1,
            behind: None,
            proxy: self.proxy,
        }
    }

    fn describe(&self) -> String {
        let nats: Vec<&str> = self.nats.iter().map(about).collect();
        let firewall = self.firewall.map(wall);
        let nats = match nats.as_slice() {
            [] => "a public address".to_owned(),
            nats => nats.join("; behind it: "),
        };
        if let Some(proxy) = self.proxy {
            return format!("no way out but by {}", proxy_words(proxy));
        }
        match firewall {
            None if self.nats.is_empty() => {
                "a public address and nothing in front of it".to_owned()
            }
            None => nats,
            Some(wall) => format!("{nats}, and a firewall: {wall}"),
        }
    }
}

/// Returns what a NAT does, for people who never heard of mapping and filtering.
fn about(nat: &Change) -> &'static str {
    match nat.profile.as_deref() {
        Some("full-cone") => "one outside port for everybody, and everybody may send to it",
        Some("restricted-cone") => {
            "one outside port for everybody; only hosts that were sent to may send back, from any port"
        }
        Some("port-restricted-cone") => {
            "one outside port for everybody; only hosts that were sent to may send back, from that port alone"
        }
        Some("symmetric") => "another outside port for each destination, which alone may send back",
        Some(name) => {
            let profile = name.parse::<jackfield_nat::profile::Profile>();
            profile.map_or("a NAT", |profile| profile.about())
        }
        None => "a NAT of that mapping and filtering",
    }
}

/// Returns the proxy that a word of a type stands for.
fn proxy(word: &str) -> Option<ProxyKind> {
    word.strip_suffix("-proxy").and_then(ProxyKind::find)
}

const fn proxy_words(proxy: ProxyKind) -> &'static str {
    match proxy {
        ProxyKind::Http => "an HTTP proxy, which opens tunnels to port 443 alone",
        ProxyKind::Socks => "a SOCKS proxy, for TCP alone",
    }
}

const fn wall(firewall: Firewall) -> &'static str {
    match firewall {
        Firewall::None => "none",
        Firewall::NoUdp => "no UDP at all",
        Firewall::NoUdpNoIncomingTcp => "no UDP at all, and no TCP from outside",
        Firewall::OnlyHttps => "nothing but TCP to ports 80 and 443 of others",
    }
}

/// What a network of the plan lets through, as far as agents and expectations need it.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) access: Access,
    /// The first way to a relay that gets out.
    pub(super) way: Option<RelayWay>,
    pub(super) is_nat64: bool,
    pub(super) proxy: Option<ProxyPlan>,
}

impl Network {
    /// Returns what the routers between a site and the internet let through together.
    pub(super) fn new(plan: &Plan, name: &str) -> Self {
        let found = plan.sites.iter().find(|it| it.name == name);
        let mut access = Access::of(&[]);
        let mut policies = Vec::new();
        let mut next = found;
        while let Some(site) = next {
            let config = site.settings.config();
            let is_public = site.settings.externals.is_empty();
            access.is_public &= is_public;
            // A public site has no filter of its own, but for its firewall.
            if !is_public || site.settings.firewall != Firewall::None {
                access.udp.push(Traits::of(&config));
                access.tcp.push(Traits::of_tcp(&config));
            }
            policies.push(config.policy);
            next = site.parent.and_then(|place| plan.sites.get(place));
        }
        access.dials = !access.tcp.iter().any(|nat| nat.blocked);
        let proxy = found.and_then(|site| site.proxy);
        if proxy.is_some() {
            access = behind_proxy();
        }
        let lets_out = |protocol, port| {
            let mut all = policies.iter();
            all.all(|policy| allows(policy, protocol, port))
        };
        let gets_out = |way: &RelayWay| {
            let (protocol, port) = match way {
                RelayWay::Udp => (Protocol::Udp, PLAIN_PORT),
                RelayWay::Tcp => (Protocol::Tcp, PLAIN_PORT),
                RelayWay::Tls => (Protocol::Tcp, TLS_PORT),
            };
            let through_proxy =
                |proxy: ProxyPlan| protocol == Protocol::Tcp && proxy.kind.allows(port);
            proxy.is_none_or(through_proxy) && lets_out(protocol, port)
        };
        let way = RelayWay::ALL.into_iter().find(gets_out);
        access.has_relay = way.is_some();
        Self {
            access,
            way,
            is_nat64: found.is_some_and(|site| site.is_nat64()),
            proxy,
        }
    }

    /// Returns the address of the proxy.
    pub(super) fn proxy(&self) -> Option<(ProxyKind, SocketAddr)> {
        self.proxy.map(|proxy| (proxy.kind, proxy.address))
    }
}

/// Returns the access of a host that reaches nothing but a proxy. Agents reach TURN servers by it
/// and dial no candidates through it.
fn behind_proxy() -> Access {
    let mut wall = Traits::plain(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
    wall.blocked = true;
    Access {
        udp: vec![wall],
        tcp: vec![wall],
        is_public: false,
        dials: false,
        has_relay: true,
    }
}

/// Returns whether a policy lets connections out to a port. The first rule that fits decides.
fn allows(policy: &Policy, protocol: Protocol, port: u16) -> bool {
    let mut rules = policy.rules.iter();
    let fitting = rules.find(|rule| {
        rule.from.is_none_or(|side| side == Side::Inside)
            && rule.protocol.is_none_or(|it| it == protocol)
            && rule.ports.contains(&port)
    });
    fitting.is_none_or(|rule| rule.allow)
}

/// The networks of a grid when none are asked for.
pub const DEFAULT_TYPES: &[&str] = &[
    "open",
    "full-cone",
    "restricted-cone",
    "port-restricted-cone",
    "symmetric",
    "linux+cgn",
    "nat64",
    "no-udp",
    "no-udp-no-incoming-tcp",
    "only-https",
    "http-proxy",
    "socks-proxy",
];

/// The ports of the lab's server: STUN and TURN over UDP and TCP, and TURN over TLS.
pub(super) const PLAIN_PORT: u16 = 3478;
pub(super) const TLS_PORT: u16 = 443;

/// All nine combinations of mapping and filtering (RFC 4787).
pub const ALL_TYPES: &[&str] = &[
    "eim/eif",
    "eim/adf",
    "eim/apdf",
    "adm/eif",
    "adm/adf",
    "adm/apdf",
    "apdm/eif",
    "apdm/adf",
    "apdm/apdf",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_default_grid_can_be_read() {
        for name in DEFAULT_TYPES.iter().chain(ALL_TYPES) {
            let network_type = NetworkType::parse(name).unwrap();
            assert!(!network_type.about.is_empty());
            let proxied = name.ends_with("-proxy");
            assert_eq!(network_type.proxy.is_some(), proxied, "{name}");
        }
        let network_type = NetworkType::parse("linux+cgn+no-udp").unwrap();
        assert_eq!(network_type.nats.len(), 2);
        assert_eq!(network_type.firewall, Some(Firewall::NoUdp));
    }

    #[test]
    fn a_type_that_there_is_not_is_named_with_those_there_are() {
        let error = NetworkType::parse("cone").unwrap_err().to_string();
        assert!(error.starts_with("--types cannot be `cone`"), "{error}");
        assert!(
            error.contains("full-cone") && error.contains("only-https"),
            "{error}"
        );
    }
}
