//! The client's side against the proxy servers of the virtual internet.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic on what it does not expect"
)]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jackfield_internet::proxy::{Proxy, ProxyConfig};
use jackfield_internet::{Link, Outcome, TcpApp, TcpClient, TcpEcho, World};
use jackfield_proxy::{Credentials, Handshake, HandshakeError, HostName, ProxyUrl, Target};
use jackfield_testing::epoch;

const PROXY: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const SERVER: [&str; 2] = ["192.0.2.2", "2001:db8::2"];
const CLIENT: [&str; 2] = ["192.0.2.3", "2001:db8::3"];

#[test]
fn a_tunnel_is_open_through_either_protocol_to_names_and_addresses_of_both_families() {
    let targets = ["192.0.2.2:7", "[2001:db8::2]:7", "server.example:7"];
    for proxy in ["http://192.0.2.1:3128", "socks5h://[2001:db8::1]"] {
        for target in targets {
            assert_eq!(visit(proxy, target), Outcome::Closed, "{proxy} {target}");
        }
    }
}

#[test]
fn the_credentials_of_the_url_are_those_that_the_proxy_wants() {
    let cases = [
        ("ann:se%2Fcret@", Outcome::Closed),
        (
            "ann:guess@",
            Outcome::NoTunnel(HandshakeError::CredentialsRefused),
        ),
        ("", Outcome::NoTunnel(HandshakeError::CredentialsRequired)),
    ];
    for (user, outcome) in cases {
        for (scheme, port) in [("http", 3128), ("socks5", 1080)] {
            let proxy = format!("{scheme}://{user}192.0.2.1:{port}");
            let config = ProxyConfig {
                credentials: Credentials::new(b"ann", b"se/cret"),
                ..ProxyConfig::default()
            };
            let target = "192.0.2.2:7";
            assert_eq!(visit_with(config, &proxy, target), outcome, "{proxy}");
        }
    }
}

fn visit(proxy: &str, target: &str) -> Outcome {
    let server = HostName::new("server.example").unwrap();
    let config = ProxyConfig {
        names: [(server, ip(SERVER[0]))].into(),
        ..ProxyConfig::default()
    };
    visit_with(config, proxy, target)
}

/// Sends a request through the proxy to an echo server; returns how the connection ended, once the
/// echo is seen to be whole if it was open at all.
fn visit_with(config: ProxyConfig, proxy: &str, target: &str) -> Outcome {
    let mut world = World::new(epoch(), 1);
    let net = world.network("net", Link::latency(Duration::from_millis(5)));
    let both = |world: &mut World, host, addresses: [&str; 2]| {
        world.add_interface(host, net, ip(addresses[1]));
    };
    let echo = TcpApp::new(1, TcpEcho::new([7]));
    let server = world.host("server", net, ip(SERVER[0]), echo);
    both(&mut world, server, SERVER);
    let host = world.host(
        "proxy",
        net,
        ip(PROXY[0]),
        TcpApp::new(2, Proxy::new(config)),
    );
    both(&mut world, host, PROXY);

    let url: ProxyUrl = proxy.parse().unwrap();
    let target: Target = target.parse().unwrap();
    let at: SocketAddr = url.target().to_string().parse().unwrap();
    let request = vec![7; 5000];
    let client = TcpClient::new(at, request.clone()).via_proxy(Handshake::new(&url, target));
    let own = CLIENT[usize::from(at.is_ipv6())];
    let client = world.host("client", net, ip(own), TcpApp::new(3, client));
    world.run_for(Duration::from_secs(60));

    let client = &world.app::<TcpApp<TcpClient>>(client).unwrap().program;
    if client.outcome == Outcome::Closed {
        assert_eq!(client.response, request);
    }
    client.outcome
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
