//! The server in a network namespace of its own: which of its neighbours clients reach.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::{Duration, Instant};

use jackfield::config::{Config, Key, Low, Source};
use jackfield::serve::Server;
use jackfield_driver::turn_client::{ClientTransport, TurnClient, TurnError};
use jackfield_turn::client::Credential;

/// Set where this program runs in the namespace.
const INSIDE: &str = "JACKFIELD_TEST_INSIDE";
const NAME: &str = "neighbours_with_public_addresses_are_no_peers_from_the_moment_they_are_there";

#[test]
fn neighbours_with_public_addresses_are_no_peers_from_the_moment_they_are_there() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let namespace = ["--user", "--map-root-user", "--net", "--"];
    let probe = Command::new("unshare")
        .args(namespace)
        .args([
            "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1",
        ])
        .output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        println!("SKIPPED: no network namespace, or no `ip` and `unshare`");
        return;
    }
    let output = Command::new("unshare")
        .args(namespace)
        .arg(std::env::current_exe().unwrap())
        .args([NAME, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

fn inside() {
    for command in [
        "link set lo up",
        "link add v0 type veth peer name v1",
        "link set v0 up",
        "link set v1 up",
        "address add 198.41.0.1/24 dev v0",
        "route add 199.7.90.0/24 dev v0",
        "route add 199.7.92.0/24 via 198.41.0.254",
    ] {
        ip(command);
    }
    let server = start();
    let address = server.addresses().first().copied().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let credential = Credential::new("ann", PASSWORD).unwrap();
        let client = TurnClient::connect(address, ClientTransport::Udp, credential)
            .await
            .unwrap();
        let refused = async |peer: &str| match client.permit(peer.parse().unwrap()).await {
            Ok(()) => false,
            Err(TurnError::PeerRefused(_)) => true,
            Err(error) => panic!("{peer}: {error}"),
        };
        assert!(refused("198.41.0.77").await, "in the interface's network");
        assert!(refused("199.7.90.77").await, "by a route without a gateway");
        assert!(!refused("199.7.92.77").await, "behind a gateway");
        assert!(!refused("198.41.1.77").await);
        assert!(refused("168.63.129.16").await, "Azure's platform");
        assert!(refused("192.36.148.17").await, "deny-peer");
        assert!(!refused("199.7.83.42").await, "allow-peer");

        assert!(!refused("199.7.91.1").await);
        ip("address add 199.7.91.254/24 dev v0");
        let deadline = Instant::now() + PATIENCE;
        let mut host = 2;
        // Each host is asked for once: the client keeps a permission that it has.
        while !refused(&format!("199.7.91.{host}")).await {
            assert!(Instant::now() < deadline, "the new network is not noticed");
            host += 1;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        client.close().await;
        server.stop().await;
    });
}

fn start() -> Server {
    let mut low = Low::default();
    for (name, value) in [
        ("listen", "198.41.0.1:3478"),
        ("user", &format!("ann:{PASSWORD}")),
        ("secret", "kP8r2vQx7LzTn4Wc"),
        ("shards", "2"),
        ("deny-peer", "192.36.148.0/24"),
        ("allow-peer", "199.7.83.0/24"),
    ] {
        let key = Key::find(name).unwrap();
        low.set(key, Source::Flag, vec![value.to_owned()]);
    }
    ip("address add 199.7.83.1/24 dev v0");
    Server::start(Config::resolve(&low).unwrap()).unwrap()
}

fn ip(arguments: &str) {
    let status = Command::new("ip")
        .args(arguments.split(' '))
        .status()
        .unwrap();
    assert!(status.success(), "ip {arguments}");
}

const PASSWORD: &str = "Tz7wqk-8_hZ1mXcV";

/// How long the test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);
