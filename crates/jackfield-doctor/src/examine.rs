//! Tries everything, and collects what it saw.

mod http;
mod relay;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_driver::discovery::layers::Evidence;
use jackfield_driver::discovery::{ask, discover, source_for};
use jackfield_driver::portmap::{Probe, ProbeConfig, probe};
use jackfield_stun::behaviour::{DiscoveryConfig, LifetimeSearch, Report};
use jackfield_stun::uri::{Scheme, Uri, UriTransport};

use crate::facts::{
    Dns, Facts, Ice, Interface, NetworkError, RelayAttempt, StunPort, TlsError, Udp, Web, WebError,
};
use crate::target::{Target, TargetScheme};
use crate::trust::Trust;

use self::http::Site;
use relay::Relay;

/// What to examine, and how thoroughly.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub target: Target,
    /// Which certificates are trusted.
    pub trust: Trust,
    /// Whether to find out how long an idle mapping lives, which takes minutes.
    pub slow: bool,
}

/// Tries everything; takes some ten seconds, as silence is an answer to some questions.
pub async fn examine(options: &Options) -> Facts {
    let target = &options.target;
    let (dns, gateway) = tokio::join!(resolve(target), probe_gateway());
    let addresses = with_port(&dns.addresses, target.port);
    let site = Site {
        target,
        addresses: &addresses,
        trust: &options.trust,
    };
    let ice = fetch_ice(&site).await;
    let named = ice.as_ref().and_then(|ice| ice.as_ref().ok());
    let stun_port = stun_port(target, named);
    let of = |v4: bool| dns.addresses.iter().find(|ip| ip.is_ipv4() == v4).copied();
    let (v4, v6) = (of(true), of(false));
    let port = stun_port.number();
    let ((v4, v6, report), relays, web, hops) = tokio::join!(
        ask_both(v4, v6, port, options.slow),
        open_relays(named, &options.trust),
        look_at_web(&site, ice.clone()),
        routers(v4.map(|ip| SocketAddr::new(ip, port)))
    );
    let relays = test_relays(relays, &mapped_addresses(&v4, &v6, report.as_ref())).await;
    let of_v4 = v4.binding();
    let external = gateway.as_ref().ok().and_then(Probe::external);
    let evidence = Evidence {
        local: of_v4.map(|binding| binding.local.ip()),
        mapped: of_v4.map(|binding| binding.mapped.ip()),
        gateway_external: external,
        hops: hops.0,
        is_all: hops.1,
    };
    Facts {
        server: target.clone(),
        interfaces: interfaces(&dns.addresses),
        has_route: has_route(),
        dns,
        stun_port,
        v4,
        v6,
        report,
        evidence,
        gateway,
        web,
        relays,
    }
}

/// Returns the server on this very machine, if one answers at the port that it has by default.
pub async fn local_server(trust: &Trust) -> Option<Target> {
    let target: Target = "http://localhost:3478".parse().ok()?;
    let dns = resolve(&target).await;
    let addresses = with_port(&dns.addresses, target.port);
    let site = Site {
        target: &target,
        addresses: &addresses,
        trust,
    };
    let answer = site.get("/healthz").await;
    answer.is_ok().then_some(target)
}

fn with_port(all: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    all.iter().map(|ip| SocketAddr::new(*ip, port)).collect()
}

async fn resolve(target: &Target) -> Dns {
    if let Ok(ip) = target.host.parse::<IpAddr>() {
        return Dns {
            addresses: vec![ip],
            ..Dns::default()
        };
    }
    let start = Instant::now();
    let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
    let took = start.elapsed();
    let mut addresses: Vec<IpAddr> = match found {
        Ok(all) => all.map(|address| address.ip()).collect(),
        Err(error) => {
            tracing::debug!(%error, "The server's name was not found");
            Vec::new()
        }
    };
    addresses.dedup();
    Dns {
        name: Some(target.host.clone()),
        addresses,
        took,
    }
}

async fn probe_gateway() -> Result<Probe, NetworkError> {
    let found = probe(&ProbeConfig::default()).await;
    found.map_err(|error| NetworkError::of(&error))
}

