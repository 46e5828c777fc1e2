//! Batched UDP sockets on real loopback addresses.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may panic, and says what it could not try"
)]

use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;

use jackfield_driver::udp::{RecvBatch, UdpConfig, UdpSocket, UdpStats};

#[tokio::test]
async fn a_wildcard_socket_answers_from_the_address_it_was_asked_at() {
    for (wildcard, asked) in [
        ("0.0.0.0:0", vec!["127.0.0.1", "127.0.0.2", "127.9.8.7"]),
        ("[::]:0", vec!["::1"]),
    ] {
        if wildcard.starts_with('[') && !has_ipv6() {
            continue;
        }
        let (echo, _) = socket(wildcard, &UdpConfig::default());
        let mut batch = RecvBatch::new(4);
        for ip in asked {
            let server = SocketAddr::new(ip.parse().unwrap(), echo.local_addr().port());
            let client = client_for(server);
            client.send_to(b"who?", server).unwrap();
            echo.receive(&mut batch).await;
            let datagram = batch.datagrams().next().unwrap();
            assert_eq!(datagram.local, server);
            assert_eq!(datagram.remote, client.local_addr().unwrap());
            echo.send(datagram.local, datagram.remote, &[b"me: ", datagram.bytes]);
            echo.flush();
            let (answer, from) = read(&client);
            assert_eq!((answer.as_slice(), from), (b"me: who?".as_slice(), server));
        }
    }
}

#[tokio::test]
async fn a_train_arrives_as_the_datagrams_it_was_made_of() {
    let (sender, sent) = socket("127.0.0.1:0", &UdpConfig::default());
    let (receiver, received) = socket("0.0.0.0:0", &UdpConfig::default());
    let to = SocketAddr::from(([127, 0, 0, 3], receiver.local_addr().port()));
    // 100 of 1,200 bytes are more than one train; the odd ones end trains, and an empty one is a
    // datagram too.
    let mut expected: Vec<Vec<u8>> = (0..100u8).map(|i| vec![i; 1_200]).collect();
    expected.extend([vec![7; 300], vec![8; 1_200], vec![], vec![9; 2]]);
    for payload in &expected {
        let (header, rest) = payload.split_at(payload.len().min(4));
        sender.send(sender.local_addr(), to, &[header, rest]);
    }
    sender.flush();

    let mut batch = RecvBatch::new(8);
    let mut arrived: Vec<Vec<u8>> = Vec::new();
    while arrived.len() < expected.len() {
        receiver.receive(&mut batch).await;
        for datagram in batch.datagrams() {
            assert_eq!(datagram.local, to);
            assert_eq!(datagram.remote, sender.local_addr());
            arrived.push(datagram.bytes.to_vec());
        }
    }
    assert!(arrived == expected, "datagrams differ from what was sent");
    assert_eq!(sent.tx_datagrams.value(), 104);
    assert_eq!(received.rx_datagrams.value(), 104);
    assert_eq!(sent.tx_bytes.value(), received.rx_bytes.value());
    #[cfg(target_os = "linux")]
    assert!(sent.tx_trains.value() >= 2 && received.rx_trains.value() >= 2);
}

#[tokio::test]
async fn a_plain_reader_sees_single_datagrams_with_and_without_trains() {
    for gso in [true, false] {
        let config = UdpConfig {
            gso,
            ..UdpConfig::default()
        };
        let (sender, stats) = socket("127.0.0.1:0", &config);
        let reader = StdSocket::bind("127.0.0.1:0").unwrap();
        let to = reader.local_addr().unwrap();
        for i in 0..20u8 {
            sender.send(sender.local_addr(), to, &[&[i], &[i; 99]]);
        }
        sender.flush();
        for i in 0..20u8 {
            assert_eq!(read(&reader).0, [i; 100]);
        }
        if cfg!(target_os = "linux") {
            assert_eq!(stats.tx_trains.value(), u64::from(gso));
        }
    }
}

