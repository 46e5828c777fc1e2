//! The router over the other end of a socket pair: what it does to packets, without an interface
//! and without root.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use jackfield_nat::packet::{Headers, build, verify};
use jackfield_nat::profile::Profile;
use jackfield_nat::{DropReason, Nat};
use jackfield_router::{Handle, Link, Report, Router, RouterConfig, Tap, Tun, UplinkConfig};
use tokio::net::UnixDatagram;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const HOST: &str = "10.0.0.2:5000";
const PEER: &str = "192.0.2.1:7000";
const STRANGER: &str = "192.0.2.99:7000";
const HEADER: usize = 10;

/// A running router and the far ends of its two cables.
struct Rig {
    inside: UnixDatagram,
    outside: UnixDatagram,
    handle: Handle,
    stop: oneshot::Sender<()>,
    running: JoinHandle<std::io::Result<Report>>,
}

impl Rig {
    fn start(profile: Profile, uplink: UplinkConfig) -> Self {
        let (inside, near) = cable();
        let (outside, far) = cable();
        let nat = Nat::new(profile.config(&["198.51.100.1".parse().unwrap()]), [7; 32]);
        let config = RouterConfig {
            uplink,
            ..RouterConfig::default()
        };
        let (router, handle) = Router::new(nat, near, far, &config).unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(router.run(async {
            let _ = stopped.await;
        }));
        Self {
            inside,
            outside,
            handle,
            stop,
            running,
        }
    }

    async fn end(self) -> Report {
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap()
    }
}

fn cable() -> (UnixDatagram, Tun) {
    let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (
        UnixDatagram::from_std(ours).unwrap(),
        Tun::from_fd(OwnedFd::from(theirs)),
    )
}

async fn send(cable: &UnixDatagram, from: &str, to: &str, data: &[u8]) {
    let mut frame = vec![0; HEADER];
    frame.extend(build::udp(from.parse().unwrap(), to.parse().unwrap(), data));
    cable.send(&frame).await.unwrap();
}

/// Receives a packet, checks its checksums, and returns its ends.
async fn receive(cable: &UnixDatagram) -> (SocketAddr, SocketAddr) {
    let mut frame = vec![0; 2000];
    let length = cable.recv(&mut frame).await.unwrap();
    let packet = &frame.get(HEADER..length).unwrap();
    verify(packet).unwrap();
    let headers = Headers::parse(packet).unwrap();
    (
        headers.source_endpoint().unwrap().into(),
        headers.destination_endpoint().unwrap().into(),
    )
}

#[tokio::test]
async fn a_packet_goes_out_translated_and_the_answer_comes_back() {
    let rig = Rig::start(Profile::PORT_RESTRICTED_CONE, UplinkConfig::default());
    send(&rig.inside, HOST, PEER, b"hello").await;
    let (external, to) = receive(&rig.outside).await;
    assert_eq!(to.to_string(), PEER);
    assert_eq!(external.ip().to_string(), "198.51.100.1");

    send(&rig.outside, STRANGER, &external.to_string(), b"knock").await;
    send(&rig.outside, PEER, &external.to_string(), b"answer").await;
    let (from, to) = receive(&rig.inside).await;
    assert_eq!(
        (from.to_string().as_str(), to.to_string().as_str()),
        (PEER, HOST)
    );

    let report = rig.end().await;
    assert_eq!(report.nat.dropped(DropReason::Filtered), 1);
    assert_eq!((report.nat.outbound, report.nat.inbound), (1, 1));
    assert_eq!(report.mappings.len(), 1);
    assert_eq!(
        (report.inside.packets_in, report.outside.packets_in),
        (1, 2)
    );
}

#[tokio::test]
async fn a_reboot_forgets_the_mapping_that_the_report_showed() {
    let rig = Rig::start(Profile::FULL_CONE, UplinkConfig::default());
    send(&rig.inside, HOST, PEER, b"hello").await;
    let (external, _) = receive(&rig.outside).await;
    let shown = rig.handle.report().await.unwrap();
    assert_eq!(shown.mappings[0].external, external.into());

    rig.handle.reboot().await.unwrap();
    send(&rig.outside, PEER, &external.to_string(), b"late").await;
    // The packet after it is translated after it.
    send(&rig.inside, HOST, PEER, b"again").await;
    let _ = receive(&rig.outside).await;
    let report = rig.handle.report().await.unwrap();
    assert_eq!(report.nat.dropped(DropReason::NoMapping), 1);
}

