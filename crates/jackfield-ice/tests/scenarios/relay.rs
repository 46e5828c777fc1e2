//! Servers: reflexive and relayed candidates, and data through a relay.

use jackfield_ice::{
    AgentConfig, Candidate, CandidateKind, CandidatePolicy, CandidateStats, Event, Output, State,
};
use jackfield_sansio::Transport;

use super::world::{LEFT, RIGHT, SERVER, World, ms, secs, with_relay};

/// Returns two agents with public addresses between which no datagram passes directly.
fn apart(left: AgentConfig, right: AgentConfig) -> World {
    let mut world = World::with(left, right);
    world.delay = ms(20);
    let ips = ["192.0.2.1", "198.51.100.1"].map(|ip| ip.parse().unwrap());
    world.cut.insert((ips[0], ips[1]));
    world.cut.insert((ips[1], ips[0]));
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world
}

#[test]
fn two_agents_that_cannot_meet_use_one_relay() {
    let mut world = apart(with_relay(&[Transport::Udp]), AgentConfig::default());
    world.connect();
    let at = world.run_until(secs(2), |world| world.is_connected());
    assert!(at <= ms(500), "{at:?}");
    world.run(secs(2));
    let (left, right) = (world.selected(LEFT), world.selected(RIGHT));
    assert_eq!(left.local.kind, CandidateKind::Relayed);
    assert_eq!(left.path.remote, SERVER.parse().unwrap());
    assert_eq!(left.remote.kind, CandidateKind::Host);
    assert_eq!(right.remote.kind, CandidateKind::Relayed);
    assert!(world.send(LEFT, b"through a channel") && world.send(RIGHT, b"and back"));
    world.run(ms(100));
    assert_eq!(world.peers[RIGHT].data[0].1, b"through a channel");
    assert_eq!(world.peers[LEFT].data[0].1, b"and back");
    // Permissions and channels are kept alive.
    world.run(secs(900));
    assert!(world.is_connected());
    assert!(world.send(LEFT, b"still") && world.send(RIGHT, b"here"));
    world.run(ms(100));
    assert_eq!(world.peers[RIGHT].data.len(), 2);
    assert_eq!(world.peers[LEFT].data.len(), 2);
}

#[test]
fn many_addresses_that_lead_nowhere_leave_room_for_the_relay() {
    let mut world = World::with(with_relay(&[Transport::Udp]), with_relay(&[Transport::Udp]));
    world.delay = ms(20);
    let ips = |net: &str| -> Vec<String> { (1..=16).map(|host| format!("{net}.{host}")).collect() };
    let (ours, theirs) = (ips("192.0.2"), ips("198.51.100"));
    for (one, other) in ours
        .iter()
        .flat_map(|one| theirs.iter().map(move |other| (one, other)))
    {
        let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
        world.cut.insert((one, other));
        world.cut.insert((other, one));
    }
    for (left, right) in ours.iter().zip(&theirs) {
        world.add_socket(LEFT, &format!("{left}:1000"));
        world.add_socket(RIGHT, &format!("{right}:2000"));
    }
    world.connect();
    let at = world.run_until(secs(10), |world| world.is_connected());
    assert!(at <= secs(5), "{at:?}");
}

#[test]
fn a_relay_is_left_as_soon_as_a_direct_path_works() {
    let mut world = apart(with_relay(&[Transport::Udp]), with_relay(&[Transport::Udp]));
    world.connect();
    world.run(ms(700));
    let used = world.selected(LEFT);
    let kinds = [used.local.kind, used.remote.kind];
    assert!(kinds.contains(&CandidateKind::Relayed), "{kinds:?}");
    world.cut.clear();
    // A new socket on either side brings new pairs; this one reaches the other side.
    world.add_socket(LEFT, "192.0.2.2:1000");
    world.run(secs(1));
    for peer in [LEFT, RIGHT] {
        assert_eq!(world.selected(peer).local.kind, CandidateKind::Host);
        assert_eq!(world.selected(peer).remote.kind, CandidateKind::Host);
    }
}

