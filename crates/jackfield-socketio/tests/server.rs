//! The server's API, seen from both sides of a loopback connection.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_socketio::engine::Transport;
use jackfield_socketio::{
    AckError, Binary, ConnectError, DisconnectReason, EmitError, Io, IoConfig, Socket,
};
use serde_json::{Value, json};
use support::{LONG, Polling, Ws, serve};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

const PATH: &str = "/socket.io/?EIO=4";

/// A server that hands its sockets out, and its address.
async fn server() -> (Io, std::net::SocketAddr, mpsc::UnboundedReceiver<Socket>) {
    server_with(IoConfig::default()).await
}

async fn server_with(
    config: IoConfig,
) -> (Io, std::net::SocketAddr, mpsc::UnboundedReceiver<Socket>) {
    let io = Io::new(config);
    let (sender, sockets) = mpsc::unbounded_channel();
    io.on_connect(move |socket| {
        sender.send(socket).unwrap();
        std::future::ready(())
    });
    let address = serve(&io).await;
    (io, address, sockets)
}

/// A client and its socket at the server.
async fn join(
    address: std::net::SocketAddr,
    sockets: &mut mpsc::UnboundedReceiver<Socket>,
) -> (Ws, Socket) {
    let ws = Ws::join(address).await;
    let socket = timeout(LONG, sockets.recv()).await.unwrap().unwrap();
    (ws, socket)
}

/// Notes what happens, for a test to wait for.
#[derive(Clone)]
struct Journal(mpsc::UnboundedSender<String>);

fn journal() -> (Journal, mpsc::UnboundedReceiver<String>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Journal(sender), receiver)
}

impl Journal {
    fn note(&self, line: impl Into<String>) {
        self.0.send(line.into()).unwrap();
    }
}

async fn next(lines: &mut mpsc::UnboundedReceiver<String>) -> String {
    timeout(LONG, lines.recv()).await.expect("a line").unwrap()
}

// Connecting

