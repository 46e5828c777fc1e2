//! Tries everything, and collects what it saw.

mod certificates;
mod dns;
mod http;
mod local;
mod path;
mod portal;
mod proxy;
mod relay;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use jackfield_driver::discovery::layers::Evidence;
use jackfield_driver::discovery::{ask, discover, source_for};
use jackfield_driver::portmap::{Probe, ProbeConfig, probe};
use jackfield_proxy::ProxyUrl;
use jackfield_stun::behaviour::{DiscoveryConfig, LifetimeSearch, Report};
use jackfield_stun::uri::{Scheme, Uri, UriTransport};

use crate::facts::{
    CertificateEnd, Clock, DEFAULT_PORT, Facts, Ice, Interception, NetworkError, PathMtu,
    RelayAttempt, StunPort, TlsError, Udp, Web, WebError,
};
use crate::target::{Target, TargetScheme};
use crate::trace::{Recorder, recorded};
use crate::trust::Trust;

use self::http::{Page, Site};
use self::proxy::Setting;
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
    /// The proxy to go by, in place of the one that the environment names.
    pub proxy: Option<ProxyUrl>,
    /// Keeps what is sent and received, if it is wanted.
    pub recorder: Option<Recorder>,
}

/// Tries everything; takes some ten seconds, as silence is an answer to some questions.
pub async fn examine(options: &Options) -> Facts {
    let (target, trust) = (&options.target, &options.trust);
    let recorder = options.recorder.as_ref();
    let at = SystemTime::now();
    let (dns, gateway, proxy) = tokio::join!(
        dns::look_up(target),
        probe_gateway(),
        recorded(
            recorder,
            "Proxy",
            proxy::examine(target, trust, options.proxy.as_ref())
        )
    );
    let addresses = with_port(&dns.addresses, target.port);
    let direct = Site {
        target,
        addresses: &addresses,
        trust,
        proxy: None,
    };
    let mut asked = recorded(recorder, "Relay list", Asked::of(&direct)).await;
    let named = match proxy::setting(target, options.proxy.as_ref()) {
        Some(Setting::Proxy(named, false)) => Some(named),
        _ => None,
    };
    // A name that only the proxy can look up has no address here.
    let is_cut_off = !asked.is_answered();
    let does_proxy_help = proxy.as_ref().is_some_and(|proxy| proxy.result.is_ok());
    let by_proxy = named.as_ref().filter(|_| is_cut_off && does_proxy_help);
    let site = Site {
        proxy: by_proxy,
        ..direct.clone()
    };
    if by_proxy.is_some() {
        asked = recorded(recorder, "Relay list by proxy", Asked::of(&site)).await;
    }
    let ice = asked.ice.as_ref().and_then(|ice| ice.as_ref().ok());
    let stun_port = stun_port(target, ice);
    let of = |v4: bool| dns.addresses.iter().find(|ip| ip.is_ipv4() == v4).copied();
    let (v4, v6) = (of(true), of(false));
    let port = stun_port.number();
    let ((v4, v6, report, mtu_v4, mtu_v6), relays, web, hops, (tcp_v4, tcp_v6), ends, interception) = tokio::join!(
        ask_both(v4, v6, port, options),
        recorded(recorder, "Relays", open_relays(ice, trust)),
        recorded(
            recorder,
            "Signaling and polling",
            look_at_web(&site, &asked)
        ),
        path::routers(v4.map(|ip| SocketAddr::new(ip, port))),
        connect_both(&direct),
        certificates::of_relays(ice, trust),
        recorded(recorder, "Portal", look_for_interception(&direct, &asked))
    );
    let mapped = mapped_addresses(&v4, &v6, report.as_ref());
    let relays = recorded(recorder, "Relays", test_relays(relays, &mapped)).await;
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
        at,
        interfaces: local::interfaces(&dns.addresses),
        uplinks: local::uplinks(),
        has_route: local::has_route(),
        dns,
        stun_port,
        v4,
        v6,
        tcp_v4,
        tcp_v6,
        mtu_v4,
        mtu_v6,
        report,
        evidence,
        gateway,
        proxy,
        interception,
        clock: asked.clock,
        certificates: asked.certificate.into_iter().chain(ends).collect(),
        web,
        relays,
    }
}

