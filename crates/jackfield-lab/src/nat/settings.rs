//! What a router is: the NAT, the firewall and the link that texts ask for.

use std::net::IpAddr;
use std::time::Duration;

use jackfield_nat::profile::Profile;
use jackfield_nat::{Behaviour, Filtering, Hairpinning, Mapping, NatConfig, Prefix, Translation};
use jackfield_portmap::Dialects;

use super::Firewall;
use super::change::{Change, SettingError};
use super::link::LinkSettings;
use super::values;

/// What becomes of the addresses of the hosts behind a router.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Routing {
    /// The NAT translates them.
    #[default]
    Translated,
    /// They stay as they are. Any remote may send to the hosts of this list.
    Public(Vec<IpAddr>),
    /// They stay as they are. Only answers get in.
    Guarded,
}

/// How often a host may do something, whatever the profile says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostRate {
    /// As often as the profile says.
    #[default]
    Profile,
    /// As often as it likes.
    Unlimited,
    /// So many times in a second, and in a burst.
    PerSecond(u32),
}

impl HostRate {
    fn or(self, profile: Option<u32>) -> Option<u32> {
        match self {
            Self::Profile => profile,
            Self::Unlimited => None,
            Self::PerSecond(rate) => Some(rate),
        }
    }
}

/// What a router is, with every value read.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the NAT's behaviour comes from.
    pub profile: Profile,
    /// The mapping of UDP and TCP; `None` for the profile's.
    pub mapping: Option<Mapping>,
    /// The filtering of UDP and TCP; `None` for the profile's.
    pub filtering: Option<Filtering>,
    /// The hairpinning; `None` for the profile's.
    pub hairpinning: Option<Hairpinning>,
    /// How long idle UDP mappings live; `None` for as long as the profile says.
    pub udp_timeout: Option<Duration>,
    /// How many mappings a host may make in a second ([RFC 6888 §3, REQ-4c]).
    ///
    /// [RFC 6888 §3, REQ-4c]: https://www.rfc-editor.org/rfc/rfc6888#section-3
    pub new_mappings_per_host: HostRate,
    /// How many flows a host may start in a second ([RFC 6888 §3, REQ-5b]).
    ///
    /// [RFC 6888 §3, REQ-5b]: https://www.rfc-editor.org/rfc/rfc6888#section-3
    pub new_flows_per_host: HostRate,
    /// What is refused, whatever the NAT would do.
    pub firewall: Firewall,
    /// What becomes of the hosts' addresses.
    pub routing: Routing,
    /// What the link between the NAT and the outside does to packets.
    pub link: LinkSettings,
    /// In which protocols hosts inside may ask for ports.
    pub port_mapping: Dialects,
    /// The NAT's outside addresses.
    pub externals: Vec<IpAddr>,
    /// The NAT's own address inside.
    pub gateway: Option<IpAddr>,
    /// The NAT's MTU, in bytes, above which it cuts packets to pieces or refuses them.
    pub mtu: Option<u16>,
}

impl Settings {
    /// Returns a port-restricted cone NAT on a perfect link.
    #[must_use]
    pub fn new(externals: Vec<IpAddr>) -> Self {
        Self {
            profile: Profile::PORT_RESTRICTED_CONE,
            mapping: None,
            filtering: None,
            hairpinning: None,
            udp_timeout: None,
            new_mappings_per_host: HostRate::Profile,
            new_flows_per_host: HostRate::Profile,
            firewall: Firewall::None,
            routing: Routing::Translated,
            link: LinkSettings::default(),
            port_mapping: Dialects::NONE,
            externals,
            gateway: None,
            mtu: None,
        }
    }