#[tokio::test]
async fn a_middleware_refuses_with_a_message_and_data() {
    let io = Io::new(IoConfig::default());
    io.use_middleware(async |socket: Socket| {
        assert!(!socket.is_connected());
        let auth: Value = socket.handshake().auth().unwrap();
        if auth["token"] == "right" {
            return Ok(());
        }
        Err(ConnectError::new("not authorized").with_data(json!({"retry": false})))
    });
    io.use_middleware(async |socket: Socket| {
        socket.extensions().insert("checked");
        Ok(())
    });
    let checked = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&checked);
    io.on_connect(move |socket| {
        *seen.lock().unwrap() = socket.extensions().get::<&str>();
        std::future::ready(())
    });
    let address = serve(&io).await;
    let mut ws = Ws::open(address, PATH).await;
    ws.send(r#"40{"token":"wrong"}"#).await;
    assert_eq!(
        ws.text().await,
        r#"44{"message":"not authorized","data":{"retry":false}}"#
    );
    assert_eq!(*checked.lock().unwrap(), None);
    ws.send(r#"40{"token":"right"}"#).await;
    assert!(ws.text().await.starts_with("40{"));
    assert_eq!(*checked.lock().unwrap(), Some("checked"));
    assert_eq!(io.stats().connects_refused.get(), 1);
}

#[tokio::test]
async fn the_handshake_tells_where_a_client_comes_from() {
    let (_io, address, mut sockets) = server().await;
    let mut ws = Ws::open(address, "/socket.io/?EIO=4&color=blue%20green").await;
    ws.send(r#"40{"token":"x"}"#).await;
    assert!(ws.text().await.starts_with("40"));
    let socket = sockets.recv().await.unwrap();
    let handshake = socket.handshake();
    assert_eq!(handshake.query["color"], "blue green");
    assert_eq!(handshake.raw_auth(), r#"{"token":"x"}"#);
    assert_eq!(handshake.address.unwrap().ip(), address.ip());
    assert_eq!(handshake.headers["host"], address.to_string());
    assert!(handshake.url.starts_with("/socket.io/?EIO=4&color"));
    assert!(!handshake.secure);
    assert!(handshake.issued.elapsed().unwrap() < LONG);
    assert_eq!(socket.transport(), Transport::WebSocket);
}

#[tokio::test]
async fn events_wait_until_the_connection_handler_is_done() {
    let io = Io::new(IoConfig::default());
    let (journal, mut lines) = journal();
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    io.on_connect(move |socket: Socket| {
        let (journal, gate) = (journal.clone(), Arc::clone(&opened));
        async move {
            gate.notified().await;
            journal.note("ready");
            socket.on("a", move |_, _| {
                journal.note("a");
                std::future::ready(())
            });
        }
    });
    let address = serve(&io).await;
    let mut ws = Ws::join(address).await;
    ws.send(r#"42["a"]"#).await;
    gate.notify_one();
    assert_eq!(next(&mut lines).await, "ready");
    assert_eq!(next(&mut lines).await, "a");
}

// Events

#[tokio::test]
async fn async_handlers_run_in_the_order_of_the_wire() {
    let (_io, address, mut sockets) = server().await;
    let (mut ws, socket) = join(address, &mut sockets).await;
    let (journal, mut lines) = journal();
    socket.on("n", move |_, event| {
        let journal = journal.clone();
        async move {
            let n: u64 = event.get(0).unwrap();
            // The later the event, the sooner its handler would be done.
            for _ in n..50 {
                tokio::task::yield_now().await;
            }
            journal.note(n.to_string());
        }
    });
    for n in 0..50 {
        ws.send(&format!(r#"42["n",{n}]"#)).await;
    }
    for n in 0..50 {
        assert_eq!(next(&mut lines).await, n.to_string());
    }
}

#[tokio::test]
async fn a_handler_may_await_the_clients_acknowledgement() {
    let (_io, address, mut sockets) = server().await;
    let (mut ws, socket) = join(address, &mut sockets).await;
    socket.on("start", async |socket: Socket, event| {
        let answer = socket.emit_with_ack("question", &("6*7", 2)).await.unwrap();
        event.ack(&answer).unwrap();
    });
    ws.send(r#"425["start"]"#).await;
    assert_eq!(ws.event().await, r#"420["question","6*7",2]"#);
    ws.send("430[42]").await;
    assert_eq!(ws.event().await, "435[42]");
}

#[tokio::test]
async fn an_acknowledgement_times_out_or_ends_with_the_client() {
    let (io, address, mut sockets) = server().await;
    let (ws, socket) = join(address, &mut sockets).await;
    let late = socket
        .emit_with_ack("q", &())
        .timeout(Duration::from_millis(20))
        .await;
    assert!(matches!(late, Err(AckError::Timeout)));
    assert_eq!(io.stats().ack_timeouts.get(), 1);
    let pending = tokio::spawn({
        let socket = socket.clone();
        async move { socket.emit_with_ack("q", &()).await }
    });
    drop(ws);
    let gone = timeout(LONG, pending).await.unwrap().unwrap();
    assert!(matches!(
        gone,
        Err(AckError::Disconnected | AckError::Emit(EmitError::Disconnected))
    ));
    assert!(matches!(
        socket.emit("x", &()),
        Err(EmitError::Disconnected)
    ));
}

#[tokio::test]
async fn an_acknowledgement_is_sent_once_and_may_be_sent_later() {
    let (_io, address, mut sockets) = server().await;
    let (mut ws, socket) = join(address, &mut sockets).await;
    let (sender, kept) = oneshot::channel();
    let sender = Mutex::new(Some(sender));
    socket.on("q", move |_, event| {
        let ack = event.ack_handle().unwrap().clone();
        sender.lock().unwrap().take().unwrap().send(ack).ok();
        std::future::ready(())
    });
    ws.send(r#"427["q"]"#).await;
    let ack = kept.await.unwrap();
    assert!(!ack.is_sent());
    ack.send(&(1, Binary::from(&b"x"[..]))).unwrap();
    ack.send(&2).unwrap();
    socket.emit("fence", &()).unwrap();
    assert_eq!(
        ws.event().await,
        r#"461-7[1,{"_placeholder":true,"num":0}]"#
    );
    assert_eq!(ws.binary().await, b"x");
    assert_eq!(ws.event().await, r#"42["fence"]"#);
}

#[tokio::test]
async fn an_acknowledgement_with_an_unknown_id_is_ignored() {
    let (io, address, mut sockets) = server().await;
    let (mut ws, socket) = join(address, &mut sockets).await;
    ws.send("4399[1]").await;
    ws.send("430[]").await;
    socket.on("fence", async |_, event| event.ack(&()).unwrap());
    ws.send(r#"421["fence"]"#).await;
    assert_eq!(ws.event().await, "431[]");
    assert_eq!(io.stats().unknown_acks.get(), 2);
}

#[tokio::test]
async fn handlers_come_and_go() {
    let (_io, address, mut sockets) = server().await;
    let (mut ws, socket) = join(address, &mut sockets).await;
    let (journal, mut lines) = journal();
    let note = |word: &'static str| {
        let journal = journal.clone();
        move |_: Socket, event: jackfield_socketio::Event| {
            journal.note(format!("{word} {}", event.name()));
            std::future::ready(())
        }
    };
    socket.on_any(note("any"));
    socket.on("a", note("first"));
    socket.on("a", note("second"));
    socket.once("a", note("once"));
    ws.send(r#"42["a"]"#).await;
    ws.send(r#"42["a"]"#).await;
    for line in [
        "any a", "first a", "second a", "once a", "any a", "first a", "second a",
    ] {
        assert_eq!(next(&mut lines).await, line);
    }
    socket.off_any();
    socket.off("a");
    socket.on("b", note("b"));
    ws.send(r#"42["a"]"#).await;
    ws.send(r#"42["b"]"#).await;
    assert_eq!(next(&mut lines).await, "b b");
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_event_and_nothing_else() {
    let (io, address, mut sockets) = server().await;
    let (mut ws, socket) = join(address, &mut sockets).await;
    socket.on("bad", async |_, _| panic!("on purpose"));
    socket.on("good", async |_, event| event.ack(&"fine").unwrap());
    ws.send(r#"42["bad"]"#).await;
    ws.send(r#"421["good"]"#).await;
    assert_eq!(ws.event().await, r#"431["fine"]"#);
    assert_eq!(io.stats().handler_panics.get(), 1);
}

#[tokio::test]
async fn arguments_pass_through_byte_for_byte() {
    let (_io, address, mut sockets) = server().await;
    let (mut ws, socket) = join(address, &mut sockets).await;
    socket.on_any(async |socket: Socket, event| {
        let raw = event.raw();
        socket.emit("raw", &raw[0]).unwrap();
        socket.emit("all", event.args()).unwrap();
    });
    let odd = r#"{ "b":1.0e2, "a":"\u20ac", "b":18446744073709551616 }"#;
    ws.send(&format!(r#"42["x",{odd},[ ]]"#)).await;
    assert_eq!(ws.event().await, format!(r#"42["raw",{odd}]"#));
    assert_eq!(ws.event().await, format!(r#"42["all",{odd},[ ]]"#));
}

#[tokio::test]
async fn what_cannot_be_an_event_is_not_sent() {
    let (_io, address, mut sockets) = server().await;
    let (_ws, socket) = join(address, &mut sockets).await;
    for name in [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ] {
        assert!(
            matches!(socket.emit(name, &()), Err(EmitError::Encode(_))),
            "{name}"
        );
    }
    let keys = std::collections::HashMap::from([([1], 1)]);
    assert!(matches!(socket.emit("a", &keys), Err(EmitError::Encode(_))));
}

// Rooms and broadcasts

#[tokio::test]
async fn broadcasts_reach_exactly_the_addressed_sockets() {
    let (io, address, mut sockets) = server().await;
    let (mut a, socket_a) = join(address, &mut sockets).await;
    let (mut b, socket_b) = join(address, &mut sockets).await;
    let (mut c, socket_c) = join(address, &mut sockets).await;
    socket_a.join_all(["red", "all"]);
    socket_b.join_all(["red", "blue", "all"]);
    socket_c.join("all");
    let sent = |delivery: Result<jackfield_socketio::Delivery, EmitError>| delivery.unwrap().sent;
    assert_eq!(sent(io.emit("everyone", &1)), 3);
    assert_eq!(sent(io.to("red").emit("red", &2)), 2);
    assert_eq!(sent(io.to("red").to("blue").emit("once each", &3)), 2);
    assert_eq!(sent(io.to("all").except("blue").emit("not blue", &4)), 2);
    assert_eq!(sent(socket_a.to("red").emit("others in red", &5)), 1);
    assert_eq!(sent(socket_a.broadcast().emit("others", &6)), 2);
    assert_eq!(sent(io.to(&**socket_c.id()).emit("only c", &7)), 1);
    assert_eq!(sent(io.except(&**socket_c.id()).emit("not c", &8)), 2);
    assert_eq!(sent(io.to("nobody").emit("nobody", &9)), 0);
    socket_b.leave("red");
    assert_eq!(sent(io.to("red").emit("red again", &10)), 1);
    assert_eq!(sent(io.emit("end", &())), 3);
    let expected = [
        (
            &mut a,
            vec![
                "everyone",
                "red",
                "once each",
                "not blue",
                "not c",
                "red again",
            ],
        ),
        (
            &mut b,
            vec![
                "everyone",
                "red",
                "once each",
                "others in red",
                "others",
                "not c",
            ],
        ),
        (&mut c, vec!["everyone", "not blue", "others", "only c"]),
    ];
    for (ws, names) in expected {
        for name in names {
            let event = ws.event().await;
            assert!(
                event.starts_with(&format!(r#"42["{name}","#)),
                "{event} is not {name}"
            );
        }
        assert_eq!(ws.event().await, r#"42["end"]"#);
    }
}

#[tokio::test]
async fn a_broadcast_carries_binary_over_every_transport() {
    let (io, address, mut sockets) = server().await;
    let (mut ws, _) = join(address, &mut sockets).await;
    let polling = Polling::open(address, PATH).await;
    polling.post("40").await;
    assert!(polling.get().await.text().starts_with("40{"));
    sockets.recv().await.unwrap();
    let delivery = io
        .emit("file", &("a", Binary::from(&[1, 2, 3][..])))
        .unwrap();
    assert_eq!(delivery.sent, 2);
    let head = r#"451-["file","a",{"_placeholder":true,"num":0}]"#;
    assert_eq!(ws.event().await, head);
    assert_eq!(ws.binary().await, [1, 2, 3]);
    assert_eq!(polling.get().await.text(), format!("{head}\x1ebAQID"));
}

#[tokio::test]
async fn a_broadcast_collects_acknowledgements() {
    let (io, address, mut sockets) = server().await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(join(address, &mut sockets).await.0);
    }
    let asked = tokio::spawn({
        let io = io.clone();
        async move {
            io.of("/")
                .operator()
                .emit_with_ack("q", &())
                .unwrap()
                .collect()
                .await
        }
    });
    for (index, ws) in clients.iter_mut().enumerate() {
        assert_eq!(ws.event().await, r#"420["q"]"#);
        ws.send(&format!("430[{index}]")).await;
    }
    let acks = timeout(LONG, asked).await.unwrap().unwrap();
    assert!(acks.is_complete());
    let answers = acks.answers.iter();
    let mut numbers: Vec<usize> = answers.map(|args| args.get(0).unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2]);

    let operator = io.of("/").operator().timeout(Duration::from_millis(20));
    let acks = operator.emit_with_ack("q", &()).unwrap().collect().await;
    assert_eq!((acks.answers.len(), acks.missing), (0, 3));
    assert_eq!(io.stats().ack_timeouts.get(), 3);
}

#[tokio::test]
async fn many_sockets_are_moved_and_disconnected_at_once() {
    let (io, address, mut sockets) = server().await;
    let (mut a, socket_a) = join(address, &mut sockets).await;
    let (_b, socket_b) = join(address, &mut sockets).await;
    socket_a.set_data(json!({"name": "Ann"}));
    io.to(&**socket_a.id()).sockets_join("x");
    let fetched = io.to("x").fetch_sockets().await.sockets;
    assert_eq!(fetched.len(), 1);
    assert_eq!(
        (&fetched[0].id, &fetched[0].data["name"]),
        (socket_a.id(), &json!("Ann"))
    );
    assert!(fetched[0].rooms.contains("x") && fetched[0].rooms.contains(&**socket_a.id()));
    fetched[0].leave("x");
    assert!(io.to("x").fetch_sockets().await.sockets.is_empty());
    io.of("/")
        .operator()
        .except(&**socket_b.id())
        .disconnect_sockets(true);
    assert_eq!(a.event().await, "41");
    a.closed().await;
    assert!(!socket_a.is_connected() && socket_b.is_connected());
}

#[tokio::test]
async fn namespaces_are_apart() {
    let (io, address, mut sockets) = server().await;
    let chat = io.of("chat");
    assert_eq!(chat.name(), "/chat");
    let (mut ws, main) = join(address, &mut sockets).await;
    ws.send("40/chat,").await;
    assert!(ws.event().await.starts_with("40/chat,{"));
    main.join("room");
    assert_eq!(chat.to("room").emit("x", &()).unwrap().sent, 0);
    assert_eq!(chat.emit("hello", &1).unwrap().sent, 1);
    assert_eq!(ws.event().await, r#"42/chat,["hello",1]"#);
    let socket = chat.sockets().remove(0);
    assert_ne!(socket.id(), main.id());
    socket.disconnect(false);
    assert_eq!(ws.event().await, "41/chat,");
    main.emit("still here", &()).unwrap();
    assert_eq!(ws.event().await, r#"42["still here"]"#);
}

// Disconnecting

#[tokio::test]
async fn each_end_has_its_reason() {
    let config = IoConfig {
        // Some of the clients here do not answer the closing handshake.
        shutdown_timeout: Duration::from_millis(100),
        ..IoConfig::default()
    };
    let (io, address, mut sockets) = server_with(config).await;
    let (journal, mut lines) = journal();
    io.of("/").on_disconnect(move |socket, reason| {
        assert!(!socket.is_connected());
        journal.note(reason.as_str());
        std::future::ready(())
    });
    let (mut ws, _) = join(address, &mut sockets).await;
    ws.send("41").await;
    assert_eq!(next(&mut lines).await, "client namespace disconnect");

    let (ws, _) = join(address, &mut sockets).await;
    drop(ws);
    assert_eq!(next(&mut lines).await, "transport close");

    let (mut ws, _) = join(address, &mut sockets).await;
    ws.0.close(None).await.unwrap();
    assert_eq!(next(&mut lines).await, "transport close");

    let (mut ws, _) = join(address, &mut sockets).await;
    ws.send("2").await;
    assert_eq!(next(&mut lines).await, "transport error");

    let (mut ws, _) = join(address, &mut sockets).await;
    ws.send("x").await;
    assert_eq!(next(&mut lines).await, "parse error");

    let (mut ws, _) = join(address, &mut sockets).await;
    ws.send("4x").await;
    assert_eq!(next(&mut lines).await, "forced close");

    let (mut ws, _) = join(address, &mut sockets).await;
    ws.send(r#"42/other,["x"]"#).await;
    assert_eq!(next(&mut lines).await, "forced server close");

    let (_ws, socket) = join(address, &mut sockets).await;
    socket.disconnect(false);
    assert_eq!(next(&mut lines).await, "server namespace disconnect");

    let (_ws, socket) = join(address, &mut sockets).await;
    socket.disconnect(true);
    assert_eq!(next(&mut lines).await, "server namespace disconnect");

    let (ws, _) = join(address, &mut sockets).await;
    let closing = tokio::spawn(async move {
        io.close().await;
        io
    });
    assert_eq!(next(&mut lines).await, "server shutting down");
    drop(ws);
    let io = timeout(LONG, closing).await.unwrap().unwrap();
    assert_eq!(io.stats().sockets.get(), 0);
    assert_eq!(io.stats().sessions.get(), 0);
}

#[tokio::test]
async fn silence_ends_with_ping_timeout() {
    let config = IoConfig {
        // Long enough for the client to join before, on a machine that stalls.
        ping_interval: Duration::from_secs(5),
        ping_timeout: Duration::from_millis(50),
        ..IoConfig::default()
    };
    let (io, address, _sockets) = server_with(config).await;
    let (journal, mut lines) = journal();
    io.of("/").on_disconnect(move |_, reason| {
        journal.note(reason.as_str());
        std::future::ready(())
    });
    let _ws = Ws::join(address).await;
    assert_eq!(next(&mut lines).await, "ping timeout");
}

#[tokio::test]
async fn the_rooms_are_known_to_the_end() {
    let (io, address, mut sockets) = server().await;
    let (ws, socket) = join(address, &mut sockets).await;
    socket.join("attic");
    let (sender, rooms) = oneshot::channel();
    let sender = Mutex::new(Some(sender));
    socket.on_disconnect(move |socket, _| {
        sender
            .lock()
            .unwrap()
            .take()
            .unwrap()
            .send(socket.rooms())
            .ok();
        std::future::ready(())
    });
    drop(ws);
    let rooms = timeout(LONG, rooms).await.unwrap().unwrap();
    assert!(rooms.contains("attic") && rooms.contains(&**socket.id()));
    assert_eq!(io.to("attic").emit("x", &()).unwrap().sent, 0);
    socket.join("cellar");
    assert!(
        io.to("cellar").fetch_sockets().await.sockets.is_empty(),
        "a socket that has gone joins nothing"
    );
}

#[tokio::test]
async fn events_that_came_before_the_end_are_handled_before_it() {
    let (_io, address, mut sockets) = server().await;
    let (mut ws, socket) = join(address, &mut sockets).await;
    let (journal, mut lines) = journal();
    let end = journal.clone();
    socket.on("slow", move |_, _| {
        let journal = journal.clone();
        async move {
            tokio::task::yield_now().await;
            journal.note("event");
        }
    });
    socket.on_disconnect(move |_, _| {
        end.note("end");
        std::future::ready(())
    });
    for _ in 0..3 {
        ws.send(r#"42["slow"]"#).await;
    }
    ws.send("41").await;
    for line in ["event", "event", "event", "end"] {
        assert_eq!(next(&mut lines).await, line);
    }
}

#[tokio::test]
async fn a_closing_server_takes_leave_of_its_clients_and_refuses_new_ones() {
    let (io, address, mut sockets) = server().await;
    let (mut ws, socket) = join(address, &mut sockets).await;
    let polling = Polling::open(address, PATH).await;
    polling.post("40").await;
    assert!(polling.get().await.text().starts_with("40{"));
    let waiting = polling.waiting_get().await;
    socket.emit("last", &()).unwrap();
    let closing = tokio::spawn({
        let io = io.clone();
        async move { io.close().await }
    });
    assert_eq!(ws.event().await, r#"42["last"]"#);
    ws.closed().await;
    timeout(LONG, closing).await.unwrap().unwrap();
    assert_eq!(waiting.answer().await.text(), "1");
    let refused = support::get(address, "/socket.io/?EIO=4&transport=polling").await;
    assert_eq!(refused.status, 503);
    assert_eq!(io.stats().too_many_connections.get(), 1);
}

#[tokio::test]
async fn disconnect_reasons_have_the_words_of_javascript() {
    assert_eq!(
        DisconnectReason::ServerShuttingDown.to_string(),
        "server shutting down"
    );
    assert_eq!(
        DisconnectReason::TransportClose.to_string(),
        "transport close"
    );
}

// Runtimes

#[tokio::test]
async fn a_thread_without_a_runtime_may_use_a_socket() {
    let (_io, address, mut sockets) = server().await;
    let (mut ws, socket) = join(address, &mut sockets).await;
    let (journal, mut lines) = journal();
    socket.on_disconnect(move |_, reason| {
        let journal = journal.clone();
        async move {
            tokio::task::yield_now().await;
            journal.note(reason.as_str());
        }
    });
    std::thread::spawn(move || {
        socket.emit("from afar", &1).unwrap();
        socket.disconnect(true);
    });
    assert_eq!(ws.event().await, r#"42["from afar",1]"#);
    assert_eq!(next(&mut lines).await, "server namespace disconnect");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_are_shared_among_threads() {
    let (io, address, _sockets) = server().await;
    io.of("/").on("echo", async |socket: Socket, event| {
        tokio::task::yield_now().await;
        socket.emit("echo", event.args()).unwrap();
    });
    let mut clients = Vec::new();
    for client in 0..8 {
        clients.push(tokio::spawn(async move {
            let polling = Polling::open(address, PATH).await;
            polling.post("40").await;
            assert!(polling.get().await.text().starts_with("40{"));
            let mut expected = 0;
            for round in 0..20 {
                let events: Vec<_> = (0..5)
                    .map(|n| format!(r#"42["echo",{client},{}]"#, round * 5 + n))
                    .collect();
                assert_eq!(polling.post(events.join("\x1e")).await.status, 200);
                while expected < (round + 1) * 5 {
                    for event in polling.get().await.text().split('\x1e') {
                        assert_eq!(event, format!(r#"42["echo",{client},{expected}]"#));
                        expected += 1;
                    }
                }
            }
        }));
    }
    for client in clients {
        timeout(LONG, client).await.unwrap().unwrap();
    }
}
