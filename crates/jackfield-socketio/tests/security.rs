//! One test for each published weakness of an Engine.IO or Socket.IO server that this server could
//! share.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod support;

use std::net::SocketAddr;

use jackfield_socketio::{Io, IoConfig};
use support::{Polling, Ws, fixture, request, serve};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const PATH: &str = "/socket.io/?EIO=4";

/// A client in the main namespace, with the fixture's greeting taken.
async fn joined(address: SocketAddr) -> Ws {
    let mut ws = Ws::join(address).await;
    assert!(ws.text().await.starts_with(r#"42["auth""#));
    ws
}

/// The server still does its work.
async fn assert_serves(address: SocketAddr) {
    let mut ws = joined(address).await;
    ws.send(r#"42["message","alive"]"#).await;
    assert_eq!(ws.event().await, r#"42["message-back","alive"]"#);
}

#[tokio::test]
async fn cve_2020_28481_no_origin_is_let_in_by_default() {
    let address = serve(&Io::new(IoConfig::default())).await;
    let origin = "Origin: https://evil.example\r\n";
    let reply = request(
        address,
        "GET",
        "/socket.io/?EIO=4&transport=polling",
        origin,
        b"",
    )
    .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), None);
    let preflight = request(
        address,
        "OPTIONS",
        "/socket.io/?EIO=4&transport=polling",
        origin,
        b"",
    )
    .await;
    assert_eq!(preflight.status, 400);
    assert_eq!(preflight.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn cve_2020_36048_a_huge_body_is_refused_unread() {
    let address = fixture(false).await;
    let polling = Polling::open(address, PATH).await;
    // By its announced length, with no byte of it sent.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\n",
        polling.target()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(support::read_reply(&mut stream).await.status, 413);
    // By its length as it comes.
    let polling = Polling::open(address, PATH).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        polling.target()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 100_000, "4".repeat(100_000));
    for _ in 0..11 {
        stream.write_all(chunk.as_bytes()).await.ok();
    }
    assert_eq!(support::read_reply(&mut stream).await.status, 413);
    assert_serves(address).await;
}

#[tokio::test]
async fn cve_2020_36049_a_payload_of_many_small_packets_is_taken_in_linear_time() {
    let address = fixture(true).await;
    let polling = Polling::open(address, "/engine.io/?EIO=3&b64=1").await;
    assert_eq!(polling.post("1:6".repeat(300_000)).await.status, 200);
    let polling = Polling::open(address, "/engine.io/?EIO=4").await;
    assert_eq!(polling.post(["6"; 499_999].join("\x1e")).await.status, 200);
    assert_serves(address).await;
}

#[tokio::test]
async fn cve_2022_21676_requests_of_an_odd_shape_only_fail() {
    let address = fixture(false).await;
    let targets = [
        "/socket.io/?",
        "/socket.io/?EIO=4&transport=constructor",
        "/socket.io/?EIO=4&transport=polling&sid=constructor",
        "/socket.io/?EIO=4&transport=polling&sid=%00%ff",
        "/socket.io/?EIO[]=4&transport[]=polling",
        "/socket.io/?EIO=4&EIO=3&transport=polling&transport=websocket&sid=a&sid=b",
        "/socket.io/?%=%&&&==&EIO=%34",
    ];
    for target in targets {
        let reply = request(address, "GET", target, "", b"").await;
        assert_eq!(reply.status, 400, "{target}");
    }
    assert_serves(address).await;
}

#[tokio::test]
async fn cve_2022_2421_a_placeholder_must_name_an_attachment() {
    let address = fixture(false).await;
    for num in [
        "1",
        "-1",
        "\"splice\"",
        "1e9",
        "null",
        "{}",
        "18446744073709551616",
    ] {
        let mut ws = joined(address).await;
        ws.send(&format!(
            r#"451-["message",{{"_placeholder":true,"num":{num}}}]"#
        ))
        .await;
        ws.0.send(&jackfield_ws::Message::binary(vec![1]))
            .await
            .ok();
        ws.closed().await;
    }
    assert_serves(address).await;
}

#[tokio::test]
async fn cve_2022_41940_a_connection_that_is_reset_during_the_upgrade_harms_no_other() {
    let address = fixture(false).await;
    let polling = Polling::open(address, PATH).await;
    let ws = polling.websocket().await;
    ws.0.get_ref().set_zero_linger().unwrap();
    drop(ws);
    assert_eq!(
        polling.post("40").await.status,
        200,
        "the session goes on polling"
    );
    assert!(polling.get().await.text().starts_with("40{"));
    assert_serves(address).await;
}

#[tokio::test]
async fn cve_2023_32695_an_event_name_is_a_string_or_a_number() {
    let address = fixture(false).await;
    for name in [r#"{"toString":"x"}"#, "[]", "null", "true"] {
        let mut ws = joined(address).await;
        ws.send(&format!("42[{name}]")).await;
        ws.closed().await;
    }
    assert_serves(address).await;
}

#[tokio::test]
async fn cve_2024_38355_an_event_named_error_is_an_event_like_others() {
    let address = fixture(false).await;
    let mut ws = joined(address).await;
    ws.send(r#"42["error",{"message":"x"}]"#).await;
    ws.send(r#"42["message","alive"]"#).await;
    assert_eq!(ws.event().await, r#"42["message-back","alive"]"#);
}

#[tokio::test]
async fn cve_2026_33151_the_number_of_attachments_is_limited() {
    let address = fixture(false).await;
    let mut ws = joined(address).await;
    ws.send(r#"4510-["message"]"#).await;
    for _ in 0..10 {
        ws.send_binary(&[0]).await;
    }
    assert_eq!(ws.event().await, r#"42["message-back"]"#);
    let mut ws = joined(address).await;
    ws.send(r#"4511-["message"]"#).await;
    ws.closed().await;
}

#[tokio::test]
async fn cve_2026_69185_a_binary_packet_without_attachments_buffers_nothing() {
    let address = fixture(false).await;
    for count in ["0", "-0", "00", ""] {
        let mut ws = joined(address).await;
        ws.send(&format!(r#"45{count}-["message"]"#)).await;
        ws.closed().await;
    }
}

#[tokio::test]
async fn cve_2026_48804_attachments_cannot_pile_up() {
    let address = fixture(false).await;
    let mut ws = joined(address).await;
    for _ in 0..100 {
        ws.send(r#"451-["message",{"_placeholder":true,"num":0}]"#)
            .await;
        ws.send_binary(&[7; 1000]).await;
        assert!(ws.event().await.starts_with(r#"451-["message-back""#));
        assert_eq!(ws.binary().await, [7; 1000]);
    }
    ws.send_binary(&[7; 1000]).await;
    ws.closed().await;
}

#[tokio::test]
async fn cve_2026_59725_a_binary_body_in_protocol_4_is_answered_and_ends_the_session() {
    let polling = Polling::open(fixture(false).await, PATH).await;
    let octets = "Content-Type: application/octet-stream\r\n";
    let reply = polling.post_as(octets, "4hello").await;
    assert_eq!((reply.status, reply.code()), (400, 3));
    assert_eq!(polling.get().await.code(), 1);
}

#[tokio::test]
async fn cve_2026_48779_a_message_in_tiny_fragments_is_not_collected_forever() {
    let address = fixture(false).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
                Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut flood = vec![0x01, 0x80, 0, 0, 0, 0];
    flood.extend(std::iter::repeat_n([0x00, 0x80, 0, 0, 0, 0], 200_000).flatten());
    // The server closes in the middle of it.
    let sent = stream.write_all(&flood).await;
    let mut end = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut end);
    let read = tokio::time::timeout(support::LONG, read)
        .await
        .expect("the server closes");
    assert!(sent.is_err() || read.is_err() || !end.is_empty());
    assert_serves(address).await;
}

#[tokio::test]
async fn ghsa_55mf_67qm_4wpg_a_websocket_message_has_the_limit_of_a_body() {
    let address = fixture(false).await;
    let mut ws = joined(address).await;
    let most = format!(r#"42["message","{}"]"#, "x".repeat(1_000_000 - 14 - 2));
    assert_eq!(most.len(), 1_000_000);
    ws.send(&most).await;
    assert!(ws.event().await.starts_with(r#"42["message-back","xxx"#));
    let mut ws = joined(address).await;
    ws.0.send(&jackfield_ws::Message::binary(vec![0; 1_000_002]))
        .await
        .ok();
    ws.closed().await;
    assert_serves(address).await;
}

#[tokio::test]
async fn socketioxide_0_17_9_characters_of_several_bytes_are_whole() {
    let address = fixture(true).await;
    for body in ["3:4€", "2:4🦀", "4:€", "1:€", "2:€4"] {
        let polling = Polling::open(address, "/engine.io/?EIO=3").await;
        assert_eq!(polling.post(body).await.status, 400, "{body}");
    }
    let polling = Polling::open(address, PATH).await;
    assert_eq!(polling.post(&b"4\xe2\x82"[..]).await.status, 400);
    assert_serves(address).await;
}

#[tokio::test]
async fn engine_io_6_6_8_handshakes_that_fail_leave_nothing_behind() {
    let io = Io::new(IoConfig::default());
    let address = serve(&io).await;
    for _ in 0..20 {
        // A WebSocket handshake without its key opens no session.
        let headers = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
        let target = "/socket.io/?EIO=4&transport=websocket";
        let reply = request(address, "GET", target, headers, b"").await;
        assert_eq!(reply.status, 400);
    }
    assert_eq!(io.stats().sessions.get(), 0);
    assert_eq!(io.stats().handshakes.get(), 0);
}
