//! The virtual internet itself.

use std::time::Duration;

use jackfield_internet::{Echo, HopOutcome, HostId, Link, Loss, NatBox, TraceKind, World};
use jackfield_nat::profile::Profile;
use jackfield_nat::{Policy, Verdict};
use jackfield_testing::epoch;

/// A home with two hosts, and a server.
struct Home {
    world: World,
    server: HostId,
    nat: NatBox,
    alice: HostId,
}

fn home(profile: Profile, link: Link, seed: u64) -> Home {
    let mut world = World::new(epoch(), seed);
    let internet = world.network("internet", link);
    let server = world.host(
        "server",
        internet,
        "198.51.100.9".parse().unwrap(),
        Echo::default(),
    );
    let config = profile.config(&["203.0.113.1".parse().unwrap()]);
    let nat = world.nat("home", internet, "192.168.1.0/24".parse().unwrap(), config);
    let alice = world.host(
        "alice",
        nat.inside,
        "192.168.1.2".parse().unwrap(),
        Echo::default(),
    );
    Home {
        world,
        server,
        nat,
        alice,
    }
}

fn received(world: &World, host: HostId) -> usize {
    world.app::<Echo>(host).unwrap().received.len()
}

#[test]
fn one_seed_gives_one_trace_byte_for_byte() {
    let bad = Link {
        latency: Duration::from_millis(20),
        jitter: Duration::from_millis(30),
        loss: Loss::bursts(100_000, 3),
        reorder: 50_000,
        duplicate: 50_000,
        rate: Some(1_000_000),
        ..Link::default()
    };
    let run = |seed| {
        let mut home = home(Profile::SYMMETRIC, bad.clone(), seed);
        for n in 0..200_u16 {
            home.world.send(
                home.alice,
                5000 + n,
                "198.51.100.9:7".parse().unwrap(),
                &[7; 100],
            );
            home.world.run_for(Duration::from_millis(3));
        }
        home.world.run_for(Duration::from_secs(600));
        home.world.trace().to_text()
    };
    let first = run(1);
    assert!(first.lines().count() > 500);
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
}

#[test]
fn a_snapshot_goes_on_as_the_world_did() {
    let link = Link {
        loss: Loss::even(300_000),
        ..Link::latency(Duration::from_millis(10))
    };
    let mut home = home(Profile::LINUX, link, 3);
    let server = "198.51.100.9:7".parse().unwrap();
    home.world.send(home.alice, 5000, server, b"one");
    home.world.run_for(Duration::from_millis(5));
    let snapshot = home.world.clone();
    let go_on = |mut world: World| {
        for _ in 0..50 {
            world.send(home.alice, 5000, server, b"more");
            world.run_for(Duration::from_millis(7));
        }
        world.trace().to_text()
    };
    let first = go_on(home.world);
    assert_eq!(first, go_on(snapshot.clone()));
    assert_eq!(first, go_on(snapshot));
}

#[test]
fn a_day_takes_no_time_and_a_mapping_does_not_survive_it() {
    let mut home = home(
        Profile::FULL_CONE,
        Link::latency(Duration::from_millis(10)),
        1,
    );
    home.world.send(
        home.alice,
        5000,
        "198.51.100.9:7".parse().unwrap(),
        b"hello",
    );
    home.world.run_for(Duration::from_secs(1));
    assert_eq!(received(&home.world, home.alice), 1);
    let external = home.world.app::<Echo>(home.server).unwrap().received[0].0;
    home.world.run_for(Duration::from_secs(86_400));
    assert_eq!(home.world.nat_of(home.nat).unwrap().mapping_count(), 0);
    home.world.send(home.server, 7, external, b"too late");
    home.world.run_for(Duration::from_secs(1));
    assert_eq!(received(&home.world, home.alice), 1);
}