/// The other side's checks arrive, so that the path is not closed for good.
#[test]
fn a_better_pair_that_was_heard_in_one_direction_is_checked_once_more() {
    let mut world = apart(with_relay(&[Transport::Udp]), with_relay(&[Transport::Udp]));
    let (left, right) = ("192.0.2.1", "198.51.100.1");
    let ip = |text: &str| text.parse().unwrap();
    world.cut = [(ip(left), ip(right))].into();
    world.connect();
    world.run(secs(14));
    let used = world.selected(LEFT);
    let kinds = [used.local.kind, used.remote.kind];
    assert!(kinds.contains(&CandidateKind::Relayed), "{kinds:?}");
    world.cut.clear();
    world.run(secs(9));
    for peer in [LEFT, RIGHT] {
        assert_eq!(world.selected(peer).local.kind, CandidateKind::Host);
        assert_eq!(world.selected(peer).remote.kind, CandidateKind::Host);
    }
}

#[test]
fn relay_only_tells_and_uses_nothing_but_relays() {
    let only = |transports: &[Transport]| AgentConfig {
        policy: CandidatePolicy::RelayOnly,
        ..with_relay(transports)
    };
    let mut world = World::with(only(&[Transport::Udp]), only(&[Transport::Udp]));
    world.delay = ms(20);
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world.connect();
    world.run(secs(3));
    assert!(world.is_connected());
    for peer in [LEFT, RIGHT] {
        let told = world.candidates_of(peer);
        assert!(!told.is_empty());
        for candidate in told {
            assert_eq!(candidate.kind, CandidateKind::Relayed);
            assert!(candidate.related.unwrap().ip().is_unspecified());
        }
        assert_eq!(world.selected(peer).local.kind, CandidateKind::Relayed);
        assert_eq!(world.selected(peer).remote.kind, CandidateKind::Relayed);
    }
}

#[test]
fn udp_that_stops_is_left_for_a_relay_over_tcp() {
    let both = [Transport::Udp, Transport::Tcp];
    let mut world = World::with(with_relay(&both), with_relay(&both));
    world.delay = ms(20);
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world.connect();
    world.run(secs(5));
    assert_eq!(world.selected(LEFT).local.kind, CandidateKind::Host);
    let at = world.elapsed();
    world.udp = false;
    let over_tcp = |world: &World, peer| world.selected(peer).path.transport == Transport::Tcp;
    let moved = world.run_until(secs(12), |world| {
        over_tcp(world, LEFT) && over_tcp(world, RIGHT)
    });
    assert!(moved - at <= secs(10), "{:?}", moved - at);
    world.run(secs(1));
    assert!(world.is_connected());
    assert!(world.send(LEFT, b"over TCP") && world.send(RIGHT, b"as well"));
    world.run(ms(200));
    assert_eq!(world.peers[RIGHT].data.len(), 1);
    assert_eq!(world.peers[LEFT].data.len(), 1);
    assert!(!world.asked_restart(LEFT));
}

/// The way is away for longer than consent lasts, and no restart is needed to come back to it.
#[test]
fn a_direct_path_is_taken_again_when_it_comes_back_after_minutes() {
    let both = [Transport::Udp, Transport::Tcp];
    let mut world = World::with(with_relay(&both), with_relay(&both));
    world.delay = ms(20);
    world.incoming_tcp = false;
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world.connect();
    world.run(secs(60));
    assert_eq!(world.selected(LEFT).local.kind, CandidateKind::Host);
    world.udp = false;
    world.run(secs(100));
    let changes = |world: &World| {
        let is_change = |(_, event): &&(_, Event)| matches!(event, Event::StateChanged(_));
        world.peers[LEFT].events.iter().filter(is_change).count()
    };
    let before = (world.peers[LEFT].sent, changes(&world));
    world.run(secs(3_600));
    let after = (world.peers[LEFT].sent, changes(&world));
    assert_eq!(before.1, after.1, "the checks are not told");
    // Consent checks of both sides and keepalives are most of it: one packet in two seconds.
    assert!(after.0 - before.0 < 2_200, "{}", after.0 - before.0);
    assert_eq!(world.selected(LEFT).path.transport, Transport::Tcp);
    world.udp = true;
    let at = world.elapsed();
    let is_direct = |world: &World| {
        let kind = |peer| world.selected(peer).local.kind;
        [LEFT, RIGHT].map(kind) == [CandidateKind::Host; 2]
    };
    let back = world.run_until(secs(60), |world| is_direct(world));
    assert!(back - at <= secs(28), "{:?}", back - at);
    world.run(secs(120));
    assert!(is_direct(&world) && world.is_connected());
    assert!(!world.asked_restart(LEFT) && !world.asked_restart(RIGHT));
    assert_eq!(world.agent(LEFT).counters().consent_lost, 0);
}

