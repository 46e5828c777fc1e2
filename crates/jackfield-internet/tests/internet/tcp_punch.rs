//! The oracle against what two hosts achieve with TCP.

use std::net::{IpAddr, SocketAddr};

use jackfield_internet::{HostId, Link, TcpApp, World};
use jackfield_nat::oracle::{Path, Traits, oracle};
use jackfield_nat::profile::Profile;
use jackfield_nat::{Filtering, Mapping, NatConfig, Policy, UnsolicitedSyn};
use jackfield_tcp::StackLimits;

use crate::dialer::{Dialer, TcpMirror};
use crate::rig::{config, internet, ip, millis, nth, program, secs, socket, types};

/// Two hosts behind chains of NATs, innermost first, and a server.
pub(crate) struct TcpDuel {
    pub(crate) world: World,
    hosts: [HostId; 2],
}

impl TcpDuel {
    pub(crate) fn new(chains: [&[NatConfig]; 2], link: Link, seed: u64) -> Self {
        let (mut world, net) = internet(link, seed);
        let server: SocketAddr = socket("198.51.100.9:3478");
        // A host that waits for a lost answer tries again soon.
        let hasty = StackLimits {
            handshake: secs(5),
            timeout: secs(5),
            ..StackLimits::default()
        };
        let mirror = TcpApp::with_limits(9, TcpMirror, hasty.clone());
        world.host("server", net, server.ip(), mirror);
        let mut hosts = Vec::new();
        for (side, chain) in chains.into_iter().enumerate() {
            let mut network = net;
            for (level, config) in chain.iter().enumerate().rev() {
                let mut config = config.clone();
                let count = config.externals.len().max(1);
                let first = if network == net {
                    format!("203.0.113.{}", side * 100 + 1)
                } else {
                    format!("10.{side}.{}.2", level + 1)
                };
                config.externals = (0..count).map(|n| nth(&first, n)).collect();
                let prefix = format!("10.{side}.{level}.0/24").parse().unwrap();
                let name = format!("nat{side}{level}");
                network = world.nat(&name, network, prefix, config).inside;
            }
            let address: IpAddr = if chain.is_empty() {
                nth("203.0.113.200", side)
            } else {
                ip(&format!("10.{side}.0.20"))
            };
            let dialer = Dialer::new(world.now(), server, 40_000);
            let app = TcpApp::with_limits(side as u64, dialer, hasty.clone());
            hosts.push(world.host(&format!("host{side}"), network, address, app));
        }
        Self {
            world,
            hosts: [hosts[0], hosts[1]],
        }
    }

    /// Returns whether the hosts connect; both or neither do.
    pub(crate) fn play(&mut self) -> bool {
        let hosts = self.hosts;
        self.world.run_until_true(secs(200), |world| {
            let knows = |host| program::<Dialer>(world, host).reflexive.is_some();
            hosts.into_iter().all(knows)
        });
        let reflexive = hosts.map(|host| program::<Dialer>(&self.world, host).reflexive);
        for (host, peer) in [(0, 1), (1, 0)] {
            if let Some(peer) = reflexive[peer] {
                let learn = |app: &mut TcpApp<Dialer>, now| {
                    app.act(now, |dialer, stack| dialer.learn(now, stack, peer));
                };
                self.world.with_app(hosts[host], learn);
            }
        }
        self.world.run_until_true(secs(120), |world| {
            let found = |host| program::<Dialer>(world, host).found.is_some();
            hosts.into_iter().all(found)
        });
        let found = hosts.map(|host| program::<Dialer>(&self.world, host).found.is_some());
        assert_eq!(
            found[0],
            found[1],
            "only one side is connected\n{}",
            self.world.diagram()
        );
        found[0]
    }
}

/// Plays the duel and compares with the oracle.
pub(crate) fn judge(chains: [&[NatConfig]; 2], link: Link, seed: u64) {
    let traits = chains.map(|chain| chain.iter().map(Traits::of_tcp).collect::<Vec<_>>());
    let path = oracle(&traits[0], &traits[1]);
    let mut duel = TcpDuel::new(chains, link, seed);
    let found = duel.play();
    let right = match path {
        Path::Direct => found,
        Path::Nondeterministic => true,
        Path::Relay => !found,
    };
    assert!(
        right,
        "seed {seed}: the oracle says {path:?}, the hosts {found}\n{chains:#?}\n{}",
        duel.world.diagram()
    );
}

fn quick() -> Link {
    Link::latency(millis(5))
}

#[test]
fn the_oracle_is_right_about_tcp_through_all_nine_by_nine_types() {
    for a in types().map(config) {
        for b in types().map(config) {
            judge(
                [std::slice::from_ref(&a), std::slice::from_ref(&b)],
                quick(),
                1,
            );
        }
    }
}

#[test]
fn the_oracle_is_right_about_tcp_through_every_pair_of_profiles() {
    for a in Profile::IPV4 {
        for b in Profile::IPV4 {
            let [a, b] = [a, b].map(|it| [it.config(&[ip("203.0.113.1")])]);
            judge([&a, &b], quick(), 1);
        }
    }
}

#[test]
fn the_oracle_is_right_about_tcp_through_double_nats() {
    for inner in types().map(config) {
        for outer in types().map(config).step_by(2) {
            for b in types().map(config).step_by(2) {
                judge([&[inner.clone(), outer.clone()], &[b]], quick(), 1);
            }
        }
    }
}

#[test]
fn a_simultaneous_open_needs_a_nat_that_does_not_refuse_the_early_syn() {
    let strict = config((
        Mapping::EndpointIndependent,
        Filtering::AddressAndPortDependent,
    ));
    for unsolicited_syn in [
        UnsolicitedSyn::Drop,
        UnsolicitedSyn::Refuse,
        UnsolicitedSyn::Wait(secs(6)),
    ] {
        let a = NatConfig {
            unsolicited_syn,
            ..strict.clone()
        };
        judge([&[a], std::slice::from_ref(&strict)], quick(), 1);
    }
}

#[test]
fn a_firewall_against_incoming_tcp_is_a_strict_filter_and_one_against_all_is_final() {
    let firewall = |policy| NatConfig {
        policy,
        ..config((Mapping::EndpointIndependent, Filtering::EndpointIndependent))
    };
    let strict = Traits::of_tcp(&firewall(Policy::no_udp_no_incoming_tcp()));
    assert_eq!(strict.filtering, Filtering::AddressAndPortDependent);
    for policy in [
        Policy::no_udp(),
        Policy::no_udp_no_incoming_tcp(),
        Policy::web_only(),
    ] {
        let a = firewall(policy);
        for b in types().map(config) {
            judge([std::slice::from_ref(&a), &[b]], quick(), 1);
        }
    }
}
