//! Which peers a client reaches: judged at the permission and again at each packet.

use std::sync::Arc;

use jackfield_turn::{
    DropReason, PeerDenied, PeerPolicy, PeerRules, Registry, RelayAddress, ServerConfig,
};

use crate::world::*;

#[test]
fn every_special_range_is_denied_and_its_neighbours_are_not() {
    let policy = PeerPolicy::new(&PeerRules::default(), Arc::new(Registry::new()));
    for (first, last, below, above) in [
        ("0.0.0.0", "0.255.255.255", "", "1.0.0.0"),
        ("10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"),
        (
            "100.64.0.0",
            "100.127.255.255",
            "100.63.255.255",
            "100.128.0.0",
        ),
        (
            "127.0.0.0",
            "127.255.255.255",
            "126.255.255.255",
            "128.0.0.0",
        ),
        (
            "169.254.0.0",
            "169.254.255.255",
            "169.253.255.255",
            "169.255.0.0",
        ),
        (
            "172.16.0.0",
            "172.31.255.255",
            "172.15.255.255",
            "172.32.0.0",
        ),
        ("192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"),
        ("192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"),
        (
            "192.88.99.0",
            "192.88.99.255",
            "192.88.98.255",
            "192.88.100.0",
        ),
        (
            "192.168.0.0",
            "192.168.255.255",
            "192.167.255.255",
            "192.169.0.0",
        ),
        (
            "198.18.0.0",
            "198.19.255.255",
            "198.17.255.255",
            "198.20.0.0",
        ),
        (
            "198.51.100.0",
            "198.51.100.255",
            "198.51.99.255",
            "198.51.101.0",
        ),
        (
            "203.0.113.0",
            "203.0.113.255",
            "203.0.112.255",
            "203.0.114.0",
        ),
        ("224.0.0.0", "255.255.255.255", "223.255.255.255", ""),
        ("::", "::ffff:ffff", "", ""),
        ("::ffff:0:0", "::ffff:255.255.255.255", "", "::1:0:0:0"),
        (
            "64:ff9b::",
            "64:ff9b::ffff:ffff",
            "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff",
            "64:ff9b::1:0:0",
        ),
        (
            "64:ff9b:1::",
            "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
            "64:ff9b:0:ffff:ffff:ffff:ffff:ffff",
            "64:ff9b:2::",
        ),
        (
            "100::",
            "100::ffff:ffff:ffff:ffff",
            "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "100:0:0:2::",
        ),
        (
            "2001::",
            "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:200::",
        ),
        (
            "2001:db8::",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
        ),
        (
            "2002::",
            "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2003::",
        ),
        (
            "3fff::",
            "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff:1000::",
        ),
        (
            "fc00::",
            "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "fe00::",
        ),
        (
            "fe80::",
            "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "",
        ),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""),
    ] {
        for ip in [first, last] {
            let peer = (ip.parse::<std::net::IpAddr>().unwrap(), 9_000).into();
            assert_eq!(policy.judge(peer), Err(PeerDenied::SpecialRange), "{ip}");
            assert!(policy.judge_permission(peer.ip()).is_err(), "{ip}");
        }
        for ip in [below, above].into_iter().filter(|ip| !ip.is_empty()) {
            let peer = (ip.parse::<std::net::IpAddr>().unwrap(), 9_000).into();
            assert_eq!(policy.judge(peer), Ok(()), "{ip}");
        }
    }
}

#[test]
fn no_disguise_gets_past_the_policy() {
    // All of IPv6 is allowed, so that only what is inside can speak against an address.
    let rules = PeerRules {
        allow: vec!["::/0".parse().unwrap()],
        ..PeerRules::default()
    };
    let policy = PeerPolicy::new(&rules, Arc::new(Registry::new()));
    for ip in [
        "::ffff:127.0.0.1",
        "::ffff:0.0.0.0",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "::10.0.0.1",
        "::ffff:0:10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::192.168.0.1",
        "64:ff9b:1::10.0.0.1",
        "64:ff9b:1:a00:0:100::",
        "64:ff9b:1:a:a9:fea9:fe00:0",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2002:c0a8:101::c0a8:101",
        "2001:0:7f00:1::",
        "2001:0:808:808::f5ff:fffe",
        "2a00:1450::5efe:a00:1",
        "2a00:1450::200:5efe:7f00:1",
    ] {
        let peer = (ip.parse::<std::net::IpAddr>().unwrap(), 9_000).into();
        assert_eq!(policy.judge(peer), Err(PeerDenied::Embedded), "{ip}");
    }
    for ip in [
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
        "2a00:1450::1",
    ] {
        let peer = (ip.parse::<std::net::IpAddr>().unwrap(), 9_000).into();
        assert_eq!(policy.judge(peer), Ok(()), "{ip}");
    }
}