/// Returns what `/ice` says; nothing if the server is not asked for pages, or has no address.
async fn fetch_ice(site: &Site<'_>) -> Option<Result<Ice, WebError>> {
    if site.target.scheme == TargetScheme::Stun || site.addresses.is_empty() {
        return None;
    }
    let answer = site.get("/ice").await;
    Some(answer.and_then(|(body, _)| read_ice(&body).ok_or(WebError::Unexpected)))
}

fn read_ice(body: &[u8]) -> Option<Ice> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let mut ice = Ice {
        urls: Vec::new(),
        username: String::new(),
        credential: String::new(),
        ttl: answer.get("ttl").and_then(serde_json::Value::as_u64)?,
    };
    for server in answer.get("iceServers")?.as_array()? {
        let urls = server.get("urls")?.as_array()?;
        ice.urls.extend(
            urls.iter()
                .filter_map(|url| url.as_str())
                .map(str::to_owned),
        );
        let text = |name: &str| server.get(name).and_then(|value| value.as_str());
        if let (Some(username), Some(credential)) = (text("username"), text("credential")) {
            (ice.username, ice.credential) = (username.to_owned(), credential.to_owned());
        }
    }
    Some(ice)
}

/// Returns the UDP port of STUN: the one that `/ice` names, else the one that is most likely.
fn stun_port(target: &Target, ice: Option<&Ice>) -> StunPort {
    let urls = ice.map(|ice| ice.urls.as_slice()).unwrap_or_default();
    let mut uris = urls.iter().filter_map(|url| url.parse::<Uri>().ok());
    let is_udp = |uri: &Uri| match uri.scheme {
        Scheme::Stun => true,
        // A TURN server is a STUN server (RFC 8656 §2).
        Scheme::Turn => uri.transport != Some(UriTransport::Tcp),
        Scheme::Stuns | Scheme::Turns => false,
    };
    match uris.find(is_udp) {
        Some(uri) => StunPort::Named(uri.port()),
        None => match target.scheme {
            TargetScheme::Stun => StunPort::Named(target.port),
            TargetScheme::Http => StunPort::Guessed(target.port),
            // Nothing but TLS is served on a TLS port, by TCP.
            TargetScheme::Https => StunPort::Guessed(DEFAULT_PORT),
        },
    }
}

async fn ask_both(
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
    port: u16,
    slow: bool,
) -> (Udp, Udp, Option<Report>) {
    let (v4, v6) = tokio::join!(ask_one(v4, port), ask_one(v6, port));
    let server = [&v4, &v6].into_iter().find_map(|udp| match udp {
        Udp::Answered(server, _) => Some(*server),
        _ => None,
    });
    let report = match server {
        Some(server) => {
            let config = DiscoveryConfig {
                lifetime: slow.then(LifetimeSearch::default),
                ..DiscoveryConfig::new(vec![server])
            };
            discover(config).await.ok()
        }
        None => None,
    };
    (v4, v6, report)
}

async fn ask_one(ip: Option<IpAddr>, port: u16) -> Udp {
    let Some(ip) = ip else {
        return Udp::NoAddress;
    };
    let server = SocketAddr::new(ip, port);
    if source_for(server).is_err() {
        return Udp::NoRoute;
    }
    let how = DiscoveryConfig::new(Vec::new()).first;
    match ask(server, how).await {
        Ok(binding) => Udp::Answered(server, binding),
        Err(error) => match error.kind() {
            std::io::ErrorKind::TimedOut => Udp::Silent(server),
            std::io::ErrorKind::ConnectionRefused => Udp::Refused(server),
            std::io::ErrorKind::InvalidData => Udp::NotStun(server),
            _ => Udp::Failed(server, NetworkError::of(&error)),
        },
    }
}

async fn open_relays(ice: Option<&Ice>, trust: &Trust) -> Vec<Relay> {
    let Some(ice) = ice else {
        return Vec::new();
    };
    let opening = ice.urls.iter().map(|url| Relay::open(url, ice, trust));
    futures(opening).await.into_iter().flatten().collect()
}