/// The question for relays, and what its answer tells besides.
struct Asked {
    /// What `/ice` says; nothing if the server is not asked for pages, or has no address.
    ice: Option<Result<Ice, WebError>>,
    clock: Option<Clock>,
    certificate: Option<CertificateEnd>,
}

impl Asked {
    async fn of(site: &Site<'_>) -> Self {
        let is_nowhere = site.addresses.is_empty() && site.proxy.is_none();
        if site.target.scheme == TargetScheme::Stun || is_nowhere {
            return Self {
                ice: None,
                clock: None,
                certificate: None,
            };
        }
        let before = SystemTime::now();
        let page = site.get("/ice").await;
        let (clock, ends) = match &page {
            Ok(page) => (compare_clocks(page, before), page.certificate_ends),
            Err(_) => (None, None),
        };
        let ice = page.and_then(|page| read_ice(&page.body).ok_or(WebError::Unexpected));
        Self {
            // What is not Jackfield's says nothing of its clock.
            clock: clock.filter(|_| ice.is_ok()),
            certificate: ends.map(|ends| CertificateEnd { relay: None, ends }),
            ice: Some(ice),
        }
    }

    fn is_answered(&self) -> bool {
        match &self.ice {
            None | Some(Err(WebError::Unreachable(_) | WebError::Silent | WebError::Closed)) => {
                false
            }
            Some(_) => true,
        }
    }
}

/// Returns how far this machine's clock is ahead of the one that wrote the `Date` field.
fn compare_clocks(page: &Page, before: SystemTime) -> Option<Clock> {
    let theirs = seconds(page.date?)?;
    // The field has whole seconds, and was written at some time during the exchange.
    let (first, last) = (seconds(before)?, seconds(before + page.took)?);
    let ahead = if theirs < first - 1 {
        first - 1 - theirs
    } else if theirs > last {
        last - theirs
    } else {
        0
    };
    Some(Clock {
        ahead,
        error: page.took.as_secs() + 1,
    })
}