#[test]
fn a_silent_server_delays_the_end_of_gathering_and_nothing_else() {
    let mut world = World::with(with_relay(&[Transport::Udp]), AgentConfig::default());
    let server = SERVER.parse::<std::net::SocketAddr>().unwrap();
    world
        .cut
        .insert(("192.0.2.1".parse().unwrap(), server.ip()));
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world.connect();
    let at = world.run_until(secs(1), |world| world.is_connected());
    assert_eq!(at, ms(100));
    world.run(secs(1));
    assert_eq!(world.peers[LEFT].agent.state(), State::Connected);
    world.run(secs(10));
    assert_eq!(world.peers[LEFT].agent.state(), State::Completed);
    let error = |(_, event): &(_, Event)| matches!(event, Event::CandidateError(_));
    assert!(world.peers[LEFT].events.iter().any(error));
}

#[test]
fn an_agent_without_udp_is_reached_by_a_relay_over_tcp() {
    let both = [Transport::Udp, Transport::Tcp];
    let mut world = World::with(with_relay(&both), AgentConfig::default());
    world.incoming_tcp = false;
    world.add_address(LEFT, "192.0.2.1");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world.connect();
    world.run_until(secs(2), |world| world.is_connected());
    let selected = world.selected(LEFT);
    assert_eq!(selected.local.kind, CandidateKind::Relayed);
    assert_eq!(selected.path.transport, Transport::Tcp);
    assert!(world.send(LEFT, b"over TCP") && world.send(RIGHT, b"over UDP"));
    world.run(ms(300));
    assert_eq!(world.peers[RIGHT].data.len(), 1);
    assert_eq!(world.peers[LEFT].data.len(), 1);

    let (now, ip) = (world.now, "192.0.2.1".parse().unwrap());
    let told = world.candidates_of(LEFT).len();
    world.agent(LEFT).remove_address(now, ip);
    world.drain(LEFT);
    assert_eq!(
        removed(&world, LEFT),
        told,
        "the active candidate goes, too"
    );
    assert!(world.peers[LEFT].agent.selected_pair().is_none());
}

#[test]
fn a_socket_that_goes_takes_its_relays_along() {
    let mut world = World::with(with_relay(&[Transport::Udp]), AgentConfig::default());
    // More than the allocations that there may be at one time.
    for port in 1..=10 {
        let socket = format!("192.0.2.1:{port}");
        world.add_socket(LEFT, &socket);
        world.run(secs(1));
        let now = world.now;
        world
            .agent(LEFT)
            .remove_socket(now, socket.parse().unwrap());
        world.drain(LEFT);
        let told = world.candidates_of(LEFT);
        let is_relayed = |candidate: &&Candidate| candidate.kind == CandidateKind::Relayed;
        assert_eq!(told.iter().filter(is_relayed).count(), port);
        assert_eq!(removed(&world, LEFT), told.len());
        assert_eq!(world.agent(LEFT).poll_output(), Output::Wait(None));
    }
    // One that goes before the server has answered.
    world.add_socket(LEFT, "192.0.2.1:11");
    let now = world.now;
    world
        .agent(LEFT)
        .remove_socket(now, "192.0.2.1:11".parse().unwrap());
    world.drain(LEFT);
    let sent = world.peers[LEFT].sent;
    world.run(secs(600));
    assert_eq!(world.peers[LEFT].sent, sent);
}

