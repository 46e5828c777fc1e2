//! Every limit of the configuration hits, is counted, and leaves the server in order.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_socketio::{
    AllowRequest, Cookie, Cors, EmitError, Io, IoConfig, Rate, SlowConsumer, Socket,
};
use support::{LONG, Polling, Ws, get, request, serve, until};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

const PATH: &str = "/socket.io/?EIO=4";
const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=polling";

async fn server(config: IoConfig) -> (Io, SocketAddr) {
    let io = Io::new(config);
    let address = serve(&io).await;
    (io, address)
}

/// A polling client in the main namespace, and its socket.
async fn polling_client(io: &Io, address: SocketAddr) -> (Polling, Socket) {
    let polling = Polling::open(address, PATH).await;
    polling.post("40").await;
    assert!(polling.get().await.text().starts_with("40{"));
    let socket = io.of("/").sockets().remove(0);
    (polling, socket)
}

// Who may open a session

#[tokio::test]
async fn the_number_of_sessions_is_limited() {
    let (io, address) = server(IoConfig {
        max_connections: 2,
        ..IoConfig::default()
    })
    .await;
    let first = Polling::open(address, PATH).await;
    // A session that has asked for nothing yet would yield.
    assert_eq!(first.post("40").await.status, 200);
    let _second = Ws::open(address, PATH).await;
    assert_eq!(get(address, HANDSHAKE).await.status, 503);
    assert!(
        Ws::connect(address, "/socket.io/?EIO=4&transport=websocket")
            .await
            .is_err()
    );
    assert_eq!(io.stats().too_many_connections.get(), 2);
    assert_eq!(first.post("1").await.status, 200);
    assert_eq!(
        get(address, HANDSHAKE).await.status,
        200,
        "a place is free again"
    );
    assert_eq!(io.stats().sessions.get(), 2);
}

#[tokio::test]
async fn a_session_is_probed_by_few_websockets_at_a_time() {
    let (io, address) = server(IoConfig::default()).await;
    let (polling, _) = polling_client(&io, address).await;
    let mut probes = vec![polling.websocket().await];
    // Those beside the first are told to go, and do not.
    probes.push(polling.websocket().await);
    probes.push(polling.websocket().await);
    let target = format!("{PATH}&transport=websocket&sid={}", polling.sid);
    assert!(Ws::connect(address, &target).await.is_err());
    drop(probes);
    until(|| io.stats().websockets.get() == 0).await;
    polling.websocket().await;
}

#[tokio::test]
async fn handshakes_from_one_network_are_limited() {
    let (io, address) = server(IoConfig {
        handshake_rate: Some(Rate::new(0, 3)),
        ..IoConfig::default()
    })
    .await;
    for _ in 0..3 {
        assert_eq!(get(address, HANDSHAKE).await.status, 200);
    }
    assert_eq!(get(address, HANDSHAKE).await.status, 429);
    assert_eq!(io.stats().too_many_handshakes.get(), 1);
}

#[tokio::test]
async fn the_application_decides_who_comes_in() {
    let (io, address) = server(IoConfig {
        allow_request: Some(AllowRequest::new(|head| {
            match head.headers.get("x-key").map(|key| key.as_bytes()) {
                Some(b"right") => Ok(()),
                _ => Err("wrong key".to_owned()),
            }
        })),
        ..IoConfig::default()
    })
    .await;
    let refused = get(address, HANDSHAKE).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.text(), r#"{"code":4,"message":"wrong key"}"#);
    assert!(
        Ws::connect(address, "/socket.io/?EIO=4&transport=websocket")
            .await
            .is_err()
    );
    assert_eq!(io.stats().forbidden.get(), 2);
    assert_eq!(io.stats().sessions.get(), 0);
    let allowed = request(address, "GET", HANDSHAKE, "X-Key: right\r\n", b"").await;
    assert_eq!(allowed.status, 200);
}

