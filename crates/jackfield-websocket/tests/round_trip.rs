//! What one side sends, the other receives: under any chunking, fragmentation and compression.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

use bytes::{Buf, Bytes};
use jackfield_websocket::frame::{self, OpCode};
use jackfield_websocket::{
    CloseCode, CloseFrame, Connection, Event, Kind, Message, Role, WebSocketLimits, deflate,
};
use proptest::prelude::*;

fn message() -> impl Strategy<Value = Message> {
    let text = prop_oneof![
        "\\PC{0,80}",
        "[ab]{0,20}",
        "\\PC{1,4}".prop_map(|s| s.repeat(900))
    ];
    let binary = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(0u8..3, 0..70_000),
    ];
    prop_oneof![
        text.prop_map(Message::text),
        binary.prop_map(Message::binary)
    ]
}

fn params() -> impl Strategy<Value = Option<deflate::Params>> {
    prop::option::of(
        (
            any::<bool>(),
            any::<bool>(),
            9u8..=15,
            8u8..=15,
            1u8..=9,
            0usize..300,
        )
            .prop_map(
                |(server, client, server_bits, client_bits, level, threshold)| deflate::Params {
                    server_no_context_takeover: server,
                    client_no_context_takeover: client,
                    server_max_window_bits: server_bits,
                    client_max_window_bits: client_bits.max(9),
                    level,
                    threshold,
                },
            ),
    )
}

fn connection(role: Role, params: Option<deflate::Params>) -> Connection {
    let connection = Connection::new(role, WebSocketLimits::default());
    match params {
        Some(params) => connection.with_deflate(params),
        None => connection,
    }
}

/// Gives `wire` to `connection` in chunks whose sizes repeat.
fn receive(connection: &mut Connection, wire: &[u8], sizes: &[usize]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut sizes = sizes.iter().cycle();
    let mut rest = wire;
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(1).min(rest.len());
        let (mut chunk, after) = rest.split_at(size);
        while let Some(event) = connection.receive(&mut chunk) {
            events.push(event);
        }
        assert!(chunk.is_empty());
        rest = after;
    }
    events
}

/// The queue of `connection`, written in pieces whose sizes repeat.
fn write(connection: &mut Connection, sizes: &[usize]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut sizes = sizes.iter().cycle();
    while connection.outgoing().has_remaining() {
        let outgoing = connection.outgoing();
        let chunk = outgoing.chunk();
        let size = sizes.next().copied().unwrap_or(1).min(chunk.len());
        wire.extend_from_slice(chunk.get(..size).unwrap());
        outgoing.advance(size);
    }
    wire
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1usize..20, 1usize..100_000], 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn messages_arrive_as_sent_whatever_the_roles_compression_and_chunks(
        messages in prop::collection::vec(message(), 0..6),
        params in params(),
        to_server: bool,
        written in sizes(),
        read in sizes(),
        seed: [u8; 32],
    ) {
        let client = connection(Role::Client { seed }, params);
        let server = connection(Role::Server, params);
        let (mut sender, mut receiver) = if to_server { (client, server) } else { (server, client) };
        for message in &messages {
            sender.send(message).unwrap();
            sender.ping(b"between").unwrap();
        }
        let close = CloseFrame::new(CloseCode::NORMAL, "done");
        sender.close(Some(&close));
        let wire = write(&mut sender, &written);

        let events = receive(&mut receiver, &wire, &read);
        let mut expected: Vec<Event> = messages
            .into_iter()
            .flat_map(|message| [Event::Message(message), Event::Ping(Bytes::from_static(b"between"))])
            .collect();
        expected.push(Event::Close(Some(close)));
        prop_assert_eq!(events, expected);
        prop_assert!(receiver.is_input_over());
    }

    #[test]
    fn fragmented_messages_are_joined_whatever_the_cuts(
        message in message(),
        params in params(),
        cuts in prop::collection::vec(0usize..3000, 0..5),
        read in sizes(),
        key: [u8; 4],
    ) {
        // A whole message of a client, taken apart and fragmented by hand.
        let mut client = connection(Role::Client { seed: [1; 32] }, params);
        client.send(&message).unwrap();
        let wire = client.outgoing().take_bytes();
        let (header, at) = frame::Header::parse(&wire).unwrap().unwrap();
        let mut payload = wire.get(at..).unwrap().to_vec();
        jackfield_websocket::mask::apply(header.mask.unwrap(), 0, &mut payload);

        let mut fragmented = Vec::new();
        let mut rest = &payload[..];
        let mut opcode = header.opcode;
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            let rsv1 = header.compressed && opcode != OpCode::Continuation;
            fragmented.extend_from_slice(&frame::encode(opcode, false, rsv1, Some(key), &[piece]));
            fragmented.extend_from_slice(&frame::encode(OpCode::Pong, true, false, Some(key), &[]));
            (opcode, rest) = (OpCode::Continuation, after);
        }
        let rsv1 = header.compressed && opcode != OpCode::Continuation;
        fragmented.extend_from_slice(&frame::encode(opcode, true, rsv1, Some(key), &[rest]));

        let mut server = connection(Role::Server, params);
        let mut events = receive(&mut server, &fragmented, &read);
        prop_assert_eq!(events.pop(), Some(Event::Message(message)));
        prop_assert!(events.iter().all(|event| *event == Event::Pong(Bytes::new())));
    }

    #[test]
    fn a_message_in_parts_is_the_message_joined(
        data in prop::collection::vec(any::<u8>(), 0..3000),
        cut in 0usize..3000,
        params in params(),
    ) {
        let mut server = connection(Role::Server, params);
        let mut client = connection(Role::Client { seed: [3; 32] }, params);
        let (head, tail) = data.split_at(cut.min(data.len()));
        server.send_parts(Kind::Binary, &[head, tail, &[]]).unwrap();
        let wire = server.outgoing().take_bytes();
        prop_assert_eq!(
            receive(&mut client, &wire, &[usize::MAX]),
            vec![Event::Message(Message::binary(data))]
        );
    }
}
