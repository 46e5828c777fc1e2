//! Data to and from peers, permissions and channels.

use jackfield_sansio::Transport;
use jackfield_stun::ErrorCode;
use jackfield_turn::ChannelNumber;
use jackfield_turn::client::{ClientConfig, Event, Failure, SendError};

use super::world::{
    OTHER_PEER, PEER, World, address, client_config, path, secs, server_config, udp,
};

#[test]
fn data_waits_for_its_channel_and_then_goes_by_it() {
    let mut world = World::allocated();
    world.send(PEER, b"first");
    let relayed = world.relayed();
    assert_eq!(
        world.at_peers.pop_front(),
        Some((relayed, address(PEER), b"first".to_vec()))
    );
    let number = ChannelNumber::MIN;
    let peer = address(PEER);
    assert_eq!(
        world.events,
        [
            Event::ChannelBound { number, peer },
            Event::Permitted(peer.ip())
        ]
    );
    let outgoing = world
        .client
        .send(world.now, peer, b"second")
        .unwrap()
        .unwrap();
    assert_eq!(outgoing.header.as_bytes(), [0x40, 0, 0, 6]);
    assert_eq!(
        world.hear(PEER, b"back"),
        Some((peer, b"back".to_vec(), true))
    );
}

#[test]
fn without_channels_data_goes_by_indications() {
    let mut config = client_config();
    config.channels = false;
    let mut world = World::with(config, server_config(), udp());
    world.settle();
    world.send(PEER, b"first");
    world.send(PEER, b"");
    let relayed = world.relayed();
    for payload in [b"first".as_slice(), b""] {
        let (from, to, data) = world.at_peers.pop_front().unwrap();
        assert_eq!((from, to, &*data), (relayed, address(PEER), payload));
    }
    // Every port of the address may answer.
    assert_eq!(
        world.hear("198.41.0.4:1", b"x"),
        Some((address("198.41.0.4:1"), b"x".to_vec(), false))
    );
    assert_eq!(world.server.counters().packets_to_peers, 2);
}

/// The server has bound the channel, and sends the peer's data by it from then on.
#[test]
fn a_channel_whose_answer_is_lost_brings_data_and_is_asked_for_again() {
    let config = ClientConfig {
        channels: false,
        ..client_config()
    };
    let answers = config.retransmission.count as usize;
    let mut world = World::with(config, server_config(), udp());
    world.settle();
    world.client.permit(world.now, address(PEER).ip()).unwrap();
    world.settle();
    world.events.clear();
    world.lose_answers = answers;
    world.client.bind_channel(world.now, address(PEER)).unwrap();
    world.pass(secs(40));
    assert_eq!(world.lose_answers, 0);
    assert_eq!(world.events, []);
    let received = (address(PEER), b"by the channel".to_vec(), true);
    assert_eq!(world.hear(PEER, b"by the channel"), Some(received));
    // Until then data takes the way that is known to be open.
    world.send(PEER, b"by an indication");
    assert_eq!(world.at_peers.pop_front().unwrap().2, b"by an indication");
    world.pass(secs(5));
    let bound = Event::ChannelBound {
        number: ChannelNumber::MIN,
        peer: address(PEER),
    };
    assert_eq!(world.events, [bound]);
}

#[test]
fn a_peer_whose_channel_and_permission_are_unanswered_is_asked_for_anew() {
    let mut world = World::allocated();
    let peer = address(PEER);
    world.lose_answers = 7;
    world.send(PEER, b"lost");
    world.pass(secs(40));
    let why = Failure::TimedOut;
    let peer_refused = Event::PeerRefused {
        peer: peer.ip(),
        why,
    };
    assert_eq!(world.events, [peer_refused]);
    assert!(why.is_passing());
    world.client.permit(world.now, peer.ip()).unwrap();
    world.settle();
    world.send(PEER, b"again");
    let expected = [
        Event::Permitted(peer.ip()),
        Event::ChannelBound {
            number: ChannelNumber::MIN,
            peer,
        },
    ];
    assert_eq!(world.events[1..], expected);
    assert_eq!(world.at_peers.pop_back().unwrap().2, b"again");
}

#[test]
fn over_streams_channel_data_is_padded() {
    let stream = path(Transport::Tls, super::world::SERVER);
    let mut world = World::with(client_config(), server_config(), stream);
    world.settle();
    world.send(PEER, b"12345");
    let last = world.sent.last().unwrap();
    assert_eq!(last.len() % 4, 0);
    assert_eq!(world.at_peers.pop_front().unwrap().2, b"12345");
}

