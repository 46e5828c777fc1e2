//! What stands between a host of the grid and the internet.

use jackfield_nat::oracle::Traits;
use jackfield_nat::{Policy, Protocol, Side};
use serde::Serialize;

use crate::nat::{Change, Firewall};
use crate::plan::Plan;
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
}

impl NetworkType {
    /// Reads a network type: NATs from the host outwards and at most one firewall, with `+`
    /// between them, or `open`.
    ///
    /// # Errors
    /// Names the word that is neither, and what is accepted.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let mut network_type = Self {
            name: text.to_owned(),
            about: String::new(),
            nats: Vec::new(),
            firewall: None,
        };
        for word in text.split('+').map(str::trim) {
            match Firewall::find(word).filter(|it| *it != Firewall::None) {
                Some(firewall) => network_type.firewall = Some(firewall),
                None => network_type.nats.extend(spec::nat(word)),
            }
        }
        let site = network_type.site("type");
        site.check("--types").map_err(|error| match error {
            SpecError::Value { value, accepted, .. } => SpecError::Value {
                key: "--types".to_owned(),
                value,
                accepted: format!("open, no-udp, no-udp-no-incoming-tcp, only-https, MAPPING/FILTERING, or {accepted}"),
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
        }
    }

    fn describe(&self) -> String {
        let nats: Vec<&str> = self.nats.iter().map(about).collect();
        let firewall = self.firewall.map(wall);
        let nats = match nats.as_slice() {
            [] => "a public address".to_owned(),
            nats => nats.join("; behind it: "),
        };
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

const fn wall(firewall: Firewall) -> &'static str {
    match firewall {
        Firewall::None => "none",
        Firewall::NoUdp => "no UDP at all",
        Firewall::NoUdpNoIncomingTcp => "no UDP at all, and no TCP from outside",
        Firewall::OnlyHttps => "nothing but TCP to ports 80 and 443 of others",
    }
}

/// What a network of the plan lets through, as far as the expectations need it.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) traits: Vec<Traits>,
    policies: Vec<Policy>,
}

impl Network {
    /// Returns what the routers between a site and the internet let through together.
    pub(super) fn new(plan: &Plan, site: &str) -> Self {
        let mut network = Self {
            traits: Vec::new(),
            policies: Vec::new(),
        };
        let mut next = plan.sites.iter().find(|it| it.name == site);
        while let Some(site) = next {
            let config = site.settings.config();
            let public = site.settings.externals.is_empty();
            let traits = Traits::of(&config);
            // The oracle takes each entry for a NAT. A public site is none, except that its
            // firewall may block UDP.
            if !public || traits.blocked {
                network.traits.push(traits);
            }
            network.policies.push(config.policy);
            next = site.parent.and_then(|place| plan.sites.get(place));
        }
        network
    }

    /// Returns whether connections to a port outside get through.
    pub(super) fn lets_out(&self, protocol: Protocol, port: u16) -> bool {
        self.policies
            .iter()
            .all(|policy| allows(policy, protocol, port))
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
    "no-udp",
    "only-https",
];

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