#[test]
fn a_relay_whose_connection_ends_takes_its_pairs_along_and_is_made_again() {
    let mut world = apart(with_relay(&[Transport::Tcp]), AgentConfig::default());
    world.incoming_tcp = false;
    world.connect();
    world.run_until(secs(2), |world| world.is_connected());
    let lost = world.selected(LEFT);
    assert_eq!(lost.path.transport, Transport::Tcp);

    let now = world.now;
    world.agent(LEFT).handle_closed(now, lost.path);
    world.drain(LEFT);
    assert_eq!(removed(&world, LEFT), 1);
    assert!(world.peers[LEFT].agent.selected_pair().is_none());
    let is_relayed = |candidate: &CandidateStats| candidate.kind == CandidateKind::Relayed;
    let locals = world.peers[LEFT].agent.stats().local_candidates;
    assert!(!locals.iter().any(is_relayed));

    world.run_until(secs(3), |world| {
        world.peers[LEFT].agent.selected_pair().is_some()
    });
    let found = world.selected(LEFT);
    assert_ne!(found.local.address, lost.local.address);
    assert_ne!(found.path, lost.path);
    assert!(world.send(LEFT, b"by the other relay"));
    world.run(ms(300));
    assert_eq!(world.peers[RIGHT].data.len(), 1);
    assert!(!world.asked_restart(LEFT) && !world.asked_restart(RIGHT));
}

/// Its other end has vanished without a word, as behind a NAT that was switched off.
#[test]
fn a_relay_whose_stream_has_fallen_silent_is_made_again() {
    for sends in [true, false] {
        let mut world = apart(with_relay(&[Transport::Tcp]), AgentConfig::default());
        world.incoming_tcp = false;
        world.connect();
        world.run_until(secs(2), |world| world.is_connected());
        world.run(secs(60));
        let lost = world.selected(LEFT);
        world.silent.insert(lost.path);
        let at = world.elapsed();
        let is_found = |world: &World| {
            let found = world.peers[LEFT].agent.selected_pair();
            found.is_some_and(|pair| pair.path != lost.path)
        };
        while !is_found(&world) {
            let limit = if sends { secs(8) } else { secs(13) };
            assert!(world.elapsed() - at < limit, "{sends}");
            world.run(ms(100));
            if sends {
                world.send(LEFT, b"is anybody there?");
            }
        }
        world.run(secs(1));
        assert!(world.is_connected());
        assert!(world.send(LEFT, b"by the other stream"));
        world.run(ms(300));
        let (_, last) = world.peers[RIGHT].data.last().unwrap();
        assert_eq!(last, b"by the other stream");
        let used = world.selected(LEFT).path;
        world.run(secs(60));
        assert_eq!(world.selected(LEFT).path, used, "the new one stays");
    }
}

/// The server is there, and the other side is not: the question costs nothing but itself.
#[test]
fn a_relay_outlives_the_silence_of_the_other_side() {
    let mut world = apart(with_relay(&[Transport::Tcp]), AgentConfig::default());
    world.incoming_tcp = false;
    world.connect();
    world.run_until(secs(2), |world| world.is_connected());
    let used = world.selected(LEFT);
    world.udp = false;
    world.run(secs(20));
    world.udp = true;
    world.run(secs(10));
    assert!(world.is_connected());
    assert_eq!(world.selected(LEFT).path, used.path);
    assert_eq!(removed(&world, LEFT), 0);
}

/// Returns how many candidates an agent has taken back.
fn removed(world: &World, peer: usize) -> usize {
    let is_removal = |(_, event): &&(_, Event)| matches!(event, Event::LocalCandidateRemoved(_));
    world.peers[peer].events.iter().filter(is_removal).count()
}
