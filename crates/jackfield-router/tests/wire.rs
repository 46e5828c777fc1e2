//! Routers on TUN between real namespaces: IPv6, NAT64 and trains, seen by the sockets of both
//! ends.
//!
//! It makes network namespaces, so it runs only when asked to by `--required`, as `cargo xtask
//! test` does, or when nothing keeps it from it; otherwise it says what does, and that it was
//! skipped.

#![cfg_attr(
    not(target_os = "linux"),
    expect(unused, reason = "namespaces are Linux's")
)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and prints for its user"
)]

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("SKIPPED wire: network namespaces are Linux's");
}

#[cfg(target_os = "linux")]
fn main() {
    let is_required = std::env::args().any(|argument| argument == "--required");
    if let Err(missing) = wire::available() {
        assert!(!is_required, "{missing}");
        println!("SKIPPED wire: {missing}");
        return;
    }
    for (name, test) in wire::TESTS {
        test();
        println!("wire: {name} ... ok");
    }
}

#[cfg(target_os = "linux")]
mod wire {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
    use std::thread;
    use std::time::Duration;

    use jackfield_nat::profile::Profile;
    use jackfield_nat::{
        Behaviour, DropReason, Filtering, Mapping, Nat, NatConfig, Prefix, Translation,
    };
    use jackfield_router::namespace::wiring;
    use jackfield_router::{Handle, Netns, Report, Router, RouterConfig, Tun, TunConfig};
    use tokio::sync::oneshot;

    pub(crate) const TESTS: &[(&str, fn())] = &[
        (
            "thousands of datagrams cross in trains, unchanged and in order",
            datagrams_in_trains,
        ),
        (
            "several queues on several threads lose and reorder nothing",
            several_queues,
        ),
        (
            "packets that come one by one cross the same way",
            datagrams_one_by_one,
        ),
        (
            "a stateful firewall of IPv6 lets answers in and strangers not",
            firewall,
        ),
        ("NPTv6 changes the prefix and nothing else", prefixes),
        ("NAT64 lets a host of IPv6 reach IPv4", nat64),
    ];

    const HOST: &str = "10.0.0.2";
    const HOST6: &str = "fd00:1::2";
    const SERVER: &str = "198.18.0.1";
    const SERVER6: &str = "2001:db8:2::1";
    const EXTERNAL: &str = "198.18.1.1";