#[test]
fn a_reboot_forgets_mappings_and_renumbering_moves_the_nat() {
    let mut home = home(Profile::FULL_CONE, Link::default(), 1);
    let server = "198.51.100.9:7".parse().unwrap();
    home.world.send(home.alice, 5000, server, b"one");
    home.world.run_for(Duration::from_secs(1));
    home.world.with_nat(home.nat, |nat| {
        nat.renumber(vec!["203.0.113.77".parse().unwrap()]);
    });
    home.world.send(home.alice, 5000, server, b"two");
    home.world.run_for(Duration::from_secs(1));
    let received = &home.world.app::<Echo>(home.server).unwrap().received;
    assert_eq!(received[0].0.ip().to_string(), "203.0.113.1");
    assert_eq!(received[1].0.ip().to_string(), "203.0.113.77");
}

#[test]
fn an_interface_that_is_down_neither_sends_nor_receives() {
    let mut home = home(Profile::FULL_CONE, Link::default(), 1);
    let server = "198.51.100.9:7".parse().unwrap();
    let interface = home.world.interfaces_of(home.alice).next().unwrap();
    home.world.set_up(interface, false);
    home.world.send(home.alice, 5000, server, b"no listener");
    home.world.run_for(Duration::from_secs(1));
    assert_eq!(received(&home.world, home.server), 0);
    home.world.set_up(interface, true);
    home.world.send(home.alice, 5000, server, b"hello");
    home.world.run_for(Duration::from_secs(1));
    assert_eq!(received(&home.world, home.alice), 1);
}

#[test]
fn a_large_datagram_crosses_a_nat_and_a_narrow_link_in_pieces() {
    let mut home = home(
        Profile::FULL_CONE,
        Link {
            mtu: 600,
            ..Link::default()
        },
        1,
    );
    let data: Vec<u8> = (0..4000_u16).map(|n| n as u8).collect();
    home.world
        .send(home.alice, 5000, "198.51.100.9:7".parse().unwrap(), &data);
    home.world.run_for(Duration::from_secs(1));
    assert_eq!(
        home.world.app::<Echo>(home.server).unwrap().received[0].1,
        data
    );
    assert_eq!(
        home.world.app::<Echo>(home.alice).unwrap().received[0].1,
        data
    );
}

#[test]
fn a_router_joins_networks() {
    let mut world = World::new(epoch(), 1);
    let [left, right] = ["left", "right"].map(|name| world.network(name, Link::default()));
    world.router(
        "router",
        &[
            (left, "10.1.0.0/16".parse().unwrap()),
            (right, "10.2.0.0/16".parse().unwrap()),
        ],
    );
    let alice = world.host("alice", left, "10.1.0.9".parse().unwrap(), Echo::default());
    let bob = world.host("bob", right, "10.2.0.9".parse().unwrap(), Echo::default());
    world.send(alice, 5000, "10.2.0.9:7".parse().unwrap(), b"hello");
    world.run_for(Duration::from_secs(1));
    assert_eq!(received(&world, bob), 1);
    assert_eq!(received(&world, alice), 1);
}

#[test]
fn a_firewall_lets_answers_in_and_strangers_not() {
    let mut world = World::new(epoch(), 1);
    let internet = world.network("internet", Link::default());
    let server = world.host(
        "server",
        internet,
        "198.51.100.9".parse().unwrap(),
        Echo::default(),
    );
    let prefix = "203.0.113.0/28".parse().unwrap();
    let office = world.firewall("office", internet, prefix, Policy::default());
    let bob = world.host(
        "bob",
        office.inside,
        "203.0.113.2".parse().unwrap(),
        Echo::default(),
    );
    world.send(server, 9, "203.0.113.2:7".parse().unwrap(), b"stranger");
    world.run_for(Duration::from_secs(1));
    assert_eq!(received(&world, bob), 0);
    world.send(bob, 5000, "198.51.100.9:7".parse().unwrap(), b"hello");
    world.run_for(Duration::from_secs(1));
    assert_eq!(received(&world, bob), 1);
    assert_eq!(received(&world, server), 1);
}

#[test]
fn a_host_behind_a_firewall_without_udp_is_silent() {
    let mut world = World::new(epoch(), 1);
    let internet = world.network("internet", Link::default());
    let server = world.host(
        "server",
        internet,
        "198.51.100.9".parse().unwrap(),
        Echo::default(),
    );
    let prefix = "203.0.113.0/28".parse().unwrap();
    let office = world.firewall("office", internet, prefix, Policy::web_only());
    let bob = world.host(
        "bob",
        office.inside,
        "203.0.113.2".parse().unwrap(),
        Echo::default(),
    );
    world.send(bob, 5000, "198.51.100.9:7".parse().unwrap(), b"hello");
    world.run_for(Duration::from_secs(1));
    assert_eq!(received(&world, server), 0);
}

