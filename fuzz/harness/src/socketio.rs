//! Fuzz targets: each takes bytes and asserts what must hold for all of them.

#![expect(clippy::unwrap_used, reason = "a fuzz target panics on purpose")]

mod session;

use bytes::Bytes;
use bytestring::ByteString;

use jackfield_socketio_proto::engine::payload::{
    BinaryDecoder, TextDecoder, V4Decoder, encode_v3_binary, encode_v3_text, encode_v4,
};
use jackfield_socketio_proto::engine::{Message, Outgoing, Packet, PacketError, Query, query_map};
use jackfield_socketio_proto::packet::{Content, Decoder, DecoderConfig};
use jackfield_socketio_proto::{Args, packet};

pub use self::session::session;

fn text(data: &[u8]) -> Option<ByteString> {
    ByteString::try_from(data).ok()
}

/// What a packet is when it is sent on.
fn outgoing(packet: &Packet) -> Outgoing {
    match packet {
        Packet::Message(message) => Outgoing::message(message.clone()),
        Packet::Open(content) | Packet::Ping(content) | Packet::Pong(content) => {
            Outgoing::text(format!("{}{content}", packet.digit()))
        }
        Packet::Close | Packet::Upgrade | Packet::Noop => {
            Outgoing::text(packet.digit().to_string())
        }
    }
}

/// Packets up to the first error, and whether there was one.
fn split(
    packets: impl Iterator<Item = Result<Packet, PacketError>>,
    most: usize,
) -> (Vec<Packet>, bool) {
    let mut good = Vec::new();
    let mut failed = false;
    for packet in packets {
        assert!(!failed, "nothing comes after an error");
        match packet {
            Ok(packet) => good.push(packet),
            Err(_) => failed = true,
        }
    }
    assert!(good.len() <= most, "a packet has at least one byte");
    (good, failed)
}

/// Packets of a revision 4 body come back from the body that they are encoded as.
pub fn payload_v4(data: &[u8]) {
    let Some(body) = text(data) else { return };
    let (packets, failed) = split(V4Decoder::new(body), data.len() + 1);
    if failed && packets.is_empty() {
        return;
    }
    let sent: Vec<_> = packets.iter().map(outgoing).collect();
    let body = ByteString::try_from(encode_v4(&sent)).unwrap();
    let (again, failed) = split(V4Decoder::new(body), usize::MAX);
    assert!(!failed);
    assert_eq!(again, packets);
}

/// Packets of a revision 3 text body come back from the text and the binary body that they are
/// encoded as.
pub fn payload_v3_text(data: &[u8]) {
    if let Some(body) = text(data) {
        let (packets, _) = split(TextDecoder::new(body), data.len());
        check_v3(&packets);
    }
}

/// As [`payload_v3_text`], from a binary body.
pub fn payload_v3_binary(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let (packets, _) = split(BinaryDecoder::new(body), data.len());
    check_v3(&packets);
}

fn check_v3(packets: &[Packet]) {
    let sent: Vec<_> = packets.iter().map(outgoing).collect();
    let body = ByteString::try_from(encode_v3_text(&sent)).unwrap();
    let (again, failed) = split(TextDecoder::new(body), usize::MAX);
    assert!(!failed);
    assert_eq!(again, packets);
    let (again, failed) = split(BinaryDecoder::new(encode_v3_binary(&sent)), usize::MAX);
    assert!(!failed);
    assert_eq!(again, packets);
}

/// A query is read without a panic, and what it is read as does not depend on what it was escaped
/// as.
pub fn query(data: &[u8]) {
    let Some(query) = text(data) else { return };
    let read = Query::parse(&query);
    let map = query_map(&query);
    assert!(map.len() <= query.split('&').count());
    let escape = |text: &str| {
        text.bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect::<String>()
    };
    let plain: Vec<_> = map
        .iter()
        .map(|(key, value)| format!("{}={}", escape(key), escape(value)))
        .collect();
    let plain = plain.join("&");
    assert_eq!(query_map(&plain), map);
    assert_eq!(Query::parse(&plain), read);
}

