//! Engine.IO protocol 4, as its document describes it, on the echo of the protocol fixture.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod support;

use serde_json::Value;
use support::{Polling, Times, Ws, fixture, fixture_with, get, request};

const PATH: &str = "/engine.io/?EIO=4";

async fn polling() -> Polling {
    Polling::open(fixture(false).await, PATH).await
}

async fn websocket() -> Ws {
    Ws::open(fixture(false).await, PATH).await
}

/// A fixture that pings every 300 ms.
async fn pinging(times: Times) -> std::net::SocketAddr {
    fixture_with(false, times).await
}

fn assert_open(packet: &str, upgrades: &[&str]) {
    let open: Value = serde_json::from_str(packet.strip_prefix('0').unwrap()).unwrap();
    let keys: Vec<_> = open
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "maxPayload",
            "pingInterval",
            "pingTimeout",
            "sid",
            "upgrades"
        ]
    );
    assert_eq!(open["upgrades"], Value::from(upgrades.to_vec()));
    assert_eq!(
        (open["pingInterval"].as_u64(), open["pingTimeout"].as_u64()),
        (Some(300), Some(200))
    );
    assert_eq!(open["maxPayload"], 1_000_000);
    assert_eq!(open["sid"].as_str().unwrap().len(), 20);
}

// Handshake

