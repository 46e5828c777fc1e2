//! What strangers, and an other side that means harm, cannot make an agent do.

use std::net::SocketAddr;

use jackfield_ice::{AddressError, Candidate, Credentials, RemoteCandidateError, SendError, State};
use jackfield_internet::{Echo, HostId};
use jackfield_stun::attribute::{AttributeType, Username};
use jackfield_stun::{Class, Key, MessageWriter, Method, TransactionId};

use crate::peer::Signal;
use crate::scene::{BOTH, Scene, UDP_PORT, ip, millis, secs};

const STRANGER: &str = "198.51.100.66";

#[test]
fn a_request_that_is_not_signed_for_this_session_is_answered_with_nothing() {
    let mut scene = connected();
    let stranger = stranger(&mut scene);
    let ours = scene.get(0).agent.local_parameters().credentials.clone();
    let theirs = scene.get(1).agent.local_parameters().credentials.clone();
    let username = format!("{}:{}", ours.ufrag(), theirs.ufrag());
    let wrong = Key::short_term("the password of someone else");
    let right_name_wrong_key = request(&username, Some(&wrong));
    let cases = [
        request(&username, None),
        right_name_wrong_key,
        request("nobody:else", Some(&wrong)),
        request(ours.ufrag(), Some(&wrong)),
        request("", None),
        vec![0; 20],
        vec![0x80; 200],
        vec![20; 200],
    ];
    let to = address(&scene, 0);
    for bytes in &cases {
        scene.world.send(stranger, 9, to, bytes);
        scene.run_for(millis(200));
    }
    assert!(heard(&scene, stranger).is_empty());
    assert!(scene.get(0).received.is_empty(), "no stranger's data");
    let counters = scene.get(0).agent.counters();
    assert!(counters.dropped_unsigned >= 4, "{counters:?}");
    assert!(counters.dropped_unverified >= 2, "{counters:?}");
}

/// The side with the wrong password never takes the other one for its peer. That one, whose
/// password for it is right, may send: the answers it gets are signed.
#[test]
fn a_side_with_the_wrong_password_connects_to_nobody() {
    for wrong in [vec![0], vec![1], vec![0, 1]] {
        let mut scene = Scene::open(1, millis(40));
        scene.signaling = None;
        scene.start();
        for side in BOTH {
            let signals: Vec<_> =
                scene.act(1 - side, |peer, _, _| peer.signals.drain(..).collect());
            for mut signal in signals {
                if let Signal::Parameters(parameters) = &mut signal
                    && wrong.contains(&side)
                {
                    let ufrag = parameters.credentials.ufrag().to_owned();
                    let password = "thispasswordiswrongandlongenough";
                    parameters.credentials = Credentials::new(&ufrag, password).unwrap();
                }
                scene.act(side, |peer, now, stack| peer.hear(now, stack, signal));
            }
        }
        scene.run_for(secs(60));
        for &side in &wrong {
            let sent = scene.act(side, |peer, now, _| peer.agent.send(now, b"x").err());
            assert_eq!(sent, Some(SendError::NotConnected));
            let connected = scene.get(side).connected_at();
            assert_eq!(connected, None, "{}", scene.describe());
            // While signed checks of the other side come, its own are sent again.
            if wrong.len() == 2 {
                assert_eq!(scene.get(side).agent.state(), State::Failed);
            }
        }
    }
}

#[test]
fn a_check_that_is_replayed_from_elsewhere_takes_no_data_away() {
    let mut scene = connected();
    let stranger = stranger(&mut scene);
    let to = address(&scene, 0);
    let checks: Vec<Vec<u8>> = {
        let sent = scene.get(1).sent.iter();
        let to_peer = sent.filter(|(_, at, _)| *at == to);
        to_peer.map(|(_, _, bytes)| bytes.clone()).collect()
    };
    assert!(!checks.is_empty());
    let mut replayed = 0;
    for _ in 0..20 {
        for check in &checks {
            scene.world.send(stranger, 9, to, check);
            replayed += check.len();
            scene.run_for(millis(20));
        }
    }
    scene.run_for(secs(10));
    assert_eq!(scene.exchange(), [10, 10]);
    let pair = scene.get(0).agent.selected_pair().unwrap();
    assert_eq!(pair.path.remote, address(&scene, 1));
    // What comes back are answers and a few checks that the stranger cannot answer.
    let heard = heard(&scene, stranger);
    let bytes: usize = heard.iter().map(Vec::len).sum();
    assert!(bytes < replayed * 2, "{bytes} for {replayed}");
    let data = heard.iter().filter(|bytes| bytes[0] == 0x80);
    assert_eq!(data.count(), 0);
}

