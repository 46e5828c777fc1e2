//! The TURN client's driver against our server, over real sockets on loopback.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jackfield_driver::tls::with_roots;
use jackfield_driver::turn_client::{
    ClientTransport, ConnectError, Options, Tls, TurnClient, TurnError,
};
use jackfield_stun::ErrorCode;
use jackfield_turn::client::{Credential, Failure, Fault};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::server::{ClosedPort, LOOPBACK, Peer, TestServer};

pub(crate) fn alice() -> Credential {
    Credential::new("alice", "secret").unwrap()
}

/// Runs a test as a task, so that what has to be `Send` is.
pub(crate) fn run<F>(test: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let test = tokio::time::timeout(Duration::from_secs(300), tokio::spawn(test));
        test.await.expect("a test ends").unwrap()
    })
}

/// Sends there and back, first from our side, then from the peer's.
pub(crate) async fn exchange(client: &mut TurnClient) {
    let peer = UdpSocket::bind(LOOPBACK).await.unwrap();
    let address = peer.local_addr().unwrap();
    let relayed = client.relayed().v4.unwrap();
    let mut room = [0; 2_048];
    for length in [0usize, 1, 2, 3, 4, 1_200] {
        let payload = vec![7; length];
        client.send_to(&payload, address).await.unwrap();
        let (received, from) = peer.recv_from(&mut room).await.unwrap();
        assert_eq!((received, from), (length, relayed));
        peer.send_to(&payload, relayed).await.unwrap();
        let packet = client.recv_from().await.unwrap();
        assert_eq!((packet.peer, &*packet.data), (address, &*payload));
        assert!(packet.by_channel);
    }
}

#[test]
fn udp_and_tcp_carry_data_both_ways() {
    let server = TestServer::start(1);
    let address = server.address;
    run(async move {
        for transport in [ClientTransport::Udp, ClientTransport::Tcp] {
            let mut client = TurnClient::connect(address, transport, alice())
                .await
                .unwrap();
            assert_eq!(client.mapped().ip(), LOOPBACK.ip());
            exchange(&mut client).await;
            client.close().await;
        }
    });
    assert_eq!(server.total(|stats| stats.driver.relay_sockets.value()), 0);
    server.stop();
}

#[test]
fn tls_carries_data_and_asks_for_the_right_certificate() {
    let server = TestServer::start(1);
    let plain = server.address;
    run(async move {
        let (address, certificate) = tls_in_front_of(plain).await;
        let name = ServerName::try_from("turn.example.org").unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.into()).unwrap();
        let config = Arc::new(with_roots(roots));
        let right = Tls {
            config: Arc::clone(&config),
            name: name.clone(),
        };
        let wrong = Tls {
            config,
            name: ServerName::try_from("other.example.org").unwrap(),
        };
        for tls in [right, Tls::any_certificate(name)] {
            let transport = ClientTransport::Tls(tls);
            let mut client = TurnClient::connect(address, transport, alice())
                .await
                .unwrap();
            exchange(&mut client).await;
            client.close().await;
        }
        let refused = TurnClient::connect(address, ClientTransport::Tls(wrong), alice()).await;
        assert!(matches!(refused, Err(ConnectError::Tls(_))), "{refused:?}");
    });
    server.stop();
}

#[test]
fn a_peer_may_speak_first_once_it_is_let_in() {
    let server = TestServer::start(1);
    let address = server.address;
    run(async move {
        let mut client = TurnClient::connect(address, ClientTransport::Udp, alice())
            .await
            .unwrap();
        let relayed = client.relayed().v4.unwrap();
        let peer = UdpSocket::bind(LOOPBACK).await.unwrap();
        client.permit(LOOPBACK.ip()).await.unwrap();
        peer.send_to(b"hello", relayed).await.unwrap();
        let packet = client.recv_from().await.unwrap();
        assert_eq!(
            (packet.peer, &*packet.data),
            (peer.local_addr().unwrap(), b"hello".as_slice())
        );
        assert!(!packet.by_channel);
    });
    server.stop();
}

