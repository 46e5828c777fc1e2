//! The ready-made sites, and the proxies in two of them.

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_internet::proxy::{Proxy, ProxyConfig};
use jackfield_internet::{
    AttachmentPoint, Echo, HostId, Link, Outcome, Site, TcpApp, TcpClient, TcpEcho, TcpProgram,
    World,
};
use jackfield_nat::oracle::{Path, oracle};
use jackfield_proxy::socks5::{Command, Failure, UdpHeader};
use jackfield_proxy::{Credentials, Handshake, HandshakeError, HostName, Target, TargetHost};
use jackfield_tcp::{Event, ResetReason, Stack};

use crate::dialer::{Dialer, TcpMirror};
use crate::puncher::{Mirror, Puncher};
use crate::rig::{internet, ip, millis, program, secs, socket};

const SERVER: &str = "198.51.100.9";

/// A world with a server for TCP on many ports and for UDP, and one site.
fn at(site: Site) -> (World, HostId, AttachmentPoint) {
    let (mut world, net) = internet(Link::latency(millis(10)), 1);
    let echo = TcpApp::new(9, TcpEcho::new([7, 22, 80, 443, 8443]));
    let server = world.host("server", net, ip(SERVER), echo);
    world.host("udp", net, ip("198.51.100.10"), Echo::default());
    let point = world.site("home", net, 1, site);
    (world, server, point)
}

/// Runs a client at a site and returns how it ended.
fn visit(world: &mut World, point: &AttachmentPoint, client: TcpClient) -> (Outcome, Vec<u8>) {
    let app = TcpApp::new(1, client);
    let host = world.host("client", point.network, point.address, app);
    world.run_for(secs(70));
    let client = program::<TcpClient>(world, host);
    (client.outcome, client.response.clone())
}

#[test]
fn every_site_has_a_name_of_its_own() {
    for site in Site::ALL {
        assert_eq!(site.name().parse(), Ok(site));
    }
    assert!("nowhere".parse::<Site>().is_err());
}

#[test]
fn each_site_reaches_over_tcp_and_udp_what_its_name_says() {
    for site in Site::ALL {
        for port in [80, 443, 22] {
            let (mut world, _, point) = at(site);
            let to = SocketAddr::new(ip(SERVER), port);
            let (outcome, _) = visit(&mut world, &point, TcpClient::new(to, b"hello"));
            let open = match site {
                Site::WebOnly => port != 22,
                Site::HttpProxy | Site::SocksProxy => false,
                _ => true,
            };
            assert_eq!(
                outcome == Outcome::Closed,
                open,
                "{site} {port} {outcome:?}"
            );
        }
        let (mut world, _, point) = at(site);
        let host = world.host("host", point.network, point.address, Echo::default());
        world.send(host, 5000, socket("198.51.100.10:7"), b"hello");
        world.run_for(secs(1));
        let received = world.app::<Echo>(host).unwrap().received.len();
        assert_eq!(received == 1, site <= Site::SymmetricThenCone, "{site}");
    }
}

#[test]
fn each_site_is_reached_by_strangers_only_where_its_name_says() {
    for site in Site::ALL {
        let (mut world, server, point) = at(site);
        let echo = TcpApp::new(1, TcpEcho::new([9]));
        let host = world.host("host", point.network, point.address, echo);
        let stranger = TcpClient::new(SocketAddr::new(point.address, 9), b"hi");
        let outside = world.network_of(server);
        world.host(
            "stranger",
            outside,
            ip("198.51.100.77"),
            TcpApp::new(2, stranger),
        );
        world.run_for(secs(70));
        let reached = !program::<TcpEcho>(&world, host).peers.is_empty();
        assert_eq!(reached, matches!(site, Site::Open | Site::NoUdp), "{site}");
    }
}

#[test]
fn through_the_http_proxy_only_port_443_is_reached() {
    for (port, expected) in [
        (443, Outcome::Closed),
        (80, Outcome::NoTunnel(HandshakeError::Status(403))),
    ] {
        let (mut world, server, point) = at(Site::HttpProxy);
        let (proxy, at) = point.proxy.unwrap();
        let target = SocketAddr::new(ip(SERVER), port).into();
        let request = vec![7; 100_000];
        let client = TcpClient::new(at, request.clone()).via_proxy(Handshake::http(target, None));
        let (outcome, response) = visit(&mut world, &point, client);
        assert_eq!(outcome, expected);
        assert_eq!(response == request, port == 443);
        let peers = &program::<TcpEcho>(&world, server).peers;
        assert_eq!(peers.len(), usize::from(port == 443));
        let counters = program::<Proxy>(&world, proxy).counters();
        assert_eq!(
            (counters.tunnels, counters.forbidden_ports),
            if port == 443 { (1, 0) } else { (0, 1) }
        );
    }
}

