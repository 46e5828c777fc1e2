//! The port mapping client on real sockets, against the gateway core on another loopback address.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that goes wrong should stop"
)]

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jackfield_driver::ice::{EndpointConfig, IceEndpoint};
use jackfield_driver::portmap::{
    AbsenceReason, Dialect, Dialects, MapError, MapFailure, MapRequest, Mapper, MapperConfig,
    ProbeConfig, Support, TransportProtocol, probe,
};
use jackfield_ice::{Agent, AgentConfig, CandidateKind, CandidateTransport, Event};
use jackfield_nat::{Nat, NatConfig};
use jackfield_portmap::{Gateway, GatewayConfig, SERVER_PORT};
use tokio::net::UdpSocket;

const EXTERNAL: &str = "203.0.113.1";

/// A gateway on a socket.
struct Home {
    ip: IpAddr,
    core: Arc<Mutex<(Nat, Gateway)>>,
}

impl Home {
    /// Serves at an address that no other test in this file has: the port is always the same.
    async fn start(ip: &str, config: GatewayConfig) -> Self {
        let ip: IpAddr = ip.parse().unwrap();
        let nat = Nat::new(
            NatConfig {
                externals: vec![EXTERNAL.parse().unwrap()],
                inside: Some(ip),
                ..NatConfig::default()
            },
            [7; 32],
        );
        let config = GatewayConfig {
            announcements: 0,
            min_lifetime: Duration::from_secs(1),
            ..config
        };
        let gateway = Gateway::new(Instant::now(), config, &nat, [8; 32]);
        let core = Arc::new(Mutex::new((nat, gateway)));
        let socket = UdpSocket::bind((ip, SERVER_PORT)).await.unwrap();
        let served = Arc::clone(&core);
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let answers = answer(
                    &served,
                    from,
                    SocketAddr::new(ip, SERVER_PORT),
                    &buffer[..length],
                );
                for bytes in answers {
                    socket.send_to(&bytes, from).await.unwrap();
                }
            }
        });
        Self { ip, core }
    }

    fn leases(&self) -> usize {
        self.core.lock().unwrap().1.leases().count()
    }
}

fn answer(
    core: &Mutex<(Nat, Gateway)>,
    from: SocketAddr,
    to: SocketAddr,
    bytes: &[u8],
) -> Vec<Vec<u8>> {
    let (nat, gateway) = &mut *core.lock().unwrap();
    gateway.handle_datagram(Instant::now(), nat, from, to, bytes);
    std::iter::from_fn(|| gateway.poll_transmit().map(|datagram| datagram.data)).collect()
}

fn without_upnp() -> Dialects {
    Dialects {
        upnp: false,
        ..Dialects::ALL
    }
}

fn to(gateway: IpAddr) -> MapperConfig {
    MapperConfig {
        gateway: Some(gateway),
        dialects: without_upnp(),
        ..MapperConfig::default()
    }
}

#[tokio::test]
async fn a_probe_tells_what_the_gateway_speaks_and_leaves_no_trace() {
    let gateway = Home::start("127.53.51.1", GatewayConfig::default()).await;
    let found = probe(&ProbeConfig {
        gateway: Some(gateway.ip),
        dialects: without_upnp(),
        ..ProbeConfig::default()
    })
    .await
    .unwrap();
    let external = Some(EXTERNAL.parse().unwrap());
    assert_eq!(found.pcp, Support::Present { external });
    assert_eq!(found.nat_pmp, Support::Present { external });
    assert_eq!(found.upnp, Support::Absent(AbsenceReason::Off));
    assert_eq!(found.external(), external);
    assert!(found.is_any_present());
    while gateway.leases() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_probe_of_a_machine_that_is_no_gateway_finds_nothing_at_once() {
    let found = probe(&ProbeConfig {
        gateway: Some("127.53.51.2".parse().unwrap()),
        dialects: without_upnp(),
        ..ProbeConfig::default()
    })
    .await
    .unwrap();
    assert_eq!(
        found.finding(Dialect::Pcp),
        Support::Absent(AbsenceReason::Unreachable)
    );
    assert_eq!(
        found.finding(Dialect::NatPmp),
        Support::Absent(AbsenceReason::Unreachable)
    );
    assert!(!found.is_any_present());
}

#[tokio::test]
async fn a_port_that_the_gateway_keeps_open_is_a_candidate() {
    let gateway = Home::start("127.53.51.6", GatewayConfig::default()).await;
    let mut config = EndpointConfig {
        port_mapping: Some(to(gateway.ip)),
        ..EndpointConfig::default()
    };
    config.interfaces.addresses = vec!["127.0.0.1".parse().unwrap()];
    let endpoint = IceEndpoint::<Agent>::bind(config).unwrap();
    // A session that is there before the gateway has answered hears of it, and a later one as well.
    for _ in 0..2 {
        let session = endpoint.agent(AgentConfig::default()).unwrap();
        let address = loop {
            if let Some(Event::LocalCandidate(candidate)) = session.event().await
                && candidate.kind == CandidateKind::ServerReflexive
            {
                assert_eq!(candidate.transport, CandidateTransport::Udp);
                break candidate.address.ip().unwrap();
            }
        };
        assert_eq!(address.ip(), EXTERNAL.parse::<IpAddr>().unwrap());
    }
    assert_eq!(gateway.leases(), 1);
    drop(endpoint);
    while gateway.leases() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_port_is_mapped_renewed_and_given_back() {
    let gateway = Home::start("127.53.51.3", GatewayConfig::default()).await;
    let mapper = Mapper::start(&to(gateway.ip)).unwrap();
    let request = MapRequest {
        lifetime: Duration::from_secs(1),
        ..MapRequest::new(TransportProtocol::Udp, 5000)
    };
    let mut port = mapper.map(request).await.unwrap();
    let first = port.mapping();
    assert_eq!(first.dialect, Dialect::Pcp);
    assert_eq!(first.external, format!("{EXTERNAL}:5000").parse().unwrap());
    // A machine that stalls for longer than the lifetime loses the port, and asks for it again.
    let renewed = loop {
        match port.changed().await {
            Err(MapFailure::Refused(MapError::Silent)) => {}
            changed => break changed.unwrap(),
        }
    };
    assert!(renewed.expires > first.expires);
    assert_eq!(renewed.external, first.external);
    assert!(port.end().await);
    assert_eq!(gateway.leases(), 0);
}

#[tokio::test]
async fn stopping_ends_every_mapping() {
    let gateway = Home::start("127.53.51.4", GatewayConfig::default()).await;
    let mapper = Mapper::start(&to(gateway.ip)).unwrap();
    let one = mapper
        .map(MapRequest::new(TransportProtocol::Udp, 5000))
        .await
        .unwrap();
    let two = mapper
        .map(MapRequest::new(TransportProtocol::Tcp, 5000))
        .await
        .unwrap();
    assert_eq!(gateway.leases(), 2);
    mapper.stop().await;
    assert_eq!(gateway.leases(), 0);
    drop((one, two));
}

#[tokio::test]
async fn a_refusal_reaches_the_caller() {
    let config = GatewayConfig {
        leases_per_host: 0,
        ..GatewayConfig::default()
    };
    let gateway = Home::start("127.53.51.5", config).await;
    let mapper = Mapper::start(&to(gateway.ip)).unwrap();
    let refused = mapper
        .map(MapRequest::new(TransportProtocol::Udp, 5000))
        .await;
    let quota = jackfield_portmap::pcp::ResultCode::UserExQuota;
    assert_eq!(
        refused.err(),
        Some(MapFailure::Refused(MapError::Pcp(quota)))
    );
}
