use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_driver::discovery::layers::Evidence;
use jackfield_driver::discovery::{ask, discover, source_for};
use jackfield_driver::portmap::{ProbeConfig, probe};
use jackfield_stun::behaviour::{Config, LifetimeSearch, Report};
use jackfield_stun::uri::{Scheme, Uri};

use super::facts::{Dns, Facts, Ice, Interface, TurnTry, Udp};
use super::http::{Site, in_words};
use super::relay;
use super::target::{Http, Target};
use super::trust::Trust;

/// What to examine, and how thoroughly.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub target: Target,
    /// Which certificates are believed.
    pub trust: Trust,
    /// Whether to find out how long an idle mapping lives, which takes minutes.
    pub slow: bool,
}

/// Tries everything; takes some ten seconds, as silence is an answer to some questions.
pub async fn examine(options: &Options) -> Facts {
    let target = &options.target;
    let (dns, gateway) = tokio::join!(resolve(target), probe_gateway());
    let addresses: Vec<SocketAddr> = dns
        .addresses
        .iter()
        .map(|ip| SocketAddr::new(*ip, target.port))
        .collect();
    let site = Site {
        target,
        addresses: &addresses,
        trust: &options.trust,
    };
    let ice = fetch_ice(&site).await;
    let port = stun_port(target, ice.as_ref().and_then(|ice| ice.as_ref().ok()));
    let of = |v4: bool| dns.addresses.iter().find(|ip| ip.is_ipv4() == v4).copied();
    let (v4, v6) = (of(true), of(false));
    let ((v4, v6, report), turn, (websocket, polling), hops) = tokio::join!(
        ask_both(v4, v6, port, options.slow),
        try_relays(ice.as_ref(), &options.trust),
        signaling(&site),
        routers(v4.map(|ip| SocketAddr::new(ip, port)))
    );
    let of_v4 = v4.binding();
    let external = gateway.as_ref().ok().and_then(|probe| probe.external());
    let evidence = Evidence {
        local: of_v4.map(|binding| binding.local.ip()),
        mapped: of_v4.map(|binding| binding.mapped.ip()),
        gateway_external: external,
        hops: hops.0,
        is_all: hops.1,
    };
    Facts {
        server: target.to_string(),
        interfaces: interfaces(&dns.addresses),
        dns,
        v4,
        v6,
        report,
        evidence,
        gateway,
        ice,
        websocket,
        polling,
        turn,
    }
}

/// Returns the server on this very machine, if one answers at the port that it has by default.
pub async fn local_server(trust: &Trust) -> Option<Target> {
    let target: Target = "http://localhost:3478".parse().ok()?;
    let dns = resolve(&target).await;
    let addresses: Vec<SocketAddr> = dns
        .addresses
        .iter()
        .map(|ip| SocketAddr::new(*ip, target.port))
        .collect();
    let site = Site {
        target: &target,
        addresses: &addresses,
        trust,
    };
    let answer = site.get("/healthz").await;
    answer.is_ok().then_some(target)
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
    let (mut addresses, error): (Vec<IpAddr>, _) = match found {
        Ok(all) => (all.map(|address| address.ip()).collect(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    addresses.dedup();
    Dns {
        name: Some(target.host.clone()),
        addresses,
        took,
        error,
    }
}

async fn probe_gateway() -> Result<jackfield_driver::portmap::Probe, String> {
    let found = probe(&ProbeConfig::default()).await;
    found.map_err(|error| in_words(&error))
}

async fn fetch_ice(site: &Site<'_>) -> Option<Result<Ice, String>> {
    if site.target.http == Http::No || site.addresses.is_empty() {
        return None;
    }
    let answer = site.get("/ice").await;
    Some(answer.and_then(|(body, _)| {
        read_ice(&body).ok_or_else(|| "its answer names no ICE servers".to_owned())
    }))
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

/// Returns the port that STUN is at: the one that `/ice` names, else the server's own.
fn stun_port(target: &Target, ice: Option<&Ice>) -> u16 {
    let urls = ice.map(|ice| ice.urls.as_slice()).unwrap_or_default();
    let uris = urls.iter().filter_map(|url| url.parse::<Uri>().ok());
    let stun = uris.into_iter().find(|uri| uri.scheme == Scheme::Stun);
    stun.map_or(target.port, |uri| uri.port())
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
            let config = Config {
                lifetime: slow.then(LifetimeSearch::default),
                ..Config::new(vec![server])
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
    let how = Config::new(Vec::new()).first;
    match ask(server, how).await {
        Ok(binding) => Udp::Answered(server, binding),
        Err(error) => match error.kind() {
            std::io::ErrorKind::TimedOut => Udp::Silent(server),
            std::io::ErrorKind::ConnectionRefused => Udp::Refused(server),
            std::io::ErrorKind::InvalidData => {
                Udp::Failed(server, "it answers, but not what was asked".to_owned())
            }
            _ => Udp::Failed(server, in_words(&error)),
        },
    }
}

async fn try_relays(ice: Option<&Result<Ice, String>>, trust: &Trust) -> Vec<TurnTry> {
    let Some(Ok(ice)) = ice else {
        return Vec::new();
    };
    let mut tries = Vec::new();
    let attempts = ice.urls.iter().map(|url| relay::attempt(url, ice, trust));
    for attempt in futures(attempts).await {
        tries.extend(attempt);
    }
    tries
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

type Timed = Option<Result<Duration, String>>;

async fn signaling(site: &Site<'_>) -> (Timed, Timed) {
    if site.target.http == Http::No || site.addresses.is_empty() {
        return (None, None);
    }
    let (websocket, polling) = tokio::join!(
        site.hear("/signal"),
        site.get("/socket.io/?EIO=4&transport=polling")
    );
    (Some(websocket), Some(polling.map(|(_, took)| took)))
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
