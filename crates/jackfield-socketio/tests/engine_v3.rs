//! Engine.IO protocol 3, as its document describes it, on the echo of the protocol fixture.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod support;

use support::{Polling, Times, Ws, fixture, fixture_with, get};

const PATH: &str = "/engine.io/?EIO=3";
const TEXT_ONLY: &str = "/engine.io/?EIO=3&b64=1";

async fn polling() -> Polling {
    Polling::open(fixture(true).await, TEXT_ONLY).await
}

async fn websocket() -> Ws {
    Ws::open(fixture(true).await, PATH).await
}

// Handshake

#[tokio::test]
async fn the_open_packet_has_its_length_in_front() {
    let address = fixture_with(true, Times::DOCUMENT).await;
    let reply = get(address, "/engine.io/?EIO=3&transport=polling").await;
    let (length, packet) = reply.text().split_once(':').unwrap();
    assert_eq!(length, packet.len().to_string());
    let open: serde_json::Value = serde_json::from_str(&packet[1..]).unwrap();
    assert_eq!(open["upgrades"], serde_json::json!(["websocket"]));
    assert_eq!(open["pingInterval"], 300);
}

#[tokio::test]
async fn no_version_means_this_one() {
    let address = fixture(true).await;
    assert_eq!(
        get(address, "/engine.io/?transport=polling").await.status,
        200
    );
    let mut ws = Ws::connect(address, "/engine.io/?transport=websocket")
        .await
        .unwrap();
    assert!(ws.text().await.starts_with("0{"));
    assert_eq!(get(address, "/engine.io/?EIO=3").await.code(), 0);
    assert_eq!(
        get(address, "/engine.io/?EIO=3&transport=abc").await.code(),
        0
    );
}

// Messages

#[tokio::test]
async fn polling_carries_text_payloads_both_ways() {
    let polling = polling().await;
    for payload in [
        "6:4hello",
        "6:4test16:4test26:4test3",
        "6:4hello10:b4AQIDBA==",
        "2:4€3:4🦀",
    ] {
        let post = polling.post(payload).await;
        assert_eq!((post.status, post.text()), (200, "ok"), "{payload}");
        assert_eq!(polling.get().await.text(), payload);
    }
}

#[tokio::test]
async fn a_client_that_reads_binary_gets_a_binary_payload() {
    let polling = Polling::open(fixture(true).await, PATH).await;
    assert_eq!(polling.post("6:4hello10:b4AQIDBA==").await.status, 200);
    let reply = polling.get().await;
    assert_eq!(
        reply.body,
        b"\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04"
    );
    assert_eq!(
        reply.header("content-type"),
        Some("application/octet-stream")
    );
    let octets = "Content-Type: application/octet-stream\r\n";
    assert_eq!(polling.post_as(octets, &reply.body).await.status, 200);
    assert_eq!(polling.get().await.body, reply.body);
}

#[tokio::test]
async fn a_payload_that_is_none_ends_a_polling_session() {
    for payload in ["abc", "", "4hello", "9:4hello", "3:abc"] {
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
    assert_eq!(first.answer().await.text(), "1:1");
    assert_eq!(polling.get().await.status, 400);
}

#[tokio::test]
async fn a_websocket_carries_messages_both_ways() {
    let mut ws = websocket().await;
    ws.send("4hello").await;
    assert_eq!(ws.text().await, "4hello");
    ws.send_binary(&[4, 1, 2, 3, 4]).await;
    assert_eq!(ws.binary().await, [4, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_frame_that_is_no_packet_ends_a_websocket_session() {
    let mut ws = websocket().await;
    ws.send("abc").await;
    ws.closed().await;
    let mut ws = websocket().await;
    ws.send_binary(&[3, 1]).await;
    ws.closed().await;
}

// Heartbeat

#[tokio::test]
async fn the_client_pings() {
    let polling = polling().await;
    for _ in 0..3 {
        assert_eq!(polling.post("1:2").await.status, 200);
        assert_eq!(polling.get().await.text(), "1:3");
    }
    let mut ws = websocket().await;
    for _ in 0..3 {
        ws.send("2").await;
        assert_eq!(ws.text().await, "3");
    }
}

#[tokio::test]
async fn a_client_that_does_not_ping_is_dropped() {
    let address = fixture_with(true, Times::DOCUMENT).await;
    let polling = Polling::open(address, TEXT_ONLY).await;
    // A client that a machine stalls for long finds the end alone.
    let sent = polling.get_to_the_end().await.concat();
    assert!("1:1".starts_with(&sent), "{sent}");
    assert_eq!(polling.post("1:2").await.code(), 1);
    Ws::open(address, PATH).await.closed().await;
}

// Close and upgrade

#[tokio::test]
async fn a_client_closes() {
    let polling = polling().await;
    let get = polling.waiting_get().await;
    assert_eq!(polling.post("1:1").await.status, 200);
    assert_eq!(get.answer().await.text(), "1:6");
    assert_eq!(polling.get().await.status, 400);
    let mut ws = websocket().await;
    ws.send("1").await;
    ws.closed().await;
}

#[tokio::test]
async fn a_session_moves_to_a_websocket() {
    let polling = polling().await;
    let mut ws = polling.websocket().await;
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    assert_eq!(polling.get().await.text(), "1:6");
    ws.send("5").await;
    ws.send("4hello").await;
    assert_eq!(ws.text().await, "4hello");
    assert_eq!(polling.get().await.status, 400);
    polling.websocket().await.closed().await;
}
