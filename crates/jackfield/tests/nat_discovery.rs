//! A server with two loopback addresses, asked by our own discovery and examined by the doctor.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

use std::net::SocketAddr;

use jackfield::config::{Config, Key, Low, Source};
use jackfield::serve::Server;
use jackfield_doctor::{Conclusions, Health, Options, Target, Trust, Words, examine};
use jackfield_driver::discovery::discover;
use jackfield_stun::behaviour::{DiscoveryConfig, Finding, Fragments, Label};

fn start() -> (Server, SocketAddr) {
    let free = |ip: &str| {
        let address = format!("{ip}:0").parse().unwrap();
        jackfield_driver::port::claim(address).unwrap().port()
    };
    let listen: SocketAddr = format!("127.0.0.1:{}", free("127.0.0.1")).parse().unwrap();
    let mut low = Low::default();
    for (name, value) in [
        ("listen", listen.to_string()),
        ("nat-discovery", "127.0.0.2".to_owned()),
        ("nat-discovery-port", free("127.0.0.1").to_string()),
        ("secret", "a secret of some length".to_owned()),
        ("allow-peer", "127.0.0.0/8".to_owned()),
        ("shards", "2".to_owned()),
    ] {
        low.set(Key::find(name).unwrap(), Source::Flag, vec![value]);
    }
    let server = Server::start(Config::resolve(&low).unwrap()).unwrap();
    (server, listen)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_machine_without_a_nat_is_found_to_have_none() {
    let (server, listen) = start();
    let report = discover(DiscoveryConfig::new(vec![listen])).await.unwrap();
    assert_eq!(report.label(), Some(Label::Open), "{report:?}");
    assert_eq!(report.other.unwrap().ip().to_string(), "127.0.0.2");
    assert_eq!(report.alg, Finding::Known(false));
    assert_eq!(report.fragments, Finding::Known(Fragments::BothWays));

    let options = Options {
        target: format!("http://{listen}").parse::<Target>().unwrap(),
        trust: Trust::anyone(),
        proxy: None,
        slow: false,
        recorder: None,
    };
    let conclusions = Conclusions::of(&examine(&options).await);
    assert_eq!(conclusions.health, Health::Ok, "{conclusions:?}");
    let lines = Words::of(&conclusions).lines;
    let relay = lines.iter().find(|line| line.topic == "Relay UDP");
    // One that takes longer than 700 ms counts as lost, which a busy machine is enough for.
    let seen = &relay.unwrap().seen;
    let most = ["8", "9", "10"].map(|count| format!("{count} of 10"));
    assert!(
        most.iter().any(|most| seen.contains(most)),
        "{conclusions:?}"
    );
    server.stop().await;
}
