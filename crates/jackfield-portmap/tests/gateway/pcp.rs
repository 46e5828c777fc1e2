//! PCP against the gateway (RFC 6887).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jackfield_nat::packet::{Headers, Packet, build};
use jackfield_nat::{Translation, Verdict};
use jackfield_portmap::pcp::{
    Body, Filter, Map, Nonce, PcpOption, Peer, Request, Response, ResultCode,
};
use jackfield_portmap::{Dialects, TransportProtocol};

use crate::rig::{EXTERNAL, HOST, OTHER_HOST, Rig, STRANGER, at, ip};

const MINE: Nonce = Nonce([1; 12]);
const THEIRS: Nonce = Nonce([2; 12]);
const UDP: u8 = 17;

fn request(host: &str, lifetime: u32, body: Body, options: &[PcpOption]) -> Request {
    Request {
        lifetime,
        client: ip(host),
        body,
        options: options.to_vec(),
    }
}

fn wish(nonce: Nonce, internal_port: u16, external_port: u16) -> Map {
    Map {
        nonce,
        protocol: UDP,
        internal_port,
        external_port,
        external_address: ip("0.0.0.0"),
    }
}

fn ask(rig: &mut Rig, host: &str, request: &Request) -> Response {
    Response::decode(&rig.ask(host, &request.encode())).unwrap()
}

fn map(rig: &mut Rig, host: &str, map: Map, lifetime: u32, options: &[PcpOption]) -> Response {
    let response = ask(rig, host, &request(host, lifetime, Body::Map(map), options));
    let Body::Map(about) = response.body else {
        panic!("{response:?}");
    };
    assert_eq!(
        (about.nonce, about.internal_port),
        (map.nonce, map.internal_port)
    );
    response
}

fn external(response: &Response) -> SocketAddr {
    assert_eq!(response.result, ResultCode::Success);
    match response.body {
        Body::Map(map) | Body::Peer(Peer { map, .. }) => {
            SocketAddr::new(map.external_address, map.external_port)
        }
        Body::Announce => panic!("no mapping"),
    }
}

#[test]
fn a_mapped_port_lets_strangers_in_through_a_symmetric_nat() {
    let mut rig = Rig::new(|_| {});
    let response = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &[]);
    assert_eq!(external(&response), at(EXTERNAL, 5000));
    assert_eq!(response.lifetime, 3600);
    assert_eq!(
        rig.arrives(STRANGER, at(EXTERNAL, 5000)),
        Some(at(HOST, 5000))
    );
}

#[test]
fn only_who_knows_the_nonce_changes_a_mapping() {
    let mut rig = Rig::new(|_| {});
    map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &[]);
    rig.pass(Duration::from_secs(600));
    for lifetime in [0, 7200] {
        let refused = map(&mut rig, HOST, wish(THEIRS, 5000, 5000), lifetime, &[]);
        assert_eq!(refused.result, ResultCode::NotAuthorized);
        assert_eq!(refused.lifetime, 3000, "as long as the mapping lasts");
    }
    let nat_pmp = [0, 1, 0, 0, 0x13, 0x88, 0, 0, 0, 0, 0, 0];
    assert_eq!(rig.ask(HOST, &nat_pmp)[..4], [0, 0x81, 0, 2]);
    let ended = map(&mut rig, HOST, wish(MINE, 5000, 5000), 0, &[]);
    assert_eq!((ended.result, ended.lifetime), (ResultCode::Success, 0));
    assert_eq!(rig.arrives(STRANGER, at(EXTERNAL, 5000)), None);
    let again = map(&mut rig, HOST, wish(THEIRS, 5000, 5000), 0, &[]);
    assert_eq!(
        again.result,
        ResultCode::Success,
        "nothing to end is no error"
    );
}

#[test]
fn prefer_failure_fails_rather_than_to_give_another_port() {
    let mut rig = Rig::new(|_| {});
    map(&mut rig, OTHER_HOST, wish(MINE, 5000, 5000), 3600, &[]);
    let exact = [PcpOption::PreferFailure];
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &exact);
    assert_eq!(refused.result, ResultCode::CannotProvideExternal);
    assert_eq!(refused.lifetime, 30);
    let elsewhere = Map {
        external_address: ip("203.0.113.99"),
        ..wish(MINE, 5000, 6000)
    };
    let refused = map(&mut rig, HOST, elsewhere, 3600, &exact);
    assert_eq!(refused.result, ResultCode::CannotProvideExternal);
    let privileged = map(&mut rig, HOST, wish(MINE, 5000, 80), 3600, &exact);
    assert_eq!(privileged.result, ResultCode::CannotProvideExternal);
    let nothing = map(&mut rig, HOST, wish(MINE, 5000, 0), 3600, &exact);
    assert_eq!(nothing.result, ResultCode::MalformedOption);
    let given = map(&mut rig, HOST, wish(MINE, 5000, 6000), 3600, &exact);
    assert_eq!(external(&given), at(EXTERNAL, 6000));
    assert_eq!(given.options, exact);
    let other = map(&mut rig, HOST, wish(MINE, 5001, 5000), 3600, &[]);
    assert_ne!(external(&other).port(), 5000);
}