#[tokio::test]
async fn a_session_opens_by_polling() {
    let address = pinging(Times::DOCUMENT).await;
    let reply = get(address, "/engine.io/?EIO=4&transport=polling").await;
    assert_eq!(reply.status, 200);
    assert_open(reply.text(), &["websocket"]);
    assert_eq!(
        reply.header("content-type"),
        Some("text/plain; charset=UTF-8")
    );
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_session_opens_on_a_websocket() {
    let address = pinging(Times::DOCUMENT).await;
    let mut ws = Ws::connect(address, "/engine.io/?EIO=4&transport=websocket")
        .await
        .unwrap();
    assert_open(&ws.text().await, &[]);
}

#[tokio::test]
async fn other_protocol_versions_are_refused() {
    let address = fixture(false).await;
    for query in [
        "transport=polling",
        "EIO=abc&transport=polling",
        "EIO=3&transport=polling",
        "EIO=5&transport=polling",
    ] {
        let reply = get(address, &format!("/engine.io/?{query}")).await;
        assert_eq!((reply.status, reply.code()), (400, 5), "{query}");
        assert_eq!(
            reply.text(),
            r#"{"code":5,"message":"Unsupported protocol version"}"#
        );
    }
    assert!(
        Ws::connect(address, "/engine.io/?transport=websocket")
            .await
            .is_err()
    );
    assert!(
        Ws::connect(address, "/engine.io/?EIO=abc&transport=websocket")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn other_transports_are_refused() {
    let address = fixture(false).await;
    for query in [
        "EIO=4",
        "EIO=4&transport=abc",
        "EIO=4&transport=webtransport",
        "EIO=4&transport=__proto__",
    ] {
        let reply = get(address, &format!("/engine.io/?{query}")).await;
        assert_eq!((reply.status, reply.code()), (400, 0), "{query}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    assert!(Ws::connect(address, "/engine.io/?EIO=4").await.is_err());
    assert!(
        Ws::connect(address, "/engine.io/?EIO=4&transport=abc")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn other_methods_are_refused() {
    let address = fixture(false).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "HEAD"] {
        let reply = request(
            address,
            method,
            "/engine.io/?EIO=4&transport=polling",
            "",
            b"",
        )
        .await;
        assert_eq!(reply.status, 400, "{method}");
        if method != "HEAD" {
            assert_eq!(reply.code(), 2, "{method}");
        }
    }
    let polling = Polling::open(address, PATH).await;
    let reply = request(address, "PUT", &polling.target(), "", b"4x").await;
    assert_eq!((reply.status, reply.code()), (400, 3));
}

#[tokio::test]
async fn a_websocket_transport_needs_a_websocket() {
    let reply = get(
        fixture(false).await,
        "/engine.io/?EIO=4&transport=websocket",
    )
    .await;
    assert_eq!((reply.status, reply.code()), (400, 3));
}

#[tokio::test]
async fn an_unknown_session_is_refused() {
    let address = fixture(false).await;
    for sid in ["abc", "aaaaaaaaaaaaaaaaaaaa", "__proto__"] {
        let reply = get(
            address,
            &format!("/engine.io/?EIO=4&transport=polling&sid={sid}"),
        )
        .await;
        assert_eq!(reply.text(), r#"{"code":1,"message":"Session ID unknown"}"#);
        assert_eq!(reply.status, 400);
        let target = format!("/engine.io/?EIO=4&transport=websocket&sid={sid}");
        assert!(Ws::connect(address, &target).await.is_err());
    }
}

#[tokio::test]
async fn a_session_keeps_to_its_protocol_version() {
    let address = fixture(true).await;
    let polling = Polling::open(address, PATH).await;
    let target = polling.target().replace("EIO=4", "EIO=3");
    let reply = get(address, &target).await;
    assert_eq!((reply.status, reply.code()), (400, 3));
    assert_eq!(polling.post("4x").await.status, 200, "the session goes on");
}

#[tokio::test]
async fn another_path_is_not_found() {
    let address = fixture(false).await;
    assert_eq!(
        get(address, "/elsewhere/?EIO=4&transport=polling")
            .await
            .status,
        404
    );
    assert_eq!(
        get(address, "/engine.io?EIO=4&transport=polling")
            .await
            .status,
        200
    );
}

// Messages

#[tokio::test]
async fn polling_carries_messages_both_ways() {
    let polling = polling().await;
    for payload in [
        "4hello",
        "4test1\x1e4test2\x1e4test3",
        "4hello\x1ebAQIDBA==",
        "4€\x1e4🦀\x1e4",
    ] {
        let post = polling.post(payload).await;
        assert_eq!((post.status, post.text()), (200, "ok"), "{payload}");
        assert_eq!(post.header("content-type"), Some("text/html"));
        assert_eq!(polling.get().await.text(), payload);
    }
}

#[tokio::test]
async fn a_waiting_poll_is_answered_when_something_comes() {
    let polling = polling().await;
    let get = polling.waiting_get().await;
    polling.post("4hello").await;
    assert_eq!(get.answer().await.text(), "4hello");
}

#[tokio::test]
async fn a_payload_that_is_none_ends_a_polling_session() {
    for payload in ["abc", "", "4a\x1e", "7", "bnot base64!"] {
        let polling = polling().await;
        assert_eq!(polling.post(payload).await.status, 400, "{payload:?}");
        assert_eq!(polling.get().await.code(), 1);
    }
}

#[tokio::test]
async fn a_second_poll_ends_the_session() {
    let polling = polling().await;
    let first = polling.waiting_get().await;
    assert_eq!(polling.get().await.status, 400);
    let first = first.answer().await;
    assert_eq!((first.status, first.text()), (200, "1"));
    assert_eq!(polling.get().await.status, 400);
}

#[tokio::test]
async fn a_poll_that_is_given_up_ends_the_session() {
    let polling = polling().await;
    let get = polling.waiting_get().await;
    drop(get);
    assert_eq!(polling.get().await.status, 400);
}

#[tokio::test]
async fn a_websocket_carries_messages_both_ways() {
    let mut ws = websocket().await;
    ws.send("4hello").await;
    assert_eq!(ws.text().await, "4hello");
    ws.send_binary(&[1, 2, 3, 4]).await;
    assert_eq!(ws.binary().await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_frame_that_is_no_packet_ends_a_websocket_session() {
    for frame in ["abc", "", "7"] {
        let mut ws = websocket().await;
        ws.send(frame).await;
        ws.closed().await;
    }
}

// Heartbeat

#[tokio::test]
async fn the_server_pings_a_polling_client() {
    let polling = Polling::open(pinging(Times::PATIENT).await, PATH).await;
    for _ in 0..3 {
        assert_eq!(polling.get().await.text(), "2");
        assert_eq!(polling.post("3").await.status, 200);
    }
}

#[tokio::test]
async fn a_polling_client_that_does_not_answer_pings_is_dropped() {
    let polling = Polling::open(pinging(Times::DOCUMENT).await, PATH).await;
    // A client that a machine stalls for long finds the end alone.
    let sent = polling.get_to_the_end().await.concat();
    assert!("21".starts_with(&sent), "{sent}");
}

#[tokio::test]
async fn the_server_pings_a_websocket_client() {
    let mut ws = Ws::open(pinging(Times::PATIENT).await, PATH).await;
    for _ in 0..3 {
        assert_eq!(ws.text().await, "2");
        ws.send("3").await;
    }
}

#[tokio::test]
async fn a_websocket_client_that_does_not_answer_pings_is_dropped() {
    let mut ws = Ws::open(pinging(Times::DOCUMENT).await, PATH).await;
    ws.closed().await;
}

// Close

#[tokio::test]
async fn a_polling_client_closes() {
    let polling = polling().await;
    let get = polling.waiting_get().await;
    assert_eq!(polling.post("1").await.status, 200);
    assert_eq!(get.answer().await.text(), "6");
    assert_eq!(polling.get().await.status, 400);
}

#[tokio::test]
async fn a_websocket_client_closes() {
    let mut ws = websocket().await;
    ws.send("1").await;
    ws.closed().await;
}

// Upgrade

#[tokio::test]
async fn a_session_moves_to_a_websocket() {
    let polling = polling().await;
    let waiting = polling.waiting_get().await;
    let mut ws = polling.websocket().await;
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    assert_eq!(
        waiting.answer().await.text(),
        "6",
        "the waiting poll ends at once"
    );
    assert_eq!(polling.get().await.text(), "6", "and another one soon");
    ws.send("5").await;
    ws.send("4hello").await;
    assert_eq!(ws.text().await, "4hello");
}

#[tokio::test]
async fn after_the_upgrade_polling_is_refused() {
    let polling = polling().await;
    let mut ws = polling.websocket().await;
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    ws.send("5").await;
    ws.send("4sync").await;
    assert_eq!(ws.text().await, "4sync");
    let reply = polling.get().await;
    assert_eq!((reply.status, reply.code()), (400, 3));
    assert_eq!(polling.post("4hello").await.code(), 3);
    ws.send("4hello").await;
    assert_eq!(ws.text().await, "4hello");
}

#[tokio::test]
async fn after_the_upgrade_another_websocket_is_closed() {
    let polling = polling().await;
    let mut ws = polling.websocket().await;
    ws.send("2probe").await;
    ws.send("5").await;
    assert_eq!(ws.text().await, "3probe");
    let mut second = polling.websocket().await;
    second.closed().await;
    ws.send("4hello").await;
    assert_eq!(ws.text().await, "4hello");
}

#[tokio::test]
async fn what_was_sent_during_the_upgrade_arrives_in_order() {
    let polling = polling().await;
    let mut ws = polling.websocket().await;
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    assert_eq!(polling.post("41\x1e42").await.status, 200);
    ws.send("5").await;
    ws.send("43").await;
    for expected in ["41", "42", "43"] {
        assert_eq!(ws.text().await, expected);
    }
}
