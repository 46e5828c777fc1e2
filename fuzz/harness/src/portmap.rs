//! Port mapping: what hosts and gateways send each other.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_nat::packet::build;
use jackfield_nat::{Nat, NatConfig, NatLimits, Side};
use jackfield_portmap::client::{Client, ClientConfig, MapRequest, Output};
use jackfield_portmap::upnp::action::Action;
use jackfield_portmap::upnp::http::{Progress, Request, Response};
use jackfield_portmap::upnp::soap::Message;
use jackfield_portmap::upnp::ssdp::{Advertisement, Search};
use jackfield_portmap::upnp::{Url, description};
use jackfield_portmap::{Gateway, GatewayConfig, TransportProtocol, nat_pmp, pcp};
use jackfield_testing::epoch;

/// Reads any bytes as each message of each protocol; what can be read is written and read again,
/// the same.
///
/// Input: a byte for the kind of message, then the message.
pub fn portmap_messages(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind % 9 {
        0 => {
            if let Ok(request) = nat_pmp::Request::decode(bytes) {
                assert_eq!(nat_pmp::Request::decode(&request.encode()), Ok(request));
            }
        }
        1 => {
            if let Ok(response) = nat_pmp::Response::decode(bytes) {
                assert_eq!(nat_pmp::Response::decode(&response.encode()), Ok(response));
            }
        }
        2 => {
            if let Ok(request) = pcp::Request::decode(bytes) {
                assert_eq!(pcp::Request::decode(&request.encode()), Ok(request));
            }
        }
        3 => {
            if let Ok(response) = pcp::Response::decode(bytes) {
                assert_eq!(pcp::Response::decode(&response.encode()), Ok(response));
            }
        }
        4 => search(bytes),
        5 => advertisement(bytes),
        6 => call(bytes),
        7 => {
            let base = Url::parse("http://192.0.2.1:80/a/b.xml");
            if let Some(base) = base {
                for service in description::services(bytes, &base).unwrap_or_default() {
                    let again = Url::parse(&service.control.to_string());
                    assert_eq!(again, Some(service.control));
                }
            }
        }
        _ => http(bytes),
    }
}

/// What controls a terminal or a header is left out when it is written, so the first copy is the
/// one to compare with.
fn search(bytes: &[u8]) {
    if let Some(first) = Search::decode(bytes) {
        let second = Search::decode(&first.encode());
        let third = second
            .as_ref()
            .map(|second| Search::decode(&second.encode()));
        assert!(second.is_some() && third == Some(second), "{first:?}");
    }
}

fn advertisement(bytes: &[u8]) {
    if let Some(first) = Advertisement::decode(bytes) {
        let second = Advertisement::decode(&first.encode_notify("x"));
        let third = second
            .as_ref()
            .map(|second| Advertisement::decode(&second.encode_notify("x")));
        assert!(second.is_some() && third == Some(second), "{first:?}");
    }
}

fn call(bytes: &[u8]) {
    let Ok(Ok(message)) = Message::decode(bytes) else {
        return;
    };
    let Ok(action) = Action::decode(&message) else {
        return;
    };
    let again = Message::decode(&action.encode("urn:x").encode());
    let again = again.ok().and_then(Result::ok);
    let again = again.map(|message| Action::decode(&message));
    assert_eq!(again, Some(Ok(action)));
}

fn http(bytes: &[u8]) {
    if let Progress::Complete(request) = Request::read(bytes) {
        assert!(request.body.len() <= bytes.len());
    }
    for ended in [false, true] {
        if let Progress::Complete(response) = Response::read(bytes, ended) {
            let again = Response::read(&response.write(), true);
            // A response that had a Content-Length has two of them then.
            assert!(!matches!(again, Progress::Partial), "{response:?}");
        }
    }
}

