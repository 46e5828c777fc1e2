//! The life of a connection through the public API: messages, control frames, limits, the end.

use bytes::{Buf, Bytes};
use jackfield_websocket::frame::{self, OpCode};
use jackfield_websocket::{
    CloseCode, CloseFrame, Connection, Event, Frame, Kind, Message, Role, SendError, Violation,
    WebSocketLimits, deflate,
};

const KEY: Option<[u8; 4]> = Some([1, 2, 3, 4]);

fn server() -> Connection {
    Connection::new(Role::Server, WebSocketLimits::default())
}

fn client() -> Connection {
    Connection::new(Role::Client { seed: [7; 32] }, WebSocketLimits::default())
}

fn params() -> deflate::Params {
    deflate::Params {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
        level: 6,
        threshold: 0,
    }
}

/// All events that `wire` makes.
fn receive(connection: &mut Connection, wire: &[u8]) -> Vec<Event> {
    let mut input = wire;
    let mut events = Vec::new();
    while let Some(event) = connection.receive(&mut input) {
        events.push(event);
    }
    assert!(input.is_empty(), "all of the input is used");
    events
}

fn masked(opcode: OpCode, fin: bool, payload: &[u8]) -> Bytes {
    frame::encode(opcode, fin, false, KEY, &[payload])
}

fn compressed(opcode: OpCode, fin: bool, rsv1: bool, payload: &[u8]) -> Bytes {
    frame::encode(opcode, fin, rsv1, KEY, &[payload])
}

// Messages

#[test]
fn fragments_are_joined_around_the_control_frames_between_them() {
    // RFC 6455 §5.4: control frames may stand in the middle of a fragmented message.
    let wire = [
        masked(OpCode::Text, false, b"Hel"),
        masked(OpCode::Ping, true, b"p"),
        masked(OpCode::Continuation, false, b""),
        masked(OpCode::Continuation, true, b"lo"),
    ]
    .concat();
    let mut server = server();
    assert_eq!(
        receive(&mut server, &wire),
        [
            Event::Ping(Bytes::from_static(b"p")),
            Event::Message(Message::text("Hello"))
        ]
    );
    assert_eq!(server.outgoing().take_bytes(), &b"\x8a\x01p"[..]);
}

#[test]
fn empty_messages_are_messages() {
    let wire = [
        masked(OpCode::Text, true, b""),
        masked(OpCode::Binary, true, b""),
    ]
    .concat();
    assert_eq!(
        receive(&mut server(), &wire),
        [
            Event::Message(Message::text("")),
            Event::Message(Message::binary(Bytes::new()))
        ]
    );
}

#[test]
fn text_fails_at_its_first_bad_byte_and_not_at_its_end() {
    // RFC 6455 §8.1; the frame announces ten bytes and the message has no end yet.
    let whole = masked(OpCode::Text, false, b"ab\xff1234567");
    let mut server = server();
    assert_eq!(receive(&mut server, &whole[..8]), []);
    assert_eq!(
        receive(&mut server, &whole[8..9]),
        [Event::Failed(Violation::InvalidUtf8)]
    );
}

#[test]
fn a_character_may_be_cut_by_fragments_but_not_by_the_end() {
    let cut = [
        masked(OpCode::Text, false, b"\xe2\x82"),
        masked(OpCode::Continuation, true, b"\xac"),
    ]
    .concat();
    assert_eq!(
        receive(&mut server(), &cut),
        [Event::Message(Message::text("€"))]
    );
    assert_eq!(
        receive(&mut server(), &masked(OpCode::Text, true, b"\xe2\x82")),
        [Event::Failed(Violation::InvalidUtf8)]
    );
}

// Order of frames

#[test]
fn frames_out_of_order_fail_the_connection() {
    let cases: [(&[Bytes], Violation); 4] = [
        (
            &[masked(OpCode::Continuation, true, b"x")],
            Violation::UnexpectedContinuation,
        ),
        (
            &[
                masked(OpCode::Text, false, b"x"),
                masked(OpCode::Binary, true, b"y"),
            ],
            Violation::InterruptedMessage,
        ),
        (
            &[frame::encode(OpCode::Text, true, false, None, &[b"x"])],
            Violation::NotMasked,
        ),
        (
            &[compressed(OpCode::Text, true, true, b"x")],
            Violation::ReservedBit,
        ),
    ];
    for (frames, violation) in cases {
        let mut server = server();
        assert_eq!(
            receive(&mut server, &frames.concat()),
            [Event::Failed(violation)]
        );
        server.finish();
        let expected = [&[0x88, 2][..], &1002u16.to_be_bytes()].concat();
        assert_eq!(server.outgoing().take_bytes(), expected);
    }
    assert_eq!(
        receive(&mut client(), &masked(OpCode::Text, true, b"x")),
        [Event::Failed(Violation::Masked)]
    );
}