#[test]
fn remote_candidates_that_point_inside_are_refused_and_never_checked() {
    let cases = [
        ("127.0.0.1", AddressError::Loopback),
        ("::1", AddressError::Loopback),
        ("::ffff:127.0.0.1", AddressError::Loopback),
        ("169.254.169.254", AddressError::Metadata),
        ("fd00:ec2::254", AddressError::Metadata),
        ("169.254.7.7", AddressError::LinkLocal),
        ("fe80::1", AddressError::LinkLocal),
        ("224.0.0.251", AddressError::Multicast),
        ("255.255.255.255", AddressError::Multicast),
        ("0.0.0.0", AddressError::Unspecified),
        ("::", AddressError::Unspecified),
    ];
    let mut scene = Scene::open(1, millis(40));
    scene.start();
    scene.run_for(millis(30));
    for (index, (address, error)) in cases.into_iter().enumerate() {
        for kind in ["udp", "tcp"] {
            let tail = if kind == "tcp" {
                " tcptype passive"
            } else {
                ""
            };
            let text = format!("candidate:{index} 1 {kind} 2130706431 {address} 80 typ host{tail}");
            let candidate: Candidate = text.parse().unwrap();
            let added = scene.act(0, |peer, now, _| {
                peer.agent.add_remote_candidate(now, candidate)
            });
            assert_eq!(added, Err(RemoteCandidateError::Address(error)), "{text}");
        }
    }
    scene.run_for(secs(30));
    let allowed = [ip("203.0.113.18"), ip(crate::scene::TURN)];
    for (_, to, _) in &scene.get(0).sent {
        assert!(allowed.contains(&to.ip()), "{to}");
    }
}

#[test]
fn a_list_of_candidates_aims_few_packets_at_a_victim() {
    let mut scene = Scene::open(1, millis(40));
    let victim = scene
        .world
        .host("victim", scene.internet, ip(STRANGER), Echo::default());
    scene.start();
    scene.run_for(millis(30));
    for port in 0..1000_u32 {
        let text = format!(
            "candidate:{port} 1 udp {} {STRANGER} {} typ host",
            2_130_706_431 - port,
            1000 + port
        );
        scene.act(0, |peer, now, stack| {
            peer.hear(now, stack, Signal::Candidate(text));
        });
    }
    scene.run_for(secs(120));
    assert!(scene.is_connected(), "the right candidate is still found");
    let packets = heard(&scene, victim).len();
    // 25 pairs with one address, each checked 7 times.
    assert!(packets <= 25 * 7, "{packets}");
    let counters = scene.get(0).agent.counters();
    assert!(counters.dropped_candidates > 0, "{counters:?}");
}

#[test]
fn candidates_all_over_the_world_cost_a_bounded_number_of_packets() {
    let mut scene = Scene::open(1, millis(40));
    scene.start();
    scene.run_for(millis(30));
    for number in 0..1000_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        let text = format!("candidate:{number} 1 udp 2130706431 100.70.{high}.{low} 9 typ host");
        scene.act(0, |peer, now, stack| {
            peer.hear(now, stack, Signal::Candidate(text));
        });
    }
    scene.run_for(secs(120));
    let sent = scene.get(0).sent.iter();
    let astray = sent.filter(|(_, to, _)| to.ip().to_string().starts_with("100.70."));
    assert!(astray.count() <= 100 * 7);
    assert!(scene.is_connected());
}

#[test]
fn nothing_is_sent_to_a_peer_that_has_withdrawn_its_consent() {
    let mut scene = connected();
    scene.act(1, |peer, now, stack| {
        peer.act(now, stack, |agent| agent.close(now));
    });
    // RFC 7675: consent lasts for 30 s after the last answer.
    scene.longest_silence(secs(31));
    let before = scene.get(0).sent.len();
    for _ in 0..100 {
        let sent = scene.act(0, |peer, now, stack| peer.send(now, stack, &[0x80; 36]));
        assert!(!sent);
        scene.run_for(millis(100));
    }
    let after = &scene.get(0).sent[before..];
    let to = address(&scene, 1);
    assert!(after.iter().all(|(_, at, _)| *at != to), "{after:?}");
    assert_eq!(scene.get(0).agent.state(), State::Failed);
}

#[test]
fn data_that_looks_like_a_check_is_not_sent() {
    let mut scene = connected();
    let check = scene.get(0).sent[0].2.clone();
    let refused = scene.act(0, |peer, now, _| peer.agent.send(now, &check).err());
    assert_eq!(refused, Some(SendError::LooksLikeStun));
}

fn connected() -> Scene {
    let mut scene = Scene::open(1, millis(40));
    scene.connect(secs(2));
    scene.run_for(secs(5));
    scene
}

fn stranger(scene: &mut Scene) -> HostId {
    let app = Echo::default();
    scene
        .world
        .host("stranger", scene.internet, ip(STRANGER), app)
}

fn heard(scene: &Scene, host: HostId) -> Vec<Vec<u8>> {
    let echo = scene.world.app::<Echo>(host).unwrap();
    let received = echo.received.iter();
    received.map(|(_, bytes)| bytes.clone()).collect()
}

fn address(scene: &Scene, side: usize) -> SocketAddr {
    let local = scene.world.addresses(scene.peers[side])[0];
    SocketAddr::new(local, UDP_PORT)
}

/// Returns a check that nominates, signed or not.
fn request(username: &str, key: Option<&Key>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let transaction = TransactionId::new([9; 12]);
    let mut writer = MessageWriter::new(&mut bytes, Class::Request, Method::BINDING, transaction);
    writer.attribute(&Username(username));
    writer.value(PRIORITY, &[0, 0, 0, 1]);
    writer.value(USE_CANDIDATE, &[]);
    if let Some(key) = key {
        writer.integrity_sha1(key);
    }
    writer.fingerprint();
    writer.finish().unwrap();
    bytes
}

const PRIORITY: AttributeType = AttributeType::new(0x0024);
const USE_CANDIDATE: AttributeType = AttributeType::new(0x0025);