#[test]
fn a_filter_lets_in_only_its_remotes() {
    let mut rig = Rig::new(|_| {});
    let filter = |prefix_length, address: &str, remote_port| {
        PcpOption::Filter(Filter {
            prefix_length,
            remote_port,
            remote_address: ip(address),
        })
    };
    let options = [
        filter(128, "198.51.100.9", 3478),
        filter(120, "192.0.2.0", 0),
    ];
    let response = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &options);
    assert_eq!(response.options, options);
    let to = external(&response);
    let inside = Some(at(HOST, 5000));
    assert_eq!(rig.arrives(STRANGER, to), inside);
    assert_eq!(rig.arrives("198.51.100.9:3479", to), None);
    assert_eq!(rig.arrives("192.0.2.77:1", to), inside);
    assert_eq!(rig.leases()[0].filters.len(), 2);
    map(
        &mut rig,
        HOST,
        wish(MINE, 5000, 5000),
        3600,
        &[filter(0, "0.0.0.0", 0)],
    );
    assert_eq!(rig.arrives("198.51.100.9:3479", to), inside);
    let many = vec![filter(128, "198.51.100.9", 0); 17];
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &many);
    assert_eq!(refused.result, ResultCode::ExcessiveRemotePeers);
}

#[test]
fn a_third_party_is_refused_unless_it_is_allowed() {
    let third = [PcpOption::ThirdParty(ip(OTHER_HOST))];
    let mut rig = Rig::new(|_| {});
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &third);
    assert_eq!(refused.result, ResultCode::UnsuppOption);
    assert!(rig.leases().is_empty());
    let mut rig = Rig::new(|config| config.third_parties = true);
    let granted = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &third);
    assert_eq!(
        rig.arrives(STRANGER, external(&granted)),
        Some(at(OTHER_HOST, 5000))
    );
    let oneself = [PcpOption::ThirdParty(ip(HOST))];
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &oneself);
    assert_eq!(refused.result, ResultCode::MalformedRequest);
}

#[test]
fn a_nat_between_client_and_gateway_is_noticed() {
    let mut rig = Rig::new(|_| {});
    let behind = request("10.9.9.9", 3600, Body::Map(wish(MINE, 5000, 5000)), &[]);
    let response = ask(&mut rig, HOST, &behind);
    assert_eq!(response.result, ResultCode::AddressMismatch);
    assert_eq!(response.lifetime, 1800);
}

#[test]
fn what_a_nat_cannot_map_is_refused() {
    let mut rig = Rig::new(|_| {});
    let mut refuse = |map_: Map| map(&mut rig, HOST, map_, 3600, &[]).result;
    let base = wish(MINE, 5000, 5000);
    assert_eq!(
        refuse(Map {
            protocol: 132,
            ..base
        }),
        ResultCode::UnsuppProtocol
    );
    assert_eq!(
        refuse(Map {
            protocol: 0,
            ..base
        }),
        ResultCode::MalformedRequest
    );
    let all = Map {
        protocol: 0,
        internal_port: 0,
        ..base
    };
    assert_eq!(refuse(all), ResultCode::UnsuppProtocol);
    assert_eq!(
        refuse(Map {
            internal_port: 0,
            ..base
        }),
        ResultCode::UnsuppProtocol
    );
}

#[test]
fn unknown_options_matter_when_they_have_to_be_understood() {
    let mut rig = Rig::new(|_| {});
    let unknown = |code| {
        [PcpOption::Unknown {
            code,
            data: vec![1, 2, 3],
        }]
    };
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &unknown(100));
    assert_eq!(refused.result, ResultCode::UnsuppOption);
    let granted = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &unknown(200));
    assert_eq!(granted.result, ResultCode::Success);
    assert!(granted.options.is_empty());
    let twice = [PcpOption::PreferFailure, PcpOption::PreferFailure];
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &twice);
    assert_eq!(refused.result, ResultCode::MalformedOption);
}