#[test]
fn through_the_socks_proxy_every_port_is_reached() {
    for port in [7, 22, 443] {
        let (mut world, _, point) = at(Site::SocksProxy);
        let target: Target = SocketAddr::new(ip(SERVER), port).into();
        let handshake = Handshake::socks5(Command::Connect, target, None);
        let (_, at) = point.proxy.unwrap();
        let client = TcpClient::new(at, b"hello").via_proxy(handshake);
        let (outcome, response) = visit(&mut world, &point, client);
        assert_eq!((outcome, &response[..]), (Outcome::Closed, &b"hello"[..]));
    }
}

#[test]
fn a_proxy_says_why_there_is_no_tunnel() {
    let closed = SocketAddr::new(ip(SERVER), 9999);
    let nowhere = socket("198.51.100.200:443");
    let unknown = Target {
        host: TargetHost::Name(HostName::new("unknown.example").unwrap()),
        port: 443,
    };
    let cases = [
        (closed.into(), 502, Failure::ConnectionRefused),
        (nowhere.into(), 504, Failure::HostUnreachable),
        (unknown, 502, Failure::HostUnreachable),
    ];
    for (target, status, code) in cases {
        let target: Target = target;
        for http in [true, false] {
            let target = Target::clone(&target);
            let (handshake, expected) = if http {
                (
                    Handshake::http(target, None),
                    HandshakeError::Status(status),
                )
            } else {
                (
                    Handshake::socks5(Command::Connect, target, None),
                    HandshakeError::Refused(code),
                )
            };
            let (outcome, counters) = through(ProxyConfig::default(), http, handshake);
            assert_eq!(outcome, Outcome::NoTunnel(expected));
            assert_eq!(counters.unreachable, 1);
        }
    }
    let bind = Handshake::socks5(Command::Bind, socket("0.0.0.0:0").into(), None);
    let (outcome, counters) = through(ProxyConfig::default(), false, bind);
    assert_eq!(
        outcome,
        Outcome::NoTunnel(HandshakeError::Refused(Failure::CommandNotSupported))
    );
    assert_eq!(counters.malformed, 1);
}

#[test]
fn a_proxy_with_credentials_lets_in_who_knows_them_and_finds_hosts_by_name() {
    let right = Credentials::new(b"ann", b"secret");
    let wrong = Credentials::new(b"ann", b"guess");
    let name = HostName::new("server.example").unwrap();
    let target = Target {
        host: TargetHost::Name(name.clone()),
        port: 7,
    };
    for http in [true, false] {
        for (given, enters) in [(right.clone(), true), (wrong.clone(), false), (None, false)] {
            let given_any = given.is_some();
            let handshake = if http {
                Handshake::http(target.clone(), given)
            } else {
                Handshake::socks5(Command::Connect, target.clone(), given)
            };
            let config = ProxyConfig {
                credentials: right.clone(),
                names: [(name.clone(), ip(SERVER))].into(),
                ..ProxyConfig::default()
            };
            let (outcome, counters) = through(config, http, handshake);
            let expected = match given_any {
                _ if enters => Outcome::Closed,
                true => Outcome::NoTunnel(HandshakeError::CredentialsRefused),
                false => Outcome::NoTunnel(HandshakeError::CredentialsRequired),
            };
            assert_eq!(outcome, expected);
            assert_eq!(counters.wrong_credentials, u64::from(!enters));
        }
    }
}

/// Lets a client on the internet use a proxy on the internet.
fn through(
    config: ProxyConfig,
    http: bool,
    handshake: (Handshake, Vec<u8>),
) -> (Outcome, jackfield_internet::proxy::ProxyCounters) {
    let (mut world, net) = internet(Link::latency(millis(10)), 1);
    world.host("server", net, ip(SERVER), TcpApp::new(9, TcpEcho::new([7])));
    let proxy = TcpApp::new(8, Proxy::new(config));
    let proxy = world.host("proxy", net, ip("198.51.100.50"), proxy);
    let port = if http { 3128 } else { 1080 };
    let client = TcpClient::new(SocketAddr::new(ip("198.51.100.50"), port), b"hello");
    let client = TcpApp::new(1, client.via_proxy(handshake));
    let client = world.host("client", net, ip("203.0.113.2"), client);
    world.run_for(secs(150));
    let outcome = program::<TcpClient>(&world, client).outcome;
    (outcome, program::<Proxy>(&world, proxy).counters())
}

