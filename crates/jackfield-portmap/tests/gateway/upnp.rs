//! UPnP against the gateway: searched, described, asked, over its own TCP.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jackfield_nat::packet::{Headers, build};
use jackfield_nat::{Side, Verdict};
use jackfield_portmap::upnp::action::{Action, MappingKey, PortMapping, PortRange, Reply};
use jackfield_portmap::upnp::description::services;
use jackfield_portmap::upnp::http::{HeaderFields, Progress, Request, Response};
use jackfield_portmap::upnp::soap::Message;
use jackfield_portmap::upnp::ssdp::{Advertisement, Search};
use jackfield_portmap::upnp::{UpnpError, Url};
use jackfield_portmap::{Dialect, TransportProtocol, pcp};
use jackfield_tcp::{Event, Stack};

use crate::rig::{EXTERNAL, GATEWAY, HOST, OTHER_HOST, Rig, STRANGER, at, ip};

const CONNECTION: &str = "urn:schemas-upnp-org:service:WANIPConnection:2";

/// Sends a search to the group or to the gateway itself; returns the answers.
fn search(rig: &mut Rig, to: IpAddr, target: &str) -> Vec<Advertisement> {
    let from = at(HOST, 6000);
    let search = Search {
        target: target.to_owned(),
        max_wait: 1,
    };
    let packet = build::udp(from, SocketAddr::new(to, 1900), &search.encode());
    assert!(rig.gateway.is_for(&rig.nat, Side::Inside, &packet));
    rig.gateway.handle_packet(rig.now, &mut rig.nat, &packet);
    let mut found = Vec::new();
    while let Some(packet) = rig.gateway.poll_packet() {
        let headers = Headers::parse(&packet).unwrap();
        assert_eq!(
            SocketAddr::from(headers.source_endpoint().unwrap()),
            at(GATEWAY, 1900)
        );
        assert_eq!(
            SocketAddr::from(headers.destination_endpoint().unwrap()),
            from
        );
        found.push(Advertisement::decode(&packet[headers.data_at(&packet)..]).unwrap());
    }
    found
}

/// Sends bytes over TCP from a host to the gateway; returns all that comes back until it closes.
pub(crate) fn over_tcp(rig: &mut Rig, host: &str, to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stack = Stack::new(&[ip(host)], [5; 32]);
    let id = stack.connect(rig.now, 0, to).unwrap();
    let mut answer = Vec::new();
    loop {
        let mut moved = false;
        while let Some(packet) = stack.poll_packet() {
            moved = true;
            assert!(rig.gateway.is_for(&rig.nat, Side::Inside, &packet));
            rig.gateway.handle_packet(rig.now, &mut rig.nat, &packet);
        }
        while let Some(packet) = rig.gateway.poll_packet() {
            moved = true;
            stack.handle_packet(rig.now, &packet);
        }
        while let Some(event) = stack.poll_event() {
            match event {
                Event::Connected { .. } => {
                    assert_eq!(stack.send(rig.now, id, bytes), bytes.len());
                }
                Event::Data(_) => answer.extend(stack.recv(rig.now, id, 1 << 20)),
                Event::Finished(_) => stack.close(rig.now, id),
                Event::Closed(_) | Event::Reset(..) => return answer,
                Event::Writable(_) => {}
            }
        }
        if !moved {
            let next = [stack.next_timeout(), rig.gateway.next_timeout()];
            let next = next.into_iter().flatten().min().unwrap();
            rig.pass(next.saturating_duration_since(rig.now));
            stack.handle_timeout(rig.now);
        }
    }
}

fn http(rig: &mut Rig, host: &str, request: &Request) -> Response {
    let bytes = over_tcp(rig, host, at(GATEWAY, 49_000), &request.write());
    match Response::read(&bytes, true) {
        Progress::Complete(response) => response,
        other => panic!("{other:?} {}", String::from_utf8_lossy(&bytes)),
    }
}

