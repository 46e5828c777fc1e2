//! WebSocket connections over streams in memory, with the clock in the test's hand.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jackfield_ws::{
    self as ws, CloseCode, CloseFrame, Error, Established, Frame, HandshakeError, Kind, Message,
    Refusal, Role, Violation, WebSocket, WsConfig, deflate,
};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::time::Instant;

fn quiet() -> WsConfig {
    WsConfig {
        ping_interval: None,
        ..WsConfig::default()
    }
}

/// A server's and a client's end of one connection, past the handshake.
fn pair(config: WsConfig) -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    let (server, client) = duplex(1 << 16);
    let config = Arc::new(config);
    (
        WebSocket::new(
            server,
            Role::Server,
            Established::default(),
            Arc::clone(&config),
            &[],
        ),
        WebSocket::new(
            client,
            Role::Client { seed: [1; 32] },
            Established::default(),
            config,
            &[],
        ),
    )
}

/// A server's end whose peer is a bare stream.
fn server(config: &Arc<WsConfig>, room: usize) -> (WebSocket<DuplexStream>, DuplexStream) {
    let (server, peer) = duplex(room);
    let socket = WebSocket::new(
        server,
        Role::Server,
        Established::default(),
        Arc::clone(config),
        &[],
    );
    (socket, peer)
}

fn text(text: &str) -> Message {
    Message::text(text)
}

async fn expect(socket: &mut WebSocket<impl AsyncRead + AsyncWrite + Unpin>, message: &str) {
    let received = socket.recv().await.expect("a message").expect("no error");
    assert_eq!(received.as_text(), Some(message));
}

/// Serves one HTTP connection that echoes WebSocket messages.
async fn serve_http(stream: DuplexStream, config: Arc<WsConfig>) {
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        let response = match ws::upgrade(&mut request, &config) {
            Ok((response, upgrade)) => {
                tokio::spawn(async move {
                    let mut socket = upgrade.await.expect("an upgrade");
                    while let Some(Ok(message)) = socket.recv().await {
                        socket.feed(&message).expect("room");
                    }
                });
                response.map(|()| String::new())
            }
            Err(refusal) => refusal.response(),
        };
        async { Ok::<Response<String>, Infallible>(response) }
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await
        .expect("a connection without an error");
}

fn http_server(config: WsConfig) -> DuplexStream {
    let (server, client) = duplex(1 << 16);
    tokio::spawn(serve_http(server, Arc::new(config)));
    client
}

// The opening handshake

#[tokio::test]
async fn a_client_and_a_hyper_server_agree_and_talk() {
    let mut config = quiet();
    config.options.subprotocols = vec!["json".to_owned()];
    config.options.deflate = Some(deflate::DeflateConfig {
        threshold: 0,
        ..deflate::DeflateConfig::default()
    });
    let stream = http_server(config.clone());
    let request = Request::get("ws://localhost/signal").body(()).unwrap();
    let mut socket = ws::connect(stream, &request, &Arc::new(config))
        .await
        .unwrap();
    assert_eq!(socket.subprotocol(), Some("json"));
    socket
        .send(&text("hello ".repeat(1000).trim()))
        .await
        .unwrap();
    expect(&mut socket, "hello ".repeat(1000).trim()).await;
    let bye = CloseFrame::new(CloseCode::NORMAL, "bye");
    socket.close(Some(&bye)).await.unwrap();
    assert_eq!(socket.close_frame().unwrap().code, CloseCode::NORMAL);
    assert!(socket.recv().await.is_none());
}