#[test]
fn nothing_is_read_after_the_last_event() {
    let wire = [
        masked(OpCode::Close, true, b""),
        masked(OpCode::Text, true, b"late"),
        Bytes::from_static(b"\xff\xff"),
    ]
    .concat();
    let mut server = server();
    assert_eq!(receive(&mut server, &wire), [Event::Close(None)]);
    assert!(server.is_input_over());
    assert_eq!(receive(&mut server, b"more"), []);
}

// Limits

#[test]
fn limits_hold_before_the_bytes_are_there() {
    let config = WebSocketLimits {
        max_frame: 100,
        max_message: 150,
        max_fragments: 3,
        ..WebSocketLimits::default()
    };
    let header_of = |opcode, fin, len: usize| masked(opcode, fin, &vec![b'a'; len]).slice(..6);
    let part = masked(OpCode::Text, false, &[b'a'; 90]);
    let cases: [(Vec<u8>, Violation); 3] = [
        (
            header_of(OpCode::Text, true, 101).to_vec(),
            Violation::FrameTooLarge,
        ),
        (
            [part, header_of(OpCode::Continuation, true, 61)].concat(),
            Violation::MessageTooLarge,
        ),
        (
            [
                masked(OpCode::Text, false, b""),
                masked(OpCode::Continuation, false, b"").repeat(3).into(),
            ]
            .concat(),
            Violation::TooManyFragments,
        ),
    ];
    for (wire, violation) in cases {
        let mut server = Connection::new(Role::Server, config);
        assert_eq!(receive(&mut server, &wire), [Event::Failed(violation)]);
        assert!(violation.is_limit());
    }
}

#[test]
fn a_bomb_fails_at_the_limit_on_messages() {
    let config = WebSocketLimits {
        max_message: 10_000,
        ..WebSocketLimits::default()
    };
    let mut server = Connection::new(Role::Server, config).with_deflate(params());
    let mut client = client().with_deflate(params());
    client.send(&Message::binary(vec![0; 1_000_000])).unwrap();
    let wire = client.outgoing().take_bytes();
    assert!(wire.len() < 2000);
    assert_eq!(
        receive(&mut server, &wire),
        [Event::Failed(Violation::MessageTooLarge)]
    );
}

#[test]
fn of_a_flood_of_pings_the_first_few_and_the_last_are_answered() {
    let mut server = server();
    let mut wire = Vec::new();
    for number in 0..1000u16 {
        wire.extend_from_slice(&masked(OpCode::Ping, true, &number.to_be_bytes()));
    }
    assert_eq!(receive(&mut server, &wire).len(), 1000);
    assert_eq!(server.queued_bytes(), 16 * 4);
    assert_eq!(server.take_skipped_pongs(), 1000 - 17);
    let queued = server.outgoing().remaining();
    server.outgoing().advance(queued);
    assert_eq!(
        server.outgoing().take_bytes(),
        [&[0x8a, 2][..], &999u16.to_be_bytes()].concat()
    );
    assert_eq!(server.outgoing().take_bytes(), Bytes::new());
}

// Compression

#[test]
fn a_compressed_message_may_come_in_fragments_with_the_bit_on_the_first_only() {
    // RFC 7692 §7.2.3.1: "Hello" in two fragments.
    let wire = [
        compressed(OpCode::Text, false, true, &[0xf2, 0x48, 0xcd]),
        compressed(OpCode::Continuation, true, false, &[0xc9, 0xc9, 0x07, 0x00]),
    ]
    .concat();
    let mut server = server().with_deflate(params());
    for _ in 0..2 {
        assert_eq!(
            receive(&mut server, &wire),
            [Event::Message(Message::text("Hello"))]
        );
    }
    for (opcode, body) in [(OpCode::Continuation, &b"x"[..]), (OpCode::Ping, b"")] {
        let mut server = self::server().with_deflate(params());
        let wire = [
            compressed(OpCode::Text, false, false, b""),
            compressed(opcode, true, true, body),
        ]
        .concat();
        assert_eq!(
            receive(&mut server, &wire),
            [Event::Failed(Violation::ReservedBit)]
        );
    }
}

