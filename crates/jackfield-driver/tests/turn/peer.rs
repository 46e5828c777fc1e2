//! Data-channel peers where UDP leads nowhere: all they have is a TURN server over TCP or TLS.

use std::sync::Arc;

use jackfield_driver::ice::EndpointConfig;
use jackfield_driver::peer::{
    ChannelConfig, Peer, PeerEndpoint, PeerEvent, PeerEvents, PeerOptions, RtcIceServer,
    SelectedPair, resolve_servers,
};
use jackfield_driver::proxy::Proxy;
use jackfield_driver::tls::with_roots;
use jackfield_ice::{CandidateKind, CandidatePolicy};
use jackfield_sansio::Transport;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::proxied::proxy;
use super::server::{LOOPBACK, TestServer};
use super::turn_client::{run, tls_in_front_of};

#[test]
fn data_goes_by_a_relay_over_tcp() {
    let server = TestServer::start(1);
    let url = format!("turn:{}?transport=tcp", server.address);
    run(async move {
        let path = talk(
            relayed(&url, network()).await,
            relayed(&url, network()).await,
        )
        .await;
        assert_eq!(path.path.transport, Transport::Tcp);
    });
    server.stop();
}

#[test]
fn a_peer_without_udp_sockets_is_relayed_over_tcp() {
    let server = TestServer::start(1);
    let url = format!("turn:{}?transport=tcp", server.address);
    let over_udp = format!("turn:{}", server.address);
    for tcp in [true, false] {
        let (url, over_udp) = (url.clone(), over_udp.clone());
        run(async move {
            let network = EndpointConfig {
                udp: false,
                tcp,
                ..network()
            };
            let endpoint = PeerEndpoint::bind(network).unwrap();
            assert_eq!(endpoint.local_addresses(), []);
            let shared = |options: PeerOptions| options.endpoint(endpoint.clone());
            let path = talk(
                shared(relayed(&url, EndpointConfig::default()).await),
                shared(relayed(&url, EndpointConfig::default()).await),
            )
            .await;
            assert_eq!(path.path.transport, Transport::Tcp);

            let options = relayed(&over_udp, EndpointConfig::default()).await;
            let (_peer, mut events) = Peer::new(shared(options)).unwrap();
            assert_eq!(events.next().await, Some(PeerEvent::GatheringComplete));
        });
    }
    server.stop();
}

#[test]
fn data_goes_by_a_relay_over_tls_whose_certificate_is_trusted() {
    let server = TestServer::start(1);
    let plain = server.address;
    run(async move {
        let (address, certificate) = tls_in_front_of(plain).await;
        let url = format!("turns:{address}");
        let trusting = || EndpointConfig {
            tls: Some(trust(&certificate)),
            ..network()
        };
        let path = talk(
            relayed(&url, trusting()).await,
            relayed(&url, trusting()).await,
        )
        .await;
        assert_eq!(path.path.transport, Transport::Tls);

        // No authority of this system has signed it.
        let (_peer, mut events) = Peer::new(relayed(&url, network()).await).unwrap();
        assert_eq!(events.next().await, Some(PeerEvent::GatheringComplete));
    });
    server.stop();
}

#[test]
fn a_relay_is_reached_through_a_proxy() {
    let server = TestServer::start(1);
    let url = format!("turn:{}?transport=tcp", server.address);
    run(async move {
        let at = proxy(None).await;
        let proxied = || EndpointConfig {
            proxy: Some(Proxy::new(format!("http://{at}").parse().unwrap())),
            ..network()
        };
        talk(
            relayed(&url, proxied()).await,
            relayed(&url, proxied()).await,
        )
        .await;

        // A proxy that is not there shows that the way leads through it.
        let nowhere = EndpointConfig {
            proxy: Some(Proxy::new("http://127.0.0.1:1".parse().unwrap())),
            ..network()
        };
        let (_peer, mut events) = Peer::new(relayed(&url, nowhere.clone()).await).unwrap();
        assert_eq!(events.next().await, Some(PeerEvent::GatheringComplete));
        let direct = EndpointConfig {
            no_proxy: jackfield_proxy::NoProxy::new("127.0.0.1"),
            ..nowhere
        };
        let (_peer, mut events) = Peer::new(relayed(&url, direct).await).unwrap();
        let first = events.next().await;
        assert!(
            matches!(first, Some(PeerEvent::LocalCandidate(_))),
            "{first:?}"
        );
    });
    server.stop();
}

pub(crate) fn network() -> EndpointConfig {
    let mut network = EndpointConfig::default();
    network.interfaces.addresses = vec![LOOPBACK.ip()];
    network
}

/// Returns the options of a peer that the relay alone can reach.
async fn relayed(url: &str, network: EndpointConfig) -> PeerOptions {
    let server = RtcIceServer {
        urls: vec![url.to_owned()],
        username: Some("alice".to_owned()),
        credential: Some("secret".to_owned()),
    };
    let mut options = PeerOptions::new()
        .network(network)
        .servers(resolve_servers(&[server]).await);
    options.ice.policy = CandidatePolicy::RelayOnly;
    options
}

/// Connects two peers and exchanges data; returns the path of the first.
async fn talk(alice: PeerOptions, bob: PeerOptions) -> SelectedPair {
    let (alice, mut of_alice) = Peer::new(alice).unwrap();
    let (bob, mut of_bob) = Peer::new(bob).unwrap();
    gathered(&mut of_alice).await;
    gathered(&mut of_bob).await;
    let answer = bob.handle_offer(&alice.create_offer().unwrap()).unwrap();
    alice.handle_answer(&answer).unwrap();
    let mut here = alice
        .open_channel(ChannelConfig::new("ours"))
        .await
        .unwrap();
    let mut there = bob.accept_channel().await.unwrap();
    let sent: Vec<u8> = (0..500_000_u32).map(|index| (index % 251) as u8).collect();
    let mut received = vec![0; sent.len()];
    let writing = here.write_all(&sent);
    let reading = there.read_exact(&mut received);
    let (written, read) = tokio::join!(writing, reading);
    written.unwrap();
    read.unwrap();
    assert!(received == sent, "other bytes came out");
    let path = loop {
        if let PeerEvent::PathChanged(pair) = of_alice.next().await.unwrap() {
            break *pair;
        }
    };
    assert_eq!(path.local.kind, CandidateKind::Relayed);
    alice.close().await;
    path
}

async fn gathered(events: &mut PeerEvents) {
    while events.next().await.unwrap() != PeerEvent::GatheringComplete {}
}

pub(crate) fn trust(certificate: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.to_vec().into()).unwrap();
    Arc::new(with_roots(roots))
}