#[test]
fn a_peer_that_the_server_refuses_is_an_event_and_then_an_error() {
    let mut world = World::allocated();
    world.send("10.0.0.1:80", b"secret");
    let why = Failure::Refused(ErrorCode::FORBIDDEN);
    let peer = address("10.0.0.1:80").ip();
    assert_eq!(world.events, [Event::PeerRefused { peer, why }]);
    assert_eq!(world.client.counters().dropped_waiting, 1);
    assert_eq!(
        world
            .client
            .send(world.now, address("10.0.0.1:80"), b"again"),
        Err(SendError::PeerRefused(why))
    );
    assert!(world.at_peers.is_empty());
    // The others are none the worse for it.
    world.send(PEER, b"fine");
    assert_eq!(world.at_peers.len(), 1);
}

#[test]
fn what_cannot_be_sent_says_why() {
    let mut world = World::new();
    let peer = address(PEER);
    assert_eq!(
        world.client.send(world.now, peer, b"early"),
        Err(SendError::NotAllocated)
    );
    world.settle();
    assert_eq!(
        world
            .client
            .send(world.now, address("[2001:db8::1]:1"), b"x"),
        Err(SendError::FamilyMismatch)
    );
    assert_eq!(
        world.client.send(world.now, peer, &[0; 65_500]),
        Err(SendError::TooLong(65_500))
    );
}

#[test]
fn waiting_datagrams_and_their_peers_are_limited() {
    let mut config = client_config();
    config.limits.peers = 1;
    config.limits.waiting_packets = 2;
    config.limits.waiting_bytes = 10;
    let mut world = World::with(config, server_config(), udp());
    world.settle();
    let (now, peer) = (world.now, address(PEER));
    assert_eq!(world.client.send(now, peer, b"123456"), Ok(None));
    assert_eq!(
        world.client.send(now, peer, b"12345"),
        Err(SendError::TooMuchWaiting)
    );
    assert_eq!(world.client.send(now, peer, b"1234"), Ok(None));
    assert_eq!(
        world.client.send(now, peer, b""),
        Err(SendError::TooMuchWaiting)
    );
    assert_eq!(
        world.client.send(now, address(OTHER_PEER), b""),
        Err(SendError::TooManyPeers)
    );
    world.settle();
    assert_eq!(world.at_peers.len(), 2);
    assert_eq!(world.client.counters().dropped_waiting, 2);
}

#[test]
fn a_permission_alone_lets_a_peer_speak_first() {
    let mut world = World::allocated();
    assert_eq!(world.hear(PEER, b"knock"), None);
    world.client.permit(world.now, address(PEER).ip()).unwrap();
    world.settle();
    assert_eq!(world.events, [Event::Permitted(address(PEER).ip())]);
    for _ in 0..10 {
        assert_eq!(
            world.hear(PEER, b"hello"),
            Some((address(PEER), b"hello".to_vec(), false))
        );
        world.pass(secs(299));
    }
}

#[test]
fn a_forgotten_peer_is_let_go() {
    let mut world = World::allocated();
    world.send(PEER, b"hello");
    world.client.forget(address(PEER).ip());
    assert_eq!(world.hear(PEER, b"too late"), None);
    assert_eq!(world.client.counters().dropped_unpermitted, 1);
    let asked = world.client.counters().requests;
    world.pass(secs(500));
    assert_eq!(world.client.counters().requests, asked);
}

#[test]
fn a_peer_that_is_forgotten_before_the_server_answers_is_asked_for_no_more() {
    let mut world = World::allocated();
    let (now, peer) = (world.now, address(PEER));
    world.lose = usize::MAX;
    for _ in 0..3 {
        world.client.bind_channel(now, peer).unwrap();
        world.client.permit(now, peer.ip()).unwrap();
        world.client.forget(peer.ip());
    }
    world.settle();
    let sent = world.client.counters().transmissions;
    world.pass(secs(60));
    assert_eq!(world.client.counters().transmissions, sent);
    assert_eq!(world.client.refusal(peer.ip()), None);
}

#[test]
fn data_of_a_peer_that_we_did_not_let_in_is_dropped() {
    let mut world = World::allocated();
    let header = b"\x40\x00\x00\x01x";
    assert_eq!(world.client.handle_server(world.now, header), None);
    assert_eq!(world.client.counters().dropped_unpermitted, 1);
}