    /// Returns the settings after a change.
    ///
    /// # Errors
    /// Names the first value that is not accepted, and says what would be.
    pub fn changed(&self, change: &Change) -> Result<Self, SettingError> {
        let mut new = self.clone();
        if let Some(name) = &change.profile {
            new.profile = values::profile(name)?;
            new.mapping = None;
            new.filtering = None;
            new.hairpinning = None;
            new.udp_timeout = None;
            new.new_mappings_per_host = HostRate::Profile;
            new.new_flows_per_host = HostRate::Profile;
        }
        if let Some(name) = &change.mapping {
            new.mapping = Some(values::mapping(name)?);
        }
        if let Some(name) = &change.filtering {
            new.filtering = Some(values::filtering(name)?);
        }
        if let Some(name) = &change.hairpinning {
            new.hairpinning = Some(values::hairpinning(name)?);
        }
        if let Some(text) = &change.udp_timeout {
            new.udp_timeout = Some(values::time(
                "udp-timeout",
                text,
                SHORTEST_TIMEOUT,
                LONGEST_TIMEOUT,
            )?);
        }
        if let Some(text) = &change.new_mappings_per_host {
            new.new_mappings_per_host = values::host_rate("new-mappings-per-host", text)?;
        }
        if let Some(text) = &change.new_flows_per_host {
            new.new_flows_per_host = values::host_rate("new-flows-per-host", text)?;
        }
        if let Some(name) = &change.firewall {
            new.firewall = values::firewall(name)?;
        }
        new.link.apply(change)?;
        if let Some(text) = &change.port_mapping {
            new.port_mapping = values::protocols(text)?;
        }
        Ok(new)
    }

    /// Returns the NAT that the settings ask for.
    #[must_use]
    pub fn config(&self) -> NatConfig {
        let mut config = self.profile.config(&self.externals);
        config.inside = self.gateway;
        config.mtu = self.mtu;
        config.policy = self.firewall.policy();
        let limits = &mut config.limits;
        limits.new_mappings_per_host = self.new_mappings_per_host.or(limits.new_mappings_per_host);
        limits.new_flows_per_host = self.new_flows_per_host.or(limits.new_flows_per_host);
        match &self.routing {
            Routing::Translated => {}
            Routing::Public(hosts) => return self.public(config, hosts),
            Routing::Guarded => return guarded(config),
        }
        if let Some(mapping) = self.mapping {
            // Linux's connection tracking is a mapping of its own kind, and would win.
            config.conntrack = None;
            config.udp.mapping = mapping;
            config.tcp.mapping = mapping;
        }
        if let Some(filtering) = self.filtering {
            config.udp.filtering = filtering;
            config.tcp.filtering = filtering;
        }
        if let Some(hairpinning) = self.hairpinning {
            config.hairpinning = hairpinning;
        }
        if let Some(timeout) = self.udp_timeout {
            config.timers.udp = timeout;
            config.timers.udp_filter = timeout;
            // The profile's times for unanswered flows and for well-known ports are shorter, and
            // would win over the one that was asked for.
            config.timers.udp_unreplied = None;
            config.timers.udp_well_known = None;
        }
        config
    }

    /// Returns whether hosts inside have IPv6 alone, and the NAT makes IPv4 of it.
    #[must_use]
    pub fn is_nat64(&self) -> bool {
        matches!(self.config().translation, Translation::Nat64 { .. })
    }

    /// Returns how ports are leased to hosts inside.
    #[must_use]
    pub fn leasing(&self) -> jackfield_portmap::GatewayConfig {
        jackfield_portmap::GatewayConfig {
            dialects: self.port_mapping,
            ..jackfield_portmap::GatewayConfig::default()
        }
    }

    /// Returns the name of what it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.routing {
            Routing::Translated => self.profile.name(),
            Routing::Public(_) => "public",
            Routing::Guarded => "guarded",
        }
    }

    /// Returns a router that lets any remote send to its hosts, as far as the firewall does.
    fn public(&self, config: NatConfig, hosts: &[IpAddr]) -> NatConfig {
        let open = Behaviour {
            mapping: Mapping::EndpointIndependent,
            filtering: Filtering::EndpointIndependent,
        };
        let mut config = untranslated(config, open);
        if self.firewall == Firewall::None {
            // Without a firewall no packet has to be remembered, so none costs a mapping.
            let everywhere = [IpAddr::from([0; 4]), IpAddr::from([0; 16])];
            let prefixes = everywhere.into_iter().filter_map(|ip| Prefix::new(ip, 0));
            config.untranslated = prefixes.collect();
        } else {
            // The firewall needs flows. One-to-one, a host is reachable before it has sent
            // anything.
            config.translation = Translation::Ports;
            config.one_to_one = hosts.iter().map(|ip| (*ip, *ip)).collect();
        }
        config
    }
}

