//! Connections of TURN clients that are slow, silent, too many, or cut into odd pieces.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::client::{Client, Incoming, Link, Refused};
use super::server::{Peer, TestServer};
use jackfield_driver::turn::TurnConfig;
use jackfield_sansio::{Budget, BudgetLimits};

#[test]
fn a_client_that_reads_too_slowly_loses_data_but_no_answers() {
    let server = TestServer::with_driver(TurnConfig {
        stream_queue: 16 * 1024,
        ..TurnConfig::default()
    });
    let mut client = Client::new(Link::tcp(server.address), "alice", "secret");
    let relayed = client.allocate().unwrap();
    let peer = Peer::new();
    client.bind_channel(0x4000, peer.address()).unwrap();
    // The kernel's buffers fill up first, then ours.
    while server.total(|stats| stats.streams.tx_dropped_slow.value()) == 0 {
        for _ in 0..64 {
            peer.send(relayed, &[7; 1_400]);
        }
    }
    client.permit(peer.address()).unwrap();
    assert_eq!(client.receive(), Incoming::Channel(0x4000, vec![7; 1_400]));
    server.stop();
}

#[test]
fn a_client_that_asks_and_never_reads_is_not_read_from() {
    let server = TestServer::with_driver(TurnConfig {
        stream_queue: 1_024,
        ..TurnConfig::default()
    });
    let mut stream = TcpStream::connect(server.address).unwrap();
    let patience = Some(Duration::from_millis(10));
    stream.set_write_timeout(patience).unwrap();
    let request = b"\0\x01\0\0\x21\x12\xA4\x42twelve bytes";
    let requests = request.repeat(1_000);
    let mut sent = 0;
    while server.total(|stats| stats.streams.paused.value()) == 0 {
        let rest = requests.get(sent % requests.len()..).unwrap();
        // An error says that the kernel's buffers are full as well.
        sent += stream.write(rest).unwrap_or(0);
    }
    // Once its answers are read the server goes on, and answers every request.
    let mut header = [0; 20];
    stream.read_exact(&mut header).unwrap();
    let &[_, _, high, low, ..] = &header;
    let answer = header.len() + usize::from(u16::from_be_bytes([high, low]));
    let mut rest = vec![0; sent / request.len() * answer - header.len()];
    stream.read_exact(&mut rest).unwrap();
    server.stop();
}

#[test]
fn a_client_for_which_too_much_waits_is_hung_up_on() {
    let budget = Budget::new(BudgetLimits {
        total: 1 << 20,
        per_network: 128 << 10,
    });
    let server = TestServer::with_driver(TurnConfig {
        budget: Some(budget.clone()),
        ..TurnConfig::default()
    });
    let mut reader = Client::new(Link::tcp(server.address), "alice", "secret");
    reader.binding();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let patience = Some(Duration::from_millis(10));
    stream.set_write_timeout(patience).unwrap();
    let requests = b"\0\x01\0\0\x21\x12\xA4\x42twelve bytes".repeat(1_000);
    while server.total(|stats| stats.streams.evicted.value()) == 0 {
        // An error says that the kernel's buffers are full, or that the server has hung up.
        let _full = stream.write(&requests);
    }
    assert!(budget.stats().held < 64 << 10);
    assert_eq!(budget.stats().evicted, 1);
    // Its neighbour stays, and others may come.
    reader.binding();
    Client::new(Link::tcp(server.address), "alice", "secret").binding();
    server.stop();
}

#[test]
fn a_silent_client_without_an_allocation_is_hung_up_on() {
    let server = TestServer::with_driver(TurnConfig {
        // Longer than the client that gets an allocation is stalled before it asks for it.
        stream_idle: Duration::from_secs(3),
        ..TurnConfig::default()
    });
    let mut keeper = Client::new(Link::tcp(server.address), "alice", "secret");
    keeper.allocate().unwrap();
    let mut silent = TcpStream::connect(server.address).unwrap();
    assert_eq!(silent.read(&mut [0; 16]).unwrap(), 0);
    assert_eq!(server.total(|stats| stats.streams.idle.value()), 1);
    // Who has an allocation may be silent for as long as it lasts, and is hung up on after it.
    keeper.delete().unwrap();
    let Link::Tcp { stream, .. } = &mut keeper.link else {
        panic!("this client uses TCP");
    };
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    server.stop();
}

#[test]
fn there_are_only_so_many_connections() {
    let server = TestServer::with_driver(TurnConfig {
        streams: 1,
        ..TurnConfig::default()
    });
    let mut first = Client::new(Link::tcp(server.address), "alice", "secret");
    first.binding();
    let mut second = TcpStream::connect(server.address).unwrap();
    assert_eq!(second.read(&mut [0; 16]).unwrap(), 0);
    assert_eq!(server.total(|stats| stats.streams.refused.value()), 1);
    first.binding();
    server.stop();
}

#[test]
fn messages_are_found_however_the_stream_is_cut() {
    let server = TestServer::start(1);
    let mut client = Client::new(Link::tcp(server.address), "alice", "secret");
    assert_eq!(
        client.permit("127.0.0.1:9".parse().unwrap()),
        Err(Refused(437))
    );
    let relayed = client.allocate().unwrap();
    let peer = Peer::new();
    client.bind_channel(0x4000, peer.address()).unwrap();
    let message = b"\x40\x00\x00\x05hello\0\0\0";
    let Link::Tcp { stream, .. } = &mut client.link else {
        panic!("this client uses TCP");
    };
    for byte in message {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.write_all(&message.repeat(3)).unwrap();
    for _ in 0..4 {
        assert_eq!(peer.receive(), (b"hello".to_vec(), relayed));
    }
    server.stop();
}