fn get(path: &str, name: &str) -> Request {
    Request {
        method: "GET".into(),
        path: path.into(),
        headers: HeaderFields(vec![("host".into(), name.into())]),
        body: Vec::new(),
    }
}

fn call(rig: &mut Rig, host: &str, action: &Action) -> Result<Reply, UpnpError> {
    call_service(rig, host, action, CONNECTION, "/ctl/IPConn")
}

fn call_service(
    rig: &mut Rig,
    host: &str,
    action: &Action,
    service: &str,
    path: &str,
) -> Result<Reply, UpnpError> {
    let request = Request {
        method: "POST".into(),
        path: path.into(),
        headers: HeaderFields(vec![
            ("host".into(), format!("{GATEWAY}:49000")),
            (
                "soapaction".into(),
                format!("\"{service}#{}\"", action.name()),
            ),
        ]),
        body: action.encode(service).encode(),
    };
    let response = http(rig, host, &request);
    let message = Message::decode(&response.body).unwrap();
    assert_eq!(response.status, if message.is_ok() { 200 } else { 500 });
    action.decode_reply(&message?)
}

fn mapping(host: &str, internal_port: u16, external_port: u16) -> PortMapping {
    PortMapping {
        remote_host: None,
        external_port,
        protocol: TransportProtocol::Udp,
        internal_port,
        internal_client: ip(host),
        enabled: true,
        description: "a <game> & more".into(),
        lease: 3600,
    }
}

fn key(external_port: u16) -> MappingKey {
    MappingKey {
        remote_host: None,
        external_port,
        protocol: TransportProtocol::Udp,
    }
}

#[test]
fn every_search_finds_the_gateway() {
    let mut rig = Rig::new(|_| {});
    let group = ip("239.255.255.250");
    for target in [
        "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
        "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
        "urn:schemas-upnp-org:service:WANIPConnection:1",
        "upnp:rootdevice",
    ] {
        for to in [group, ip(GATEWAY)] {
            let found = search(&mut rig, to, target);
            assert_eq!(found.len(), 1, "{target}");
            assert_eq!(found[0].target, target);
            let location = found[0].location.clone().unwrap();
            assert_eq!(
                location.to_string(),
                "http://192.168.1.1:49000/rootDesc.xml"
            );
        }
    }
    assert_eq!(search(&mut rig, group, "ssdp:all").len(), 13);
    assert!(search(&mut rig, group, "urn:schemas-upnp-org:device:MediaServer:1").is_empty());
}

#[test]
fn the_description_leads_to_the_service_and_its_documents() {
    for version in [1, 2] {
        let mut rig = Rig::new(|config| config.igd_version = version);
        let root = http(&mut rig, HOST, &get("/rootDesc.xml", GATEWAY));
        assert_eq!(root.status, 200);
        let base = Url::parse("http://192.168.1.1:49000/rootDesc.xml").unwrap();
        let services = services(&root.body, &base).unwrap();
        let wanted = format!("urn:schemas-upnp-org:service:WANIPConnection:{version}");
        let service = services
            .iter()
            .find(|service| service.kind == wanted)
            .unwrap();
        assert_eq!(
            service.control.to_string(),
            "http://192.168.1.1:49000/ctl/IPConn"
        );
        for path in ["/WANIPCn.xml", "/WANCfg.xml"] {
            assert_eq!(http(&mut rig, HOST, &get(path, GATEWAY)).status, 200);
        }
        assert_eq!(http(&mut rig, HOST, &get("/x", GATEWAY)).status, 404);
    }
}

