//! Starts the server, says where it is, and stops it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jackfield_driver::port::Reservation;
use jackfield_driver::shard::{Shards, ShardsConfig};
use jackfield_sansio::Rate;
use tokio::signal::unix::{SignalKind, signal};

use super::app::App;
use super::ice::split_authority;
use super::listeners::{self, Bindings};
use super::local_networks::LocalNetworks;
use super::tls_relay::TlsRelayObstacle;
use super::{addresses, descriptors, local_networks, nat_discovery, tls};
use crate::config::Config;

/// Returns what a stranger may do, in a line.
fn openness(relayed: Option<Rate>) -> String {
    let relay = match relayed {
        Some(rate) => format!("up to {} Mbit/s for a network", rate.per_second / 125_000),
        None => "without a limit".to_owned(),
    };
    format!(
        "Open to anyone who reaches it: rooms whose names they know, and the relay, {relay}; \
         a firewall closes it, `jackfield config explain` lists the limits"
    )
}

/// A server that runs until it is stopped.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    bindings: Bindings,
    shards: Shards,
}

impl Server {
    /// Starts every shard; the server answers when this returns.
    ///
    /// # Errors
    ///
    /// Fails when an address cannot be listened on, a certificate not be read, or a secret not be
    /// made.
    pub fn start(mut config: Config) -> Result<Self> {
        descriptors::fit(&mut config);
        let tls_config = config
            .certificate
            .as_ref()
            .map(tls::server_config)
            .transpose()?;
        let mut reserved = Vec::new();
        let lenient = config.listen_is_default;
        config.listen = reserve(&config.listen, lenient, &mut reserved)?;
        config.listen_tls = reserve(&config.listen_tls, false, &mut reserved)?;
        let udp_only = nat_discovery::listen(&config)?;
        let bindings = Bindings {
            udp_only: reserve(&udp_only, false, &mut reserved)?,
            plain: config.listen.clone(),
            tls: config.listen_tls.clone(),
            tls_config,
        };
        let shards_config = ShardsConfig {
            count: config.shards,
            grace: LAST_TASKS,
            ..ShardsConfig::default()
        };
        let local = LocalNetworks::read().unwrap_or_else(|error| {
            tracing::warn!(%error, "Cannot list this machine's addresses");
            LocalNetworks::default()
        });
        let app = App::new(config, &local)?;
        let (for_shards, their_bindings) = (Arc::clone(&app), bindings.clone());
        let (shards, parts) = Shards::start(&shards_config, move |context| {
            let parts = listeners::start(&context, &for_shards, &their_bindings);
            if context.index() == 0 {
                keep_time(&context, &for_shards);
                local_networks::keep_up_to_date(&context, &for_shards, local.clone());
            }
            std::future::ready(parts.map_err(Failure))
        })?;
        drop(reserved);
        app.shards
            .set(parts)
            .map_err(|_| anyhow::anyhow!("the shards have started before"))?;
        app.set_ready(true);
        tracing::info!(shards = shards.handles().len(), "Serving");
        let bound = bindings.plain.iter().chain(&bindings.tls);
        if bound.into_iter().any(|address| !address.ip().is_loopback()) {
            tracing::info!("{}", openness(app.config.turn.bytes_per_network));
        }
        Ok(Self {
            app,
            bindings,
            shards,
        })
    }