#[test]
fn a_peer_is_kept_alive_for_as_long_as_was_asked_for() {
    let mut rig = Rig::new(|_| {});
    let remote: SocketAddr = STRANGER.parse().unwrap();
    let peer = |nonce| {
        Body::Peer(Peer {
            map: wish(nonce, 5000, 0),
            remote_port: remote.port(),
            remote_address: remote.ip(),
        })
    };
    let response = ask(&mut rig, HOST, &request(HOST, 3600, peer(MINE), &[]));
    let to = external(&response);
    assert_eq!(response.lifetime, 3600);
    let mut packet = build::udp(at(HOST, 5000), remote, b"x");
    let out = rig.nat.outbound(rig.now, &mut Packet::new(&mut packet));
    assert_eq!(out, Verdict::Forward);
    let source = Headers::parse(&packet).unwrap().source_endpoint().unwrap();
    assert_eq!(SocketAddr::from(source), to, "the flow that was promised");
    let refused = ask(&mut rig, HOST, &request(HOST, 3600, peer(THEIRS), &[]));
    assert_eq!(refused.result, ResultCode::NotAuthorized);
    for _ in 0..35 {
        rig.pass(Duration::from_secs(100));
        assert_eq!(rig.arrives(STRANGER, to), Some(at(HOST, 5000)));
        assert_eq!(
            rig.arrives("198.51.100.9:3479", to),
            None,
            "it is for one peer"
        );
    }
    assert_eq!(rig.leases()[0].peer, Some(remote));
    for _ in 0..5 {
        rig.pass(Duration::from_secs(100));
    }
    assert!(rig.leases().is_empty());
    assert_eq!(
        rig.arrives(STRANGER, to),
        None,
        "five minutes after the lease"
    );
}

#[test]
fn a_firewall_opens_the_hosts_own_port_in_ipv6() {
    let mut nat = crate::rig::symmetric();
    nat.translation = Translation::None;
    nat.inside = Some(ip("2001:db8:1::1"));
    let mut rig = Rig::with_nat(nat, |_| {});
    let (host, gateway): (IpAddr, IpAddr) = (ip("2001:db8:1::2"), ip("2001:db8:1::1"));
    let wanted = Map {
        external_address: ip("::"),
        ..wish(MINE, 5000, 7000)
    };
    let request = request("2001:db8:1::2", 3600, Body::Map(wanted), &[]);
    let packet = build::udp(
        SocketAddr::new(host, 6000),
        SocketAddr::new(gateway, 5351),
        &request.encode(),
    );
    assert!(
        rig.gateway
            .is_for(&rig.nat, jackfield_nat::Side::Inside, &packet)
    );
    let own = SocketAddr::new(host, 5000);
    assert_eq!(rig.arrives("[2001:db8:2::9]:9", own), None);
    rig.gateway.handle_packet(rig.now, &mut rig.nat, &packet);
    let answer = rig.gateway.poll_transmit().unwrap();
    let response = Response::decode(&answer.data).unwrap();
    assert_eq!(external(&response), own, "a firewall translates nothing");
    assert_eq!(rig.arrives("[2001:db8:2::9]:9", own), Some(own));
}

#[test]
fn a_mapping_of_either_dialect_is_the_same_mapping() {
    let mut rig = Rig::new(|_| {});
    let nat_pmp = [0, 1, 0, 0, 0x13, 0x88, 0x13, 0x88, 0, 0, 0x0e, 0x10];
    assert_eq!(rig.ask(HOST, &nat_pmp)[..4], [0, 0x81, 0, 0]);
    let response = map(&mut rig, HOST, wish(MINE, 5000, 6000), 7200, &[]);
    assert_eq!(external(&response), at(EXTERNAL, 5000));
    assert_eq!(rig.leases().len(), 1);
}

#[test]
fn an_announcement_tells_the_epoch_and_versions_are_negotiated() {
    let mut rig = Rig::new(|config| {
        config.dialects = Dialects {
            pcp: true,
            ..Dialects::NONE
        };
    });
    rig.pass(Duration::from_secs(9));
    let response = ask(&mut rig, HOST, &request(HOST, 0, Body::Announce, &[]));
    assert_eq!((response.result, response.epoch), (ResultCode::Success, 9));
    for version in [0, 1, 3] {
        let answer = rig.ask(HOST, &[version, 1]);
        assert_eq!(answer[..4], [2, 0x81, 0, 1], "version {version}");
    }
    assert_eq!(
        TransportProtocol::from_number(UDP),
        Some(TransportProtocol::Udp)
    );
}
