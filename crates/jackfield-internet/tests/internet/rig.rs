//! What the tests of the virtual internet share.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jackfield_internet::{HostId, Link, NatBox, NetworkId, TcpApp, TcpProgram, World};
use jackfield_nat::{Behaviour, Filtering, Mapping, NatConfig, Translation};
pub(crate) use jackfield_testing::epoch;

/// A world with nothing but an internet of this kind.
pub(crate) fn internet(link: Link, seed: u64) -> (World, NetworkId) {
    let mut world = World::new(epoch(), seed);
    let internet = world.network("internet", link);
    (world, internet)
}

/// Adds a home behind a NAT, with one host that runs a program with TCP.
pub(crate) fn home<P: TcpProgram>(
    world: &mut World,
    internet: NetworkId,
    number: u8,
    config: &NatConfig,
    program: P,
) -> (NatBox, HostId) {
    let mut config = config.clone();
    config.externals = vec![ip(&format!("203.0.113.{number}"))];
    let prefix = format!("192.168.{number}.0/24").parse().unwrap();
    let nat = world.nat(&format!("nat{number}"), internet, prefix, config);
    let address = ip(&format!("192.168.{number}.2"));
    let app = TcpApp::new(u64::from(number), program);
    let host = world.host(&format!("host{number}"), nat.inside, address, app);
    (nat, host)
}

/// Returns the program with TCP on a host.
pub(crate) fn program<P: TcpProgram>(world: &World, host: HostId) -> &P {
    &world.app::<TcpApp<P>>(host).unwrap().program
}

/// Returns whether hosts behind a NAT have IPv6 addresses only.
pub(crate) fn crosses(config: &NatConfig) -> bool {
    matches!(config.translation, Translation::Nat64 { .. })
}

/// The nine types, for UDP and TCP alike.
pub(crate) fn types() -> impl Iterator<Item = (Mapping, Filtering)> {
    Mapping::ALL.into_iter().flat_map(|mapping| {
        Filtering::ALL
            .into_iter()
            .map(move |filtering| (mapping, filtering))
    })
}

pub(crate) fn config((mapping, filtering): (Mapping, Filtering)) -> NatConfig {
    let behaviour = Behaviour { mapping, filtering };
    NatConfig {
        udp: behaviour,
        tcp: behaviour,
        ..NatConfig::default()
    }
}

/// Returns the address `n` after an IPv4 address.
pub(crate) fn nth(first: &str, n: usize) -> IpAddr {
    let IpAddr::V4(first) = first.parse().unwrap() else {
        panic!("IPv4 only")
    };
    std::net::Ipv4Addr::from_bits(first.to_bits() + n as u32).into()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
