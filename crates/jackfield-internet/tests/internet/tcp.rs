//! TCP between hosts behind NATs.

use jackfield_internet::{Link, Loss, Outcome, TcpApp, TcpClient, TcpEcho, TraceKind};
use jackfield_nat::profile::Profile;
use jackfield_nat::{DropReason, Verdict};
use jackfield_tcp::ResetReason;

use crate::rig::{config, home, internet, ip, millis, program, secs, socket, types};

const SERVER: &str = "198.51.100.9";

#[test]
fn a_client_behind_any_nat_talks_to_a_server_and_closes() {
    let profiles = Profile::IPV4.iter().map(|it| it.config(&[]));
    for config in types().map(config).chain(profiles) {
        let (mut world, net) = internet(Link::latency(millis(10)), 1);
        let echo = TcpApp::new(9, TcpEcho::new([7]));
        let server = world.host("server", net, ip(SERVER), echo);
        let request: Vec<u8> = (0..50_000_u32).map(|n| n as u8).collect();
        let client = TcpClient::new(socket("198.51.100.9:7"), request.clone());
        let (nat, host) = home(&mut world, net, 1, &config, client);
        world.run_for(secs(60));
        let client = program::<TcpClient>(&world, host);
        assert_eq!(client.outcome, Outcome::Closed, "{config:?}");
        assert!(client.response == request);
        let peers = &program::<TcpEcho>(&world, server).peers;
        assert_eq!(peers.len(), 1);
        assert_eq!(peers[0].ip(), ip("203.0.113.1"));
        world.run_for(secs(600));
        assert_eq!(world.nat_of(nat).unwrap().mapping_count(), 0);
    }
}

#[test]
fn a_lossy_link_costs_time_and_no_data() {
    let link = Link {
        loss: Loss::bursts(60_000, 3),
        jitter: millis(20),
        reorder: 20_000,
        duplicate: 20_000,
        ..Link::latency(millis(15))
    };
    for seed in 0..10 {
        let (mut world, net) = internet(link.clone(), seed);
        let echo = TcpApp::new(9, TcpEcho::new([7]));
        world.host("server", net, ip(SERVER), echo);
        let request: Vec<u8> = (0..100_000_u32).map(|n| (n / 7) as u8).collect();
        let client = TcpClient::new(socket("198.51.100.9:7"), request.clone());
        let (_, host) = home(&mut world, net, 1, &Profile::LINUX.config(&[]), client);
        world.run_until_true(secs(600), |world| {
            program::<TcpClient>(world, host).outcome == Outcome::Closed
        });
        let client = program::<TcpClient>(&world, host);
        assert_eq!(client.outcome, Outcome::Closed, "seed {seed}");
        assert!(client.response == request, "seed {seed}");
    }
}

#[test]
fn a_refused_connection_is_refused_behind_a_nat_as_well() {
    let (mut world, net) = internet(Link::latency(millis(10)), 1);
    let echo = TcpApp::new(9, TcpEcho::new([7]));
    world.host("server", net, ip(SERVER), echo);
    let client = TcpClient::new(socket("198.51.100.9:8"), b"hello");
    let config = Profile::PORT_RESTRICTED_CONE.config(&[]);
    let (_, host) = home(&mut world, net, 1, &config, client);
    world.run_for(secs(1));
    let outcome = program::<TcpClient>(&world, host).outcome;
    assert_eq!(outcome, Outcome::Reset(ResetReason::Refused));
}

#[test]
fn a_nat_without_a_mapping_to_give_refuses_at_once() {
    let (mut world, net) = internet(Link::latency(millis(10)), 1);
    let mut config = Profile::FULL_CONE.config(&[]);
    config.limits.mappings = 0;
    let client = TcpClient::new(socket("198.51.100.9:7"), b"hello");
    let (_, host) = home(&mut world, net, 1, &config, client);
    world.run_for(millis(100));
    let outcome = program::<TcpClient>(&world, host).outcome;
    assert_eq!(
        outcome,
        Outcome::Reset(ResetReason::Refused),
        "{}",
        world.diagram()
    );
}

#[test]
fn a_connection_does_not_survive_the_reboot_of_its_nat_and_the_client_learns_it() {
    let (mut world, net) = internet(Link::latency(millis(10)), 1);
    let echo = TcpApp::new(9, TcpEcho::new([7]));
    world.host("server", net, ip(SERVER), echo);
    let client = TcpClient::new(socket("198.51.100.9:7"), b"one").keep_open();
    let config = Profile::FULL_CONE.config(&[]);
    let (nat, host) = home(&mut world, net, 1, &config, client);
    world.run_for(secs(1));
    world.with_nat(nat, |nat| nat.reboot());
    world.with_app(host, |app: &mut TcpApp<TcpClient>, now| {
        app.act(now, |client, stack| client.send(now, stack, b"two"));
    });
    world.run_for(secs(130));
    let client = program::<TcpClient>(&world, host);
    assert_eq!(client.response, b"one");
    assert_eq!(client.outcome, Outcome::Reset(ResetReason::TimedOut));
    let out_of_state = Verdict::Drop(DropReason::TcpOutOfState);
    let mut events = world.trace().events().iter();
    assert!(events.any(|event| matches!(
        event.kind,
        TraceKind::Verdict { verdict, .. } if verdict == out_of_state
    )));
}

#[test]
fn one_seed_gives_one_trace_with_tcp_too_and_snapshots_go_on_alike() {
    let bad = Link {
        loss: Loss::bursts(50_000, 3),
        jitter: millis(30),
        reorder: 50_000,
        duplicate: 50_000,
        rate: Some(2_000_000),
        ..Link::latency(millis(20))
    };
    let build = |seed| {
        let (mut world, net) = internet(bad.clone(), seed);
        let echo = TcpApp::new(9, TcpEcho::new([7]));
        world.host("server", net, ip(SERVER), echo);
        for number in 1..4 {
            let client = TcpClient::new(socket("198.51.100.9:7"), vec![number; 40_000]);
            home(
                &mut world,
                net,
                number,
                &Profile::SYMMETRIC.config(&[]),
                client,
            );
        }
        world
    };
    let end = |mut world: jackfield_internet::World| {
        world.run_for(secs(120));
        world.trace().to_text()
    };
    let first = end(build(1));
    assert!(first.lines().count() > 500);
    assert!(first == end(build(1)), "another trace from the same seed");
    assert!(first != end(build(2)), "the same trace from another seed");
    for steps in [0, 1, 17, 100, 400, 900] {
        let mut world = build(1);
        for _ in 0..steps {
            world.step();
        }
        let snapshot = world.clone();
        let again = snapshot.clone();
        world.run_for(secs(5));
        drop(world);
        let rest = end(snapshot);
        assert!(
            first.starts_with(&rest) || rest.starts_with(&first),
            "snapshot after {steps}"
        );
        assert!(rest == end(again), "two snapshots after {steps}");
    }
}