#[test]
fn a_mapped_port_lets_strangers_in_through_a_symmetric_nat() {
    let mut rig = Rig::new(|_| {});
    let added = call(
        &mut rig,
        HOST,
        &Action::AddPortMapping(mapping(HOST, 5000, 6000)),
    );
    assert_eq!(added, Ok(Reply::Done));
    assert_eq!(
        rig.arrives(STRANGER, at(EXTERNAL, 6000)),
        Some(at(HOST, 5000))
    );
    let lease = &rig.leases()[0];
    assert_eq!(
        (lease.dialect, lease.description.as_str()),
        (Dialect::Upnp, "a <game> & more")
    );
    rig.pass(Duration::from_secs(600));
    let expected = PortMapping {
        lease: 3000,
        ..mapping(HOST, 5000, 6000)
    };
    let near = |reply: Result<Reply, UpnpError>| match reply {
        Ok(Reply::Entry(entry)) => {
            // Closing connections takes time.
            assert!((2900..=3000).contains(&entry.lease), "{entry:?}");
            assert_eq!(
                PortMapping {
                    lease: 3000,
                    ..entry
                },
                expected
            );
        }
        other => panic!("{other:?}"),
    };
    near(call(
        &mut rig,
        HOST,
        &Action::GetSpecificPortMappingEntry(key(6000)),
    ));
    near(call(&mut rig, HOST, &Action::GetGenericPortMappingEntry(0)));
    let beyond = call(&mut rig, HOST, &Action::GetGenericPortMappingEntry(1));
    assert_eq!(beyond, Err(UpnpError::INDEX_INVALID));
    let ended = call(&mut rig, HOST, &Action::DeletePortMapping(key(6000)));
    assert_eq!(ended, Ok(Reply::Done));
    assert_eq!(rig.arrives(STRANGER, at(EXTERNAL, 6000)), None);
    let none = call(&mut rig, HOST, &Action::DeletePortMapping(key(6000)));
    assert_eq!(none, Err(UpnpError::NO_SUCH_ENTRY));
}

#[test]
fn a_host_maps_to_itself_alone_and_ends_what_is_its_own() {
    let mut rig = Rig::new(|_| {});
    let foreign = Action::AddPortMapping(mapping(OTHER_HOST, 5000, 6000));
    assert_eq!(
        call(&mut rig, HOST, &foreign),
        Err(UpnpError::NOT_AUTHORIZED)
    );
    assert!(rig.leases().is_empty());
    call(&mut rig, OTHER_HOST, &foreign).unwrap();
    let delete = Action::DeletePortMapping(key(6000));
    assert_eq!(
        call(&mut rig, HOST, &delete),
        Err(UpnpError::NOT_AUTHORIZED)
    );
    let taken = Action::AddPortMapping(mapping(HOST, 5000, 6000));
    assert_eq!(call(&mut rig, HOST, &taken), Err(UpnpError::CONFLICT));
    assert_eq!(rig.gateway.counters().conflicts, 1);
    assert_eq!(rig.gateway.counters().unauthorized, 2);
    let mut open = Rig::new(|config| config.third_parties = true);
    call(&mut open, HOST, &foreign).unwrap();
    assert_eq!(
        open.arrives(STRANGER, at(EXTERNAL, 6000)),
        Some(at(OTHER_HOST, 5000))
    );
}

#[test]
fn any_port_will_do_where_any_is_asked_for() {
    let mut rig = Rig::new(|_| {});
    call(
        &mut rig,
        OTHER_HOST,
        &Action::AddPortMapping(mapping(OTHER_HOST, 1, 6000)),
    )
    .unwrap();
    let any = Action::AddAnyPortMapping(mapping(HOST, 5000, 6000));
    let Ok(Reply::ReservedPort(port)) = call(&mut rig, HOST, &any) else {
        panic!("no port");
    };
    assert_ne!(port, 6000);
    assert_eq!(
        rig.arrives(STRANGER, at(EXTERNAL, port)),
        Some(at(HOST, 5000))
    );
    let mut old = Rig::new(|config| config.igd_version = 1);
    let one = "urn:schemas-upnp-org:service:WANIPConnection:1";
    let answer = call_service(&mut old, HOST, &any, one, "/ctl/IPConn");
    assert_eq!(answer, Err(UpnpError::INVALID_ACTION));
}

