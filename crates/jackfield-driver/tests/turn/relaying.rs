//! What clients and peers send reaches the other side.

use std::net::{SocketAddr, UdpSocket as StdSocket};

use super::client::{Client, Incoming, Link, Refused};
use super::server::{LOOPBACK, Peer, TestServer};

#[test]
fn channels_and_indications_relay_both_ways_over_udp_and_tcp() {
    let server = TestServer::start(1);
    for link in [
        Link::udp(LOOPBACK, server.address),
        Link::tcp(server.address),
    ] {
        let mut client = Client::new(link, "alice", "secret");
        let relayed = client.allocate().unwrap();
        let peer = Peer::new();
        client.permit(peer.address()).unwrap();

        client.send_to(peer.address(), b"by indication");
        assert_eq!(peer.receive(), (b"by indication".to_vec(), relayed));
        peer.send(relayed, b"and back");
        let answer = Incoming::Data(peer.address(), b"and back".to_vec());
        assert_eq!(client.receive(), answer);

        client.bind_channel(0x4001, peer.address()).unwrap();
        for payload in [b"by channel".as_slice(), b"", &[7; 1_200]] {
            client.send_on(0x4001, payload);
            assert_eq!(peer.receive(), (payload.to_vec(), relayed));
            peer.send(relayed, payload);
            let answer = Incoming::Channel(0x4001, payload.to_vec());
            assert_eq!(client.receive(), answer);
        }
        client.delete().unwrap();
    }
    assert_eq!(server.total(|stats| stats.driver.relay_sockets.value()), 0);
    server.stop();
}

#[test]
fn a_thousand_datagrams_in_flight_by_turns_are_all_relayed_and_none_is_changed() {
    let server = TestServer::start(1);
    let mut client = Client::new(Link::udp(LOOPBACK, server.address), "alice", "secret");
    let relayed = client.allocate().unwrap();
    let peer = Peer::new();
    client.bind_channel(0x4000, peer.address()).unwrap();
    for round in 0..50u8 {
        for i in 0..20u8 {
            client.send_on(0x4000, &[round, i, 0, 1, 2, 3]);
        }
        for i in 0..20u8 {
            let (payload, from) = peer.receive();
            assert_eq!(
                (payload.as_slice(), from),
                ([round, i, 0, 1, 2, 3].as_slice(), relayed)
            );
            peer.send(relayed, &payload);
        }
        for i in 0..20u8 {
            let answer = Incoming::Channel(0x4000, vec![round, i, 0, 1, 2, 3]);
            assert_eq!(client.receive(), answer);
        }
    }
    assert_eq!(
        server.total(|stats| stats.relays.tx_datagrams.value()),
        1_000
    );
    assert_eq!(
        server.total(|stats| stats.relays.rx_datagrams.value()),
        1_000
    );
    server.stop();
}

#[test]
fn two_clients_of_one_shard_reach_each_other_without_the_kernel() {
    let server = TestServer::start(1);
    let mut alice = Client::new(Link::udp(LOOPBACK, server.address), "alice", "secret");
    let mut bob = Client::new(Link::tcp(server.address), "bob", "secret");
    let (at_alice, at_bob) = (alice.allocate().unwrap(), bob.allocate().unwrap());
    alice.bind_channel(0x4000, at_bob).unwrap();
    // Without a permission at the other end nothing arrives.
    alice.send_on(0x4000, b"too early");
    // Bob's request goes by another socket, which the server may read first.
    alice.binding();
    bob.permit(at_alice).unwrap();
    alice.send_on(0x4000, b"hello");
    assert_eq!(bob.receive(), Incoming::Data(at_alice, b"hello".to_vec()));
    bob.send_to(at_alice, b"hi");
    assert_eq!(alice.receive(), Incoming::Channel(0x4000, b"hi".to_vec()));
    assert_eq!(server.total(|stats| stats.driver.relay_to_relay.value()), 3);
    assert_eq!(server.total(|stats| stats.relays.tx_datagrams.value()), 0);
    server.stop();
}

