//! Data-channel peers on loopback: on a port that they share, and over TCP.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_driver::ice::{EndpointConfig, EndpointLimits};
use jackfield_driver::peer::{
    ChannelConfig, CloseReason, ConnectionState, DataChannel, Peer, PeerEndpoint, PeerEvent,
    PeerEvents, PeerOptions,
};
use jackfield_ice::CandidateKind;
use tokio::net::UdpSocket;

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
            // A connection that this side opens has a port of its own, which its check finds out.
            let is_found = candidate.kind == CandidateKind::PeerReflexive;
            if is_found && candidate.transport.is_tcp() {
                continue;
            }
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
        assert!(is_over_tcp(&alice));
        exchange(&here, &there, "hello").await;
        // Longer than what waits for a connection at one time.
        exchange(&here, &there, &"x".repeat(100_000)).await;
    }
}

#[tokio::test]
async fn data_goes_on_over_tcp_when_udp_stops() {
    let quick = |options: PeerOptions| {
        let mut options = options.network(network());
        options.ice.timing.silence = Duration::from_millis(100);
        options.ice.timing.probe_interval = Duration::from_millis(100);
        Peer::new(options).unwrap()
    };
    let (alice, _) = quick(PeerOptions::new());
    let (bob, _) = quick(PeerOptions::new());
    // All that each knows of the other's UDP leads through this.
    let middle = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let middle_port = middle.local_addr().unwrap().port();
    let passing = tokio::spawn(pass_between(Arc::clone(&middle), udp_address(&bob)));
    let offer = with_udp_at(&alice.create_offer().unwrap(), &alice, None);
    let answer = bob.handle_offer(&offer).unwrap();
    alice
        .handle_answer(&with_udp_at(&answer, &bob, Some(middle_port)))
        .unwrap();
    let here = alice
        .open_channel(ChannelConfig::new("ours"))
        .await
        .unwrap();
    let there = bob.accept_channel().await.unwrap();
    // UDP is the better way, once both are found.
    while is_over_tcp(&alice) || is_over_tcp(&bob) {
        exchange(&here, &there, "hello").await;
    }
    passing.abort();
    while !(is_over_tcp(&alice) && is_over_tcp(&bob)) {
        exchange(&here, &there, "are you there?").await;
    }
    exchange(&here, &there, &"x".repeat(50_000)).await;
    assert_eq!(alice.state(), ConnectionState::Connected);
}

/// Passes datagrams between `bob` and the last one else that has sent any.
async fn pass_between(middle: Arc<UdpSocket>, bob: SocketAddr) {
    let mut room = [0; 2_048];
    let mut other = None;
    loop {
        let (length, from) = middle.recv_from(&mut room).await.unwrap();
        let to = match from == bob {
            true => other,
            false => {
                other = Some(from);
                Some(bob)
            }
        };
        if let (Some(to), Some(bytes)) = (to, room.get(..length)) {
            middle.send_to(bytes, to).await.unwrap();
        }
    }
}

/// Returns a description whose UDP candidate is at another port, or which has none.
fn with_udp_at(description: &str, peer: &Peer, port: Option<u16>) -> String {
    let at = |port| format!(" 127.0.0.1 {port} typ host");
    let from = at(udp_address(peer).port());
    let is_udp = |line: &str| line.to_ascii_lowercase().contains(" udp ");
    let lines = description.lines().filter_map(|line| {
        if !line.starts_with("a=candidate") || !is_udp(line) {
            return Some(line.to_owned());
        }
        assert!(line.contains(&from), "{line}");
        port.map(|port| line.replace(&from, &at(port)))
    });
    lines.map(|line| line + "\r\n").collect()
}

fn udp_address(peer: &Peer) -> SocketAddr {
    let candidates = peer.stats().ice.local_candidates;
    let udp = candidates.iter().find(|it| !it.transport.is_tcp()).unwrap();
    udp.address.as_ref().unwrap().ip().unwrap()
}

fn is_over_tcp(peer: &Peer) -> bool {
    let stats = peer.stats().ice;
    let selected = stats.selected_pair.map(|index| stats.pairs[index].local);
    let mut locals = stats.local_candidates.iter();
    let local = selected.and_then(|id| locals.find(|local| local.id == id));
    local.is_some_and(|local| local.transport.is_tcp())
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

#[tokio::test]
async fn channels_that_were_closed_again_do_not_pile_up_before_they_are_accepted() {
    let (bob, bob_events) = {
        let mut options = PeerOptions::new().network(network());
        options.max_channels = 4;
        Peer::new(options).unwrap()
    };
    let alice = Peer::new(PeerOptions::new().network(network())).unwrap();
    // Each of them holds a channel of the four.
    let (alice, _here, _there) = connect(alice, (bob.clone(), bob_events)).await;
    for _ in 0..10 {
        let channel = alice.open_channel(ChannelConfig::new("x")).await.unwrap();
        channel.close().await;
    }
    bob.close().await;
    let mut waiting = 0;
    while bob.accept_channel().await.is_some() {
        waiting += 1;
    }
    assert_eq!(waiting, 4);
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