/// Returns a stateful firewall that translates nothing.
fn guarded(config: NatConfig) -> NatConfig {
    let strict = Behaviour {
        mapping: Mapping::EndpointIndependent,
        filtering: Filtering::AddressAndPortDependent,
    };
    untranslated(config, strict)
}

fn untranslated(mut config: NatConfig, behaviour: Behaviour) -> NatConfig {
    config.translation = Translation::None;
    config.conntrack = None;
    config.udp = behaviour;
    config.tcp = behaviour;
    config.icmp_filtering = behaviour.filtering;
    config
}

const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(7 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_nat::packet::{Headers, Packet, build};
    use jackfield_nat::{DropReason, Nat, Policy, Verdict};
    use std::net::SocketAddr;
    use std::time::Instant;

    fn settings() -> Settings {
        Settings::new(vec!["198.18.1.1".parse().unwrap()])
    }

    #[test]
    fn each_of_the_nine_types_can_be_asked_for() {
        for mapping in Mapping::ALL {
            for filtering in Filtering::ALL {
                let change = Change {
                    mapping: Some(mapping.name().into()),
                    filtering: Some(filtering.abbreviation().into()),
                    ..Change::default()
                };
                let config = settings().changed(&change).unwrap().config();
                assert_eq!(config.udp.mapping, mapping);
                assert_eq!(config.tcp.filtering, filtering);
            }
        }
    }

    #[test]
    fn port_mapping_is_a_list_of_protocols() {
        let with = |text: &str| {
            settings().changed(&Change {
                port_mapping: Some(text.into()),
                ..Change::default()
            })
        };
        assert_eq!(settings().port_mapping, Dialects::NONE);
        for (text, names) in [
            ("none", &[][..]),
            ("pcp", &["pcp"]),
            ("upnp, nat-pmp", &["nat-pmp", "upnp"]),
            ("all", &["nat-pmp", "pcp", "upnp"]),
        ] {
            assert_eq!(
                values::protocol_names(with(text).unwrap().port_mapping),
                names
            );
        }
        let wrong = with("natpmp").unwrap_err().to_string();
        assert!(wrong.starts_with("port-mapping cannot be `natpmp`"));
    }

    #[test]
    fn a_profile_undoes_single_behaviours_and_leaves_the_link() {
        let first = Change {
            mapping: Some("apdm".into()),
            udp_timeout: Some("2s".into()),
            loss: Some("12.5%".into()),
            ..Change::default()
        };
        let second = Change {
            profile: Some("full-cone".into()),
            ..Change::default()
        };
        let changed = settings().changed(&first).unwrap();
        assert_eq!(changed.config().timers.udp, Duration::from_secs(2));
        let changed = changed.changed(&second).unwrap();
        assert_eq!(
            changed.config().udp,
            Profile::FULL_CONE.config(&settings().externals).udp
        );
        assert_eq!(changed.link.loss, 125_000);
    }

    #[test]
    fn a_host_rate_replaces_the_one_of_the_profile_until_the_next_profile() {
        let with = |profile: Option<&str>, mappings: Option<&str>, flows: Option<&str>| Change {
            profile: profile.map(Into::into),
            new_mappings_per_host: mappings.map(Into::into),
            new_flows_per_host: flows.map(Into::into),
            ..Change::default()
        };
        let rates = |settings: &Settings| {
            let limits = settings.config().limits;
            (limits.new_mappings_per_host, limits.new_flows_per_host)
        };
        assert_eq!(rates(&settings()), (None, None));
        let carrier = settings().changed(&with(Some("cgn"), None, None)).unwrap();
        let of_the_profile = rates(&carrier);
        assert!(of_the_profile.0.is_some() && of_the_profile.1.is_some());
        let changed = carrier.changed(&with(None, Some("7"), Some("none")));
        let changed = changed.unwrap();
        assert_eq!(rates(&changed), (Some(7), None));
        let again = changed.changed(&with(Some("cgn"), None, None)).unwrap();
        assert_eq!(rates(&again), of_the_profile);
    }

    #[test]
    fn a_host_that_makes_mappings_too_fast_is_stopped_and_its_drops_are_counted() {
        let change = Change {
            new_mappings_per_host: Some("3".into()),
            ..Change::default()
        };
        let settings = settings().changed(&change).unwrap();
        let mut nat = Nat::new(settings.config(), [7; 32]);
        let now = Instant::now();
        let mut send = |host: &str, port: u16| {
            let from = SocketAddr::new(host.parse().unwrap(), port);
            let mut bytes = build::udp(from, "198.18.0.1:9".parse().unwrap(), b"hello");
            nat.outbound(now, &mut Packet::new(&mut bytes))
        };
        for port in 5000..5003 {
            assert_eq!(send("10.0.0.2", port), Verdict::Forward);
        }
        let refused = Verdict::Drop(DropReason::MappingRate);
        assert_eq!(send("10.0.0.2", 5003), refused);
        assert_eq!(send("10.0.0.3", 5003), Verdict::Forward, "another host");
    }

    #[test]
    fn a_wrong_value_is_named_with_what_would_do() {
        let wrong = |change: Change| settings().changed(&change).unwrap_err().to_string();
        let text = wrong(Change {
            mapping: Some("cone".into()),
            ..Change::default()
        });
        assert!(
            text.contains("mapping cannot be `cone`") && text.contains("apdm"),
            "{text}"
        );
        let text = wrong(Change {
            profile: Some("port-restricted".into()),
            ..Change::default()
        });
        assert!(text.contains("port-restricted-cone"), "{text}");
        for loss in ["101", "-1", "NaN", "x"] {
            let text = wrong(Change {
                loss: Some(loss.into()),
                ..Change::default()
            });
            assert!(text.contains("percentage"), "{text}");
        }
    }

    #[test]
    fn a_firewall_stays_when_the_nat_becomes_another_one() {
        let with = |firewall: Option<&str>, profile: Option<&str>| Change {
            firewall: firewall.map(Into::into),
            profile: profile.map(Into::into),
            ..Change::default()
        };
        let walled = settings().changed(&with(Some("no-udp"), None)).unwrap();
        let symmetric = walled.changed(&with(None, Some("symmetric"))).unwrap();
        assert_eq!(symmetric.config().policy, Policy::no_udp());
        let error = settings().changed(&with(Some("all"), None)).unwrap_err();
        assert!(error.to_string().contains("only-https"), "{error}");
    }

    #[test]
    fn public_hosts_keep_their_addresses_and_admit_any_remote() {
        let host: IpAddr = "198.18.9.1".parse().unwrap();
        for firewall in [None, Some("no-udp-no-incoming-tcp".to_owned())] {
            let mut settings = settings();
            settings.routing = Routing::Public(vec![host]);
            let change = Change {
                firewall: firewall.clone(),
                ..Change::default()
            };
            let settings = settings.changed(&change).unwrap();
            let passes = if firewall.is_some() {
                Verdict::Drop(DropReason::Policy)
            } else {
                Verdict::Forward
            };
            receive(&settings, host, passes);
        }
    }

    fn receive(settings: &Settings, host: IpAddr, wanted: Verdict) {
        let mut nat = Nat::new(settings.config(), [7; 32]);
        let (stranger, host) = ("198.18.0.1:9".parse().unwrap(), SocketAddr::new(host, 7000));
        let mut bytes = build::udp(stranger, host, b"hello");
        let verdict = nat.inbound(Instant::now(), &mut Packet::new(&mut bytes));
        assert_eq!(verdict, wanted);
        assert_eq!(
            Headers::parse(&bytes)
                .unwrap()
                .destination_endpoint()
                .map(SocketAddr::from),
            Some(host)
        );
    }
}