#[test]
fn clients_of_different_shards_reach_each_other_through_the_kernel() {
    let server = TestServer::start(2);
    // The kernel spreads clients over shards by their ports; with this many both shards have some.
    let mut clients: Vec<_> = (0..12)
        .map(|_| Client::new(Link::udp(LOOPBACK, server.address), "alice", "secret"))
        .collect();
    let relayed: Vec<_> = clients.iter_mut().map(|c| c.allocate().unwrap()).collect();
    // A channel to the next one comes with a permission for its IP address, which is the address of
    // all of them.
    for (client, next) in clients.iter_mut().zip(relayed.iter().cycle().skip(1)) {
        client.bind_channel(0x4000, *next).unwrap();
    }
    for index in 0..clients.len() {
        let next = (index + 1) % clients.len();
        clients.get_mut(index).unwrap().send_on(0x4000, &[7]);
        let from = *relayed.get(index).unwrap();
        let received = clients.get_mut(next).unwrap().receive();
        assert_eq!(received, Incoming::Data(from, vec![7]));
    }
    server.stop();
}

#[test]
fn a_closed_connection_ends_its_allocation() {
    let server = TestServer::start(1);
    let mut client = Client::new(Link::tcp(server.address), "alice", "secret");
    client.allocate().unwrap();
    assert_eq!(server.total(|stats| stats.driver.relay_sockets.value()), 1);
    drop(client);
    // Only an answer to someone else tells that the server has seen the end.
    let mut other = Client::new(Link::udp(LOOPBACK, server.address), "bob", "secret");
    while server.total(|stats| stats.driver.relay_sockets.value()) > 0 {
        other.binding();
    }
    assert_eq!(server.total(|stats| stats.streams.open.value()), 0);
    server.stop();
}

#[test]
fn strangers_and_nonsense_get_nothing_and_change_nothing() {
    let server = TestServer::start(1);
    let mut stranger = Client::new(Link::udp(LOOPBACK, server.address), "alice", "wrong");
    assert_eq!(stranger.allocate(), Err(Refused(401)));
    for nonsense in [
        b"".as_slice(),
        &[22, 254, 253, 0],
        &[200; 50],
        &[130; 50],
        &[0; 3],
        &[64, 0, 255, 255],
    ] {
        stranger.link.send(nonsense);
    }
    let Link::Udp(socket) = &stranger.link else {
        panic!("this client uses UDP");
    };
    let own = socket.local_addr().unwrap();
    assert_eq!(stranger.binding(), own);
    assert_eq!(server.total(|stats| stats.driver.dropped_dtls.value()), 1);
    assert_eq!(server.total(|stats| stats.driver.dropped_quic.value()), 1);
    assert_eq!(server.total(|stats| stats.driver.dropped_other.value()), 2);

    let mut talker = Client::new(Link::tcp(server.address), "alice", "secret");
    talker.binding();
    talker.link.send(&[22, 3, 1, 0]);
    let mut web = Link::tcp(server.address);
    web.send(b"GET / HTTP/1.1\r\n\r\n");
    while server.total(|stats| stats.streams.not_stun.value()) < 2 {
        stranger.binding();
    }
    server.stop();
}

#[test]
fn relay_ports_in_use_are_passed_over() {
    let taken = StdSocket::bind(LOOPBACK).unwrap();
    let port = taken.local_addr().unwrap().port();
    let server = TestServer::with_core(|config| config.relay_ports = port..=port);
    let mut client = Client::new(Link::udp(LOOPBACK, server.address), "alice", "secret");
    assert_eq!(client.allocate(), Err(Refused(508)));
    assert!(server.total(|stats| stats.driver.bind_errors.value()) > 0);
    drop(taken);
    let relayed = client.allocate().unwrap();
    assert_eq!(relayed, SocketAddr::new(LOOPBACK.ip(), port));
    server.stop();
}
