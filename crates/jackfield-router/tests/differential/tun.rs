//! (b): the router on TUN.

use std::sync::mpsc;

use jackfield_nat::Nat;
use jackfield_router::{Router, RouterConfig, Tun, TunConfig};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::netns::Namespace;
use super::real::{OUTSIDE, Real};
use super::scenario::{EXTERNAL, Scenario, Subject, Verdict};

/// Runs a scenario through a router of its own.
pub(crate) fn run(subject: &Subject, scenario: &Scenario) -> Vec<Verdict> {
    let (inside, outside) = (Namespace::new("inside"), Namespace::new("outside"));
    let near = Tun::open(&TunConfig {
        name: "tun0".into(),
        netns: Some(inside.netns()),
        addresses: ["10.0.0.2", "10.0.0.3"]
            .map(|address| (address.parse().unwrap(), 24))
            .to_vec(),
        routes: vec![([0; 4].into(), 0)],
        mtu: None,
    });
    let far = Tun::open(&TunConfig {
        name: "tun1".into(),
        netns: Some(outside.netns()),
        addresses: OUTSIDE
            .map(|address| (address.parse().unwrap(), 32))
            .to_vec(),
        routes: vec![(EXTERNAL.into(), 32)],
        mtu: None,
    });
    let (near, far) = (near.unwrap(), far.unwrap());
    let nat = Nat::new(subject.config.clone(), [scenario.seed as u8; 32]);
    let (stop, stopped) = oneshot::channel::<()>();
    let (tell, handle) = mpsc::channel();
    let router = std::thread::spawn(move || {
        runtime().block_on(async {
            let (router, handle) = Router::new(nat, near, far, &RouterConfig::default()).unwrap();
            tell.send(handle).unwrap();
            let stop = async {
                let _ = stopped.await;
            };
            router.run(stop).await.unwrap()
        })
    });
    let (handle, asking) = (handle.recv().unwrap(), runtime());
    let has_forgotten = move || {
        let report = asking.block_on(handle.report());
        report.unwrap().mappings.is_empty()
    };
    let verdicts = subject.play(
        scenario,
        &mut Real::new(subject, scenario.protocol, &inside, &outside, has_forgotten),
    );
    drop(stop);
    router.join().unwrap();
    verdicts
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}