fn seconds(moment: SystemTime) -> Option<i64> {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// Looks for a host that answers in place of others, where the answer was not Jackfield's.
async fn look_for_interception(site: &Site<'_>, asked: &Asked) -> Option<Interception> {
    // Nothing stands between this machine and itself.
    let is_elsewhere = site.addresses.iter().any(|it| !it.ip().is_loopback());
    match &asked.ice {
        Some(Err(WebError::Status(511))) => Some(Interception::Portal { login: None }),
        Some(Err(_)) if is_elsewhere => portal::look(site.trust).await,
        _ => None,
    }
}

/// Makes a TCP connection over each family that the server has an address of.
async fn connect_both(
    site: &Site<'_>,
) -> (
    Option<Result<Duration, NetworkError>>,
    Option<Result<Duration, NetworkError>>,
) {
    let first = |v4: bool| site.addresses.iter().find(|it| it.is_ipv4() == v4).copied();
    tokio::join!(
        connect_one(site, first(true)),
        connect_one(site, first(false))
    )
}

async fn connect_one(
    site: &Site<'_>,
    address: Option<SocketAddr>,
) -> Option<Result<Duration, NetworkError>> {
    let address = address.filter(|_| site.target.scheme != TargetScheme::Stun)?;
    let start = Instant::now();
    let connected = http::tcp(address).await;
    Some(connected.map(|_| start.elapsed()))
}

/// Returns the server on this very machine, if one answers at the port that it has by default.
pub async fn local_server(trust: &Trust) -> Option<Target> {
    let target: Target = "http://localhost:3478".parse().ok()?;
    let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
    let addresses: Vec<SocketAddr> = found.ok()?.collect();
    let site = Site {
        target: &target,
        addresses: &addresses,
        trust,
        proxy: None,
    };
    let answer = site.get("/healthz").await;
    answer.is_ok().then_some(target)
}

fn with_port(all: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    all.iter().map(|ip| SocketAddr::new(*ip, port)).collect()
}

async fn probe_gateway() -> Result<Probe, NetworkError> {
    let found = probe(&ProbeConfig::default()).await;
    found.map_err(|error| NetworkError::of(&error))
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

/// Asks over both families; then finds out what NAT is on the way by one of them, and how large
/// packets may be by both.
async fn ask_both(
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
    port: u16,
    options: &Options,
) -> (Udp, Udp, Option<Report>, Option<PathMtu>, Option<PathMtu>) {
    let recorder = options.recorder.as_ref();
    let (v4, v6) = tokio::join!(
        recorded(recorder, "UDP v4", ask_one(v4, port)),
        recorded(recorder, "UDP v6", ask_one(v6, port))
    );
    let server = [&v4, &v6].into_iter().find_map(|udp| match udp {
        Udp::Answered(server, _) => Some(*server),
        _ => None,
    });
    let (report, mtu_v4, mtu_v6) = tokio::join!(
        recorded(recorder, "NAT", find_nat(server, options.slow)),
        recorded(recorder, "MTU v4", path::measure(&v4)),
        recorded(recorder, "MTU v6", path::measure(&v6))
    );
    (v4, v6, report, mtu_v4, mtu_v6)
}

async fn find_nat(server: Option<SocketAddr>, slow: bool) -> Option<Report> {
    let config = DiscoveryConfig {
        lifetime: slow.then(LifetimeSearch::default),
        ..DiscoveryConfig::new(vec![server?])
    };
    discover(config).await.ok()
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
async fn look_at_web(site: &Site<'_>, asked: &Asked) -> Option<Web> {
    let ice = asked.ice.clone()?;
    let (websocket, polling, other_scheme, https) = tokio::join!(
        site.open_websocket("/signal"),
        open_session(site),
        try_other_scheme(site, ice.as_ref().err()),
        try_https(site, asked)
    );
    Some(Web {
        ice,
        websocket,
        polling,
        other_scheme,
        https,
        is_by_proxy: site.proxy.is_some(),
    })
}

/// Looks for the same server at HTTPS's own port, where its `http:` URL leads nowhere: some
/// networks let nothing else out.
async fn try_https(site: &Site<'_>, asked: &Asked) -> Option<Target> {
    if asked.is_answered() || site.target.scheme != TargetScheme::Http {
        return None;
    }
    let target = Target {
        port: 443,
        scheme: TargetScheme::Https,
        ..site.target.clone()
    };
    let addresses: Vec<IpAddr> = site.addresses.iter().map(SocketAddr::ip).collect();
    let addresses = with_port(&addresses, target.port);
    // What the certificate is worth is found out once people ask there.
    let trust = Trust::anyone();
    let site = Site {
        target: &target,
        addresses: &addresses,
        trust: &trust,
        proxy: None,
    };
    let page = site.get("/ice").await.ok()?;
    read_ice(&page.body).map(|_| target)
}

/// Opens an Engine.IO session by polling; returns how long that took.
async fn open_session(site: &Site<'_>) -> Result<Duration, WebError> {
    let page = site.get("/socket.io/?EIO=4&transport=polling").await?;
    // A server that answers every path with its own page gets no further than this.
    if page.body.starts_with(b"0{") {
        Ok(page.took)
    } else {
        Err(WebError::Unexpected)
    }
}

async fn try_other_scheme(site: &Site<'_>, error: Option<&WebError>) -> Option<bool> {
    match error? {
        WebError::Unreachable(_)
        | WebError::Redirected(_)
        | WebError::Page
        | WebError::Proxy(_)
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
