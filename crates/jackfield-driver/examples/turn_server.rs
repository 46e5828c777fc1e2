//! A TURN server on the command line, to try clients against.
//!
//! ```sh
//! cargo run --release -p jackfield-driver --example turn_server -- \
//!     --listen 127.0.0.1:3478 --user alice:secret --secret north --allow-peer 127.0.0.0/8
//! ```

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program on the command line"
)]

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use jackfield_driver::shard::{ShardContext, Shards, ShardsConfig};
use jackfield_driver::stats::Sample;
use jackfield_driver::tcp::{self, TcpStats};
use jackfield_driver::turn::{TurnConfig, TurnHandle, TurnShard};
use jackfield_driver::udp::{UdpConfig, UdpSocket};
use jackfield_sansio::{Epoch, FiveTuple, Transport};
use jackfield_turn::{
    Cidr, Credentials, NonceKey, Rate, Registry, RelayAddress, Server, ServerConfig,
};
use tokio::net::TcpStream;

const USAGE: &str = "usage: turn_server [--listen ADDR]... [--user NAME:PASSWORD]... [--secret SECRET]... \
[--allow-peer CIDR]... [--relay IP]... [--realm REALM] [--shards N] [--quota ALLOCATIONS_PER_USER] \
[--rate BYTES_PER_SECOND] [--stats]";

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), AnyError> {
    let options = Options::parse(std::env::args().skip(1))?;
    let mut listen = Vec::new();
    for address in &options.listen {
        listen.push(
            jackfield_driver::port::claim(*address)
                .map_err(|error| format!("{address}: {error}"))?,
        );
    }
    let config = options.config();
    let shards_config = ShardsConfig {
        count: options.shards,
        ..ShardsConfig::default()
    };
    let addresses = listen.clone();
    let (shards, handles) = Shards::start(&shards_config, move |context| {
        let (config, addresses) = (config.clone(), addresses.clone());
        async move { start(&context, config, &addresses) }
    })?;
    for address in listen {
        println!("listening on {address}, {} shards", handles.len());
    }
    wait_for_interrupt(options.stats.then_some(&handles))?;
    shards.stop();
    shards.join();
    Ok(())
}

/// Builds one shard: its server and a listener of each kind on each address.
fn start(
    context: &ShardContext,
    config: ServerConfig,
    addresses: &[SocketAddr],
) -> Result<TurnHandle, AnyError> {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let server = Server::new(config, Epoch::new(Instant::now(), unix), random());
    let turn = TurnShard::new(context, server, TurnConfig::default());
    for address in addresses {
        let stats = Arc::clone(&turn.stats().listeners);
        let socket = UdpSocket::bind(*address, &UdpConfig::default(), stats)?;
        let server = turn.clone();
        context.spawn("udp", async move { server.serve_udp(socket).await });

        let listener = tcp::listen(*address, 1_024)?;
        let (server, tasks) = (turn.clone(), context.clone());
        context.spawn("tcp", async move {
            let shutdown = tasks.shutdown();
            tcp::accept(
                listener,
                &TcpStats::default(),
                shutdown,
                |stream, remote| {
                    serve(&tasks, &server, stream, remote);
                },
            )
            .await;
        });
    }
    Ok(turn.handle())
}

fn serve(context: &ShardContext, server: &TurnShard, stream: TcpStream, remote: SocketAddr) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let path = FiveTuple {
        transport: Transport::Tcp,
        local,
        remote,
    };
    let server = server.clone();
    context.spawn("connection", async move {
        server.serve_stream(stream, path, Bytes::new()).await;
    });
}

fn wait_for_interrupt(stats: Option<&Vec<TurnHandle>>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(tokio::signal::ctrl_c())?;
    for (shard, handle) in stats.into_iter().flatten().enumerate() {
        let driver = handle.driver_stats();
        let print = |part: &str, sample: Sample| {
            eprintln!("{shard} {part}{} {}", sample.name, sample.value);
        };
        driver.listeners.visit(|sample| print("listeners.", sample));
        driver.relays.visit(|sample| print("relays.", sample));
        driver.streams.visit(|sample| print("streams.", sample));
        driver.driver.visit(|sample| print("", sample));
        if let Some(core) = runtime.block_on(handle.stats()) {
            eprintln!("{shard} {core:?}");
        }
    }
    Ok(())
}

/// Returns 32 random bytes of the operating system.
fn random() -> [u8; 32] {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(8) {
        // A new state has keys of the operating system's randomness; good enough for an example,
        // not for a product.
        let word = RandomState::new().build_hasher().finish().to_ne_bytes();
        chunk.copy_from_slice(&word);
    }
    bytes
}

struct Options {
    listen: Vec<SocketAddr>,
    credentials: Credentials,
    allow: Vec<Cidr>,
    relay: Vec<IpAddr>,
    realm: String,
    shards: usize,
    /// Allocations of one user, and of one network.
    quota: Option<u32>,
    /// Packets and bytes a second, of one allocation and of one network.
    rate: Option<u32>,
    stats: bool,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, AnyError> {
        let mut options = Self {
            listen: Vec::new(),
            credentials: Credentials::new(),
            allow: Vec::new(),
            relay: Vec::new(),
            realm: "jackfield".into(),
            shards: 1,
            quota: None,
            rate: None,
            stats: false,
        };
        while let Some(word) = words.next() {
            if word == "--stats" {
                options.stats = true;
                continue;
            }
            let value = words.next().ok_or(USAGE)?;
            match word.as_str() {
                "--listen" => options.listen.push(value.parse()?),
                "--user" => {
                    let (name, password) = value.split_once(':').ok_or(USAGE)?;
                    options.credentials = options.credentials.with_user(name, password);
                }
                "--secret" => options.credentials = options.credentials.with_secret(value),
                "--allow-peer" => options.allow.push(value.parse()?),
                "--relay" => options.relay.push(value.parse()?),
                "--realm" => options.realm = value,
                "--quota" => options.quota = Some(value.parse()?),
                "--rate" => options.rate = Some(value.parse()?),
                "--shards" => options.shards = value.parse()?,
                _ => return Err(USAGE.into()),
            }
        }
        if options.listen.is_empty() {
            options
                .listen
                .push(SocketAddr::from(([127, 0, 0, 1], 3478)));
        }
        Ok(options)
    }

    fn config(&self) -> ServerConfig {
        let mut config = ServerConfig::new(
            self.realm.clone(),
            self.credentials.clone(),
            NonceKey::new(random()),
            Arc::new(Registry::new()),
        );
        config.peers.allow.clone_from(&self.allow);
        config.peers.own_listeners.clone_from(&self.listen);
        for ip in &self.relay {
            config.relay_addresses.push(RelayAddress {
                local: *ip,
                advertised: *ip,
            });
        }
        if let Some(quota) = self.quota {
            config.limits.allocations_per_user = quota;
            config.limits.allocations_per_network = quota;
        }
        if let Some(rate) = self.rate.map(Rate::per_second) {
            config.limits.packets = Some(rate);
            config.limits.bytes = Some(rate);
            config.limits.bytes_per_network = Some(rate);
        }
        config
    }
}