#[tokio::test]
async fn transports_and_upgrades_can_be_switched_off() {
    let (_io, address) = server(IoConfig {
        websocket: false,
        ..IoConfig::default()
    })
    .await;
    let open = get(address, HANDSHAKE).await;
    assert!(open.text().contains(r#""upgrades":[]"#));
    assert!(
        Ws::connect(address, "/socket.io/?EIO=4&transport=websocket")
            .await
            .is_err()
    );

    let (_io, address) = server(IoConfig {
        polling: false,
        ..IoConfig::default()
    })
    .await;
    assert_eq!(get(address, HANDSHAKE).await.code(), 0);
    Ws::open(address, PATH).await;

    let (_io, address) = server(IoConfig {
        allow_upgrades: false,
        ..IoConfig::default()
    })
    .await;
    let polling = Polling::open(address, PATH).await;
    polling.websocket().await.closed().await;
    assert_eq!(polling.post("40").await.status, 200);
}

#[tokio::test]
async fn the_cookie_carries_the_session() {
    let (_io, address) = server(IoConfig {
        cookie: Some(Cookie {
            secure: true,
            max_age: Some(Duration::from_secs(60)),
            ..Cookie::default()
        }),
        ..IoConfig::default()
    })
    .await;
    let open = get(address, HANDSHAKE).await;
    let sid = open.text().split('"').nth(3).unwrap();
    let cookie = format!("io={sid}; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60");
    assert_eq!(open.header("set-cookie"), Some(&*cookie));
    let later = request(
        address,
        "POST",
        &format!("{HANDSHAKE}&sid={sid}"),
        "",
        b"40",
    )
    .await;
    assert_eq!((later.status, later.header("set-cookie")), (200, None));
}

#[tokio::test]
async fn listed_origins_may_use_the_server() {
    let (_io, address) = server(IoConfig {
        cors: Some(Cors {
            credentials: true,
            ..Cors::origins(["https://a.example"])
        }),
        ..IoConfig::default()
    })
    .await;
    let friend = "Origin: https://a.example\r\n";
    let reply = request(address, "GET", HANDSHAKE, friend, b"").await;
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("https://a.example")
    );
    assert_eq!(
        reply.header("access-control-allow-credentials"),
        Some("true")
    );
    assert_eq!(reply.header("vary"), Some("Origin"));
    let preflight = request(address, "OPTIONS", HANDSHAKE, friend, b"").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(
        preflight.header("access-control-allow-methods"),
        Some("GET,POST")
    );
    let stranger = "Origin: https://b.example\r\n";
    let reply = request(address, "GET", HANDSHAKE, stranger, b"").await;
    assert_eq!(reply.header("access-control-allow-origin"), None);
    let error = request(address, "GET", "/socket.io/?EIO=4", friend, b"").await;
    assert_eq!(
        error.header("access-control-allow-origin"),
        Some("https://a.example")
    );
}

// How long things may take

#[tokio::test]
async fn an_upgrade_that_is_not_completed_is_given_up() {
    let (io, address) = server(IoConfig {
        upgrade_timeout: Duration::from_millis(50),
        ..IoConfig::default()
    })
    .await;
    let polling = Polling::open(address, PATH).await;
    let mut ws = polling.websocket().await;
    // The time may be over before the probe is sent.
    ws.0.send(&jackfield_ws::Message::text("2probe")).await.ok();
    ws.closed().await;
    assert_eq!(io.stats().upgrade_timeouts.get(), 1);
    assert_eq!(polling.post("40").await.status, 200);
}

#[tokio::test]
async fn a_client_that_joins_nothing_is_counted() {
    let (io, address) = server(IoConfig {
        connect_timeout: Duration::from_millis(50),
        ..IoConfig::default()
    })
    .await;
    Ws::open(address, PATH).await.closed().await;
    assert_eq!(io.stats().connect_timeouts.get(), 1);
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_the_session() {
    let (io, address) = server(IoConfig {
        body_timeout: Duration::from_millis(50),
        ..IoConfig::default()
    })
    .await;
    let polling = Polling::open(address, PATH).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4",
        polling.target()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(support::read_reply(&mut stream).await.status, 408);
    assert_eq!(io.stats().body_timeouts.get(), 1);
    assert_eq!(polling.get().await.code(), 1);
}

#[tokio::test]
async fn a_silent_client_is_dropped_and_counted() {
    let (io, address) = server(IoConfig {
        ping_interval: Duration::from_millis(50),
        ping_timeout: Duration::from_millis(20),
        ..IoConfig::default()
    })
    .await;
    Ws::open(address, PATH).await.closed().await;
    assert_eq!(io.stats().ping_timeouts.get(), 1);
    until(|| io.stats().sessions.get() == 0).await;
}

// How much may wait

#[tokio::test]
async fn a_payload_above_the_limit_is_counted() {
    let (io, address) = server(IoConfig {
        max_payload: 1000,
        ..IoConfig::default()
    })
    .await;
    let polling = Polling::open(address, PATH).await;
    assert_eq!(polling.post("4".repeat(1001)).await.status, 413);
    assert_eq!(io.stats().payload_too_large.get(), 1);
    let gone = polling.post("40").await;
    assert_eq!((gone.status, gone.code()), (400, 1));
    let mut ws = Ws::join(address).await;
    ws.0.send(&jackfield_ws::Message::binary(vec![0; 1002]))
        .await
        .ok();
    ws.closed().await;
    drop(ws);
    until(|| io.stats().payload_too_large.get() == 2).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected() {
    let (io, address) = server(IoConfig {
        max_buffered: 10_000,
        ..IoConfig::default()
    })
    .await;
    let (polling, socket) = polling_client(&io, address).await;
    let (sender, mut reason) = mpsc::unbounded_channel();
    socket.on_disconnect(move |_, reason| {
        sender.send(reason).unwrap();
        std::future::ready(())
    });
    for _ in 0..8 {
        socket.emit("x", &"x".repeat(1000)).unwrap();
    }
    assert!(matches!(
        socket.emit("x", &"x".repeat(1000)),
        Err(EmitError::Full)
    ));
    assert_eq!(reason.recv().await.unwrap().as_str(), "slow consumer");
    assert_eq!(
        (
            io.stats().buffer_full.get(),
            io.stats().slow_consumers.get()
        ),
        (1, 1)
    );
    assert_eq!(polling.get().await.code(), 1);
}

#[tokio::test]
async fn packets_for_a_client_that_does_not_read_can_be_dropped() {
    let (io, address) = server(IoConfig {
        max_buffered: 10_000,
        slow_consumer: SlowConsumer::DropNewest,
        ..IoConfig::default()
    })
    .await;
    let (polling, socket) = polling_client(&io, address).await;
    let mut refused = 0;
    for number in 0..20 {
        if socket.emit("x", &(number, "x".repeat(1000))).is_err() {
            refused += 1;
        }
    }
    assert!(socket.buffered() <= 10_000);
    assert_eq!(io.emit("y", &"y".repeat(1000)).unwrap().full, 1);
    assert_eq!(io.stats().buffer_full.get(), refused + 1);
    let received = polling.get().await;
    assert_eq!(received.text().split('\x1e').count() as u64, 20 - refused);
    assert!(socket.emit("z", &()).is_ok(), "there is room again");
}

#[tokio::test]
async fn volatile_events_go_only_to_clients_that_are_ready() {
    let (io, address) = server(IoConfig::default()).await;
    let (polling, socket) = polling_client(&io, address).await;
    socket.emit_volatile("lost", &()).unwrap();
    assert_eq!(io.stats().volatile_dropped.get(), 1);
    let waiting = polling.waiting_get().await;
    socket.emit_volatile("now", &()).unwrap();
    io.of("/").operator().volatile().emit("lost", &()).unwrap();
    assert_eq!(waiting.answer().await.text(), r#"42["now"]"#);
    assert_eq!(io.stats().volatile_dropped.get(), 2);
}

#[tokio::test]
async fn nothing_more_is_read_while_handlers_are_behind() {
    let io = Io::new(IoConfig {
        max_inbound: 10_000,
        ..IoConfig::default()
    });
    let gate = Arc::new(Notify::new());
    let (sender, mut handled) = mpsc::unbounded_channel();
    let open = Arc::clone(&gate);
    io.of("/").on("work", move |_, event| {
        let (gate, sender) = (Arc::clone(&open), sender.clone());
        async move {
            gate.notified().await;
            sender.send(event.get::<u64>(0).unwrap()).unwrap();
        }
    });
    let address = serve(&io).await;
    let mut ws = Ws::join(address).await;
    for number in 0..100 {
        ws.send(&format!(r#"42["work",{number},"{}"]"#, "x".repeat(1000)))
            .await;
    }
    // The server has read a dozen and pauses; each one that is handled lets another in.
    until(|| io.stats().inbound_paused.get() > 0).await;
    assert!(io.stats().received_messages.get() < 50);
    for number in 0..100 {
        gate.notify_one();
        assert_eq!(timeout(LONG, handled.recv()).await.unwrap(), Some(number));
    }
}
