//! Shared TCP listeners on a real loopback address.

use std::io;
use std::sync::Arc;

use jackfield_driver::shard::{Shards, ShardsConfig, StartError};
use jackfield_driver::tcp::{self, TcpStats};
use jackfield_driver::udp::{UdpConfig, UdpSocket};
use tokio::io::AsyncWriteExt;

#[test]
fn shards_share_a_port_and_each_connection_is_one_shard_s() {
    let address = jackfield_driver::port::claim("127.0.0.1:0".parse().unwrap()).unwrap();
    let (shards, stats) = Shards::start(&shards(2), move |context| async move {
        let listener = tcp::listen(address, 128)?;
        let stats = Arc::new(TcpStats::default());
        let counted = Arc::clone(&stats);
        let shutdown = context.shutdown();
        let tasks = context.clone();
        context.spawn("accept", async move {
            tcp::accept(listener, &counted, shutdown, |mut stream, _| {
                tasks.spawn("greet", async move {
                    stream.write_all(b"hello").await.unwrap();
                });
            })
            .await;
        });
        Ok::<_, io::Error>(stats)
    })
    .unwrap();
    for _ in 0..20 {
        let mut greeting = String::new();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        io::Read::read_to_string(&mut stream, &mut greeting).unwrap();
        assert_eq!(greeting, "hello");
    }
    shards.stop();
    shards.join();
    let accepted: u64 = stats.iter().map(|stats| stats.accepted.value()).sum();
    assert_eq!(accepted, 20);
}

#[test]
fn a_port_that_cannot_be_bound_is_a_clear_error_of_the_start() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = Shards::start(&shards(2), move |_| async move {
        UdpSocket::bind(address, &UdpConfig::default(), Arc::default())
            .map(drop)
            .map_err(|error| io::Error::new(error.kind(), format!("udp {address}: {error}")))
    })
    .unwrap_err();
    let StartError::Build {
        shard: 0,
        error: source,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

fn shards(count: usize) -> ShardsConfig {
    ShardsConfig {
        count,
        ..ShardsConfig::default()
    }
}
