//! Hosts with IPv6 alone, behind a NAT64, on an internet of IPv4.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jackfield_internet::{Echo, HostId, Link, NatBox, NetworkId, World};
use jackfield_nat::profile::Profile;
use jackfield_nat::{Behaviour, DropReason, Filtering, Mapping, Prefix};
use jackfield_testing::epoch;

struct Mobile {
    world: World,
    internet: NetworkId,
    server: HostId,
    gateway: NatBox,
    phone: HostId,
    tablet: HostId,
}

fn mobile(link: Link) -> Mobile {
    let mut world = World::new(epoch(), 5);
    let internet = world.network("internet", link);
    let server = world.host("server", internet, ip("198.51.100.9"), Echo::default());
    let mut config = Profile::NAT64.config(&[ip("203.0.113.1")]);
    config.udp = Behaviour {
        mapping: Mapping::EndpointIndependent,
        filtering: Filtering::AddressDependent,
    };
    let inside = "2001:db8:7::/64".parse().unwrap();
    let gateway = world.nat("gateway", internet, inside, config);
    let phone = world.host(
        "phone",
        gateway.inside,
        ip("2001:db8:7::10"),
        Echo::default(),
    );
    let tablet = world.host(
        "tablet",
        gateway.inside,
        ip("2001:db8:7::11"),
        Echo::default(),
    );
    Mobile {
        world,
        internet,
        server,
        gateway,
        phone,
        tablet,
    }
}

#[test]
fn a_host_of_ipv6_alone_talks_to_one_of_ipv4() {
    let mut mobile = mobile(Link::latency(Duration::from_millis(20)));
    let server = named("198.51.100.9:7");
    mobile.world.send(mobile.phone, 5000, server, b"hello");
    mobile.world.run_for(Duration::from_secs(1));
    let received = &mobile.world.app::<Echo>(mobile.server).unwrap().received;
    assert_eq!(received[0].0.ip(), ip("203.0.113.1"));
    let back = &mobile.world.app::<Echo>(mobile.phone).unwrap().received;
    assert_eq!(back[0].0, server);
    assert_eq!(back[0].1, b"hello");
}

#[test]
fn large_datagrams_arrive_whole_both_ways() {
    let mut mobile = mobile(Link::latency(Duration::from_millis(20)));
    let data: Vec<u8> = (0..4000_u32).map(|n| n as u8).collect();
    let server = named("198.51.100.9:7");
    // A host of IPv6 cuts its own packets; here it sends one that fits, and the answer is cut by
    // the gateway.
    mobile.world.send(mobile.phone, 5000, server, &data[..1400]);
    mobile.world.run_for(Duration::from_secs(1));
    let back = &mobile.world.app::<Echo>(mobile.phone).unwrap().received;
    assert_eq!(back.len(), 1);
    assert_eq!(back[0].1, data[..1400]);
    // And the server's fragments of more than any link carries are cut again.
    let external = mobile.world.app::<Echo>(mobile.server).unwrap().received[0].0;
    mobile.world.send(mobile.server, 7, external, &data);
    mobile.world.run_for(Duration::from_secs(1));
    let received = &mobile.world.app::<Echo>(mobile.phone).unwrap().received;
    assert_eq!(received.last().unwrap().1, data);
}

#[test]
fn hosts_meet_by_their_outside_endpoints_and_strangers_stay_out() {
    let mut mobile = mobile(Link::latency(Duration::from_millis(20)));
    let server = named("198.51.100.9:7");
    for host in [mobile.phone, mobile.tablet] {
        mobile.world.send(host, 5000, server, b"who am I?");
    }
    mobile.world.run_for(Duration::from_secs(1));
    let received = &mobile.world.app::<Echo>(mobile.server).unwrap().received;
    let externals = [received[0].0, received[1].0];
    for (host, peer) in [(mobile.phone, externals[1]), (mobile.tablet, externals[0])] {
        mobile
            .world
            .send(host, 5000, named(&peer.to_string()), b"hello neighbour");
    }
    mobile.world.run_for(Duration::from_secs(1));
    // The first packet meets a filter without any permission; the second finds it open.
    let received = &mobile.world.app::<Echo>(mobile.phone).unwrap().received;
    let tablet = named(&externals[1].to_string());
    assert!(
        received
            .iter()
            .any(|it| it.0 == tablet && it.1 == b"hello neighbour")
    );
    let stranger = mobile.world.host(
        "stranger",
        mobile.internet,
        ip("198.51.100.66"),
        Echo::default(),
    );
    mobile.world.send(stranger, 7, externals[1], b"let me in");
    mobile.world.run_for(Duration::from_secs(1));
    let gateway = mobile.world.nat_of(mobile.gateway).unwrap();
    assert_eq!(gateway.counters().dropped(DropReason::Filtered), 2);
    assert!(gateway.counters().hairpinned > 0);
}

#[test]
fn a_smaller_link_outside_is_reported_inside_with_twenty_more() {
    let mut mobile = mobile(Link {
        mtu: 1400,
        ..Link::latency(Duration::from_millis(20))
    });
    let server = named("198.51.100.9:7");
    mobile.world.send(mobile.phone, 5000, server, &[1; 1400]);
    mobile.world.run_for(Duration::from_secs(1));
    assert!(
        mobile
            .world
            .app::<Echo>(mobile.server)
            .unwrap()
            .received
            .is_empty()
    );
    assert!(
        mobile.world.diagram().contains("too big"),
        "{}",
        mobile.world.diagram()
    );
    mobile.world.send(mobile.phone, 5000, server, &[1; 1300]);
    mobile.world.run_for(Duration::from_secs(1));
    assert_eq!(
        mobile
            .world
            .app::<Echo>(mobile.server)
            .unwrap()
            .received
            .len(),
        1
    );
}

/// An IPv4 endpoint as hosts inside know it.
fn named(text: &str) -> SocketAddr {
    let SocketAddr::V4(v4) = text.parse().unwrap() else {
        panic!("{text} is no IPv4 endpoint");
    };
    let ip = Prefix::WELL_KNOWN_64.embed(*v4.ip()).unwrap();
    SocketAddr::new(ip.into(), v4.port())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