#[test]
fn a_network_that_the_machine_joins_is_denied_from_then_on() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:1");
    let relayed = client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, &[PEER]), 0);
    assert_eq!(client.bind(&mut world, 0x4000, PEER), 0);
    assert!(world.datagram(relayed, PEER, b"hi").is_some());
    let network = |text: &str| vec![text.parse().unwrap()];
    world
        .server
        .set_local_networks(vec![], network("198.41.0.0/24"));
    let data = [0x40, 0, 0, 1, 7];
    assert!(world.send(client.path, &data).is_none());
    assert!(world.datagram(relayed, PEER, b"hi").is_none());
    assert_eq!(world.dropped(DropReason::PeerDenied), 2);
    assert_eq!(client.permit(&mut world, &[PEER]), 403);
    assert_eq!(client.permit(&mut world, &[OTHER_PEER]), 0);
    world
        .server
        .set_local_networks(vec![], network("198.42.0.0/24"));
    assert!(world.send(client.path, &data).is_some(), "it has left");
}

#[test]
fn two_clients_meet_by_relayed_addresses_in_a_connected_network() {
    let mut config = config();
    config.peers.own_addresses = vec!["198.51.100.1".parse().unwrap()];
    config.peers.connected = vec!["198.51.100.0/24".parse().unwrap()];
    let mut world = World::new(config);
    let (mut ann, mut ben) = (Client::new("203.0.113.5:1"), Client::new("203.0.114.5:1"));
    let (_, to_ben) = (ann.allocate(&mut world), ben.allocate(&mut world));
    let to_ben = to_ben.to_string();
    assert_eq!(ann.permit(&mut world, &[&to_ben]), 0);
    assert!(
        world
            .send(ann.path, &send_indication(&to_ben, b"hello"))
            .is_some()
    );
    assert_eq!(ann.permit(&mut world, &["198.51.100.2:1"]), 403);
}

#[test]
fn an_allowed_range_opens_itself_and_nothing_around_it() {
    let rules = PeerRules {
        allow: vec!["192.168.1.0/24".parse().unwrap()],
        deny: vec![
            "8.8.8.0/24".parse().unwrap(),
            "192.168.1.0/28".parse().unwrap(),
        ],
        connected: vec!["198.41.0.0/28".parse().unwrap()],
        own_addresses: vec!["198.41.0.9".parse().unwrap()],
        own_listeners: vec![address("0.0.0.0:3478"), address("192.168.1.2:80")],
        deny_low_ports: true,
    };
    let policy = PeerPolicy::new(&rules, Arc::new(Registry::new()));
    for (peer, verdict) in [
        ("192.168.1.7:9000", Ok(())),
        ("198.41.0.15:9000", Err(PeerDenied::Connected)),
        ("198.41.0.16:9000", Ok(())),
        ("[2002:c629:f::1]:9000", Err(PeerDenied::SpecialRange)),
        ("192.168.2.7:9000", Err(PeerDenied::SpecialRange)),
        ("[::ffff:192.168.1.7]:9000", Err(PeerDenied::SpecialRange)),
        ("8.8.8.8:9000", Err(PeerDenied::Listed)),
        ("8.8.4.4:9000", Ok(())),
        ("8.8.4.4:0", Err(PeerDenied::PortZero)),
        ("8.8.4.4:53", Err(PeerDenied::LowPort)),
        ("192.168.1.7:1023", Err(PeerDenied::LowPort)),
        ("127.0.0.1:53", Err(PeerDenied::SpecialRange)),
        ("198.41.0.9:9000", Err(PeerDenied::OwnAddress)),
        ("198.41.0.9:3478", Err(PeerDenied::OwnListener)),
        ("127.0.0.1:3478", Err(PeerDenied::OwnListener)),
        ("[::ffff:127.0.0.1]:3478", Err(PeerDenied::OwnListener)),
        ("192.168.1.2:80", Err(PeerDenied::OwnListener)),
        ("192.168.1.2:8080", Ok(())),
    ] {
        assert_eq!(policy.judge(address(peer)), verdict, "{peer}");
    }
}