#[test]
fn two_clients_of_a_server_reach_each_other() {
    let server = TestServer::start(1);
    let address = server.address;
    run(async move {
        let mut one = TurnClient::connect(address, ClientTransport::Udp, alice())
            .await
            .unwrap();
        let mut two = TurnClient::connect(address, ClientTransport::Tcp, alice())
            .await
            .unwrap();
        let (at_one, at_two) = (one.relayed().v4.unwrap(), two.relayed().v4.unwrap());
        one.permit(at_two.ip()).await.unwrap();
        two.send_to(b"to one", at_one).await.unwrap();
        assert_eq!(&*one.recv_from().await.unwrap().data, b"to one");
        one.send_to(b"to two", at_two).await.unwrap();
        assert_eq!(&*two.recv_from().await.unwrap().data, b"to two");
    });
    server.stop();
}

#[test]
fn failures_say_whose_fault_they_are() {
    let server = TestServer::start(1);
    let address = server.address;
    let mute = Peer::new();
    let held = ClosedPort::new();
    let closed = held.address;
    run(async move {
        let wrong = Credential::new("alice", "wrong").unwrap();
        let refused = TurnClient::connect(address, ClientTransport::Udp, wrong)
            .await
            .unwrap_err();
        assert_eq!(refused.failure(), Some(Failure::CredentialRefused));
        assert_eq!(refused.fault(), Fault::Caller);

        let refused = TurnClient::connect(closed, ClientTransport::Tcp, alice())
            .await
            .unwrap_err();
        assert!(
            matches!(refused, ConnectError::Unreachable(_)),
            "{refused:?}"
        );
        let refused = TurnClient::connect(closed, ClientTransport::Udp, alice())
            .await
            .unwrap_err();
        assert!(
            matches!(refused, ConnectError::Unreachable(_)),
            "{refused:?}"
        );
        assert_eq!(refused.fault(), Fault::Network);

        let mut silent = Options::new(ClientTransport::Udp, alice());
        silent.core.retransmission.rto = Duration::from_millis(1);
        let refused = TurnClient::connect_with(mute.address(), silent)
            .await
            .unwrap_err();
        assert_eq!(refused.failure(), Some(Failure::TimedOut));

        let client = TurnClient::connect(address, ClientTransport::Udp, alice())
            .await
            .unwrap();
        let private: IpAddr = "10.0.0.1".parse().unwrap();
        let why = Failure::Refused(ErrorCode::FORBIDDEN);
        assert_eq!(
            client.permit(private).await,
            Err(TurnError::PeerRefused(why))
        );
        let refused = client.send_to(b"x", SocketAddr::new(private, 1)).await;
        assert_eq!(refused, Err(TurnError::PeerRefused(why)));
    });
    server.stop();
}

#[test]
fn a_server_that_goes_is_noticed_over_a_stream() {
    let server = TestServer::start(1);
    let address = server.address;
    run(async move {
        let mut client = TurnClient::connect(address, ClientTransport::Tcp, alice())
            .await
            .unwrap();
        let sender = client.sender();
        server.stop();
        let ended = client.recv_from().await;
        assert_eq!(ended, Err(TurnError::Ended(Failure::Disconnected)));
        let peer = "127.0.0.1:9".parse().unwrap();
        assert_eq!(
            sender.send_to(b"x", peer).await,
            Err(TurnError::Ended(Failure::Disconnected))
        );
    });
}

#[test]
fn a_dropped_client_deletes_its_allocation() {
    let server = TestServer::start(1);
    let address = server.address;
    let sockets = || server.total(|stats| stats.driver.relay_sockets.value());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = TurnClient::connect(address, ClientTransport::Udp, alice())
            .await
            .unwrap();
        assert_eq!(sockets(), 1);
        drop(client);
        while sockets() > 0 {
            tokio::task::yield_now().await;
        }
    });
    server.stop();
}

/// Serves TLS on a port and passes what is inside on; returns its address and certificate.
pub(crate) async fn tls_in_front_of(plain: SocketAddr) -> (SocketAddr, Vec<u8>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["turn.example.org".to_owned(), "127.0.0.1".to_owned()])
            .unwrap();
    let certificate = cert.der().to_vec();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not like the certificate goes.
                let Ok(mut inside) = acceptor.accept(stream).await else {
                    return;
                };
                let mut outside = TcpStream::connect(plain).await.unwrap();
                let _ended = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
            });
        }
    });
    (address, certificate)
}