#[test]
fn what_makes_no_sense_has_its_error() {
    let mut rig = Rig::new(|_| {});
    let mut add = |change: fn(&mut PortMapping)| {
        let mut wrong = mapping(HOST, 5000, 6000);
        change(&mut wrong);
        call(&mut rig, HOST, &Action::AddPortMapping(wrong))
    };
    assert_eq!(
        add(|it| it.external_port = 0),
        Err(UpnpError::WILDCARD_EXTERNAL_PORT)
    );
    assert_eq!(
        add(|it| it.internal_port = 0),
        Err(UpnpError::WILDCARD_INTERNAL_PORT)
    );
    assert_eq!(add(|it| it.enabled = false), Err(UpnpError::ACTION_FAILED));
    assert_eq!(
        add(|it| it.external_port = 80),
        Err(UpnpError::NOT_AUTHORIZED)
    );
}

#[test]
fn a_remote_host_is_the_only_one_let_in() {
    let mut rig = Rig::new(|_| {});
    let only = PortMapping {
        remote_host: Some(ip("192.0.2.7")),
        ..mapping(HOST, 5000, 6000)
    };
    call(&mut rig, HOST, &Action::AddPortMapping(only)).unwrap();
    assert_eq!(rig.arrives(STRANGER, at(EXTERNAL, 6000)), None);
    assert_eq!(
        rig.arrives("192.0.2.7:1", at(EXTERNAL, 6000)),
        Some(at(HOST, 5000))
    );
    let Ok(Reply::Entry(entry)) = call(&mut rig, HOST, &Action::GetGenericPortMappingEntry(0))
    else {
        panic!("no entry");
    };
    assert_eq!(entry.remote_host, Some(ip("192.0.2.7")));
}