#[tokio::test]
async fn another_kind_of_nat_takes_over_while_it_runs() {
    let rig = Rig::start(Profile::SYMMETRIC, UplinkConfig::default());
    let ports = async |rig: &Rig| {
        send(&rig.inside, HOST, PEER, b"1").await;
        let (first, _) = receive(&rig.outside).await;
        send(&rig.inside, HOST, STRANGER, b"2").await;
        let (second, _) = receive(&rig.outside).await;
        (first, second)
    };
    let (first, second) = ports(&rig).await;
    assert_ne!(first, second);
    let full_cone = Profile::FULL_CONE.config(&["198.51.100.1".parse().unwrap()]);
    rig.handle.reconfigure(full_cone).await.unwrap();
    let (first, second) = ports(&rig).await;
    assert_eq!(first, second);
}

#[tokio::test]
async fn blocked_udp_does_not_cross_until_it_is_let_through() {
    let blocked = UplinkConfig {
        block_udp: true,
        ..UplinkConfig::default()
    };
    let rig = Rig::start(Profile::FULL_CONE, blocked);
    send(&rig.inside, HOST, PEER, b"lost").await;
    while rig.handle.report().await.unwrap().inside.reads == 0 {
        tokio::task::yield_now().await;
    }
    rig.handle
        .set_uplink(UplinkConfig::default())
        .await
        .unwrap();
    send(&rig.inside, HOST, PEER, b"through").await;
    let _ = receive(&rig.outside).await;
    let report = rig.end().await;
    assert_eq!(report.uplink_counters.udp_blocked, 1);
    assert_eq!(report.nat.outbound, 1);
}

#[tokio::test]
async fn packets_under_way_on_a_slow_link_arrive_in_both_directions() {
    let slow = UplinkConfig {
        link: Link::latency(Duration::from_millis(3)),
        ..UplinkConfig::default()
    };
    let rig = Rig::start(Profile::FULL_CONE, slow);
    send(&rig.inside, HOST, PEER, b"there").await;
    let (external, _) = receive(&rig.outside).await;
    send(&rig.outside, PEER, &external.to_string(), b"and back").await;
    assert_eq!(receive(&rig.inside).await.1.to_string(), HOST);
}

#[tokio::test]
async fn malformed_bytes_are_counted_and_do_no_harm() {
    let rig = Rig::start(Profile::FULL_CONE, UplinkConfig::default());
    for junk in [&[0; HEADER][..], &[0xff; 60], &[0x45; HEADER + 7], &[1; 3]] {
        rig.inside.send(junk).await.unwrap();
        rig.outside.send(junk).await.unwrap();
    }
    send(&rig.inside, HOST, PEER, b"hello").await;
    let _ = receive(&rig.outside).await;
    let report = rig.end().await;
    assert_eq!(report.nat.outbound, 1);
    assert!(report.nat.dropped(DropReason::Malformed) >= 4);
}

#[tokio::test]
async fn a_handle_of_a_router_that_has_ended_says_so() {
    let rig = Rig::start(Profile::FULL_CONE, UplinkConfig::default());
    let handle = rig.handle.clone();
    rig.end().await;
    assert!(handle.report().await.is_err());
    assert!(handle.reboot().await.is_err());
}

#[tokio::test]
async fn a_capture_shows_packets_before_and_after_with_the_verdict() {
    let (inside, near) = cable();
    let (outside, far) = cable();
    let profile = Profile::PORT_RESTRICTED_CONE;
    let nat = Nat::new(profile.config(&["198.51.100.1".parse().unwrap()]), [7; 32]);
    let (mut router, handle) = Router::new(nat, near, far, &RouterConfig::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nat.pcapng");
    router.capture(Tap::create(&path).unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(router.run(async {
        let _ = stopped.await;
    }));
    send(&inside, HOST, PEER, b"caught out").await;
    let (external, _) = receive(&outside).await;
    send(&outside, STRANGER, &external.to_string(), b"refused").await;
    while handle.report().await.unwrap().nat.dropped_in_total() == 0 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();

    let file = std::fs::read(&path).unwrap();
    let times = |what: &[u8]| file.windows(what.len()).filter(|at| *at == what).count();
    assert_eq!(file.first_chunk(), Some(&[0x0a, 0x0d, 0x0d, 0x0a]));
    assert_eq!(times(b"caught out"), 2);
    assert_eq!(times(b"refused"), 1);
    assert_eq!(times(b"drop: filtered"), 1);
}