#[test]
fn a_host_roams_and_is_heard_from_elsewhere() {
    let mut home = home(Profile::FULL_CONE, Link::default(), 1);
    let cafe = home.world.network("café", Link::default());
    let router = home
        .world
        .router("router", &[(cafe, "192.0.2.0/24".parse().unwrap())]);
    let server = "198.51.100.9:7".parse().unwrap();
    home.world
        .roam(home.alice, cafe, "192.0.2.5".parse().unwrap());
    home.world.send(home.alice, 5000, server, b"hello");
    home.world.run_for(Duration::from_secs(1));
    assert_eq!(home.world.name(router), "router");
    assert_eq!(
        received(&home.world, home.server),
        0,
        "the café has no way out"
    );
    let last = home.world.trace().events().last().unwrap();
    assert!(matches!(
        last.kind,
        TraceKind::Hop {
            outcome: HopOutcome::Arrived(_),
            ..
        }
    ));
}

#[test]
fn the_capture_has_every_block_whole_and_every_verdict_as_a_comment() {
    let mut home = home(Profile::LINUX, Link::default(), 1);
    home.world.send(
        home.alice,
        5000,
        "198.51.100.9:7".parse().unwrap(),
        b"hello",
    );
    home.world.run_for(Duration::from_secs(1));
    home.world.send(
        home.server,
        9,
        "203.0.113.1:9".parse().unwrap(),
        b"stranger",
    );
    home.world.run_for(Duration::from_secs(1));
    let capture = home.world.pcapng(Duration::from_secs(1_800_000_000));
    let mut kinds = Vec::new();
    let mut rest = &capture[..];
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let (kind, length) = (word(0), word(4) as usize);
        assert_eq!(length % 4, 0);
        assert_eq!(word(length - 4) as usize, length);
        match kind {
            1 => assert_eq!(word(8), 108, "one link type for all, or libpcap refuses"),
            6 => assert_eq!(rest[28..32], [0, 0, 0, 2], "IPv4, in network order"),
            _ => {}
        }
        kinds.push(kind);
        rest = &rest[length..];
    }
    assert_eq!(kinds[0], 0x0a0d_0d0a);
    assert_eq!(
        kinds.iter().filter(|kind| **kind == 1).count(),
        4,
        "an interface each"
    );
    let packets = kinds.iter().filter(|kind| **kind == 6).count();
    assert_eq!(packets, home.world.trace().events().len());
    for comment in ["home: forward", "home: drop: no-mapping"] {
        let found = capture
            .windows(comment.len())
            .any(|it| it == comment.as_bytes());
        assert!(found, "{comment}");
    }
}

#[test]
fn the_diagram_shows_sender_receiver_and_content() {
    let mut home = home(Profile::LINUX, Link::latency(Duration::from_millis(5)), 1);
    home.world.send(
        home.alice,
        5000,
        "198.51.100.9:7".parse().unwrap(),
        b"hello",
    );
    home.world.run_for(Duration::from_secs(1));
    home.world.send(
        home.server,
        9,
        "203.0.113.1:9".parse().unwrap(),
        b"stranger",
    );
    home.world.run_for(Duration::from_secs(1));
    let expected = "        ms   server                  home                    alice
     0.000     |                       |<-------------UDP 5 B--|
     0.000     |<-------------UDP 5 B--|                       |
    10.000     |--UDP 5 B------------->|                       |
    20.000     |                       |--UDP 5 B------------->|
  1000.000     |--UDP 8 B------------->|                       |
  1010.000     |                       X drop: no-mapping      |
";
    assert_eq!(home.world.diagram(), expected);
    let dropped = home.world.trace().events().iter().any(|event| {
        matches!(
            event.kind,
            TraceKind::Verdict {
                verdict: Verdict::Drop(_),
                ..
            }
        )
    });
    assert!(dropped);
}
