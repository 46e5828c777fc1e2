//! From nothing to messages, and what happens to the path later.

use std::time::Duration;

use jackfield_peer::{ChannelConfig, ConnectionState, Message, PeerEvent, ReceivedMessage};

use crate::world::{ALICE, BOB, World};

#[test]
fn two_peers_connect_and_talk() {
    let mut world = World::new();
    let now = world.now;
    let chat = world.peers[ALICE]
        .open_channel(now, ChannelConfig::new("chat"))
        .unwrap();
    world.connect();
    world.run_until("the channel is there", |world| world.opened(BOB).is_some());
    let (now, theirs) = (world.now, world.opened(BOB).unwrap());
    world.peers[ALICE]
        .write(now, chat, Message::Text("hello"))
        .unwrap();
    world.peers[BOB]
        .write(now, theirs, Message::Binary(b"hi"))
        .unwrap();
    world.run_until("both heard", |world| {
        !world.messages(ALICE).is_empty() && !world.messages(BOB).is_empty()
    });
    assert_eq!(
        world.messages(BOB),
        [ReceivedMessage::Text("hello".to_owned())]
    );
    assert_eq!(
        world.messages(ALICE),
        [ReceivedMessage::Binary(b"hi".to_vec())]
    );
}

#[test]
fn descriptions_alone_are_enough_without_trickle() {
    let mut world = World::new();
    world.trickle = false;
    world.connect();
}

#[test]
fn states_pass_in_w3cs_order() {
    let mut world = World::new();
    world.connect();
    let states: Vec<_> = world.events[ALICE]
        .iter()
        .filter_map(|event| match event {
            PeerEvent::StateChanged(state) => Some(*state),
            _ => None,
        })
        .collect();
    assert_eq!(
        states,
        [ConnectionState::Connecting, ConnectionState::Connected]
    );
}

#[test]
fn a_restart_loses_no_message_and_finds_a_path_again() {
    let mut world = World::new();
    let now = world.now;
    let chat = world.peers[ALICE]
        .open_channel(now, ChannelConfig::new("chat"))
        .unwrap();
    world.connect();
    let before = world.peers[ALICE].agent().local_parameters().clone();
    let now = world.now;
    world.peers[ALICE].restart(now);
    world.drain();
    world.peers[ALICE]
        .write(now, chat, Message::Text("during"))
        .unwrap();
    world.negotiate(ALICE);
    world.run_for(Duration::from_secs(2));
    assert_ne!(*world.peers[ALICE].agent().local_parameters(), before);
    let now = world.now;
    world.peers[ALICE]
        .write(now, chat, Message::Text("after"))
        .unwrap();
    world.run_until("both arrived", |world| world.messages(BOB).len() == 2);
    assert_eq!(world.states(), [ConnectionState::Connected; 2]);
}

#[test]
fn a_closed_peer_tells_the_other() {
    let mut world = World::new();
    world.connect();
    let now = world.now;
    world.peers[ALICE].close(now);
    world.run_until("closed", |world| {
        world.states() == [ConnectionState::Closed; 2]
    });
}

#[test]
fn the_statistics_know_the_path_and_the_version() {
    let mut world = World::new();
    world.connect();
    let stats = world.peers[BOB].stats();
    assert_eq!(stats.dtls_version, Some("DTLSv1.3"));
    assert!(stats.ice.selected_pair.is_some());
    assert_eq!(stats.state, ConnectionState::Connected);
}

#[test]
fn the_largest_packets_that_pass_are_found_on_each_path() {
    for (limit, expected) in [(usize::MAX, 1470..=1500), (1400, 1380..=1400)] {
        let mut world = World::with(|_, config| config.probe_path = true);
        // The network drops larger UDP payloads; IP and UDP take 28 bytes.
        world.largest = limit.saturating_sub(28);
        world.connect();
        world.run_for(Duration::from_secs(5));
        for side in [ALICE, BOB] {
            let mtu = world.peers[side].stats().path_mtu.unwrap();
            assert!(expected.contains(&mtu), "{mtu} of {limit}");
        }
        // Of two programs that measure one path, one is done first and goes.
        let found = world.peers[ALICE].stats().path_mtu;
        let now = world.now;
        world.peers[BOB].close(now);
        world.run_for(Duration::from_secs(5));
        let stats = world.peers[ALICE].stats();
        assert_eq!(stats.state, ConnectionState::Closed);
        assert_eq!(stats.path_mtu, found);
    }
    let mut world = World::new();
    world.connect();
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.peers[ALICE].stats().path_mtu, None);
}

#[test]
fn data_goes_on_soon_after_an_outage_and_after_a_longer_one_with_the_restart() {
    for (outage, most) in [(5, 1_000), (18, 1_100), (40, 500)] {
        let mut world = World::new();
        let now = world.now;
        let chat = world.peers[ALICE]
            .open_channel(now, ChannelConfig::new("chat"))
            .unwrap();
        world.connect();
        world.run_for(Duration::from_secs(10));
        world.is_cut = true;
        world.run_for(Duration::from_secs(1));
        let now = world.now;
        world.peers[ALICE]
            .write(now, chat, Message::Text("held back"))
            .unwrap();
        world.run_for(Duration::from_secs(outage));
        world.is_cut = false;
        let mut back = world.now;
        if outage > 30 {
            // Consent is over.
            assert_eq!(world.states(), [ConnectionState::Failed; 2]);
            for side in [ALICE, BOB] {
                world.peers[side].restart(back);
            }
            world.drain();
            world.negotiate(ALICE);
            back = world.now;
        }
        world.run_until("it arrived", |world| !world.messages(BOB).is_empty());
        let took = world.now - back;
        assert!(took <= Duration::from_millis(most), "{outage}: {took:?}");
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.states(), [ConnectionState::Connected; 2]);
    }
}
