//! What clients of JavaScript do that no protocol document says, and how Node.js answers it.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod support;

use std::sync::Arc;

use http::Request;
use jackfield_socketio::{Binary, EmitError, Event, Io, IoConfig, Socket};
use jackfield_ws::{self as ws, WebSocket, WsConfig};
use serde_json::{Value, json};
use support::{Polling, Ws, serve, until};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

const PATH: &str = "/socket.io/?EIO=4";

#[tokio::test]
async fn a_polling_client_gets_all_that_was_sent_before_its_end() {
    let io = Io::new(IoConfig::default());
    io.on_connect(async |socket: Socket| {
        for number in 0..6 {
            socket.emit("count", &number).unwrap();
        }
        socket.disconnect(true);
    });
    let address = serve(&io).await;
    let polling = Polling::open(address, PATH).await;
    assert_eq!(polling.post("40").await.status, 200);
    let body = polling.get().await;
    let packets: Vec<&str> = body.text().split('\x1e').collect();
    assert!(packets[0].starts_with("40{"));
    assert_eq!(packets[1..7].concat().matches("count").count(), 6);
    // A close packet in the same body would make the client drop what stands before it.
    assert_eq!(packets[7..], ["41"]);
    assert_eq!(polling.get().await.text(), "1");
    assert_eq!(polling.get().await.code(), 1);
}