    /// Returns the addresses served in the clear.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.bindings.plain
    }

    /// Returns the addresses served inside TLS.
    #[must_use]
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.bindings.tls
    }

    /// Returns what the server prints at its start: each URL, one a line, then what keeps browsers
    /// from the relay inside TLS, and what to open first.
    #[must_use]
    pub fn announcement(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for address in &self.bindings.plain {
            for host in hosts(*address) {
                lines.push(format!("http://{}/", authority(&host, address.port(), 80)));
            }
        }
        for address in &self.bindings.tls {
            for host in hosts(*address) {
                lines.push(format!(
                    "https://{}/",
                    authority(&host, address.port(), 443)
                ));
            }
        }
        for address in &self.bindings.plain {
            for host in hosts(*address) {
                lines.push(format!("turn:{host}:{}", address.port()));
            }
        }
        for address in &self.bindings.tls {
            for host in hosts(*address) {
                lines.push(format!("turns:{host}:{}", address.port()));
            }
        }
        let first = lines.first().cloned();
        lines.extend(self.tls_relay_note());
        if let Some(first) = first {
            lines.push(format!(
                "Open {first}r/demo in two windows to call yourself; Ctrl-C stops."
            ));
        }
        lines
    }

    fn tls_relay_note(&self) -> Option<String> {
        let config = &self.app.config;
        let host = config.public_host.as_deref();
        let host = host.map(|authority| split_authority(authority).0);
        let obstacle = TlsRelayObstacle::of(config.certificate.as_ref()?, host)?;
        Some(obstacle.to_string())
    }

    /// Serves until SIGINT or SIGTERM, then lets open requests finish; a second signal ends them.
    ///
    /// # Errors
    ///
    /// Fails when the system cannot tell of signals.
    pub fn run_until_signal(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no event queue to wait for signals")?;
        runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tracing::info!("Stopping; a second signal stops at once");
            let stopped = async {
                self.drain().await;
                tokio::task::spawn_blocking(move || self.end()).await
            };
            tokio::select! {
                done = stopped => done.context("the server did not stop in order"),
                _ = interrupt.recv() => std::process::exit(1),
                _ = terminate.recv() => std::process::exit(1),
            }
        })
    }

    /// Takes no more connections, tells signaling clients to come again, and waits for open
    /// requests and WebSockets as long as is configured. Relays go on meanwhile.
    async fn drain(&self) {
        let App { io, stopping, .. } = &*self.app;
        self.app.set_ready(false);
        stopping.begin();
        let closed = async { tokio::join!(io.close(), stopping.all_closed()) };
        let limit = self.app.config.connections.shutdown_timeout;
        if tokio::time::timeout(limit, closed).await.is_err() {
            let open = stopping.count();
            tracing::info!(open, "Stopped before every connection had ended");
        }
        stopping.end();
    }

    /// Ends the shards.
    fn end(self) {
        self.shards.stop();
        self.shards.join();
    }

    /// Takes no more clients, lets open requests finish within the configured time, and ends.
    pub async fn stop(self) {
        self.drain().await;
        if tokio::task::spawn_blocking(move || self.end())
            .await
            .is_err()
        {
            tracing::error!("The server did not stop in order");
        }
    }
}

/// How long tasks may take to end that have been asked to; none of them waits for a client.
const LAST_TASKS: Duration = Duration::from_secs(1);

/// Runs the signaling hub's deadlines on one shard.
fn keep_time(context: &jackfield_driver::shard::ShardContext, app: &Arc<App>) {
    let hub = Arc::clone(&app.hub);
    let mut shutdown = context.shutdown();
    context.spawn("signal-time", async move {
        tokio::select! {
            () = hub.keep_time() => {}
            () = shutdown.requested() => {}
        }
    });
}

/// Keeps each address from other processes until the shards listen on it; with `lenient`, leaves
/// out those that this machine does not have.
fn reserve(
    addresses: &[SocketAddr],
    lenient: bool,
    reserved: &mut Vec<Reservation>,
) -> Result<Vec<SocketAddr>> {
    let mut claimed = Vec::new();
    let mut last = None;
    for address in addresses {
        match jackfield_driver::port::reserve(*address) {
            Ok(reservation) => {
                claimed.push(reservation.address());
                reserved.push(reservation);
            }
            Err(error) if lenient && error.kind() != std::io::ErrorKind::AddrInUse => {
                tracing::debug!(%address, %error, "Passed over a default address");
                last = Some((*address, error));
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot listen on {address}"));
            }
        }
    }
    match last {
        Some((address, error)) if claimed.is_empty() => {
            Err(error).with_context(|| format!("cannot listen on {address}"))
        }
        _ => Ok(claimed),
    }
}

/// Returns the names under which an address can be reached; a wildcard stands for localhost and
/// every address of its family.
fn hosts(address: SocketAddr) -> Vec<String> {
    if !address.ip().is_unspecified() {
        return vec![host(address.ip())];
    }
    let own = addresses::local().into_iter();
    let family = own.filter(|ip| ip.is_ipv4() == address.is_ipv4());
    let loopback = address.is_ipv4().then(|| "localhost".to_owned());
    loopback.into_iter().chain(family.map(host)).collect()
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

fn authority(host: &str, port: u16, default: u16) -> String {
    if port == default {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    }
}

/// An error of a shard's start, with all of its causes in one line.
#[derive(Debug)]
struct Failure(anyhow::Error);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_told_how_much_there_is_of_the_relay() {
        let limited = openness(Some(Rate::per_second(25_000_000)));
        assert!(
            limited.contains("up to 200 Mbit/s for a network"),
            "{limited}"
        );
        assert!(openness(None).contains("the relay, without a limit"));
    }
}
