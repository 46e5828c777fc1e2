//! Data-channel peers on loopback: on a port that they share, and over TCP.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use jackfield_driver::ice::{EndpointConfig, EndpointLimits};
use jackfield_driver::peer::{
    ChannelConfig, CloseReason, ConnectionState, DataChannel, Peer, PeerEndpoint, PeerEvent,
    PeerEvents, PeerOptions,
};

#[tokio::test]
async fn peers_of_one_endpoint_share_its_port_and_keep_their_data_apart() {
    let here = PeerEndpoint::bind(network()).unwrap();
    let mut channels = Vec::new();
    for _ in 0..5 {
        let alice = Peer::new(PeerOptions::new().endpoint(here.clone())).unwrap();
        let bob = Peer::new(PeerOptions::new().network(network())).unwrap();
        channels.push(connect(alice, bob).await);
    }
    assert_eq!(here.peers(), 5);
    for (index, (_, here, there)) in channels.iter().enumerate() {
        exchange(here, there, &format!("hello {index}")).await;
    }
    let [local] = here.local_addresses()[..] else {
        panic!("one address is named");
    };
    for (alice, ..) in &channels {
        for candidate in alice.stats().ice.local_candidates {
            let address = candidate.address.unwrap().ip().unwrap();
            // A candidate that opens connections has port 9 (RFC 6544 section 4.5).
            assert!(
                [local, (local.ip(), 9).into()].contains(&address),
                "{address}"
            );
        }
    }
    drop(channels);
    while here.peers() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn peers_between_the_same_two_endpoints_keep_their_data_apart() {
    let [here, there] = [(), ()].map(|()| PeerEndpoint::bind(network()).unwrap());
    let start = |endpoint: &PeerEndpoint| Peer::new(PeerOptions::new().endpoint(endpoint.clone()));
    let mut channels = Vec::new();
    for _ in 0..3 {
        channels.push(connect(start(&here).unwrap(), start(&there).unwrap()).await);
    }
    for (index, (_, here, there)) in channels.iter().enumerate() {
        exchange(here, there, &format!("hello {index}")).await;
    }
}

#[tokio::test]
async fn a_connection_over_tcp_comes_about_if_either_side_has_no_udp() {
    for (alice, bob) in [(true, false), (false, true), (false, false)] {
        let peer = |udp| Peer::new(PeerOptions::new().network(EndpointConfig { udp, ..network() }));
        let (alice, bob) = (peer(alice).unwrap(), peer(bob).unwrap());
        let (alice, here, there) = connect(alice, bob).await;
        let stats = alice.stats().ice;
        assert!(stats.selected_pair.is_some());
        let selected = stats.pairs.get(stats.selected_pair.unwrap()).unwrap();
        let mut locals = stats.local_candidates.iter();
        let local = locals.find(|local| local.id == selected.local).unwrap();
        assert!(local.transport.is_tcp(), "{local:?}");
        exchange(&here, &there, "hello").await;
        // Longer than what waits for a connection at one time.
        exchange(&here, &there, &"x".repeat(100_000)).await;
    }
}

#[tokio::test]
async fn what_was_written_arrives_though_all_handles_are_gone() {
    let [alice, bob] = pair();
    let (alice, here, there) = connect(alice, bob).await;
    let words = "x".repeat(200_000);
    here.send_text(&words).await.unwrap();
    drop((alice, here));
    assert_eq!(there.recv().await.unwrap().as_bytes(), words.as_bytes());
    assert_eq!(there.recv().await, None);
}

#[tokio::test]
async fn the_last_event_is_the_end_though_nobody_took_those_before() {
    let limits = EndpointLimits {
        events: 1,
        ..EndpointLimits::default()
    };
    let config = EndpointConfig {
        limits,
        ..network()
    };
    let (alice, mut events) = Peer::new(PeerOptions::new().network(config)).unwrap();
    let reason = alice.close().await;
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    assert_eq!(last, Some(PeerEvent::Closed(reason)));
    assert_eq!(alice.state(), ConnectionState::Closed);
    assert_eq!(reason, CloseReason::Local);
}

#[tokio::test]
async fn an_endpoint_has_no_more_peers_than_allowed() {
    let limits = EndpointLimits {
        sessions: 1,
        ..EndpointLimits::default()
    };
    let endpoint = PeerEndpoint::bind(EndpointConfig {
        limits,
        ..network()
    })
    .unwrap();
    let options = || PeerOptions::new().endpoint(endpoint.clone());
    let _first = Peer::new(options()).unwrap();
    let refused = Peer::new(options()).unwrap_err();
    assert!(refused.to_string().contains("as many"), "{refused}");
    assert_eq!(endpoint.counters().refused_sessions.value(), 1);
}

fn network() -> EndpointConfig {
    let mut network = EndpointConfig::default();
    network.interfaces.addresses = vec!["127.0.0.1".parse().unwrap()];
    network
}

type Started = (Peer, PeerEvents);

fn pair() -> [Started; 2] {
    let start = || Peer::new(PeerOptions::new().network(network())).unwrap();
    [start(), start()]
}

/// Connects two peers, whose candidates go to the other side as they come; returns the first, and
/// both ends of a channel.
async fn connect(alice: Started, bob: Started) -> (Peer, DataChannel, DataChannel) {
    let ((alice, of_alice), (bob, of_bob)) = (alice, bob);
    let answer = bob.handle_offer(&alice.create_offer().unwrap()).unwrap();
    alice.handle_answer(&answer).unwrap();
    tokio::spawn(pass_on(of_alice, bob.clone()));
    tokio::spawn(pass_on(of_bob, alice.clone()));
    let here = alice
        .open_channel(ChannelConfig::new("ours"))
        .await
        .unwrap();
    let there = bob.accept_channel().await.unwrap();
    (alice, here, there)
}

/// Passes candidates on until the end of the side that they are of.
async fn pass_on(mut events: PeerEvents, to: Peer) {
    while let Some(event) = events.next().await {
        match event {
            PeerEvent::LocalCandidate(candidate) => {
                // The descriptions had some of them already.
                let _known = to.add_remote_candidate(&candidate);
            }
            // The handle would keep the other side.
            PeerEvent::StateChanged(ConnectionState::Connected) => return,
            _ => {}
        }
    }
}

async fn exchange(here: &DataChannel, there: &DataChannel, words: &str) {
    for (from, to) in [(here, there), (there, here)] {
        from.send_text(words).await.unwrap();
        assert_eq!(to.recv().await.unwrap().as_bytes(), words.as_bytes());
    }
}