#[test]
fn what_is_neither_protocol_is_sent_away_and_counted() {
    let cases: [(u16, &[u8], &[u8]); 4] = [
        (3128, b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 405 "),
        (3128, &[0xff; 9000], b"HTTP/1.1 431 "),
        (1080, b"\x04\x01", b""),
        (1080, b"\x05\x01\x00\x05\x01\x00\x09", b"\x05\x00\x05\x01"),
    ];
    for (port, words, answer) in cases {
        let (mut world, net) = internet(Link::default(), 1);
        let proxy = TcpApp::new(8, Proxy::new(ProxyConfig::default()));
        let proxy = world.host("proxy", net, ip("198.51.100.50"), proxy);
        let to = SocketAddr::new(ip("198.51.100.50"), port);
        let client = TcpApp::new(1, TcpClient::new(to, words).keep_open());
        let client = world.host("client", net, ip("203.0.113.2"), client);
        world.run_for(secs(20));
        let client = program::<TcpClient>(&world, client);
        assert!(client.response.starts_with(answer), "{:?}", client.response);
        assert_eq!(client.outcome, Outcome::Closed);
        assert_eq!(program::<Proxy>(&world, proxy).counters().malformed, 1);
    }
}

/// A client that has its datagrams relayed by SOCKS 5.
#[derive(Debug, Clone)]
struct UdpClient {
    proxy: SocketAddr,
    handshake: Option<Handshake>,
    relay: Option<SocketAddr>,
    to_send: Vec<(Target, Vec<u8>)>,
    received: Vec<(Target, Vec<u8>)>,
}

impl TcpProgram for UdpClient {
    fn start(&mut self, now: Instant, stack: &mut Stack) {
        stack.connect(now, 0, self.proxy).unwrap();
    }

    fn handle_event(&mut self, now: Instant, stack: &mut Stack, event: Event) {
        use jackfield_proxy::Progress;
        match event {
            Event::Connected { id, .. } => {
                let nowhere = socket("0.0.0.0:0").into();
                let (handshake, first) = Handshake::socks5(Command::UdpAssociate, nowhere, None);
                self.handshake = Some(handshake);
                stack.send(now, id, &first);
            }
            Event::Data(id) => {
                let data = stack.recv(now, id, 1000);
                match self.handshake.as_mut().unwrap().handle(&data).unwrap() {
                    Progress::Send(more) => {
                        stack.send(now, id, &more);
                    }
                    Progress::Done { bound, .. } => {
                        self.relay = bound.map(|bound| bound.to_string().parse().unwrap());
                    }
                    Progress::Wait => {}
                }
            }
            _ => {}
        }
    }

    fn handle_datagram(
        &mut self,
        _now: Instant,
        _stack: &mut Stack,
        _source: SocketAddr,
        _destination: SocketAddr,
        data: &[u8],
    ) {
        let (header, at) = UdpHeader::parse(data).unwrap().unwrap();
        self.received.push((header.target, data[at..].to_vec()));
    }

    fn poll_transmit(&mut self) -> Option<jackfield_internet::Datagram> {
        let destination = self.relay?;
        let (target, data) = self.to_send.pop()?;
        let header = UdpHeader {
            fragment: 0,
            target,
        };
        Some(jackfield_internet::Datagram {
            source: socket("0.0.0.0:6000"),
            destination,
            data: [header.to_bytes(), data].concat(),
        })
    }
}

#[test]
fn the_socks_proxy_relays_datagrams_and_only_answers_to_them() {
    let (mut world, server, point) = at(Site::SocksProxy);
    let echo: Target = socket("198.51.100.10:7").into();
    let (proxy, at) = point.proxy.unwrap();
    let client = UdpClient {
        proxy: at,
        handshake: None,
        relay: None,
        to_send: vec![(echo.clone(), b"hello".to_vec())],
        received: Vec::new(),
    };
    let app = TcpApp::new(1, client);
    let host = world.host("client", point.network, point.address, app);
    world.run_for(secs(1));
    let client = program::<UdpClient>(&world, host);
    assert_eq!(client.received, [(echo, b"hello".to_vec())]);
    let relay = client.relay.unwrap();
    let outside = world.network_of(server);
    let stranger = world.host("stranger", outside, ip("198.51.100.77"), Echo::default());
    let relayed = SocketAddr::new(ip("203.0.113.9"), relay.port());
    world.send(stranger, 9, relayed, b"let me in");
    world.run_for(secs(1));
    assert_eq!(program::<UdpClient>(&world, host).received.len(), 1);
    let counters = program::<Proxy>(&world, proxy).counters();
    assert_eq!((counters.datagrams, counters.datagrams_dropped), (2, 1));
}

#[test]
fn an_association_ends_with_its_connection() {
    let (mut world, _, point) = at(Site::SocksProxy);
    let (proxy, at) = point.proxy.unwrap();
    let client = UdpClient {
        proxy: at,
        handshake: None,
        relay: None,
        to_send: Vec::new(),
        received: Vec::new(),
    };
    let host = world.host(
        "client",
        point.network,
        point.address,
        TcpApp::new(1, client),
    );
    world.run_for(secs(1));
    world.with_app(host, |app: &mut TcpApp<UdpClient>, now| {
        app.act(now, |client, stack| {
            let ids: Vec<_> = stack.connections().collect();
            stack.abort(now, ids[0]);
            client.to_send = vec![(socket("198.51.100.10:7").into(), b"late".to_vec())];
        });
    });
    world.run_for(secs(1));
    assert!(program::<UdpClient>(&world, host).received.is_empty());
    let counters = program::<Proxy>(&world, proxy).counters();
    assert_eq!((counters.datagrams, counters.datagrams_dropped), (0, 1));
}

#[test]
fn a_tunnel_tells_each_side_when_the_other_is_reset() {
    let (mut world, server, point) = at(Site::SocksProxy);
    let (proxy, at) = point.proxy.unwrap();
    let target: Target = SocketAddr::new(ip(SERVER), 7).into();
    let handshake = Handshake::socks5(Command::Connect, target, None);
    let client = TcpClient::new(at, b"hello")
        .keep_open()
        .via_proxy(handshake);
    let client = world.host(
        "client",
        point.network,
        point.address,
        TcpApp::new(1, client),
    );
    world.run_for(secs(1));
    assert_eq!(program::<TcpClient>(&world, client).response, b"hello");
    world.with_app(server, |app: &mut TcpApp<TcpEcho>, now| {
        app.act(now, |_, stack| {
            let ids: Vec<_> = stack.connections().collect();
            stack.abort(now, ids[0]);
        });
    });
    world.run_for(secs(1));
    let outcome = program::<TcpClient>(&world, client).outcome;
    assert_eq!(outcome, Outcome::Reset(ResetReason::ByPeer));
    let proxy = world.app::<TcpApp<Proxy>>(proxy).unwrap();
    assert_eq!(proxy.stack().connections().count(), 0);
}

/// What hosts at two places achieve, as libwebrtc's matrix has it, without relays.
#[test]
fn hosts_at_every_pair_of_sites_find_the_paths_of_the_oracle() {
    for a in Site::ALL {
        for b in Site::ALL {
            let udp = play_udp(a, b);
            let path = oracle(&a.udp_traits(), &b.udp_traits());
            assert_eq!(path == Path::Direct, udp, "UDP {a} {b}");
            let tcp = play_tcp(a, b);
            let path = oracle(&a.tcp_traits(), &b.tcp_traits());
            assert_eq!(path == Path::Direct, tcp, "TCP {a} {b}");
        }
    }
}

fn play_udp(a: Site, b: Site) -> bool {
    let (mut world, net) = internet(Link::latency(millis(5)), 1);
    let server = socket("198.51.100.9:3478");
    world.host("server", net, server.ip(), Mirror::default());
    let hosts = [(1, a), (2, b)].map(|(number, site)| {
        let point = world.site(&format!("site{number}"), net, number, site);
        let local = SocketAddr::new(point.address, 40_000);
        let app = Puncher::new(world.now(), local, server);
        world.host(&format!("host{number}"), point.network, point.address, app)
    });
    world.run_for(millis(200));
    let reflexive = hosts.map(|host| world.app::<Puncher>(host).unwrap().reflexive);
    for (host, peer) in [(0, 1), (1, 0)] {
        if let Some(peer) = reflexive[peer] {
            world.with_app(hosts[host], |app: &mut Puncher, now| app.learn(now, peer));
        }
    }
    world.run_for(secs(1));
    hosts.map(|host| world.app::<Puncher>(host).unwrap().found.is_some()) == [true, true]
}

fn play_tcp(a: Site, b: Site) -> bool {
    let (mut world, net) = internet(Link::latency(millis(5)), 1);
    let server = socket("198.51.100.9:3478");
    world.host("server", net, server.ip(), TcpApp::new(9, TcpMirror));
    let hosts = [(1, a), (2, b)].map(|(number, site)| {
        let point = world.site(&format!("site{number}"), net, number, site);
        let dialer = Dialer::new(world.now(), server, 40_000);
        let app = TcpApp::new(u64::from(number), dialer);
        world.host(&format!("host{number}"), point.network, point.address, app)
    });
    world.run_for(secs(3));
    // A host that learned nothing, for the server's port is closed to it, is reached at its own
    // address if at all.
    let reflexive = hosts.map(|host| program::<Dialer>(&world, host).reflexive);
    for (host, peer) in [(0, 1), (1, 0)] {
        if let Some(peer) = reflexive[peer] {
            world.with_app(hosts[host], |app: &mut TcpApp<Dialer>, now| {
                app.act(now, |dialer, stack| dialer.learn(now, stack, peer));
            });
        }
    }
    world.run_for(secs(20));
    hosts.map(|host| program::<Dialer>(&world, host).found.is_some()) == [true, true]
}
