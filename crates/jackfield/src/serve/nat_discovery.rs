//! The two addresses and two ports by which clients find out what NAT they are behind (RFC 5780).

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, bail};
use jackfield_stun::behaviour::answer::{Alternate, ServerAddress, ServerAddresses};
use jackfield_stun::behaviour::helper;
use jackfield_turn::Discovery;

use super::addresses;
use crate::config::Config;

/// Returns the discovery part of the TURN core's configuration.
pub(super) fn core(config: &Config, secrets: &[String]) -> Discovery {
    Discovery {
        addresses: addresses(config, &addresses::local()),
        keys: secrets.iter().map(|secret| helper::key(secret)).collect(),
        help: config.nat_discovery.help,
    }
}

/// Returns where else to listen, over UDP alone: the second port of each address, and both ports of
/// the second one.
///
/// # Errors
///
/// Fails when there is no first address to a second one, or when a port is there twice.
pub(super) fn listen(config: &Config) -> Result<Vec<SocketAddr>> {
    let wanted = &config.nat_discovery;
    if !wanted.is_on() {
        return Ok(Vec::new());
    }
    if config
        .listen
        .iter()
        .chain(&config.listen_tls)
        .any(|it| it.port() == wanted.port)
    {
        bail!(
            "`nat-discovery-port` {} is also listened on: give another one",
            wanted.port
        );
    }
    for other in wanted.others.iter().chain(&wanted.helpers) {
        if first(config, other.is_ipv4()).is_none() {
            bail!("NAT discovery with {other} needs a `listen` address of its family");
        }
    }
    let mut more = Vec::new();
    for v4 in [true, false] {
        let Some(first) = first(config, v4) else {
            continue;
        };
        let mut ips = vec![first.ip()];
        ips.extend(wanted.others.iter().filter(|ip| ip.is_ipv4() == v4));
        for address in ips
            .iter()
            .flat_map(|ip| [first.port(), wanted.port].map(|port| SocketAddr::new(*ip, port)))
        {
            let wildcard = |known: &SocketAddr| {
                known.ip().is_unspecified()
                    && known.is_ipv4() == v4
                    && known.port() == address.port()
            };
            let mut known = config.listen.iter().chain(&more);
            if !known.any(|known| *known == address || wildcard(known)) {
                more.push(address);
            }
        }
    }
    Ok(more)
}

/// Returns the address of a family that clients ask: the first one that is listened on.
fn first(config: &Config, v4: bool) -> Option<SocketAddr> {
    config.listen.iter().copied().find(|it| it.is_ipv4() == v4)
}

fn addresses(config: &Config, own: &[IpAddr]) -> Vec<ServerAddresses> {
    if !config.nat_discovery.is_on() {
        return Vec::new();
    }
    [true, false]
        .into_iter()
        .filter_map(|v4| first(config, v4))
        .flat_map(|first| addresses_of_family(config, first, own))
        .collect()
}

/// Returns the addresses of one family: one for the address listened on, or for each that a
/// wildcard stands for.
fn addresses_of_family(config: &Config, first: SocketAddr, own: &[IpAddr]) -> Vec<ServerAddresses> {
    let wanted = &config.nat_discovery;
    let family = |ip: &&IpAddr| ip.is_ipv4() == first.is_ipv4();
    let other = wanted.others.iter().find(family);
    let helper = wanted.helpers.iter().find(family);
    let alternate = match (other, helper) {
        (Some(ip), _) => Some(Alternate::Own(server_address(config, *ip, false))),
        (None, Some(ip)) => Some(Alternate::Helper(*ip)),
        (None, None) => None,
    };
    let firsts: Vec<IpAddr> = if first.ip().is_unspecified() {
        own.iter().filter(family).copied().collect()
    } else {
        vec![first.ip()]
    };
    firsts
        .into_iter()
        .filter(|ip| Some(ip) != other)
        .map(|ip| ServerAddresses {
            primary: server_address(config, ip, true),
            alternate,
            ports: [first.port(), wanted.port],
        })
        .collect()
}