#[test]
fn short_messages_stay_as_they_are() {
    let mut server = server().with_deflate(deflate::Params {
        threshold: 6,
        ..params()
    });
    server.send(&Message::text("Hello")).unwrap();
    assert_eq!(server.outgoing().take_bytes(), &b"\x81\x05Hello"[..]);
    server.send(&Message::text("Hello!")).unwrap();
    assert_eq!(server.outgoing().take_bytes()[0], 0xc1);
}

#[test]
fn a_window_that_is_kept_makes_repeated_messages_small() {
    let takeover = deflate::Params {
        server_no_context_takeover: false,
        ..params()
    };
    let mut server = server().with_deflate(takeover);
    let mut client = client().with_deflate(takeover);
    let message = Message::text("a message that says the same thing again, word for word");
    let mut sizes = Vec::new();
    for _ in 0..3 {
        server.send(&message).unwrap();
        let wire = server.outgoing().take_bytes();
        assert_eq!(
            receive(&mut client, &wire),
            [Event::Message(message.clone())]
        );
        sizes.push(wire.len());
    }
    assert!(sizes[1] < sizes[0] / 3, "{sizes:?}");
}

#[test]
fn one_compressed_frame_serves_all_receivers_of_a_broadcast() {
    let text = "hello everyone ".repeat(100);
    let frame = Frame::new(Kind::Text, &[b"4", text.as_bytes()]);
    let mut sent = Vec::new();
    for _ in 0..2 {
        let mut server = server().with_deflate(params());
        server.send_frame(&frame).unwrap();
        let chunk = Bytes::copy_from_slice(server.outgoing().chunk());
        sent.push((server.outgoing().chunk().as_ptr(), chunk));
    }
    assert_eq!(sent[0].0, sent[1].0, "the bytes are shared");
    assert_eq!(
        receive(&mut client().with_deflate(params()), &sent[0].1),
        [Event::Message(Message::text(format!("4{text}")))]
    );
    let mut plain = server();
    plain.send_frame(&frame).unwrap();
    assert_eq!(
        receive(&mut client(), &plain.outgoing().take_bytes()),
        [Event::Message(Message::text(format!("4{text}")))]
    );
}

// The end

#[test]
fn a_close_is_answered_with_its_code_after_what_came_before_it() {
    let mut server = server();
    let body = CloseFrame::new(CloseCode::GOING_AWAY, "bye");
    let wire = [
        masked(OpCode::Text, true, b"last"),
        masked(OpCode::Close, true, &body.encode()),
    ]
    .concat();
    assert_eq!(
        receive(&mut server, &wire),
        [
            Event::Message(Message::text("last")),
            Event::Close(Some(body))
        ]
    );
    server.send(&Message::text("answer")).unwrap();
    server.finish();
    server.finish();
    assert_eq!(
        server.outgoing().take_bytes(),
        &b"\x81\x06answer\x88\x02\x03\xe9"[..]
    );
    assert_eq!(server.send(&Message::text("x")), Err(SendError::Closing));
}

#[test]
fn after_our_close_messages_still_come_but_nothing_more_is_sent() {
    let mut server = server();
    server.close(Some(&CloseFrame::new(CloseCode::NORMAL, "")));
    server.close(None);
    assert_eq!(server.outgoing().take_bytes(), &b"\x88\x02\x03\xe8"[..]);
    let wire = [
        masked(OpCode::Text, true, b"still"),
        masked(OpCode::Ping, true, b""),
        masked(OpCode::Close, true, b""),
    ]
    .concat();
    assert_eq!(
        receive(&mut server, &wire),
        [
            Event::Message(Message::text("still")),
            Event::Ping(Bytes::new()),
            Event::Close(None)
        ]
    );
    server.finish();
    assert_eq!(server.outgoing().take_bytes(), Bytes::new());
}

#[test]
fn control_frames_above_125_bytes_are_not_sent() {
    let mut server = server();
    assert_eq!(server.ping(&[0; 126]), Err(SendError::OversizedControl));
    assert_eq!(server.ping(&[0; 125]), Ok(()));
    assert_eq!(server.pong(&[0; 125]), Ok(()));
}

#[test]
fn the_same_seed_masks_alike_and_no_key_is_used_twice_in_a_row() {
    let wire = || {
        let mut client = client();
        client.send(&Message::text("a")).unwrap();
        client.send(&Message::text("a")).unwrap();
        client.outgoing().take_bytes()
    };
    assert_eq!(wire(), wire());
    assert_ne!(wire()[2..6], wire()[9..13]);
}
