//! Socket.IO protocol 5 (and 4 for Engine.IO 3), as its document describes it, on the protocol
//! fixture.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod support;

use serde_json::Value;
use support::{Polling, Times, Ws, fixture, fixture_with};

const PATH: &str = "/socket.io/?EIO=4";

async fn open() -> Ws {
    Ws::open(fixture(false).await, PATH).await
}

/// A client in the main namespace, with the fixture's greeting taken.
async fn joined() -> Ws {
    let mut ws = Ws::join(fixture(false).await).await;
    assert_eq!(ws.text().await, r#"42["auth",{}]"#);
    ws
}

fn assert_connected(packet: &str, prefix: &str) {
    let json: Value = serde_json::from_str(packet.strip_prefix(prefix).unwrap()).unwrap();
    let object = json.as_object().unwrap();
    assert_eq!(object.len(), 1);
    assert!(object["sid"].is_string());
}

// Connect

#[tokio::test]
async fn a_client_joins_the_main_namespace() {
    for (connect, auth) in [("40", "{}"), (r#"40{"token":"123"}"#, r#"{"token":"123"}"#)] {
        let mut ws = open().await;
        ws.send(connect).await;
        assert_connected(&ws.text().await, "40");
        assert_eq!(ws.text().await, format!(r#"42["auth",{auth}]"#));
    }
}

#[tokio::test]
async fn a_client_joins_another_namespace() {
    for (connect, auth) in [
        ("40/custom,", "{}"),
        ("40/custom", "{}"),
        (r#"40/custom,{"token":"abc"}"#, r#"{"token":"abc"}"#),
    ] {
        let mut ws = open().await;
        ws.send(connect).await;
        assert_connected(&ws.text().await, "40/custom,");
        assert_eq!(ws.text().await, format!(r#"42/custom,["auth",{auth}]"#));
    }
}

#[tokio::test]
async fn the_public_id_is_not_the_sessions() {
    let address = fixture(false).await;
    let polling = Polling::open(address, PATH).await;
    polling.post("40").await;
    let reply = polling.get().await;
    let connected = reply.text().split('\x1e').next().unwrap();
    assert_connected(connected, "40");
    assert!(!connected.contains(&polling.sid));
}

#[tokio::test]
async fn an_unknown_namespace_is_refused() {
    let mut ws = open().await;
    ws.send("40/random").await;
    assert_eq!(
        ws.text().await,
        r#"44/random,{"message":"Invalid namespace"}"#
    );
    ws.send("40").await;
    assert_connected(&ws.text().await, "40");
}

#[tokio::test]
async fn a_client_that_joins_nothing_is_dropped() {
    let times = Times {
        connect_timeout: Times::DOCUMENT.connect_timeout,
        ..Times::PATIENT
    };
    let mut ws = Ws::open(fixture_with(false, times).await, PATH).await;
    // Its heartbeats go on until then, and the end may come before an answer.
    while let Some(message) = ws.next().await {
        assert_eq!(message.as_text(), Some("2"));
        ws.0.send(&jackfield_ws::Message::text("3")).await.ok();
    }
}

// Disconnect

#[tokio::test]
async fn a_client_leaves_the_main_namespace_and_stays_connected() {
    let address = fixture_with(false, Times::PATIENT).await;
    let mut ws = Ws::join(address).await;
    ws.send("41").await;
    while ws.text().await != "2" {}
}

#[tokio::test]
async fn a_client_leaves_one_namespace_and_goes_on_in_another() {
    let mut ws = joined().await;
    ws.send("40/custom").await;
    assert_connected(&ws.event().await, "40/custom,");
    assert_eq!(ws.event().await, r#"42/custom,["auth",{}]"#);
    ws.send("41/custom").await;
    ws.send(r#"42["message","message to main namespace"]"#)
        .await;
    assert_eq!(
        ws.event().await,
        r#"42["message-back","message to main namespace"]"#
    );
}

// Messages

#[tokio::test]
async fn events_go_both_ways() {
    let mut ws = joined().await;
    ws.send(r#"42["message",1,"2",{"3":[true]}]"#).await;
    assert_eq!(ws.text().await, r#"42["message-back",1,"2",{"3":[true]}]"#);
}

#[tokio::test]
async fn events_carry_binary() {
    let mut ws = joined().await;
    ws.send(r#"452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#)
        .await;
    ws.send_binary(&[1, 2, 3]).await;
    ws.send_binary(&[4, 5, 6]).await;
    assert_eq!(
        ws.text().await,
        r#"452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#
    );
    assert_eq!(ws.binary().await, [1, 2, 3]);
    assert_eq!(ws.binary().await, [4, 5, 6]);
}

#[tokio::test]
async fn events_are_acknowledged() {
    let mut ws = joined().await;
    ws.send(r#"42456["message-with-ack",1,"2",{"3":[false]}]"#)
        .await;
    assert_eq!(ws.text().await, r#"43456[1,"2",{"3":[false]}]"#);
    ws.send(r#"452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#).await;
    ws.send_binary(&[1, 2, 3]).await;
    ws.send_binary(&[4, 5, 6]).await;
    assert_eq!(
        ws.text().await,
        r#"462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#
    );
    assert_eq!(ws.binary().await, [1, 2, 3]);
    assert_eq!(ws.binary().await, [4, 5, 6]);
}

// What ends the connection

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_connection() {
    let packets = [
        "4abc",
        "49",
        "42{}",
        r#"42abc["message-with-ack",1]"#,
        r#"42["disconnect"]"#,
        "40",
        "44{}",
        "41/custom",
        r#"42/custom,["message"]"#,
    ];
    for packet in packets {
        let mut ws = joined().await;
        ws.send(packet).await;
        ws.closed().await;
    }
}

#[tokio::test]
async fn binary_that_nothing_announced_ends_the_connection() {
    let mut ws = joined().await;
    ws.send_binary(&[1, 2, 3]).await;
    ws.closed().await;
}

#[tokio::test]
async fn text_between_a_packet_and_its_attachments_ends_the_connection() {
    let mut ws = joined().await;
    ws.send(r#"451-["message",{"_placeholder":true,"num":0}]"#)
        .await;
    ws.send(r#"42["message"]"#).await;
    ws.closed().await;
}

#[tokio::test]
async fn an_event_before_joining_ends_the_connection() {
    for packet in [r#"42["message"]"#, "41", "43[]"] {
        let mut ws = open().await;
        ws.send(packet).await;
        ws.closed().await;
    }
}

// Protocol 4

#[tokio::test]
async fn a_client_of_protocol_4_is_in_the_main_namespace_unasked() {
    let mut ws = Ws::open(fixture(true).await, "/socket.io/?EIO=3").await;
    assert_eq!(ws.text().await, "40");
    assert_eq!(ws.text().await, r#"42["auth",{}]"#);
    ws.send(r#"42["message",1]"#).await;
    assert_eq!(ws.text().await, r#"42["message-back",1]"#);
    ws.send("40/custom?token=a%20b").await;
    assert_eq!(ws.text().await, "40/custom,");
    assert_eq!(ws.text().await, r#"42/custom,["auth",{"token":"a b"}]"#);
    ws.send("40/random").await;
    assert_eq!(ws.text().await, r#"44/random,"Invalid namespace""#);
}
