//! What one shard listens on.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use jackfield_driver::shard::{ShardContext, ShardStats};
use jackfield_driver::tcp::{self, TcpStats};
use jackfield_driver::turn::{TurnHandle, TurnShard};
use jackfield_driver::udp::{UdpConfig, UdpSocket};
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::app::App;
use super::connection::{Connections, Listener};
use super::secret;

/// Where every shard listens: addresses that were found free.
#[derive(Debug, Clone)]
pub(super) struct Bindings {
    pub(super) plain: Vec<SocketAddr>,
    pub(super) tls: Vec<SocketAddr>,
    /// The second address and port of NAT discovery.
    pub(super) udp_only: Vec<SocketAddr>,
    pub(super) tls_config: Option<Arc<ServerConfig>>,
}

/// What the rest of the process sees of a shard.
#[derive(Debug)]
pub(super) struct ShardParts {
    pub(super) shard: Arc<ShardStats>,
    pub(super) turn: TurnHandle,
    pub(super) tcp: Arc<TcpStats>,
}

/// Connections that wait to be accepted, for each listener.
const BACKLOG: u32 = 1024;

/// Starts a shard: its TURN core and a UDP and TCP listener on every address.
pub(super) fn start(
    context: &ShardContext,
    app: &Arc<App>,
    bindings: &Bindings,
) -> Result<ShardParts> {
    // The core learns the addresses that are listened on, ports chosen by the system included.
    let mut core = app.turn_config.clone();
    core.peers.own_listeners = bindings
        .plain
        .iter()
        .chain(&bindings.tls)
        .chain(&bindings.udp_only)
        .copied()
        .collect();
    let server = jackfield_turn::Server::new(core, app.clock.epoch(), secret::random_bytes()?);
    let turn_shard = TurnShard::new(context, server, app.config.turn_driver.clone());
    let tcp = Arc::new(TcpStats::default());
    let connections = Connections {
        app: Arc::clone(app),
        turn: turn_shard.clone(),
        tls: bindings.tls_config.clone().map(TlsAcceptor::from),
    };
    for address in &bindings.plain {
        udp(context, &turn_shard, *address)?;
        listen(context, &connections, &tcp, *address, Listener::Plain)?;
    }
    for address in &bindings.udp_only {
        udp(context, &turn_shard, *address)?;
    }
    for address in &bindings.tls {
        listen(context, &connections, &tcp, *address, Listener::Tls)?;
    }
    Ok(ShardParts {
        shard: Arc::clone(context.stats()),
        turn: turn_shard.handle(),
        tcp,
    })
}

fn udp(context: &ShardContext, turn: &TurnShard, address: SocketAddr) -> Result<()> {
    let stats = Arc::clone(&turn.stats().listeners);
    let socket = UdpSocket::bind(address, &UdpConfig::default(), stats)
        .with_context(|| format!("cannot listen on {address} over UDP"))?;
    let turn = turn.clone();
    context.spawn("udp", async move { turn.serve_udp(socket).await });
    Ok(())
}

fn listen(
    context: &ShardContext,
    connections: &Connections,
    stats: &Arc<TcpStats>,
    address: SocketAddr,
    kind: Listener,
) -> Result<()> {
    let listener = tcp::listen(address, BACKLOG)
        .with_context(|| format!("cannot listen on {address} over TCP"))?;
    let (tasks, connections, stats) = (context.clone(), connections.clone(), Arc::clone(stats));
    context.spawn("tcp", async move {
        let shutdown = tasks.shutdown();
        tcp::accept(listener, &stats, shutdown, |stream, remote| {
            let connection = connections.clone().serve(stream, remote, kind);
            tasks.spawn("connection", connection);
        })
        .await;
    });
    Ok(())
}