async fn test_relays(relays: Vec<Relay>, mapped: &[IpAddr]) -> Vec<RelayAttempt> {
    futures(relays.into_iter().map(|relay| relay.test(mapped))).await
}

/// Returns every address that this machine was seen to have outside.
fn mapped_addresses(v4: &Udp, v6: &Udp, report: Option<&Report>) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = report.map(|it| it.externals.clone()).unwrap_or_default();
    let bindings = [v4, v6].into_iter().filter_map(Udp::binding);
    for ip in bindings.map(|binding| binding.mapped.ip()) {
        if !all.contains(&ip) {
            all.push(ip);
        }
    }
    all
}

/// Runs futures side by side; returns their results in order.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = all.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut pending = false;
        for (future, result) in &mut running {
            if result.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(output) => *result = Some(output),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
    running
        .into_iter()
        .filter_map(|(_, result)| result)
        .collect()
}

/// Asks for what else the web server has; nothing if it is not asked for pages.
async fn look_at_web(site: &Site<'_>, ice: Option<Result<Ice, WebError>>) -> Option<Web> {
    let ice = ice?;
    let (websocket, polling, other_scheme) = tokio::join!(
        site.open_websocket("/signal"),
        open_session(site),
        try_other_scheme(site, ice.as_ref().err())
    );
    Some(Web {
        ice,
        websocket,
        polling,
        other_scheme,
    })
}

/// Opens an Engine.IO session by polling; returns how long that took.
async fn open_session(site: &Site<'_>) -> Result<Duration, WebError> {
    let (body, took) = site.get("/socket.io/?EIO=4&transport=polling").await?;
    // A server that answers every path with its own page gets no further than this.
    if body.starts_with(b"0{") {
        Ok(took)
    } else {
        Err(WebError::Unexpected)
    }
}

async fn try_other_scheme(site: &Site<'_>, error: Option<&WebError>) -> Option<bool> {
    match error? {
        WebError::Unreachable(_)
        | WebError::Redirected(_)
        | WebError::Unexpected
        | WebError::Tls(TlsError::Certificate(_) | TlsError::BadName) => None,
        WebError::Status(status) if *status != 400 => None,
        WebError::Tls(_)
        | WebError::Silent
        | WebError::Closed
        | WebError::NotHttp
        | WebError::Status(_) => Some(site.speaks_other_scheme().await),
    }
}

#[cfg(target_os = "linux")]
async fn routers(server: Option<SocketAddr>) -> (Vec<Option<IpAddr>>, bool) {
    use jackfield_driver::discovery::hops::{HopsConfig, hops};
    let Some(server) = server else {
        return (Vec::new(), false);
    };
    let found = tokio::task::spawn_blocking(move || hops(server, &HopsConfig::default())).await;
    match found {
        Ok(Ok(hops)) => (hops.routers, hops.is_all),
        _ => (Vec::new(), false),
    }
}

#[cfg(not(target_os = "linux"))]
async fn routers(_server: Option<SocketAddr>) -> (Vec<Option<IpAddr>>, bool) {
    (Vec::new(), false)
}

/// Returns whether a packet to somewhere in the internet would leave; none is sent.
fn has_route() -> bool {
    // Addresses of documentation, which belong to nobody.
    ["192.0.2.1:9", "[2001:db8::1]:9"]
        .into_iter()
        .filter_map(|address| address.parse().ok())
        .any(|address: SocketAddr| source_for(address).is_ok())
}

fn interfaces(servers: &[IpAddr]) -> Vec<Interface> {
    let used: Vec<IpAddr> = servers
        .iter()
        .filter_map(|ip| source_for(SocketAddr::new(*ip, 3478)).ok())
        .collect();
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    let of_interest = all
        .into_iter()
        .filter(|interface| !interface.is_loopback() || used.contains(&interface.ip()));
    of_interest
        .map(|interface| Interface {
            ip: interface.ip(),
            is_used: used.contains(&interface.ip()),
            name: interface.name,
        })
        .collect()
}

/// The port that Jackfield, and STUN, have by default.
const DEFAULT_PORT: u16 = 3478;