#[tokio::test]
async fn closing_the_server_loses_no_event_of_a_polling_client() {
    let io = Io::new(IoConfig::default());
    let address = serve(&io).await;
    let polling = Polling::open(address, PATH).await;
    assert_eq!(polling.post("40").await.status, 200);
    assert!(polling.get().await.text().starts_with("40{"));
    io.emit("last", &()).unwrap();
    let closing = tokio::spawn({
        let io = io.clone();
        async move { io.close().await }
    });
    // It runs until it waits for the clients.
    tokio::task::yield_now().await;
    assert_eq!(
        polling.get().await.text().split('\x1e').next(),
        Some(r#"42["last"]"#)
    );
    assert_eq!(polling.get().await.text(), "1");
    closing.await.unwrap();
}

#[tokio::test]
async fn a_client_without_bytes_speaks_base64_on_a_websocket() {
    for (path, file, back) in [
        ("/socket.io/?EIO=4&b64=1", "bYWJj", "bYWJj"),
        ("/socket.io/?EIO=3&b64=1", "b4YWJj", "b4YWJj"),
    ] {
        let io = Io::new(IoConfig {
            allow_eio3: true,
            ..IoConfig::default()
        });
        io.of("/").on("file", async |socket: Socket, event: Event| {
            let file: Binary = event.get(0).unwrap();
            socket.emit("back", &file).unwrap();
        });
        let address = serve(&io).await;
        let mut ws = Ws::open(address, path).await;
        if path.contains("EIO=4") {
            ws.send("40").await;
        }
        assert!(ws.text().await.starts_with("40"));
        ws.send(r#"451-["file",{"_placeholder":true,"num":0}]"#)
            .await;
        ws.send(file).await;
        assert_eq!(
            ws.event().await,
            r#"451-["back",{"_placeholder":true,"num":0}]"#
        );
        assert_eq!(ws.text().await, back);
    }
}

#[tokio::test]
async fn a_subprotocol_that_a_client_offers_is_picked() {
    for (known, picked) in [(&[][..], "x"), (&["y"][..], "y")] {
        let io = Io::new(IoConfig {
            subprotocols: known.iter().map(|name: &&str| (*name).to_owned()).collect(),
            ..IoConfig::default()
        });
        let address = serve(&io).await;
        let stream = TcpStream::connect(address).await.unwrap();
        let request = Request::builder()
            .uri(format!("{PATH}&transport=websocket"))
            .header("Host", address.to_string())
            .body(())
            .unwrap();
        let mut config = WsConfig::default();
        config.options.subprotocols = vec!["x".to_owned(), "y".to_owned()];
        let ws: WebSocket<TcpStream> = ws::connect(stream, &request, &Arc::new(config))
            .await
            .unwrap();
        assert_eq!(ws.subprotocol(), Some(picked));
    }
}

#[tokio::test]
async fn attachments_are_limited_by_the_setting_alone() {
    let io = Io::new(IoConfig {
        max_attachments: 12,
        ..IoConfig::default()
    });
    io.of("/").on("ask", async |_, event: Event| {
        let count: usize = event.get(0).unwrap();
        match event.ack(&vec![Binary::from(&b"x"[..]); count]) {
            Ok(()) => {}
            Err(EmitError::Encode(error)) => event.ack(&error.to_string()).unwrap(),
            Err(error) => panic!("{error}"),
        }
    });
    let address = serve(&io).await;
    let mut ws = Ws::join(address).await;
    ws.send(r#"421["ask",12]"#).await;
    let answer = ws.event().await;
    assert!(answer.starts_with("4612-1[["), "{answer}");
    for _ in 0..12 {
        assert_eq!(ws.binary().await, b"x");
    }
    ws.send(r#"422["ask",13]"#).await;
    let refusal = ws.event().await;
    assert!(
        refusal.starts_with(r#"432["the packet has 13 attachments"#),
        "{refusal}"
    );
    let many = vec![Binary::default(); 13];
    assert!(matches!(io.emit("many", &many), Err(EmitError::Encode(_))));
}

#[tokio::test]
async fn a_message_above_the_buffers_limit_reaches_a_client_that_reads() {
    let io = Io::new(IoConfig {
        max_buffered: 100_000,
        ..IoConfig::default()
    });
    let address = serve(&io).await;
    let mut ws = Ws::join(address).await;
    until(|| io.of("/").sockets().len() == 1).await;
    let socket = io.of("/").sockets().pop().unwrap();
    socket.emit("large", &"x".repeat(1_000_000)).unwrap();
    assert_eq!(
        ws.event().await.len(),
        r#"42["large",""]"#.len() + 1_000_000
    );
    assert!(socket.is_connected());
}

#[tokio::test]
async fn json_that_javascript_writes_ends_no_session() {
    let io = Io::new(IoConfig::default());
    io.of("/").on_any(async |socket: Socket, event: Event| {
        let read = |index| match event.get::<Binary>(index) {
            Ok(_) => json!("bytes"),
            Err(_) => event.get(index).unwrap_or_else(|_| json!("unreadable")),
        };
        let arguments: Vec<Value> = (0..event.raw().len()).map(read).collect();
        socket.emit("read", &(event.name(), arguments)).unwrap();
    });
    let address = serve(&io).await;
    let mut ws = Ws::join(address).await;
    let mut ask = async |packet: &str| {
        ws.send(packet).await;
        if packet.starts_with("451-") {
            ws.send_binary(b"abc").await;
        }
        ws.event().await
    };
    assert_eq!(
        ask(r#"42["e","a\ud83d"]"#).await,
        "42[\"read\",\"e\",[\"a\u{fffd}\"]]"
    );
    assert_eq!(
        ask(r#"42["\ude00",{"\ud83d":"\ud83d\ude00"}]"#).await,
        "42[\"read\",\"\u{fffd}\",[{\"\u{fffd}\":\"\u{1f600}\"}]]"
    );
    let placeholder = r#"{"_placeholder":true,"num":0}"#;
    assert_eq!(
        ask(&format!(r#"451-["e","a\ud83d",1e400,1,{placeholder}]"#)).await,
        "42[\"read\",\"e\",[\"a\u{fffd}\",\"unreadable\",1,\"bytes\"]]"
    );
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(
        ask(&format!(r#"451-["e",{placeholder},{deep}]"#)).await,
        r#"42["read","e",["bytes","unreadable"]]"#
    );
}

#[tokio::test]
async fn a_placeholder_is_never_passed_on_without_its_bytes() {
    let io = Io::new(IoConfig::default());
    io.of("/")
        .on("relay", async |socket: Socket, event: Event| {
            let value: Value = serde_json::from_str(event.raw()[0].get()).unwrap();
            let refused = matches!(socket.emit("relayed", &value), Err(EmitError::Encode(_)));
            socket.emit("refused", &refused).unwrap();
            socket.emit("relayed", event.args()).unwrap();
        });
    let address = serve(&io).await;
    let mut ws = Ws::join(address).await;
    ws.send(r#"451-["relay",{"_placeholder":true,"num":0}]"#)
        .await;
    ws.send_binary(b"abc").await;
    assert_eq!(ws.event().await, r#"42["refused",true]"#);
    assert_eq!(
        ws.event().await,
        r#"451-["relayed",{"_placeholder":true,"num":0}]"#
    );
    assert_eq!(ws.binary().await, b"abc");
}

#[tokio::test]
async fn an_acknowledgement_behind_a_full_queue_reaches_its_handler() {
    let io = Io::new(IoConfig {
        max_inbound: 100_000,
        ..IoConfig::default()
    });
    let answered = Arc::new(Semaphore::new(0));
    let (done, other) = (Arc::clone(&answered), Arc::clone(&answered));
    io.of("/").on("work", move |socket: Socket, _: Event| {
        let done = Arc::clone(&done);
        async move {
            if socket.extensions().insert("asked").is_some() {
                return;
            }
            let answer = socket.emit_with_ack("ask", &()).await.unwrap();
            assert_eq!(answer.get::<u8>(0).unwrap(), 7);
            done.add_permits(1);
        }
    });
    io.of("/other").on("hello", move |_, _| {
        other.add_permits(1);
        std::future::ready(())
    });
    let address = serve(&io).await;
    let mut ws = Ws::join(address).await;
    ws.send("40/other,").await;
    assert!(ws.text().await.starts_with("40/other,"));
    ws.send(r#"42["work"]"#).await;
    assert_eq!(ws.event().await, r#"420["ask"]"#);
    // Four times what may wait otherwise.
    for _ in 0..10 {
        ws.send(&format!(r#"42["work","{}"]"#, "x".repeat(40_000)))
            .await;
    }
    ws.send(r#"42/other,["hello"]"#).await;
    ws.send("430[7]").await;
    until(|| answered.available_permits() == 2).await;
}
