//! From our configuration to the TURN core's.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Result, bail};
use jackfield_turn::credential::weakness;
use jackfield_turn::{Credentials, NonceKey, PeerRules, Registry, RelayAddress, ServerConfig};

use super::local_networks::LocalNetworks;
use super::{addresses, nat_discovery, secret};
use crate::config::Config;

/// Returns the configuration that every shard's TURN core gets a copy of.
///
/// # Errors
///
/// Fails without randomness, and when an external address has no local one to stand for.
pub(super) fn config(
    config: &Config,
    secrets: &[String],
    local: &LocalNetworks,
) -> Result<ServerConfig> {
    warn_of_weak(config, secrets);
    let credentials = config
        .users
        .iter()
        .fold(Credentials::new(), |all, (name, password)| {
            all.with_user(name, password)
        });
    let credentials = secrets
        .iter()
        .fold(credentials, |all, secret| all.with_secret(secret));
    let mut core = ServerConfig::new(
        &config.realm,
        credentials,
        NonceKey::new(secret::random_bytes()?),
        Arc::new(Registry::new()),
    );
    core.software = Some(concat!("jackfield ", env!("CARGO_PKG_VERSION")).to_owned());
    core.relay_ports = config.relay_ports.clone();
    core.relay_addresses = relay_addresses(config, &local.addresses)?;
    core.discovery = nat_discovery::core(config, secrets);
    core.peers = peers(config, local);
    core.limits = config.turn.clone();
    core.nonce_lifetime = config.turn_nonce_lifetime;
    Ok(core)
}

/// Warns of secrets and passwords that can be guessed; neither they nor names are logged.
fn warn_of_weak(config: &Config, secrets: &[String]) {
    if let Some(why) = secrets.iter().find_map(|secret| weakness(secret)) {
        tracing::warn!(
            %why,
            "A TURN secret can be guessed, and with it every credential: `openssl rand -hex 32` \
             makes a good one"
        );
    }
    let weak = weak_passwords(&config.users);
    if weak > 0 {
        tracing::warn!(
            users = weak,
            "Passwords of static TURN users can be guessed from one request that is overheard: \
             they are short or well known"
        );
    }
}

fn weak_passwords(users: &[(String, String)]) -> usize {
    let is_weak = |(name, password): &&(String, String)| {
        weakness(password).is_some() || password.contains(name.as_str())
    };
    users.iter().filter(is_weak).count()
}

fn peers(config: &Config, local: &LocalNetworks) -> PeerRules {
    PeerRules {
        allow: config.allow_peers.clone(),
        deny: config.deny_peers.clone(),
        connected: local.connected.clone(),
        own_addresses: own_addresses(config, &local.addresses),
        own_listeners: listeners(config),
        deny_low_ports: config.deny_low_ports,
    }
}

/// Returns the addresses that lead to this machine: those of its interfaces, and the public ones in
/// front of it.
pub(super) fn own_addresses(config: &Config, local: &[IpAddr]) -> Vec<IpAddr> {
    let public = config.external_ips.iter().map(|(public, _)| *public);
    local.iter().copied().chain(public).collect()
}

fn listeners(config: &Config) -> Vec<SocketAddr> {
    let both = config.listen.iter().chain(&config.listen_tls);
    both.copied().collect()
}

/// Pairs each public address with the local ones that it stands for.
fn relay_addresses(config: &Config, own: &[IpAddr]) -> Result<Vec<RelayAddress>> {
    let mut relays = Vec::new();
    for (advertised, local) in &config.external_ips {
        let Some(local) = local.or_else(|| local_for(*advertised, config, own)) else {
            bail!(
                "no local address for `external-ip` {advertised}: write it as {advertised}/LOCAL"
            );
        };
        relays.push(RelayAddress {
            local,
            advertised: *advertised,
        });
    }
    Ok(relays)
}

/// Guesses the local address behind a public one: itself, the one we listen on, or the only one of
/// its family.
fn local_for(advertised: IpAddr, config: &Config, own: &[IpAddr]) -> Option<IpAddr> {
    if own.contains(&advertised) {
        return Some(advertised);
    }
    let family = |ip: &IpAddr| ip.is_ipv4() == advertised.is_ipv4();
    let listened = listeners(config)
        .into_iter()
        .map(|address| address.ip())
        .find(|ip| family(ip) && !ip.is_unspecified());
    listened.or_else(|| addresses::local().into_iter().find(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_weak_that_are_short_or_hold_the_name() {
        let users = |password: &str| vec![("marmalade".to_owned(), password.to_owned())];
        assert_eq!(weak_passwords(&users("kP8r2vQx")), 1);
        assert_eq!(weak_passwords(&users("kP8r2vQx-marmalade")), 1);
        assert_eq!(weak_passwords(&users("kP8r2vQx7LzTn4Wc")), 0);
    }
}