/// Messages, each a line (a line with a `#` in front is binary): what is decoded is within the
/// limits, and comes back from the packet that it is encoded as.
pub fn packets(data: &[u8]) {
    let config = DecoderConfig {
        max_attachments: 3,
        max_packet: 4096,
    };
    let mut decoder = Decoder::new(config);
    for line in data.split(|byte| *byte == b'\n') {
        let message = match line.split_first() {
            Some((b'#', bytes)) => Message::Binary(Bytes::copy_from_slice(bytes)),
            _ => match text(line) {
                Some(text) => Message::Text(text),
                None => return,
            },
        };
        match decoder.handle_message(message) {
            Ok(None) => {}
            Ok(Some(decoded)) => check_packet(decoded, config),
            Err(_) => return,
        }
    }
}

fn check_packet(decoded: packet::Packet, config: DecoderConfig) {
    let namespace = &decoded.namespace;
    assert!(namespace.starts_with('/') && !namespace.contains(','));
    let encoded = match &decoded.content {
        Content::Event(event) => {
            assert!(!packet::is_reserved(&event.name));
            check_args(&event.args, config);
            packet::event(namespace, event.ack_id, &event.name, &event.args)
        }
        Content::Ack(ack) => {
            check_args(&ack.args, config);
            packet::ack(namespace, ack.ack_id, &ack.args)
        }
        Content::Connect(_) | Content::Disconnect | Content::ConnectError(_) => return,
    };
    // Only nesting below what the JSON reader follows can fail to be written again.
    let Ok(encoded) = encoded else { return };
    let mut decoder = Decoder::default();
    let mut again = decoder.handle_message(Message::Text(encoded.text)).unwrap();
    for attachment in encoded.attachments {
        assert!(again.is_none());
        again = decoder.handle_message(Message::Binary(attachment)).unwrap();
    }
    let again = again.unwrap();
    assert_eq!(&again.namespace, namespace);
    match (again.content, decoded.content) {
        (Content::Event(again), Content::Event(event)) => {
            assert_eq!((again.name, again.ack_id), (event.name, event.ack_id));
            assert_eq!(again.args.raw().len(), event.args.raw().len());
        }
        (Content::Ack(again), Content::Ack(ack)) => {
            assert_eq!(again.ack_id, ack.ack_id);
            assert_eq!(again.args.raw().len(), ack.args.raw().len());
        }
        (again, _) => panic!("{again:?} is another kind of packet"),
    }
}

fn check_args(args: &Args, config: DecoderConfig) {
    assert!(args.attachments().len() <= config.max_attachments);
    let held: usize = args.attachments().iter().map(Bytes::len).sum();
    assert!(held <= config.max_packet);
    for (index, raw) in args.raw().iter().enumerate() {
        assert!(args.json().contains(raw.get()));
        // Deep nesting is an error of this call, not a stack overflow.
        drop(args.get::<serde_json::Value>(index));
    }
}

#[cfg(test)]
mod tests {
    use jackfield_testing::replay;

    use super::*;

    #[test]
    fn revision_4_payloads_hold_up() {
        replay("socketio_payload_v4", 6_000, payload_v4);
    }

    #[test]
    fn revision_3_text_payloads_hold_up() {
        replay("socketio_payload_v3_text", 6_000, payload_v3_text);
    }

    #[test]
    fn revision_3_binary_payloads_hold_up() {
        replay("socketio_payload_v3_binary", 6_000, payload_v3_binary);
    }

    #[test]
    fn queries_hold_up() {
        replay("socketio_query", 6_000, query);
    }

    #[test]
    fn packets_hold_up() {
        replay("socketio_packets", 6_000, packets);
    }

    #[test]
    fn sessions_hold_up() {
        replay("socketio_session", 6_000, session);
    }
}