    /// Says what keeps us from making routers.
    pub(crate) fn available() -> Result<(), String> {
        let netns = Netns::create()
            .map_err(|error| format!("no network namespace can be made: {error}"))?;
        let config = TunConfig {
            name: "probe".into(),
            netns: Some(netns),
            ..TunConfig::default()
        };
        Tun::open(&config)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// A router and what is on either side of it.
    struct Lab {
        inside: Netns,
        outside: Netns,
        handle: Handle,
        stop: Option<oneshot::Sender<()>>,
        router: Option<thread::JoinHandle<Report>>,
    }

    impl Lab {
        /// Puts a NAT between a host and a server; the server sends what is for `routed` to it.
        fn new(config: NatConfig, router: RouterConfig, routed: &str) -> Self {
            Self::with_queues(config, router, routed, 1)
        }

        fn with_queues(
            config: NatConfig,
            router: RouterConfig,
            routed: &str,
            queues: usize,
        ) -> Self {
            let (inside, outside) = (wiring::host(true).unwrap(), wiring::host(true).unwrap());
            let (ip, length) = routed.split_once('/').unwrap();
            let near = TunConfig {
                name: "tun0".into(),
                netns: Some(inside.clone()),
                addresses: vec![(ip_of(HOST), 24), (ip_of(HOST6), 64)],
                routes: vec![([0; 4].into(), 0), ([0u16; 8].into(), 0)],
                mtu: None,
            };
            let far = TunConfig {
                name: "nat0".into(),
                netns: Some(outside.clone()),
                addresses: vec![(ip_of(SERVER), 32), (ip_of(SERVER6), 128)],
                routes: vec![(ip_of(ip), length.parse().unwrap())],
                mtu: None,
            };
            let open = |config| Tun::open_queues(config, queues).unwrap();
            let (near, far) = (open(&near), open(&far));
            let nat = Nat::new(config, [7; 32]);
            let (stop, stopped) = oneshot::channel::<()>();
            let (told, handle) = std::sync::mpsc::channel();
            let router = thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let (router, handle) = Router::new(nat, near, far, &router).unwrap();
                    told.send(handle).unwrap();
                    let stop = async {
                        let _ = stopped.await;
                    };
                    router.run(stop).await.unwrap()
                })
            });
            Self {
                inside,
                outside,
                handle: handle.recv().unwrap(),
                stop: Some(stop),
                router: Some(router),
            }
        }

        fn end(mut self) -> Report {
            drop(self.stop.take());
            self.router.take().unwrap().join().unwrap()
        }

        fn report(&self) -> Report {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(self.handle.report()).unwrap()
        }
    }

    fn ip_of(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn udp(netns: &Netns, ip: &str, port: u16) -> UdpSocket {
        let address = SocketAddr::new(ip_of(ip), port);
        let socket = netns.run(|| UdpSocket::bind(address)).unwrap().unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        socket
    }

    fn receive(socket: &UdpSocket) -> (String, SocketAddr) {
        let mut room = [0; 2_048];
        let (length, from) = socket.recv_from(&mut room).unwrap();
        (
            String::from_utf8(room.get(..length).unwrap().to_vec()).unwrap(),
            from,
        )
    }

    /// Several flows at once, each with as many numbered datagrams as fit the sockets; the answer
    /// is the same backwards.
    fn cross(lab: &Lab, rounds: usize) {
        let server = udp(&lab.outside, SERVER, 7_000);
        let clients: Vec<_> = (0..4).map(|_| udp(&lab.inside, HOST, 0)).collect();
        let text = |round: usize, client: usize, number: usize| {
            let filler = "x".repeat((number * 7 + client) % 5 * 100);
            format!("{round} {client} {number} {filler}")
        };
        for round in 0..rounds {
            for number in 0..BURST {
                for (client, socket) in clients.iter().enumerate() {
                    // Bursts of one flow, and flows by turns.
                    for part in 0..3 {
                        let text = text(round, client, number * 3 + part);
                        socket
                            .send_to(text.as_bytes(), server.local_addr().unwrap())
                            .unwrap();
                    }
                }
            }
            let mut next = [0; 4];
            for _ in 0..BURST * 3 * clients.len() {
                let (received, from) = receive(&server);
                let client: usize = received.split(' ').nth(1).unwrap().parse().unwrap();
                let expected = next.get_mut(client).unwrap();
                assert_eq!(received, text(round, client, *expected));
                *expected += 1;
                server.send_to(received.as_bytes(), from).unwrap();
            }
            for (client, socket) in clients.iter().enumerate() {
                for number in 0..BURST * 3 {
                    assert_eq!(receive(socket).0, text(round, client, number));
                }
            }
        }
    }

    const BURST: usize = 10;

    fn datagrams_in_trains() {
        let lab = Lab::new(masquerade(), RouterConfig::default(), "198.18.1.1/32");
        // Whether packets follow each other closely enough is up to the machine, so it goes on
        // until some have.
        loop {
            cross(&lab, 10);
            let report = lab.report();
            if report.outside.writes < report.outside.packets_out
                && report.inside.writes < report.inside.packets_out
            {
                break;
            }
        }
        let report = lab.end();
        assert_eq!((report.outside.refused, report.inside.refused), (0, 0));
    }

    fn several_queues() {
        let router = RouterConfig::default();
        let lab = Lab::with_queues(masquerade(), router, "198.18.1.1/32", 3);
        // Each round has flows of its own, which the kernel spreads.
        for _ in 0..10 {
            cross(&lab, 3);
        }
        let from = megabytes(&lab, HOST, SERVER, SERVER);
        assert_eq!(from.ip(), ip_of(EXTERNAL));
        let report = lab.end();
        let packets = 10 * 3 * 4 * 3 * BURST as u64;
        assert!(report.outside.packets_out > packets && report.inside.packets_out > packets);
        assert_eq!((report.outside.refused, report.inside.refused), (0, 0));
    }

    fn datagrams_one_by_one() {
        let one_by_one = RouterConfig {
            trains: false,
            ..RouterConfig::default()
        };
        let lab = Lab::new(masquerade(), one_by_one, "198.18.1.1/32");
        cross(&lab, 10);
        let report = lab.end();
        assert_eq!(report.outside.writes, report.outside.packets_out);
    }

    fn masquerade() -> NatConfig {
        Profile::PORT_RESTRICTED_CONE.config(&[ip_of(EXTERNAL)])
    }

    fn firewall() {
        let strict = Behaviour {
            mapping: Mapping::EndpointIndependent,
            filtering: Filtering::AddressAndPortDependent,
        };
        let config = NatConfig {
            translation: Translation::None,
            udp: strict,
            tcp: strict,
            icmp_filtering: Filtering::AddressAndPortDependent,
            ..NatConfig::default()
        };
        let lab = Lab::new(config, RouterConfig::default(), "fd00:1::/64");
        let (client, server) = (
            udp(&lab.inside, HOST6, 5_000),
            udp(&lab.outside, SERVER6, 7_000),
        );
        let stranger = udp(&lab.outside, SERVER6, 7_001);
        let inside = client.local_addr().unwrap();
        stranger.send_to(b"too early", inside).unwrap();
        client
            .send_to(b"hello", server.local_addr().unwrap())
            .unwrap();
        assert_eq!(receive(&server), ("hello".into(), inside));
        stranger.send_to(b"not you", inside).unwrap();
        server.send_to(b"answer", inside).unwrap();
        assert_eq!(
            receive(&client),
            ("answer".into(), server.local_addr().unwrap())
        );
        let from = megabytes(&lab, HOST6, SERVER6, SERVER6);
        assert_eq!(from.ip(), ip_of(HOST6));
        // No connection comes in.
        let listener = SocketAddr::new(ip_of(HOST6), 7_003);
        let listener = lab
            .inside
            .run(|| TcpListener::bind(listener))
            .unwrap()
            .unwrap();
        let address = listener.local_addr().unwrap();
        let patience = Duration::from_millis(500);
        let refused = lab
            .outside
            .run(|| TcpStream::connect_timeout(&address, patience))
            .unwrap();
        assert!(matches!(
            refused.unwrap_err().kind(),
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::ConnectionRefused
        ));
        let dropped = lab.end().nat;
        // The connection's first packet is held for a while before it is dropped (RFC 5382 REQ-4).
        let reasons = [DropReason::NoMapping, DropReason::Filtered];
        let sum: u64 = reasons.iter().map(|reason| dropped.dropped(*reason)).sum();
        assert_eq!(sum, 2);
    }

    fn prefixes() {
        let prefix = |ip, length| Prefix::new(ip_of(ip), length).unwrap();
        let external = prefix("2001:db8:3::", 48);
        let config = NatConfig {
            translation: Translation::Prefixes {
                internal: prefix("fd00:1::", 48),
                external,
            },
            ..NatConfig::default()
        };
        let lab = Lab::new(config, RouterConfig::default(), "2001:db8:3::/48");
        let (client, server) = (
            udp(&lab.inside, HOST6, 5_000),
            udp(&lab.outside, SERVER6, 7_000),
        );
        client
            .send_to(b"hello", server.local_addr().unwrap())
            .unwrap();
        let (text, from) = receive(&server);
        assert_eq!((text.as_str(), from.port()), ("hello", 5_000));
        assert!(external.contains(from.ip().into()), "{from}");
        // There is no state: any remote that knows the address gets in.
        let stranger = udp(&lab.outside, SERVER6, 7_001);
        stranger.send_to(b"welcome", from).unwrap();
        assert_eq!(
            receive(&client),
            ("welcome".into(), stranger.local_addr().unwrap())
        );
        let from = megabytes(&lab, HOST6, SERVER6, SERVER6);
        assert!(external.contains(from.ip().into()), "{from}");
        lab.end();
    }

    fn nat64() {
        let config = Profile::NAT64.config(&[ip_of(EXTERNAL)]);
        let lab = Lab::new(config, RouterConfig::default(), "198.18.1.1/32");
        // 198.18.0.1 as hosts of IPv6 see it (RFC 6052).
        let mapped = "64:ff9b::c612:1";
        let (client, server) = (
            udp(&lab.inside, HOST6, 5_000),
            udp(&lab.outside, SERVER, 7_000),
        );
        client
            .send_to(b"hello", SocketAddr::new(ip_of(mapped), 7_000))
            .unwrap();
        let (text, from) = receive(&server);
        assert_eq!((text.as_str(), from.ip()), ("hello", ip_of(EXTERNAL)));
        server.send_to(b"answer", from).unwrap();
        assert_eq!(
            receive(&client),
            ("answer".into(), SocketAddr::new(ip_of(mapped), 7_000))
        );
        let from = megabytes(&lab, HOST6, SERVER, mapped);
        assert_eq!(from.ip(), ip_of(EXTERNAL));
        lab.end();
    }

    /// Sends megabytes there and back over TCP; returns the client's address as the server saw it.
    /// `seen` is the server as the client sees it.
    fn megabytes(lab: &Lab, client: &str, server: &str, seen: &str) -> SocketAddr {
        let address = SocketAddr::new(ip_of(server), 7_010);
        let listener = lab
            .outside
            .run(|| TcpListener::bind(address))
            .unwrap()
            .unwrap();
        let echo = thread::spawn(move || {
            let (mut stream, from) = listener.accept().unwrap();
            let mut room = vec![0; 1 << 16];
            while let read @ 1.. = stream.read(&mut room).unwrap() {
                stream.write_all(room.get(..read).unwrap()).unwrap();
            }
            from
        });
        let seen = SocketAddr::new(ip_of(seen), 7_010);
        let mut sending = lab
            .inside
            .run(|| TcpStream::connect(seen))
            .unwrap()
            .unwrap();
        assert_eq!(sending.local_addr().unwrap().ip(), ip_of(client));
        let mut receiving = sending.try_clone().unwrap();
        let sent: Vec<u8> = (0..4u32 << 20)
            .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let copy = sent.clone();
        let sender = thread::spawn(move || {
            sending.write_all(&copy).unwrap();
            sending.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        receiving.read_to_end(&mut received).unwrap();
        assert!(
            received == sent,
            "{} bytes came back of {}",
            received.len(),
            sent.len()
        );
        sender.join().unwrap();
        echo.join().unwrap()
    }
}