/// Feeds a gateway with what hosts send, with time passing in between; whatever they send, each
/// host has no more than its own, and the NAT forwards what is leased and nothing else.
///
/// Input: steps of four bytes (what and who, time, two of length) and as many bytes as the length
/// says.
pub fn portmap_gateway(data: &[u8]) {
    let mut town = Town::new();
    let mut rest = data;
    while let Some(([how, time, high, low], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (bytes, after) = after.split_at_checked(length).unwrap_or_default();
        rest = after;
        town.step(*how, *time, bytes);
    }
}

/// A gateway, and what its hosts should have.
struct Town {
    now: Instant,
    nat: Nat,
    gateway: Gateway,
    client: Client,
}

impl Town {
    fn new() -> Self {
        let now = epoch();
        let mut config = NatConfig {
            externals: vec![ip("203.0.113.1")],
            inside: Some(gateway_ip()),
            ..NatConfig::default()
        };
        config.limits = NatLimits {
            mappings_per_host: 16,
            ..NatLimits::default()
        };
        let nat = Nat::new(config, [3; 32]);
        let limits = GatewayConfig {
            leases: 12,
            leases_per_host: 5,
            connections: 8,
            ..GatewayConfig::default()
        };
        let gateway = Gateway::new(now, limits, &nat, [4; 32]);
        let mut client = Client::new(now, ClientConfig::new(gateway_ip(), host(0)), [5; 32]);
        client.map(now, MapRequest::new(TransportProtocol::Udp, 5000));
        Self {
            now,
            nat,
            gateway,
            client,
        }
    }

    fn step(&mut self, how: u8, time: u8, bytes: &[u8]) {
        self.now += Duration::from_secs(u64::from(time) * u64::from(time) / 16);
        let who = host(how >> 4);
        match how & 7 {
            0..=2 => self.datagram(SocketAddr::new(who, 6000), 5351, bytes),
            3 => self.datagram(SocketAddr::new(who, 6000), 1900, bytes),
            4 => {
                if let Progress::Complete(request) = Request::read(bytes) {
                    let (now, nat) = (self.now, &mut self.nat);
                    let response = self.gateway.answer_request(now, nat, who, &request);
                    assert!(response.status >= 200);
                }
            }
            5 => self.packet(bytes),
            6 => self.answer_client(how, bytes),
            _ if time == 0xff => self.nat.reboot(),
            _ => {}
        }
        self.gateway.handle_timeout(self.now, &mut self.nat);
        self.nat.handle_timeout(self.now);
        self.check();
    }

    fn datagram(&mut self, from: SocketAddr, port: u16, bytes: &[u8]) {
        self.packet(&build::udp(
            from,
            SocketAddr::new(gateway_ip(), port),
            bytes,
        ));
    }

    /// Any packet at all, as long as it comes from inside.
    fn packet(&mut self, bytes: &[u8]) {
        if self.gateway.is_for(&self.nat, Side::Inside, bytes) {
            self.gateway.handle_packet(self.now, &mut self.nat, bytes);
        }
    }

    /// Gives the client what a gateway may say.
    fn answer_client(&mut self, how: u8, bytes: &[u8]) {
        let server = self.client.server();
        match how & 8 {
            0 => self.client.handle_datagram(self.now, server, bytes),
            _ => {
                let from = SocketAddr::new(gateway_ip(), 1900);
                self.client.handle_ssdp(self.now, from, bytes);
            }
        }
        self.client.handle_timeout(self.now);
        let mut fetches = Vec::new();
        loop {
            match self.client.poll_output() {
                Output::Fetch { id, .. } => fetches.push(id),
                Output::Wait(next) => {
                    assert!(next.is_none_or(|next| next > self.now), "a timer is stuck");
                    break;
                }
                Output::Transmit { .. } | Output::Search { .. } | Output::Event(_) => {}
            }
        }
        for id in fetches {
            self.client.handle_response(self.now, id, Some(bytes));
        }
    }

    fn check(&mut self) {
        while let Some(packet) = self.gateway.poll_packet() {
            assert!(
                jackfield_nat::packet::verify(&packet).is_ok(),
                "sent nonsense"
            );
        }
        let mut hosts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        let leases: Vec<_> = self.gateway.leases().collect();
        assert!(leases.len() <= self.gateway.config().leases);
        for lease in &leases {
            let count = hosts.entry(lease.internal.ip()).or_insert(0);
            *count += 1;
            assert!(*count <= self.gateway.config().leases_per_host);
            assert!(lease.expires > self.now, "{lease:?} has ended");
            if lease.peer.is_none() {
                let mapped = self
                    .nat
                    .mapping_at(lease.protocol.into(), lease.external.into());
                let internal = mapped.map(|mapped| SocketAddr::from(mapped.internal));
                assert_eq!(
                    internal,
                    Some(lease.internal),
                    "a lease without its forward"
                );
            }
        }
        let next = self.gateway.next_timeout();
        assert!(next.is_none_or(|next| next > self.now), "a timer is stuck");
    }
}

fn gateway_ip() -> IpAddr {
    ip("192.168.1.1")
}

fn host(number: u8) -> IpAddr {
    IpAddr::from([192, 168, 1, 2 + (number & 3)])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| IpAddr::from([0, 0, 0, 0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_portmap::upnp::action::{MappingKey, PortMapping};
    use jackfield_portmap::upnp::description::Description;
    use jackfield_portmap::upnp::http::HeaderFields;
    use jackfield_testing::{corpus_folder, replay};

    #[test]
    fn the_message_corpus_and_mutations_of_it_hold() {
        replay("nat_portmap_messages", 40_000, portmap_messages);
    }

    #[test]
    fn the_gateway_corpus_and_mutations_of_it_hold() {
        replay("nat_portmap_gateway", 6_000, portmap_gateway);
    }

    /// Writes the seed corpora; run by hand after a change of format, with `WRITE_CORPUS=1` set.
    #[test]
    fn the_seed_corpora_are_those_that_this_writes() {
        let all = [
            ("nat_portmap_messages", messages()),
            ("nat_portmap_gateway", visits()),
        ];
        for (name, seeds) in all {
            for (seed, bytes) in seeds {
                let path = corpus_folder(name).join(seed);
                if std::env::var_os("WRITE_CORPUS").is_some() {
                    std::fs::create_dir_all(corpus_folder(name)).unwrap();
                    std::fs::write(&path, &bytes).unwrap();
                }
                assert_eq!(std::fs::read(&path).unwrap(), bytes, "{}", path.display());
            }
        }
    }

    fn nat_pmp_map(port: u16, lifetime: u32) -> Vec<u8> {
        nat_pmp::Request::Map {
            protocol: TransportProtocol::Udp,
            internal_port: port,
            suggested_port: port,
            lifetime,
        }
        .encode()
    }

    fn pcp_body(peer: bool) -> pcp::Body {
        let map = pcp::Map {
            nonce: pcp::Nonce([7; 12]),
            protocol: 17,
            internal_port: 5000,
            external_port: 5000,
            external_address: ip("0.0.0.0"),
        };
        match peer {
            true => pcp::Body::Peer(pcp::Peer {
                map,
                remote_port: 53,
                remote_address: ip("192.0.2.53"),
            }),
            false => pcp::Body::Map(map),
        }
    }

    fn pcp_request(body: pcp::Body, lifetime: u32, options: Vec<pcp::PcpOption>) -> Vec<u8> {
        pcp::Request {
            lifetime,
            client: host(0),
            body,
            options,
        }
        .encode()
    }

    fn filters() -> Vec<pcp::PcpOption> {
        let filter = pcp::Filter {
            prefix_length: 120,
            remote_port: 0,
            remote_address: ip("192.0.2.0"),
        };
        vec![
            pcp::PcpOption::PreferFailure,
            pcp::PcpOption::Filter(filter),
        ]
    }

    fn mapping() -> PortMapping {
        PortMapping {
            remote_host: None,
            external_port: 6000,
            protocol: TransportProtocol::Tcp,
            internal_port: 5000,
            internal_client: host(0),
            enabled: true,
            description: "a <b> & c".into(),
            lease: 3600,
        }
    }

    fn soap(action: &Action) -> Vec<u8> {
        action.encode(SERVICE).encode()
    }

    fn post(action: &Action) -> Vec<u8> {
        Request {
            method: "POST".into(),
            path: "/ctl/IPConn".into(),
            headers: HeaderFields(vec![
                ("host".into(), "192.168.1.1:49000".into()),
                (
                    "soapaction".into(),
                    format!("\"{SERVICE}#{}\"", action.name()),
                ),
            ]),
            body: soap(action),
        }
        .write()
    }

    fn search_bytes() -> Vec<u8> {
        Search {
            target: "urn:schemas-upnp-org:device:InternetGatewayDevice:1".into(),
            max_wait: 2,
        }
        .encode()
    }

    fn presence_bytes() -> Vec<u8> {
        Advertisement {
            target: "urn:schemas-upnp-org:device:InternetGatewayDevice:1".into(),
            usn: "uuid:1".into(),
            location: Url::parse("http://192.168.1.1:49000/rootDesc.xml"),
            max_age: 1800,
        }
        .encode_answer("x")
    }

    fn pcp_response() -> Vec<u8> {
        pcp::Response {
            result: pcp::ResultCode::Success,
            lifetime: 3600,
            epoch: 9,
            body: pcp_body(false),
            options: filters(),
        }
        .encode()
    }

    fn messages() -> Vec<(&'static str, Vec<u8>)> {
        let kind = |kind: u8, bytes: Vec<u8>| [&[kind], &bytes[..]].concat();
        let description = Description {
            name: "x".into(),
            uuid: "00112233-4455-6677-8899-aabbccddeeff".into(),
            version: 2,
        };
        let bomb = b"<!DOCTYPE a [<!ENTITY b \"bb\">]><Envelope><Body><a>&b;</a></Body></Envelope>";
        let key = MappingKey {
            remote_host: None,
            external_port: 6000,
            protocol: TransportProtocol::Udp,
        };
        vec![
            ("nat-pmp-address", kind(0, vec![0, 0])),
            ("nat-pmp-map", kind(0, nat_pmp_map(5000, 3600))),
            (
                "nat-pmp-answer",
                kind(1, vec![0, 128, 0, 0, 0, 0, 0, 1, 203, 0, 113, 1]),
            ),
            ("nat-pmp-refusal", kind(1, vec![0, 129, 0, 1, 0, 0, 0, 1])),
            (
                "pcp-announce",
                kind(2, pcp_request(pcp::Body::Announce, 0, Vec::new())),
            ),
            (
                "pcp-map",
                kind(2, pcp_request(pcp_body(false), 3600, filters())),
            ),
            (
                "pcp-peer",
                kind(2, pcp_request(pcp_body(true), 3600, Vec::new())),
            ),
            ("pcp-answer", kind(3, pcp_response())),
            ("ssdp-search", kind(4, search_bytes())),
            ("ssdp-answer", kind(5, presence_bytes())),
            (
                "soap-add",
                kind(6, soap(&Action::AddPortMapping(mapping()))),
            ),
            (
                "soap-delete",
                kind(6, soap(&Action::DeletePortMapping(key))),
            ),
            ("soap-bomb", kind(6, bomb.to_vec())),
            ("description", kind(7, description.encode())),
            ("http-post", kind(8, post(&Action::GetExternalIpAddress))),
            (
                "http-chunks",
                kind(
                    8,
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                        .to_vec(),
                ),
            ),
        ]
    }

    fn visits() -> Vec<(&'static str, Vec<u8>)> {
        let steps = |steps: &[(u8, u8, Vec<u8>)]| {
            let mut input = Vec::new();
            for (how, time, bytes) in steps {
                input.extend([*how, *time]);
                input.extend((bytes.len() as u16).to_be_bytes());
                input.extend(bytes);
            }
            input
        };
        let many: Vec<_> = (0..8_u16)
            .map(|n| (0x10, 0, nat_pmp_map(5000 + n, 600)))
            .collect();
        let map = |lifetime| pcp_request(pcp_body(false), lifetime, filters());
        let any = Action::AddAnyPortMapping(mapping());
        let ping = build::echo(host(0), gateway_ip(), 1, 1, false, b"x");
        let syn = build::tcp(
            SocketAddr::new(host(0), 6000),
            SocketAddr::new(gateway_ip(), 49_000),
            jackfield_nat::packet::TcpFlags(2),
            b"",
        );
        vec![
            (
                "nat-pmp-life",
                steps(&[
                    (0, 0, nat_pmp_map(5000, 600)),
                    (0, 40, nat_pmp_map(5000, 600)),
                    (0, 0, nat_pmp_map(5000, 0)),
                ]),
            ),
            (
                "nat-pmp-expires",
                steps(&[(0, 0, nat_pmp_map(5000, 120)), (7, 80, Vec::new())]),
            ),
            (
                "pcp-life",
                steps(&[(0, 0, map(3600)), (0, 9, map(7200)), (0, 0, map(0))]),
            ),
            (
                "pcp-peer",
                steps(&[
                    (0, 0, pcp_request(pcp_body(true), 3600, Vec::new())),
                    (7, 60, Vec::new()),
                    (7, 250, Vec::new()),
                ]),
            ),
            ("quota", steps(&many)),
            (
                "upnp-life",
                steps(&[
                    (3, 0, search_bytes()),
                    (4, 0, post(&Action::AddPortMapping(mapping()))),
                    (4, 0, post(&any)),
                ]),
            ),
            (
                "reboot",
                steps(&[
                    (0, 0, nat_pmp_map(5000, 600)),
                    (7, 0xff, Vec::new()),
                    (0, 0, map(600)),
                ]),
            ),
            ("packets", steps(&[(5, 0, ping), (5, 0, syn)])),
            (
                "client-granted",
                steps(&[
                    (6, 0, pcp_response()),
                    (6, 30, vec![0, 128, 0, 0, 0, 0, 0, 1, 203, 0, 113, 1]),
                ]),
            ),
            ("client-upnp", steps(&[(14, 0, presence_bytes())])),
        ]
    }

    const SERVICE: &str = "urn:schemas-upnp-org:service:WANIPConnection:1";
}
