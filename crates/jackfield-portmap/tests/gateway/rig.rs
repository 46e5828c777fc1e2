//! A NAT with its gateway, a host inside, and remotes outside.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_nat::packet::{Headers, Packet, build};
use jackfield_nat::{Behaviour, Filtering, Mapping, Nat, NatConfig, Side, Verdict};
use jackfield_portmap::{Gateway, GatewayConfig, LeaseView, SERVER_PORT};
use jackfield_testing::epoch;

pub(crate) const HOST: &str = "192.168.1.2";
pub(crate) const OTHER_HOST: &str = "192.168.1.3";
pub(crate) const GATEWAY: &str = "192.168.1.1";
pub(crate) const EXTERNAL: &str = "203.0.113.1";
pub(crate) const STRANGER: &str = "198.51.100.9:3478";

pub(crate) struct Rig {
    pub(crate) now: Instant,
    pub(crate) nat: Nat,
    pub(crate) gateway: Gateway,
    /// Announcements that came between answers.
    pub(crate) announced: Vec<(SocketAddr, Vec<u8>)>,
}

impl Rig {
    pub(crate) fn new(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        Self::with_nat(symmetric(), change)
    }

    pub(crate) fn with_nat(nat: NatConfig, change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let now = epoch();
        let nat = Nat::new(nat, [7; 32]);
        let mut config = GatewayConfig {
            announcements: 0,
            ..GatewayConfig::default()
        };
        change(&mut config);
        let gateway = Gateway::new(now, config, &nat, [8; 32]);
        Self {
            now,
            nat,
            gateway,
            announced: Vec::new(),
        }
    }

    /// Sends a datagram from a host to the gateway's server port; returns the answers.
    pub(crate) fn ask_all(&mut self, host: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
        let from = SocketAddr::new(ip(host), 6000);
        let to = SocketAddr::new(ip(GATEWAY), SERVER_PORT);
        let packet = build::udp(from, to, bytes);
        assert!(self.gateway.is_for(&self.nat, Side::Inside, &packet));
        self.gateway.handle_packet(self.now, &mut self.nat, &packet);
        let mut answers = Vec::new();
        while let Some(packet) = self.gateway.poll_packet() {
            let headers = Headers::parse(&packet).unwrap();
            // TCP and ICMP packets are not answers to datagrams.
            if headers.source_endpoint().map(SocketAddr::from) != Some(to) {
                continue;
            }
            let destination = SocketAddr::from(headers.destination_endpoint().unwrap());
            let data = packet[headers.data_at(&packet)..].to_vec();
            if destination == at("224.0.0.1", 5350) {
                self.announced.push((to, data));
            } else {
                assert_eq!(destination, from);
                answers.push(data);
            }
        }
        answers
    }

    /// Hands a packet to the gateway; returns the datagrams that it sends in answer, and from
    /// where.
    pub(crate) fn packet(&mut self, packet: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        if self.gateway.is_for(&self.nat, Side::Inside, packet) {
            self.gateway.handle_packet(self.now, &mut self.nat, packet);
        }
        let mut sent = Vec::new();
        while let Some(packet) = self.gateway.poll_packet() {
            let headers = Headers::parse(&packet).unwrap();
            if let Some(source) = headers.source_endpoint() {
                let data = packet[headers.data_at(&packet)..].to_vec();
                sent.push((source.into(), data));
            }
        }
        sent
    }

    /// Sends a datagram that is to be answered once.
    pub(crate) fn ask(&mut self, host: &str, bytes: &[u8]) -> Vec<u8> {
        let mut answers = self.ask_all(host, bytes);
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.nat.handle_timeout(self.now);
        self.gateway.handle_timeout(self.now, &mut self.nat);
    }

    pub(crate) fn leases(&self) -> Vec<LeaseView> {
        self.gateway.leases().collect()
    }

    /// Sends a datagram from outside; returns where inside it arrives.
    pub(crate) fn arrives(&mut self, from: &str, to: SocketAddr) -> Option<SocketAddr> {
        self.packet_arrives(build::udp(from.parse().unwrap(), to, b"hello"))
    }

    /// Sends a SYN from outside; returns where inside it arrives.
    pub(crate) fn syn_arrives(&mut self, from: &str, to: SocketAddr) -> Option<SocketAddr> {
        let syn = jackfield_nat::packet::TcpFlags(2);
        self.packet_arrives(build::tcp(from.parse().unwrap(), to, syn, b""))
    }

    fn packet_arrives(&mut self, mut bytes: Vec<u8>) -> Option<SocketAddr> {
        assert!(!self.gateway.is_for(&self.nat, Side::Outside, &bytes));
        let verdict = self.nat.inbound(self.now, &mut Packet::new(&mut bytes));
        let headers = Headers::parse(&bytes).unwrap();
        let inside = headers.destination_endpoint().map(SocketAddr::from);
        inside.filter(|_| verdict == Verdict::Forward)
    }
}

/// The NAT that hole punching hates most.
pub(crate) fn symmetric() -> NatConfig {
    let strict = Behaviour {
        mapping: Mapping::AddressAndPortDependent,
        filtering: Filtering::AddressAndPortDependent,
    };
    NatConfig {
        externals: vec![ip(EXTERNAL)],
        inside: Some(ip(GATEWAY)),
        udp: strict,
        tcp: strict,
        ..NatConfig::default()
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn at(host: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip(host), port)
}
