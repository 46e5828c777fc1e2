//! The TURN client through proxies: a small one of our own here, stock ones in `interop`.

use std::net::SocketAddr;

use jackfield_driver::proxy::{Proxy, ProxyError};
use jackfield_driver::turn_client::{ClientTransport, ConnectError, Options, Tls, TurnClient};
use jackfield_proxy::http::{ConnectRequest, ConnectResponse};
use jackfield_proxy::socks5::{self, Greeting, Reply, Request, code};
use jackfield_proxy::{Credentials, HandshakeError, ProxyUrl, Target};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::server::{ClosedPort, LOOPBACK, TestServer};
use super::turn_client::{alice, exchange, run, tls_in_front_of};

const SCHEMES: [&str; 2] = ["http", "socks5h"];

#[test]
fn an_allocation_over_tcp_and_tls_works_through_both_kinds_of_proxy() {
    let server = TestServer::start(1);
    let plain = server.address;
    run(async move {
        let (secure, _) = tls_in_front_of(plain).await;
        let at = proxy(Credentials::new(b"ann", b"secret")).await;
        let name = ServerName::try_from("turn.example.org").unwrap();
        for scheme in SCHEMES {
            let url = format!("{scheme}://ann:secret@{at}");
            let tls = ClientTransport::Tls(Tls::any_certificate(name.clone()));
            for (address, transport) in [(plain, ClientTransport::Tcp), (secure, tls)] {
                let mut client = connect(address, transport, &url).await.unwrap();
                exchange(&mut client).await;
                client.close().await;
            }
        }
    });
    server.stop();
}

#[test]
fn a_refusing_proxy_and_a_refusing_server_give_different_errors() {
    run(async move {
        let at = proxy(Credentials::new(b"ann", b"secret")).await;
        let held = ClosedPort::new();
        let nowhere = held.address;
        for scheme in SCHEMES {
            let connect = async |user: &str, to| {
                let url = format!("{scheme}://{user}{at}");
                match connect(to, ClientTransport::Tcp, &url).await {
                    Err(ConnectError::Proxy(ProxyError::Refused(error))) => error,
                    other => panic!("{other:?}"),
                }
            };
            let required = HandshakeError::CredentialsRequired;
            assert_eq!(connect("", nowhere).await, required);
            let refused = HandshakeError::CredentialsRefused;
            assert_eq!(connect("ann:guess@", nowhere).await, refused);
            let expected = match scheme {
                "http" => HandshakeError::Status(502),
                _ => HandshakeError::Refused(socks5::Failure::ConnectionRefused),
            };
            assert_eq!(connect("ann:secret@", nowhere).await, expected);
        }
        let url = format!("http://{nowhere}");
        let none = connect(LOOPBACK, ClientTransport::Tcp, &url).await;
        let expected = Err(());
        assert_eq!(none.map(drop).map_err(unreachable), expected);
    });
}

#[test]
fn what_the_target_says_right_behind_the_answer_of_the_proxy_is_not_lost() {
    run(async move {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 1000]).await.unwrap(), 0);
            let answer = b"HTTP/1.1 200 OK\r\n\r\nhello";
            stream.write_all(answer).await.unwrap();
            stream.write_all(b" world").await.unwrap();
        });
        let url: ProxyUrl = format!("http://{at}").parse().unwrap();
        let target: Target = "server.example:25".parse().unwrap();
        let mut tunnel = Proxy::new(url).connect(target).await.unwrap();
        let mut text = String::new();
        tunnel.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello world");
    });
}

fn unreachable(error: ConnectError) {
    let is_unreachable = matches!(error, ConnectError::Proxy(ProxyError::Unreachable(_)));
    assert!(is_unreachable, "{error:?}");
}

async fn connect(
    server: SocketAddr,
    transport: ClientTransport,
    proxy: &str,
) -> Result<TurnClient, ConnectError> {
    let mut options = Options::new(transport, alice());
    options.proxy = Some(Proxy::new(proxy.parse().unwrap()));
    TurnClient::connect_with(server, options).await
}

/// Runs a proxy for both protocols.
pub(crate) async fn proxy(credentials: Option<Credentials>) -> SocketAddr {
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, credentials.clone()));
        }
    });
    address
}

async fn serve(mut client: TcpStream, wanted: Option<Credentials>) {
    let mut buffer = Vec::new();
    client.read_buf(&mut buffer).await.unwrap();
    let target = if buffer.first() == Some(&5) {
        socks(&mut client, buffer, wanted).await
    } else {
        http(&mut client, buffer, wanted).await
    };
    let Some((target, is_http)) = target else {
        return;
    };
    let upstream = TcpStream::connect(target.to_string()).await;
    let answer = match (&upstream, is_http) {
        (Ok(_), true) => ConnectResponse::new(200).to_bytes(),
        (Err(_), true) => ConnectResponse::new(502).to_bytes(),
        (Ok(_), false) => reply(code::SUCCEEDED),
        (Err(_), false) => reply(code::REFUSED),
    };
    client.write_all(&answer).await.unwrap();
    if let Ok(mut upstream) = upstream {
        // Either side may end a tunnel as it likes.
        let _ended = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
    }
}

async fn http(
    client: &mut TcpStream,
    mut buffer: Vec<u8>,
    wanted: Option<Credentials>,
) -> Option<(Target, bool)> {
    let request = next(client, &mut buffer, ConnectRequest::parse).await;
    if request.credentials == wanted {
        return Some((request.target, true));
    }
    let answer = ConnectResponse::new(407).to_bytes();
    client.write_all(&answer).await.unwrap();
    None
}

async fn socks(
    client: &mut TcpStream,
    mut buffer: Vec<u8>,
    wanted: Option<Credentials>,
) -> Option<(Target, bool)> {
    let greeting = next(client, &mut buffer, Greeting::parse).await;
    if !greeting.methods.contains(&socks5::USER_AND_PASSWORD) {
        let none = socks5::choice(socks5::NO_METHOD);
        client.write_all(&none).await.unwrap();
        return None;
    }
    let choice = socks5::choice(socks5::USER_AND_PASSWORD);
    client.write_all(&choice).await.unwrap();
    let given = next(client, &mut buffer, socks5::parse_credentials).await;
    let right = Some(given) == wanted;
    client.write_all(&socks5::verdict(right)).await.unwrap();
    if !right {
        return None;
    }
    let request = next(client, &mut buffer, Request::parse).await;
    Some((request.target, false))
}

fn reply(code: u8) -> Vec<u8> {
    let bound = LOOPBACK.into();
    Reply { code, bound }.to_bytes()
}

type Parse<T, E> = fn(&[u8]) -> Result<Option<(T, usize)>, E>;

/// Reads one message.
async fn next<T, E: std::fmt::Debug>(
    client: &mut TcpStream,
    buffer: &mut Vec<u8>,
    parse: Parse<T, E>,
) -> T {
    loop {
        if let Some((message, length)) = parse(buffer).unwrap() {
            buffer.drain(..length);
            return message;
        }
        assert_ne!(client.read_buf(buffer).await.unwrap(), 0);
    }
}
