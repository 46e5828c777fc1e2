//! A TURN server with users `alice` and `bob`, and a peer, on loopback addresses.

use std::error::Error;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jackfield_driver::shard::{ShardContext, Shards, ShardsConfig};
use jackfield_driver::tcp::{self, TcpStats};
use jackfield_driver::turn::{TurnConfig, TurnHandle, TurnShard, TurnStats};
use jackfield_driver::udp::{UdpConfig, UdpSocket};
use jackfield_sansio::{Epoch, FiveTuple, Transport};
use jackfield_turn::{Credentials, NonceKey, Registry, Server, ServerConfig};
use socket2::{Domain, Type};

pub(crate) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A server whose clients may reach loopback peers.
pub(crate) struct TestServer {
    shards: Shards,
    handles: Vec<TurnHandle>,
    pub(crate) address: SocketAddr,
}

impl TestServer {
    pub(crate) fn start(count: usize) -> Self {
        Self::start_with(count, TurnConfig::default(), |_| {})
    }

    /// Starts one shard with this driver.
    pub(crate) fn with_driver(driver: TurnConfig) -> Self {
        Self::start_with(1, driver, |_| {})
    }

    /// Starts one shard with a changed core.
    pub(crate) fn with_core(change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::start_with(1, TurnConfig::default(), change)
    }

    fn start_with(
        count: usize,
        driver: TurnConfig,
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let address = jackfield_driver::port::claim(LOOPBACK).unwrap();
        let users = Credentials::new()
            .with_user("alice", "secret")
            .with_user("bob", "secret");
        let registry = Arc::new(Registry::new());
        let mut config = ServerConfig::new("realm", users, NonceKey::new([1; 32]), registry);
        config.peers.allow = vec!["127.0.0.0/8".parse().unwrap()];
        config.peers.own_listeners = vec![address];
        change(&mut config);
        let shards = ShardsConfig {
            count,
            ..ShardsConfig::default()
        };
        let (shards, handles) =
            Shards::start(&shards, move |context| {
                let (config, driver) = (config.clone(), driver.clone());
                async move {
                    build(&context, config, driver, address).map_err(|error| error.to_string())
                }
            })
            .unwrap();
        Self {
            shards,
            handles,
            address,
        }
    }

    /// Sums a counter over the shards.
    pub(crate) fn total(&self, counter: impl Fn(&TurnStats) -> u64) -> u64 {
        self.handles
            .iter()
            .map(|handle| counter(handle.driver_stats()))
            .sum()
    }

    pub(crate) fn stop(self) {
        self.shards.stop();
        let stats: Vec<_> = self
            .shards
            .handles()
            .iter()
            .map(|h| h.stats().clone())
            .collect();
        self.shards.join();
        for stats in stats {
            assert_eq!(stats.panics.value(), 0);
            assert_eq!(stats.abandoned.value(), 0);
        }
    }
}

fn build(
    context: &ShardContext,
    config: ServerConfig,
    driver: TurnConfig,
    address: SocketAddr,
) -> Result<TurnHandle, Box<dyn Error>> {
    let epoch = Epoch::new(Instant::now(), Duration::from_secs(1_800_000_000));
    let seed = [u8::try_from(context.index())?; 32];
    let turn = TurnShard::new(context, Server::new(config, epoch, seed), driver);
    let stats = Arc::clone(&turn.stats().listeners);
    let socket = UdpSocket::bind(address, &UdpConfig::default(), stats)?;
    let server = turn.clone();
    context.spawn("udp", async move { server.serve_udp(socket).await });

    let listener = tcp::listen(address, 128)?;
    let (server, tasks) = (turn.clone(), context.clone());
    context.spawn("tcp", async move {
        let shutdown = tasks.shutdown();
        tcp::accept(
            listener,
            &TcpStats::default(),
            shutdown,
            |stream, remote| {
                let path = FiveTuple {
                    transport: Transport::Tcp,
                    local: stream.local_addr().unwrap(),
                    remote,
                };
                let server = server.clone();
                tasks.spawn("connection", async move {
                    server.serve_stream(stream, path, Bytes::new()).await;
                });
            },
        )
        .await;
    });
    Ok(turn.handle())
}

/// A port where no program listens, and which no other socket is given while this value lives.
pub(crate) struct ClosedPort {
    pub(crate) address: SocketAddr,
    _tcp: socket2::Socket,
    _udp: StdSocket,
}

impl ClosedPort {
    pub(crate) fn new() -> Self {
        loop {
            let udp = StdSocket::bind(LOOPBACK).unwrap();
            let address = udp.local_addr().unwrap();
            // Datagrams of other senders than this one are refused as if the socket were not there.
            udp.connect("127.0.0.1:9").unwrap();
            let tcp = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            if tcp.bind(&address.into()).is_ok() {
                return Self {
                    address,
                    _tcp: tcp,
                    _udp: udp,
                };
            }
        }
    }
}

/// Someone on the other side of the relay.
pub(crate) struct Peer(StdSocket);

impl Peer {
    pub(crate) fn new() -> Self {
        let socket = StdSocket::bind(LOOPBACK).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Self(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn send(&self, to: SocketAddr, payload: &[u8]) {
        self.0.send_to(payload, to).unwrap();
    }

    pub(crate) fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut room = [0; 2_048];
        let (length, from) = self.0.recv_from(&mut room).unwrap();
        (room.get(..length).unwrap().to_vec(), from)
    }
}