#[tokio::test]
async fn a_refusal_says_what_would_open_a_websocket() {
    let config = quiet();
    let counters = Arc::clone(&config.counters);
    let mut stream = http_server(config);
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.contains("sec-websocket-version: 13\r\n"), "{answer}");
    assert_eq!(counters.refused.load(Ordering::Relaxed), 1);
    assert_eq!(Refusal::Key.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn a_client_gives_up_on_a_server_that_does_not_answer() {
    let (stream, _server) = duplex(1 << 12);
    let request = Request::get("ws://localhost/").body(()).unwrap();
    let config = Arc::new(quiet());
    let error = ws::connect(stream, &request, &config).await.unwrap_err();
    assert!(matches!(error, Error::HandshakeTimeout), "{error}");

    let (stream, mut server) = duplex(1 << 12);
    server
        .write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        .await
        .unwrap();
    let error = ws::connect(stream, &request, &config).await.unwrap_err();
    let forbidden = HandshakeError::Status(StatusCode::FORBIDDEN);
    assert!(matches!(error, Error::Handshake(e) if e == forbidden));
}

#[tokio::test]
async fn frames_right_behind_the_handshake_are_not_lost() {
    let (io, _peer) = duplex(64);
    let role = Role::Client { seed: [1; 32] };
    let mut socket = WebSocket::new(
        io,
        role,
        Established::default(),
        Arc::new(quiet()),
        b"\x81\x01a\x81\x01b",
    );
    expect(&mut socket, "a").await;
    expect(&mut socket, "b").await;
}

// Open

#[tokio::test]
async fn messages_cross_in_both_directions_through_a_narrow_stream() {
    let (server, client) = duplex(37);
    let config = Arc::new(quiet());
    let mut server = WebSocket::new(
        server,
        Role::Server,
        Established::default(),
        Arc::clone(&config),
        &[],
    );
    let role = Role::Client { seed: [1; 32] };
    let mut client = WebSocket::new(client, role, Established::default(), config, &[]);
    let echo = tokio::spawn(async move {
        while let Some(message) = server.recv().await {
            server.feed(&message.unwrap()).unwrap();
        }
    });
    for size in [0, 1, 125, 126, 70_000] {
        let message = Message::binary(vec![7; size]);
        client.feed(&message).unwrap();
        assert_eq!(client.recv().await.unwrap().unwrap(), message);
    }
    client.close(None).await.unwrap();
    echo.await.unwrap();
}

#[tokio::test]
async fn a_ping_is_answered_by_a_server_that_only_receives() {
    let (mut server, mut peer) = server(&Arc::new(quiet()), 1 << 12);
    let waiting = tokio::spawn(async move { server.recv().await.is_none() });
    peer.write_all(b"\x89\x81\0\0\0\0p").await.unwrap();
    let mut pong = [0; 3];
    peer.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\x8a\x01p");
    peer.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
    assert!(waiting.await.unwrap());
}

#[tokio::test]
async fn dropping_a_wait_for_a_message_loses_nothing() {
    let (mut server, mut peer) = server(&Arc::new(quiet()), 1 << 12);
    let frames = b"\x81\x82\0\0\0\0ab\x81\x81\0\0\0\0c";
    let (first, second) = frames.split_at(7);
    peer.write_all(first).await.unwrap();
    let waited = tokio::select! {
        biased;
        message = server.recv() => Some(message.is_some()),
        () = tokio::task::yield_now() => None,
    };
    assert_eq!(waited, None);
    peer.write_all(second).await.unwrap();
    expect(&mut server, "ab").await;
    expect(&mut server, "c").await;
}

/// A stream that counts writes, takes all of each, and is never readable.
#[derive(Default)]
struct Counting {
    writes: AtomicU64,
    bytes: usize,
}

impl AsyncRead for Counting {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.bytes += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let len = slices.iter().map(|slice| slice.len()).sum();
        self.bytes += len;
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn all_frames_that_wait_leave_in_one_write() {
    let config = Arc::new(quiet());
    let mut socket = WebSocket::new(
        Counting::default(),
        Role::Server,
        Established::default(),
        config,
        &[],
    );
    let frame = Frame::new(Kind::Text, &[b"4", b"2[\"news\"]"]);
    for _ in 0..50 {
        socket.feed_frame(&frame).unwrap();
    }
    socket.feed_encoded(frame.plain()).unwrap();
    assert_eq!(socket.queued_bytes(), 51 * frame.plain().len());
    socket.flush().await.unwrap();
    assert_eq!(socket.get_ref().writes.load(Ordering::Relaxed), 1);
    assert_eq!(socket.get_ref().bytes, 51 * frame.plain().len());
}

// Limits

#[tokio::test]
async fn the_queue_is_bounded_and_says_so() {
    let config = Arc::new(WsConfig {
        max_queued: 100,
        ..quiet()
    });
    let (mut server, _peer) = server(&config, 8);
    server.feed(&Message::binary(vec![0; 90])).unwrap();
    let refused = server.feed(&Message::binary(vec![0; 20]));
    assert!(matches!(refused, Err(Error::QueueFull)));
    assert_eq!(server.queued_bytes(), 92);
    assert_eq!(config.counters.queue_full.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_not_read_either() {
    let config = Arc::new(WsConfig {
        pause_reading_above: 100,
        ..quiet()
    });
    let (mut server, mut peer) = server(&config, 64);
    server.feed(&Message::binary(vec![0; 300])).unwrap();
    peer.write_all(b"\x81\x81\0\0\0\0a").await.unwrap();
    let paused = tokio::select! {
        biased;
        _ = server.recv() => false,
        () = tokio::task::yield_now() => true,
    };
    assert!(paused);
    assert_eq!(config.counters.reading_paused.load(Ordering::Relaxed), 1);
    let mut bytes = [0; 304];
    let (message, read) = tokio::join!(
        async {
            let message = server.recv().await;
            server.flush().await.unwrap();
            message
        },
        peer.read_exact(&mut bytes)
    );
    assert_eq!(message.unwrap().unwrap(), text("a"));
    read.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_reading_is_given_up() {
    let config = Arc::new(quiet());
    let (mut server, _peer) = server(&config, 8);
    let start = Instant::now();
    let error = server.send(&text("more than eight bytes")).await;
    assert!(matches!(error, Err(Error::Stalled)));
    assert_eq!(start.elapsed(), config.write_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_pinged_and_then_given_up() {
    let config = Arc::new(WsConfig::default());
    let (mut server, mut peer) = server(&config, 1 << 12);
    let start = Instant::now();
    let error = server.recv().await.unwrap();
    assert!(matches!(error, Err(Error::Silent)));
    assert_eq!(start.elapsed(), Duration::from_secs(45));
    assert!(server.recv().await.is_none());
    drop(server);
    let mut sent = Vec::new();
    peer.read_to_end(&mut sent).await.unwrap();
    assert_eq!(sent, b"\x89\x00");
    assert_eq!(config.counters.silent.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_pings_is_kept() {
    let (mut server, mut client) = pair(WsConfig::default());
    let client = tokio::spawn(async move {
        tokio::select! {
            ended = client.recv() => panic!("{ended:?}"),
            () = tokio::time::sleep(Duration::from_secs(3600)) => client.send(&text("still here")).await.unwrap(),
        }
        client
    });
    expect(&mut server, "still here").await;
    drop(client.await.unwrap());
}

// The end

#[tokio::test]
async fn a_violation_is_named_in_the_close_frame_and_in_the_servers_error() {
    let config = Arc::new(quiet());
    let (mut server, mut peer) = server(&config, 1 << 12);
    peer.write_all(b"\x81\x81\0\0\0\0a\x81\x81\0\0\0\0\xff")
        .await
        .unwrap();
    expect(&mut server, "a").await;
    server.feed(&text("b")).unwrap();
    let (error, told) = tokio::join!(server.recv(), async {
        let mut told = Vec::new();
        peer.read_to_end(&mut told).await.unwrap();
        drop(peer);
        told
    });
    assert!(matches!(
        error,
        Some(Err(Error::Protocol(Violation::InvalidUtf8)))
    ));
    assert_eq!(told, b"\x81\x01b\x88\x02\x03\xef");
    assert!(server.recv().await.is_none());
    assert_eq!(config.counters.protocol_errors.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn each_limit_has_its_counter() {
    let mut config = quiet();
    config.limits.max_frame = 1000;
    config.limits.max_message = 500;
    config.limits.max_fragments = 1;
    let config = Arc::new(config);
    let inputs: [&[u8]; 3] = [
        b"\x82\xfe\x03\xe9\0\0\0\0",
        b"\x82\xfe\x02\x00\0\0\0\0",
        b"\x02\x80\0\0\0\0\x00\x80\0\0\0\0",
    ];
    for input in inputs {
        let (mut server, mut peer) = server(&config, 1 << 12);
        peer.write_all(input).await.unwrap();
        drop(peer);
        assert!(matches!(
            server.recv().await,
            Some(Err(Error::Protocol(violation))) if violation.is_limit()
        ));
    }
    let counters = &config.counters;
    for counter in [
        &counters.frames_too_large,
        &counters.messages_too_large,
        &counters.too_many_fragments,
    ] {
        assert_eq!(counter.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn a_stream_that_ends_without_a_close_is_an_error_once() {
    let (mut server, client) = pair(quiet());
    drop(client);
    assert!(matches!(
        server.recv().await,
        Some(Err(Error::Disconnected))
    ));
    assert!(server.recv().await.is_none());
}

#[tokio::test]
async fn a_close_ends_both_sides_with_its_code_and_reason() {
    let (mut server, mut client) = pair(quiet());
    let away = CloseFrame::new(CloseCode::GOING_AWAY, "restart");
    server.feed(&text("last")).unwrap();
    let (closed, received) = tokio::join!(server.close(Some(&away)), async {
        expect(&mut client, "last").await;
        client.recv().await.is_none()
    });
    closed.unwrap();
    assert!(received);
    assert_eq!(client.close_frame(), Some(&away));
    assert!(matches!(server.feed(&text("x")), Err(Error::Send(_))));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_a_close_is_left() {
    let config = Arc::new(quiet());
    let (mut server, _peer) = server(&config, 1 << 12);
    let start = Instant::now();
    assert!(matches!(server.close(None).await, Err(Error::CloseTimeout)));
    assert_eq!(start.elapsed(), config.close_timeout);
    assert_eq!(config.counters.close_timeouts.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_broken_peer_that_keeps_the_stream_open_is_left() {
    let config = Arc::new(quiet());
    let (mut server, mut peer) = server(&config, 1 << 12);
    peer.write_all(b"\xff\xff").await.unwrap();
    let start = Instant::now();
    assert!(matches!(
        server.recv().await,
        Some(Err(Error::Protocol(Violation::ReservedBit)))
    ));
    assert_eq!(start.elapsed(), config.close_timeout);
}

#[test]
fn connections_may_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<WebSocket<tokio::net::TcpStream>>();
    is_send::<ws::Upgrade>();
}