#[test]
fn ranges_are_listed_and_deleted() {
    let mut rig = Rig::new(|_| {});
    for port in [6000, 6001, 6005] {
        call(
            &mut rig,
            HOST,
            &Action::AddPortMapping(mapping(HOST, port, port)),
        )
        .unwrap();
    }
    call(
        &mut rig,
        OTHER_HOST,
        &Action::AddPortMapping(mapping(OTHER_HOST, 1, 6002)),
    )
    .unwrap();
    let range = |start, end, manage| PortRange {
        start,
        end,
        protocol: TransportProtocol::Udp,
        manage,
    };
    let mut ports = |start, end, manage, most| {
        let action = Action::GetListOfPortMappings(range(start, end, manage), most);
        match call(&mut rig, HOST, &action) {
            Ok(Reply::List(all)) => Ok(all.iter().map(|it| it.external_port).collect::<Vec<_>>()),
            Err(error) => Err(error),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ports(6000, 6004, false, 0), Ok(vec![6000, 6001]));
    assert_eq!(ports(6000, 6004, true, 0), Ok(vec![6000, 6001, 6002]));
    assert_eq!(ports(6000, 6004, true, 1), Ok(vec![6000]));
    assert_eq!(ports(7000, 7001, true, 0), Err(UpnpError::NOT_FOUND));
    assert_eq!(ports(7, 6, true, 0), Err(UpnpError::INCONSISTENT));
    let delete = Action::DeletePortMappingRange(range(6000, 6002, true));
    assert_eq!(call(&mut rig, HOST, &delete), Ok(Reply::Done));
    let left: Vec<_> = rig.leases().iter().map(|it| it.external.port()).collect();
    assert_eq!(left, [6002, 6005], "the other host's stays");
    assert_eq!(
        call(&mut rig, HOST, &delete),
        Err(UpnpError::NOT_AUTHORIZED)
    );
}

#[test]
fn the_state_of_the_connection_is_told() {
    let mut rig = Rig::new(|_| {});
    rig.pass(Duration::from_secs(100));
    let ip_reply = call(&mut rig, HOST, &Action::GetExternalIpAddress);
    assert_eq!(ip_reply, Ok(Reply::ExternalIpAddress(Some(ip(EXTERNAL)))));
    let Ok(Reply::Status { connected, uptime }) = call(&mut rig, HOST, &Action::GetStatusInfo)
    else {
        panic!("no status");
    };
    assert!(connected && uptime >= 100);
    assert_eq!(
        call(&mut rig, HOST, &Action::GetNatRsipStatus),
        Ok(Reply::NatStatus)
    );
    assert_eq!(
        call(&mut rig, HOST, &Action::GetConnectionTypeInfo),
        Ok(Reply::ConnectionType)
    );
    let common = "urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1";
    let mut packet = build::udp(at(HOST, 1), STRANGER.parse().unwrap(), b"x");
    let out = rig.nat.outbound(
        rig.now,
        &mut jackfield_nat::packet::Packet::new(&mut packet),
    );
    assert_eq!(out, Verdict::Forward);
    let sent = call_service(
        &mut rig,
        HOST,
        &Action::GetTotalPacketsSent,
        common,
        "/ctl/CmnIfCfg",
    );
    assert_eq!(sent, Ok(Reply::Packets(1)));
    let link = call_service(
        &mut rig,
        HOST,
        &Action::GetCommonLinkProperties,
        common,
        "/ctl/CmnIfCfg",
    );
    assert!(matches!(link, Ok(Reply::Link { up: true, .. })));
    let elsewhere = call_service(
        &mut rig,
        HOST,
        &Action::GetStatusInfo,
        common,
        "/ctl/CmnIfCfg",
    );
    assert_eq!(elsewhere, Err(UpnpError::INVALID_ACTION));
    let mut dark = crate::rig::symmetric();
    dark.externals.clear();
    let mut rig = Rig::with_nat(dark, |_| {});
    let none = call(&mut rig, HOST, &Action::GetExternalIpAddress);
    assert_eq!(none, Ok(Reply::ExternalIpAddress(None)));
}

#[test]
fn a_mapping_with_a_nonce_is_out_of_reach() {
    let mut rig = Rig::new(|_| {});
    let request = pcp::Request {
        lifetime: 600,
        client: ip(HOST),
        body: pcp::Body::Map(pcp::Map {
            nonce: pcp::Nonce([3; 12]),
            protocol: 17,
            internal_port: 5000,
            external_port: 6000,
            external_address: ip("0.0.0.0"),
        }),
        options: Vec::new(),
    };
    rig.ask(HOST, &request.encode());
    let add = Action::AddPortMapping(mapping(HOST, 5000, 6000));
    assert_eq!(call(&mut rig, HOST, &add), Err(UpnpError::CONFLICT));
    let delete = Action::DeletePortMapping(key(6000));
    assert_eq!(
        call(&mut rig, HOST, &delete),
        Err(UpnpError::NOT_AUTHORIZED)
    );
}

#[test]
fn a_browser_lured_by_a_foreign_name_is_refused() {
    let mut rig = Rig::new(|_| {});
    assert_eq!(
        http(&mut rig, HOST, &get("/rootDesc.xml", "evil.example:49000")).status,
        403
    );
    assert_eq!(
        http(&mut rig, HOST, &get("/rootDesc.xml", "203.0.113.1:49000")).status,
        403
    );
    let mut form = get("/ctl/IPConn", GATEWAY);
    form.method = "POST".into();
    form.body = Action::AddPortMapping(mapping(HOST, 5000, 6000))
        .encode(CONNECTION)
        .encode();
    assert_eq!(
        http(&mut rig, HOST, &form).status,
        400,
        "a form cannot send SOAPAction"
    );
    assert!(rig.leases().is_empty());
}

#[test]
fn what_is_no_request_is_answered_and_hung_up_on() {
    let mut rig = Rig::new(|_| {});
    let server = at(GATEWAY, 49_000);
    let status = |bytes: Vec<u8>| match Response::read(&bytes, true) {
        Progress::Complete(response) => response.status,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        status(over_tcp(&mut rig, HOST, server, b"nonsense\r\n\r\n")),
        400
    );
    let subscribe = b"SUBSCRIBE /evt HTTP/1.1\r\nHOST: 192.168.1.1:49000\r\n\r\n";
    assert_eq!(status(over_tcp(&mut rig, HOST, server, subscribe)), 501);
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\">]><Envelope><Body><a>&b;</a></Body></Envelope>";
    let post = format!(
        "POST /ctl/IPConn HTTP/1.1\r\nHOST: 192.168.1.1\r\nSOAPACTION: \"{CONNECTION}#GetStatusInfo\"\r\n\
         CONTENT-LENGTH: {}\r\n\r\n{bomb}",
        bomb.len()
    );
    assert_eq!(
        status(over_tcp(&mut rig, HOST, server, post.as_bytes())),
        400
    );
    let leave = "POST /ctl/IPConn HTTP/1.1\r\nHOST: 192.168.1.1\r\nEXPECT: 100-continue\r\nCONTENT-LENGTH: 9\r\n\r\n";
    assert!(over_tcp(&mut rig, HOST, server, leave.as_bytes()).starts_with(b"HTTP/1.1 100"));
    let silent = over_tcp(&mut rig, HOST, server, b"GET / HTT");
    assert!(silent.is_empty(), "given up after a while");
    let refused = over_tcp(&mut rig, HOST, at(GATEWAY, 80), b"");
    assert!(refused.is_empty());
}

#[test]
fn a_host_that_asks_many_questions_is_not_kept_out() {
    let mut rig = Rig::new(|config| config.connections_per_host = 2);
    for _ in 0..20 {
        let before = rig.now;
        call(&mut rig, HOST, &Action::GetExternalIpAddress).unwrap();
        assert!(
            rig.now - before < Duration::from_secs(1),
            "a connection was refused"
        );
    }
}

#[test]
fn with_upnp_off_nothing_is_found_and_nothing_listens() {
    let mut rig = Rig::new(|config| config.dialects.upnp = false);
    let group = build::udp(at(HOST, 6000), at("239.255.255.250", 1900), b"M-SEARCH");
    assert!(!rig.gateway.is_for(&rig.nat, Side::Inside, &group));
    let refused = over_tcp(
        &mut rig,
        HOST,
        at(GATEWAY, 49_000),
        b"GET / HTTP/1.1\r\n\r\n",
    );
    assert!(refused.is_empty());
}

#[test]
fn searches_from_outside_are_counted_and_not_answered() {
    let mut rig = Rig::new(|_| {});
    assert_eq!(rig.arrives(STRANGER, at(EXTERNAL, 1900)), None);
    assert_eq!(rig.gateway.counters().from_outside, 1);
    assert_eq!(rig.syn_arrives(STRANGER, at(EXTERNAL, 49_000)), None);
    assert_eq!(rig.gateway.poll_packet(), None);
}

#[test]
fn the_device_says_hello_every_now_and_then_and_goodbye_at_the_end() {
    let mut rig = Rig::new(|config| config.announcements = 1);
    let heard = |rig: &mut Rig| {
        let mut here = 0;
        while let Some(datagram) = rig.gateway.poll_transmit() {
            if datagram.destination == at("239.255.255.250", 1900) {
                let advertisement = Advertisement::decode(&datagram.data).unwrap();
                here += if advertisement.location.is_some() {
                    1
                } else {
                    -1
                };
            }
        }
        here
    };
    rig.pass(Duration::ZERO);
    assert_eq!(heard(&mut rig), 13);
    rig.pass(Duration::from_secs(900));
    assert_eq!(heard(&mut rig), 13);
    rig.gateway.end_all(rig.now, &mut rig.nat);
    assert_eq!(heard(&mut rig), -13);
}