#[test]
fn a_denied_peer_gets_403_whether_by_permission_or_by_channel() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.allocate(&mut world);
    for peer in [
        "127.0.0.1:80",
        "192.168.1.1:9000",
        "169.254.169.254:80",
        "255.255.255.255:9",
        "224.0.0.1:9",
    ] {
        assert_eq!(client.permit(&mut world, &[peer]), 403, "{peer}");
        assert_eq!(client.bind(&mut world, 0x4000, peer), 403, "{peer}");
        assert_eq!(world.send(client.path, &send_indication(peer, b"x")), None);
    }
}

#[test]
fn an_address_of_ours_is_a_peer_only_where_a_relay_lives() {
    let mut config = config();
    let ip = "198.41.0.77".parse().unwrap();
    config.relay_addresses = vec![RelayAddress {
        local: ip,
        advertised: ip,
    }];
    config.peers.own_listeners = vec![address("0.0.0.0:3478")];
    let mut world = World::new(config);
    let local = "198.41.0.77:3478";
    let client = |remote| Client::on(jackfield_sansio::Transport::Udp, remote, local);
    let (mut alice, mut bob) = (client("203.0.113.5:1"), client("203.0.113.6:1"));
    assert_eq!(alice.permit(&mut world, &[local]), 437);
    let a = alice.allocate(&mut world);
    let b = bob.allocate(&mut world);
    assert_eq!(
        alice.permit(&mut world, &["198.41.0.77:22"]),
        0,
        "for the sake of relays there"
    );
    for peer in ["198.41.0.77:22", "198.41.0.77:3478"] {
        assert_eq!(world.send(alice.path, &send_indication(peer, b"x")), None);
        assert_eq!(alice.bind(&mut world, 0x4000, peer), 403);
        assert_eq!(world.datagram(a, peer, b"x"), None);
    }
    assert_eq!(world.dropped(DropReason::PeerDenied), 4);
    let indication = send_indication(&b.to_string(), b"x");
    assert_eq!(to_peer(world.send(alice.path, &indication)).1, b);
}

#[test]
fn two_clients_behind_a_one_to_one_nat_meet_without_leaving_the_machine() {
    let mut world = World::new(ServerConfig {
        relay_addresses: vec![RelayAddress {
            local: "10.1.2.3".parse().unwrap(),
            advertised: "198.41.0.77".parse().unwrap(),
        }],
        ..config()
    });
    let (mut alice, mut bob) = (Client::new("203.0.113.5:1"), Client::new("203.0.113.6:1"));
    let (a, b) = (alice.allocate(&mut world), bob.allocate(&mut world));
    assert_eq!(a.ip().to_string(), "198.41.0.77");
    let inside = |seen: std::net::SocketAddr| address(&format!("10.1.2.3:{}", seen.port()));
    assert!(world.sockets.contains(&inside(a)));
    assert_eq!(alice.bind(&mut world, 0x4000, &b.to_string()), 0);
    assert_eq!(bob.permit(&mut world, &[&a.to_string()]), 0);
    let (from, to, payload) = to_peer(world.send(alice.path, b"\x40\x00\x00\x02hi"));
    assert_eq!((from, to), (inside(a), inside(b)));
    let (path, bytes) = to_client(world.datagram(to, &from.to_string(), &payload));
    assert_eq!(path, bob.path);
    let message = jackfield_stun::Message::parse(&bytes).unwrap();
    let peer = jackfield_turn::attribute::XorPeerAddress(a);
    assert_eq!(
        message.get(),
        Ok(Some(peer)),
        "bob sees alice where she said she is"
    );
    assert_eq!(alice.permit(&mut world, &["10.1.2.3:1"]), 0);
    assert_eq!(
        world.send(alice.path, &send_indication("10.1.2.3:1", b"x")),
        None
    );
}

#[test]
fn an_allowed_loopback_serves_a_laptop_without_opening_the_server_itself() {
    let mut config = config();
    config.peers.allow = vec!["127.0.0.0/8".parse().unwrap()];
    config.peers.own_listeners = vec![address("127.0.0.1:3478")];
    let mut world = World::new(config);
    let mut client = Client::new("203.0.113.5:4000");
    client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, &["127.0.0.1:9000"]), 0);
    assert!(
        world
            .send(client.path, &send_indication("127.0.0.1:9000", b"x"))
            .is_some()
    );
    assert!(
        world
            .send(client.path, &send_indication("127.0.0.1:3478", b"x"))
            .is_none()
    );
}