#[tokio::test]
async fn what_the_kernel_refuses_is_counted_and_holds_nothing_up() {
    let (sender, stats) = socket("127.0.0.1:0", &UdpConfig::default());
    let from = sender.local_addr();
    let reader = StdSocket::bind("127.0.0.1:0").unwrap();
    let nobody = {
        let gone = StdSocket::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap()
    };
    // Port 0 cannot be sent to, and 65,508 bytes do not fit a datagram; the kernel takes a
    // datagram to a port without a socket.
    sender.send(from, "127.0.0.1:0".parse().unwrap(), &[b"x"]);
    sender.send(from, reader.local_addr().unwrap(), &[&[0; 65_508]]);
    sender.send(from, nobody, &[b"x"]);
    sender.send(from, reader.local_addr().unwrap(), &[b"through"]);
    sender.flush();
    assert_eq!(read(&reader).0, b"through");
    assert_eq!(stats.tx_dropped_refused.value(), 2);
    assert_eq!(stats.tx_datagrams.value(), 2);
}

#[tokio::test]
async fn a_datagram_that_must_stay_whole_is_sent_so_or_not_at_all() {
    let (sender, stats) = socket("127.0.0.1:0", &UdpConfig::relay());
    let from = sender.local_addr();
    let reader = StdSocket::bind("127.0.0.1:0").unwrap();
    let to = reader.local_addr().unwrap();
    for (whole, payload) in [(true, b"whole"), (false, b"usual"), (true, b"again")] {
        if whole {
            sender.send_whole(from, to, &[payload]);
        } else {
            sender.send(from, to, &[payload]);
        }
    }
    sender.flush();
    for expected in [b"whole", b"usual", b"again"] {
        assert_eq!(read(&reader).0, expected);
    }
    assert_eq!(stats.tx_datagrams.value(), 3);
}

#[tokio::test]
async fn a_queue_has_a_limit_and_drops_above_it_are_counted() {
    let config = UdpConfig {
        queue: 1_000,
        ..UdpConfig::default()
    };
    let (sender, stats) = socket("127.0.0.1:0", &config);
    let reader = StdSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..15 {
        sender.send(
            sender.local_addr(),
            reader.local_addr().unwrap(),
            &[&[1; 100]],
        );
    }
    sender.flush();
    assert_eq!(stats.tx_dropped_full.value(), 5);
    assert_eq!(stats.tx_datagrams.value(), 10);
}

#[tokio::test]
async fn a_closed_loop_loses_nothing() {
    const DATAGRAMS: usize = 1_000;
    let (echo, stats) = socket("127.0.0.1:0", &UdpConfig::default());
    let server = echo.local_addr();
    let client = std::thread::spawn(move || {
        let socket = client_for(server);
        for i in 0..DATAGRAMS {
            socket.send_to(&i.to_be_bytes(), server).unwrap();
            assert_eq!(read(&socket).0, i.to_be_bytes());
        }
    });
    let mut batch = RecvBatch::new(32);
    while stats.tx_datagrams.value() < DATAGRAMS as u64 {
        echo.receive(&mut batch).await;
        for datagram in batch.datagrams() {
            echo.send(datagram.local, datagram.remote, &[datagram.bytes]);
        }
        echo.flush();
    }
    client.join().unwrap();
    assert_eq!(stats.rx_datagrams.value(), DATAGRAMS as u64);
}

#[tokio::test]
async fn an_address_in_use_is_an_error_unless_it_is_shared() {
    let alone = UdpConfig::relay();
    let (first, _) = socket("127.0.0.1:0", &alone);
    let again = UdpSocket::bind(first.local_addr(), &alone, Arc::default());
    assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let (shared, _) = socket("127.0.0.1:0", &UdpConfig::default());
    UdpSocket::bind(shared.local_addr(), &UdpConfig::default(), Arc::default()).unwrap();
}

fn socket(address: &str, config: &UdpConfig) -> (UdpSocket, Arc<UdpStats>) {
    let stats = Arc::new(UdpStats::default());
    let socket = UdpSocket::bind(address.parse().unwrap(), config, Arc::clone(&stats)).unwrap();
    (socket, stats)
}

fn client_for(server: SocketAddr) -> StdSocket {
    let any = if server.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    };
    StdSocket::bind(any).unwrap()
}

fn read(socket: &StdSocket) -> (Vec<u8>, SocketAddr) {
    let mut room = [0; 2_048];
    let (len, from) = socket.recv_from(&mut room).unwrap();
    (room.get(..len).unwrap().to_vec(), from)
}

fn has_ipv6() -> bool {
    let there = StdSocket::bind("[::1]:0").is_ok();
    if !there {
        eprintln!("NOT TRIED: this machine has no IPv6 loopback address");
    }
    there
}