/// Returns a local address with the public one that stands for it; one that stands for all stands
/// for the first.
fn server_address(config: &Config, local: IpAddr, is_first: bool) -> ServerAddress {
    let public = config.external_ips.iter().find(|(public, of)| match of {
        Some(of) => *of == local,
        None => is_first && public.is_ipv4() == local.is_ipv4(),
    });
    ServerAddress {
        local,
        advertised: public.map_or(local, |(public, _)| *public),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Key, Low, Source};

    fn config(pairs: &[(&str, &str)]) -> Config {
        let mut low = Low::default();
        for (name, values) in pairs {
            let values = values.split(' ').map(str::to_owned).collect();
            low.set(Key::find(name).unwrap(), Source::Flag, values);
        }
        Config::resolve(&low).unwrap()
    }

    fn texts(addresses: &[SocketAddr]) -> Vec<String> {
        addresses.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn without_a_second_address_there_is_no_second_port() {
        let config = config(&[("listen", "192.0.2.1:3478")]);
        assert_eq!(listen(&config).unwrap(), []);
        assert!(core(&config, &[]).addresses.is_empty());
    }

    #[test]
    fn two_addresses_are_listened_on_with_both_ports() {
        let config = config(&[
            ("listen", "192.0.2.1:3478"),
            ("nat-discovery", "192.0.2.2"),
            ("external-ip", "203.0.113.1 203.0.113.2/192.0.2.2"),
        ]);
        assert_eq!(
            texts(&listen(&config).unwrap()),
            ["192.0.2.1:3479", "192.0.2.2:3478", "192.0.2.2:3479"]
        );
        let addresses = addresses(&config, &[]);
        assert_eq!(addresses.len(), 1);
        assert_eq!(addresses[0].ports, [3478, 3479]);
        assert_eq!(addresses[0].primary.advertised.to_string(), "203.0.113.1");
        let Some(Alternate::Own(other)) = addresses[0].alternate else {
            panic!("{addresses:?}")
        };
        assert_eq!(other.advertised.to_string(), "203.0.113.2");
    }

    #[test]
    fn a_wildcard_stands_for_every_address_but_the_second_one() {
        let config = config(&[
            ("listen", "0.0.0.0:3478 [::]:3478"),
            ("nat-discovery", "192.0.2.2"),
        ]);
        assert_eq!(
            texts(&listen(&config).unwrap()),
            ["0.0.0.0:3479", "[::]:3479"]
        );
        let own = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|ip| ip.parse().unwrap());
        let addresses = addresses(&config, &own);
        let firsts: Vec<String> = addresses
            .iter()
            .map(|addresses| addresses.primary.local.to_string())
            .collect();
        assert_eq!(firsts, ["192.0.2.1", "192.0.2.3"]);
    }

    #[test]
    fn ports_and_families_that_cannot_be_are_told() {
        let twice = config(&[("listen", "192.0.2.1:3479"), ("nat-discovery", "192.0.2.2")]);
        assert!(
            listen(&twice)
                .unwrap_err()
                .to_string()
                .contains("nat-discovery-port")
        );
        let family = config(&[
            ("listen", "[2001:db8::1]:3478"),
            ("nat-discovery-helper", "192.0.2.2"),
        ]);
        assert!(listen(&family).unwrap_err().to_string().contains("family"));
    }

    #[test]
    fn a_helper_stands_in_for_a_second_address() {
        let config = config(&[
            ("listen", "192.0.2.1:3478"),
            ("nat-discovery-helper", "192.0.2.9"),
        ]);
        assert_eq!(texts(&listen(&config).unwrap()), ["192.0.2.1:3479"]);
        let helper = Some(Alternate::Helper("192.0.2.9".parse().unwrap()));
        assert_eq!(addresses(&config, &[])[0].alternate, helper);
    }
}
