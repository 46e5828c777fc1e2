//! One life-cycle stage after the other, on a clock that the tests move.

use bytes::Bytes;
use bytestring::ByteString;
use jackfield_testing::epoch;

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const GET: RequestId = RequestId(1);
const POST: RequestId = RequestId(2);
const LATER: RequestId = RequestId(3);

/// A session, its clock, and what it has put out since the last look.
struct World {
    now: Instant,
    session: ServerSession,
    outputs: Vec<Output>,
}

impl World {
    fn config() -> ServerSessionConfig {
        ServerSessionConfig {
            ping_interval: ms(300),
            ping_timeout: ms(200),
            max_buffered: 1000,
            ..ServerSessionConfig::default()
        }
    }

    /// A polling session whose open packet has been fetched.
    fn polling(version: Version) -> Self {
        let now = epoch();
        let session = ServerSession::polling(now, Arc::new(Self::config()), version, "abc", false);
        let mut world = Self {
            now,
            session,
            outputs: Vec::new(),
        };
        assert!(world.poll(GET).unwrap().contains(r#"0{"sid":"abc""#));
        world
    }

    fn websocket(version: Version) -> (Self, LinkId) {
        let now = epoch();
        let (session, link) =
            ServerSession::websocket(now, Arc::new(Self::config()), version, "abc", false);
        let mut world = Self {
            now,
            session,
            outputs: Vec::new(),
        };
        let open = world.frames(link).remove(0);
        assert!(open.starts_with(r#"0{"sid":"abc","upgrades":[]"#), "{open}");
        (world, link)
    }

    fn drain(&mut self) {
        loop {
            match self.session.poll_output() {
                Output::Wait(_) => return,
                output => self.outputs.push(output),
            }
        }
    }

    /// Advances the clock step by step, as a driver with exact timers would.
    fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.session.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn poll(&mut self, request: RequestId) -> Option<String> {
        self.session.handle_poll(self.now, request);
        self.answer(request).map(|(_, body)| body)
    }

    fn answer(&mut self, wanted: RequestId) -> Option<(u16, String)> {
        self.drain();
        let index = self.outputs.iter().position(
            |output| matches!(output, Output::Respond { request, .. } if *request == wanted),
        )?;
        match self.outputs.remove(index) {
            Output::Respond { response, .. } => Some((
                response.status,
                String::from_utf8_lossy(&response.body).into_owned(),
            )),
            _ => None,
        }
    }

    fn post(&mut self, body: &str) -> u16 {
        if self.session.handle_post_head(self.now, POST, false) {
            let body = PostBody::Text(body.to_owned().into());
            self.session.handle_post(POST, body);
            self.body();
        }
        self.answer(POST).unwrap().0
    }

    fn body(&mut self) {
        while self.session.handle_body(self.now, 1) {}
    }

    fn send(&mut self, text: &str) -> Result<(), SendError> {
        let packets = [Outgoing::message(Message::Text(text.to_owned().into()))];
        self.session.send(&packets)
    }

    fn frame(&mut self, link: LinkId, text: &str) {
        let frame = Message::Text(text.to_owned().into());
        self.session.handle_frame(self.now, link, frame);
    }

    fn frames(&mut self, link: LinkId) -> Vec<String> {
        std::iter::from_fn(|| self.session.next_frame(link))
            .map(|packet| String::from_utf8_lossy(packet.content()).into_owned())
            .collect()
    }

    fn messages(&mut self) -> Vec<Message> {
        self.drain();
        let mut messages = Vec::new();
        self.outputs.retain(|output| match output {
            Output::Message(message) => {
                messages.push(message.clone());
                false
            }
            _ => true,
        });
        messages
    }

    fn closed(&mut self) -> Option<CloseReason> {
        self.drain();
        self.outputs.iter().find_map(|output| match output {
            Output::Closed(reason) => Some(*reason),
            _ => None,
        })
    }

    fn link_closed(&mut self, link: LinkId) -> bool {
        self.drain();
        self.outputs.contains(&Output::CloseLink(link))
    }
}

fn text(text: &'static str) -> Message {
    Message::Text(ByteString::from_static(text))
}

// Polling

#[test]
fn a_poll_waits_until_something_is_sent() {
    let mut world = World::polling(Version::V4);
    assert_eq!(world.poll(GET), None);
    assert!(world.session.is_writable());
    world.send("a").unwrap();
    assert_eq!(world.answer(GET), Some((200, "4a".into())));
    assert!(!world.session.is_writable());
    world.send("b").unwrap();
    world
        .session
        .send(&[Outgoing::binary(Bytes::from_static(&[1]))])
        .unwrap();
    assert_eq!(world.poll(GET), Some("4b\x1ebAQ==".into()));
    assert_eq!(world.session.buffered(), 0);
}

#[test]
fn a_post_brings_messages_in_order() {
    let mut world = World::polling(Version::V4);
    assert_eq!(world.post("4a\x1ebAQ==\x1e4b"), 200);
    let binary = Message::Binary(Bytes::from_static(&[1]));
    assert_eq!(world.messages(), [text("a"), binary, text("b")]);
}

#[test]
fn a_second_poll_beside_a_waiting_one_ends_the_session() {
    let mut world = World::polling(Version::V4);
    assert_eq!(world.poll(GET), None);
    world.session.handle_poll(world.now, LATER);
    assert_eq!(world.answer(GET), Some((200, "1".into())));
    assert_eq!(world.answer(LATER).unwrap().0, 400);
    assert_eq!(world.closed(), Some(CloseReason::TransportError));
    assert!(world.poll(LATER).unwrap().contains(r#""code":1"#));
}

#[test]
fn a_second_post_beside_an_unfinished_one_ends_the_session() {
    let mut world = World::polling(Version::V4);
    assert!(world.session.handle_post_head(world.now, POST, false));
    assert!(!world.session.handle_post_head(world.now, LATER, false));
    assert_eq!(world.answer(LATER).unwrap().0, 400);
    assert_eq!(world.closed(), Some(CloseReason::TransportError));
    let body = PostBody::Text("4a".into());
    world.session.handle_post(POST, body);
    assert!(!world.session.handle_body(world.now, 1));
    assert_eq!(world.answer(POST).unwrap().0, 400);
    assert!(world.messages().is_empty());
}

#[test]
fn octet_stream_belongs_to_revision_3() {
    let mut world = World::polling(Version::V4);
    assert!(!world.session.handle_post_head(world.now, POST, true));
    assert_eq!(world.answer(POST).unwrap().0, 400);
    assert_eq!(world.closed(), Some(CloseReason::TransportError));

    let mut world = World::polling(Version::V3);
    assert!(world.session.handle_post_head(world.now, POST, true));
    let body = PostBody::Binary(Bytes::from_static(&[1, 2, 255, 4, 7]));
    world.session.handle_post(POST, body);
    world.body();
    assert_eq!(world.answer(POST).unwrap().0, 200);
    assert_eq!(
        world.messages(),
        [Message::Binary(Bytes::from_static(&[7]))]
    );
}

#[test]
fn a_body_that_could_not_be_read_ends_the_session() {
    for (failure, status, reason) in [
        (PostFailure::TooLarge, 413, CloseReason::TransportError),
        (PostFailure::TooSlow, 408, CloseReason::TransportError),
        (PostFailure::Aborted, 400, CloseReason::TransportError),
        (PostFailure::NotUtf8, 400, CloseReason::ParseError),
    ] {
        let mut world = World::polling(Version::V4);
        assert_eq!(world.poll(GET), None);
        assert!(world.session.handle_post_head(world.now, POST, false));
        world.session.handle_post_failed(POST, failure);
        assert_eq!(world.answer(POST).unwrap().0, status);
        assert_eq!(world.answer(GET), Some((200, "1".into())));
        assert_eq!(world.closed(), Some(reason));
    }
}

#[test]
fn a_client_that_cannot_read_bytes_gets_base64_on_a_websocket() {
    for (version, frame) in [(Version::V4, "bYWJj"), (Version::V3, "b4YWJj")] {
        let packets = [Outgoing::binary(Bytes::from_static(b"abc"))];
        let (mut world, link) = World::websocket(version);
        world.session.base64_only = true;
        world.session.send(&packets).unwrap();
        assert_eq!(world.frames(link), [frame]);
        world.frame(link, frame);
        assert_eq!(
            world.messages(),
            [Message::Binary(Bytes::from_static(b"abc"))]
        );

        let mut world = World::polling(version);
        let link = world.session.handle_link(world.now, true);
        world.frame(link, "2probe");
        world.frame(link, "5");
        world.session.send(&packets).unwrap();
        assert_eq!(world.frames(link), ["3probe", frame]);
    }
}

#[test]
fn a_body_that_is_no_payload_ends_the_session() {
    for body in ["abc", "", "4a\x1e"] {
        let mut world = World::polling(Version::V4);
        assert_eq!(world.post(body), 400, "{body}");
        assert_eq!(world.closed(), Some(CloseReason::ParseError));
    }
    let mut world = World::polling(Version::V3);
    assert_eq!(world.post("4a"), 400);
    assert_eq!(world.closed(), Some(CloseReason::ParseError));
}

#[test]
fn a_poll_that_the_client_gives_up_ends_the_session() {
    let mut world = World::polling(Version::V4);
    assert_eq!(world.poll(GET), None);
    world.session.handle_poll_aborted(GET);
    assert_eq!(world.closed(), Some(CloseReason::TransportError));
}

#[test]
fn the_client_closes_by_a_packet() {
    let mut world = World::polling(Version::V4);
    assert_eq!(world.poll(GET), None);
    assert_eq!(world.post("4last\x1e1\x1e4never"), 200);
    assert_eq!(world.answer(GET), Some((200, "6".into())));
    assert_eq!(world.messages(), [text("last")]);
    assert_eq!(world.closed(), Some(CloseReason::TransportClose));
}

#[test]
fn revision_3_answers_with_a_binary_body_only_if_it_must() {
    let mut world = World::polling(Version::V3);
    world.send("a").unwrap();
    assert_eq!(world.poll(GET), Some("2:4a".into()));
    world
        .session
        .send(&[Outgoing::binary(Bytes::from_static(b"x"))])
        .unwrap();
    world.session.handle_poll(world.now, GET);
    world.drain();
    assert!(matches!(
        world.outputs.pop(),
        Some(Output::Respond { response, .. })
            if response.content_type == "application/octet-stream" && response.body == b"\x01\x02\xff\x04x"[..]
    ));
}

// Heartbeat

#[test]
fn the_server_pings_in_revision_4() {
    let mut world = World::polling(Version::V4);
    assert_eq!(world.poll(GET), None);
    world.advance(ms(300));
    assert_eq!(world.answer(GET), Some((200, "2".into())));
    world.advance(ms(199));
    assert_eq!(world.post("3"), 200);
    world.advance(ms(299));
    assert_eq!(world.closed(), None);
    assert_eq!(world.poll(GET), None);
    world.advance(ms(1));
    assert_eq!(world.answer(GET), Some((200, "2".into())));
    world.advance(ms(200));
    assert_eq!(world.closed(), Some(CloseReason::PingTimeout));
}

#[test]
fn a_request_after_the_deadline_is_too_late_even_if_the_timer_is_late() {
    let mut world = World::polling(Version::V4);
    world.advance(ms(300));
    world.now += ms(200);
    assert!(world.poll(GET).unwrap().contains(r#""code":1"#));
    assert_eq!(world.closed(), Some(CloseReason::PingTimeout));
}

#[test]
fn a_driver_that_was_held_up_gives_its_clients_time_to_answer() {
    let (mut world, link) = World::websocket(Version::V4);
    world.now += Duration::from_secs(60);
    world.session.handle_timeout(world.now);
    world.session.handle_timeout(world.now);
    assert_eq!(world.frames(link), ["2"]);
    assert_eq!(world.closed(), None);
    world.frame(link, "3");
    world.advance(ms(299));
    assert_eq!(world.closed(), None);
}

#[test]
fn a_busy_client_gets_one_more_period_for_its_pong() {
    let (mut world, link) = World::websocket(Version::V4);
    world.advance(ms(450));
    world.frame(link, "4busy");
    world.advance(ms(150));
    world.frame(link, "4still busy");
    assert_eq!(world.closed(), None);
    world.advance(ms(50));
    assert_eq!(world.closed(), Some(CloseReason::PingTimeout));
}

#[test]
fn the_client_pings_in_revision_3() {
    let (mut world, link) = World::websocket(Version::V3);
    world.advance(ms(499));
    world.frame(link, "2");
    assert_eq!(world.frames(link), ["3"]);
    world.advance(ms(499));
    assert_eq!(world.closed(), None);
    world.advance(ms(1));
    assert_eq!(world.closed(), Some(CloseReason::PingTimeout));
}

#[test]
fn a_client_whose_pongs_are_not_read_is_asked_again() {
    let (mut world, link) = World::websocket(Version::V4);
    world.session.set_reading(world.now, false);
    world.advance(ms(300 + 3 * 200));
    assert_eq!(world.frames(link), ["2", "2", "2", "2"]);
    assert_eq!(world.closed(), None);
    // Now it has its time again.
    world.advance(ms(199));
    world.session.set_reading(world.now, true);
    world.advance(ms(199));
    world.frame(link, "3");
    world.advance(ms(300));
    assert_eq!(world.frames(link), ["2"]);
    assert_eq!(world.closed(), None);
    world.advance(ms(200));
    assert_eq!(world.closed(), Some(CloseReason::PingTimeout));

    let (mut world, link) = World::websocket(Version::V3);
    world.session.set_reading(world.now, false);
    world.advance(ms(500 + 200));
    assert_eq!(world.frames(link), ["3", "3"]);
    world.session.set_reading(world.now, true);
    world.advance(ms(200));
    assert_eq!(world.closed(), Some(CloseReason::PingTimeout));
}

#[test]
fn a_heartbeat_in_the_wrong_direction_ends_the_session() {
    let (mut world, link) = World::websocket(Version::V4);
    world.frame(link, "2");
    assert_eq!(world.closed(), Some(CloseReason::TransportError));
    let (mut world, link) = World::websocket(Version::V3);
    world.frame(link, "3");
    assert_eq!(world.closed(), Some(CloseReason::TransportError));
    assert!(world.link_closed(link));
}

// Upgrade

#[test]
fn a_session_moves_to_the_websocket_that_was_probed() {
    let mut world = World::polling(Version::V4);
    assert_eq!(world.poll(GET), None);
    let link = world.session.handle_link(world.now, false);
    world.frame(link, "2probe");
    assert_eq!(world.frames(link), ["3probe"]);
    assert_eq!(
        world.answer(GET),
        Some((200, "6".into())),
        "the waiting poll ends"
    );
    world.send("during").unwrap();
    assert_eq!(world.frames(link), [""; 0], "the probe carries nothing yet");
    world.frame(link, "5");
    world.drain();
    assert!(world.outputs.contains(&Output::Upgraded(link)));
    assert_eq!(world.frames(link), ["4during"]);
    assert_eq!(world.session.transport(), Transport::WebSocket);
    world.frame(link, "4hello");
    assert_eq!(world.messages(), [text("hello")]);
    assert!(world.poll(LATER).unwrap().contains(r#""code":3"#));
    assert_eq!(world.post("4x"), 400);
    let second = world.session.handle_link(world.now, false);
    assert!(world.link_closed(second));
    assert_eq!(world.closed(), None);
}

#[test]
fn polls_during_a_probe_wait_a_moment_and_end() {
    let mut world = World::polling(Version::V4);
    let link = world.session.handle_link(world.now, false);
    world.frame(link, "2probe");
    assert_eq!(world.poll(GET), None);
    world.advance(ms(100));
    assert_eq!(world.answer(GET), Some((200, "6".into())));
}

#[test]
fn an_upgrade_packet_before_the_probe_was_answered_is_enough() {
    let mut world = World::polling(Version::V4);
    let link = world.session.handle_link(world.now, false);
    world.frame(link, "2probe");
    world.frame(link, "5");
    world.send("a").unwrap();
    assert_eq!(world.frames(link), ["3probe", "4a"]);
}

#[test]
fn a_probe_that_is_not_completed_is_closed_and_polling_goes_on() {
    let mut world = World::polling(Version::V4);
    world.session.config = Arc::new(ServerSessionConfig {
        upgrade_timeout: ms(50),
        ..World::config()
    });
    let link = world.session.handle_link(world.now, false);
    world.advance(ms(50));
    assert!(world.link_closed(link));
    world.send("a").unwrap();
    assert_eq!(world.poll(GET), Some("4a".into()));
}

#[test]
fn a_probe_that_sends_anything_else_is_closed_and_polling_goes_on() {
    for frame in ["4hello", "2", "3probe", "1", "abc", ""] {
        let mut world = World::polling(Version::V4);
        let link = world.session.handle_link(world.now, false);
        world.frame(link, frame);
        assert!(world.link_closed(link), "{frame}");
        assert_eq!(world.closed(), None);
        assert!(world.messages().is_empty());
    }
}

#[test]
fn a_second_probe_is_closed() {
    let mut world = World::polling(Version::V4);
    let first = world.session.handle_link(world.now, false);
    let second = world.session.handle_link(world.now, false);
    assert!(world.link_closed(second));
    assert!(!world.link_closed(first));
}

#[test]
fn the_end_of_the_session_closes_the_probe() {
    let mut world = World::polling(Version::V4);
    let link = world.session.handle_link(world.now, false);
    assert_eq!(world.post("1"), 200);
    assert!(world.link_closed(link));
}

// Close

#[test]
fn a_closing_session_delivers_what_was_sent_before() {
    let mut world = World::polling(Version::V4);
    world.send("last").unwrap();
    world.session.close(world.now);
    assert_eq!(world.send("never"), Err(SendError::Closed));
    assert_eq!(world.closed(), None);
    assert_eq!(world.poll(GET), Some("4last".into()));
    assert_eq!(world.closed(), None);
    assert_eq!(world.poll(LATER), Some("1".into()));
    assert_eq!(world.closed(), Some(CloseReason::ForcedClose));

    let (mut world, link) = World::websocket(Version::V4);
    world.send("last").unwrap();
    world.session.close(world.now);
    assert_eq!(world.closed(), Some(CloseReason::ForcedClose));
    assert!(world.link_closed(link));
    assert_eq!(world.frames(link), ["4last"]);
}

#[test]
fn a_closing_session_does_not_wait_for_its_client_forever() {
    let mut world = World::polling(Version::V4);
    world.session.close(world.now);
    world.advance(Duration::from_secs(30));
    assert!(world.closed().is_some());
    assert_eq!(world.session.poll_output(), Output::Wait(None));
}

#[test]
fn the_end_of_the_websocket_is_the_end_of_the_session() {
    let (mut world, link) = World::websocket(Version::V4);
    world.session.handle_link_end(link, LinkEnd::Closed);
    assert_eq!(world.closed(), Some(CloseReason::TransportClose));
    let (mut world, link) = World::websocket(Version::V4);
    world.session.handle_link_end(link, LinkEnd::Failed);
    assert_eq!(world.closed(), Some(CloseReason::TransportError));
}

// Limits

#[test]
fn the_buffer_has_a_limit_in_bytes() {
    let mut world = World::polling(Version::V4);
    // A packet costs its type, its text and its place.
    assert_eq!(world.send(&"x".repeat(998 - 128)), Ok(()));
    assert_eq!(world.send("y"), Err(SendError::Full));
    assert_eq!(world.session.buffered(), 999);
    assert_eq!(world.closed(), None);
    assert!(world.poll(GET).is_some());
    assert_eq!(world.send("y"), Ok(()));
}

#[test]
fn a_message_above_the_limit_waits_alone() {
    let mut world = World::polling(Version::V4);
    let packets = [
        Outgoing::text("4head"),
        Outgoing::binary(Bytes::from(vec![0; 5000])),
    ];
    assert_eq!(world.session.send(&packets), Ok(()));
    assert_eq!(world.send("y"), Err(SendError::Full));
    assert!(world.poll(GET).is_some());
    assert_eq!(world.send("y"), Ok(()));
}

#[test]
fn small_packets_cost_their_places() {
    let mut world = World::polling(Version::V4);
    let sent = std::iter::repeat_with(|| world.send("y")).take_while(Result::is_ok);
    assert_eq!(sent.count(), 1000 / 130);
}

#[test]
fn a_body_is_handled_a_few_packets_at_a_time() {
    let mut world = World::polling(Version::V4);
    assert!(world.session.handle_post_head(world.now, POST, false));
    world
        .session
        .handle_post(POST, PostBody::Text("4a\x1e4b\x1e4c".into()));
    assert!(world.messages().is_empty());
    assert!(world.session.handle_body(world.now, 2));
    assert_eq!(world.messages(), ["a", "b"].map(text));
    assert_eq!(world.answer(POST), None);
    // The body is not handled to its end, so a second POST would overtake it.
    assert!(world.session.handle_body(world.now, 1));
    assert!(!world.session.handle_body(world.now, 1));
    assert_eq!(world.messages(), [text("c")]);
    assert_eq!(world.answer(POST).unwrap().0, 200);
}

#[test]
fn a_session_that_ends_in_the_middle_of_a_body_answers_its_post() {
    for (reason, status) in [
        (CloseReason::ForcedClose, 200),
        (CloseReason::TransportError, 400),
    ] {
        let mut world = World::polling(Version::V4);
        assert!(world.session.handle_post_head(world.now, POST, false));
        let body = PostBody::Text("4a\x1e4b".into());
        world.session.handle_post(POST, body);
        assert!(world.session.handle_body(world.now, 1));
        world.session.abort(reason);
        assert_eq!(world.answer(POST).unwrap().0, status);
        assert!(!world.session.handle_body(world.now, 1));
        assert_eq!(world.messages(), [text("a")]);
    }
    let mut world = World::polling(Version::V4);
    assert!(world.session.handle_post_head(world.now, POST, false));
    world
        .session
        .handle_post(POST, PostBody::Text("4a\x1e4b".into()));
    assert!(world.session.handle_body(world.now, 1));
    assert!(!world.session.handle_post_head(world.now, LATER, false));
    assert_eq!(world.closed(), Some(CloseReason::TransportError));
    assert_eq!(world.answer(POST).unwrap().0, 400);
}

#[test]
fn packets_sent_together_are_queued_all_or_none() {
    let mut world = World::polling(Version::V4);
    world.send("first").unwrap();
    let before = world.session.buffered();
    let packets = [
        Outgoing::text("4head"),
        Outgoing::binary(Bytes::from(vec![0; 1000])),
    ];
    assert_eq!(world.session.send(&packets), Err(SendError::Full));
    assert_eq!(world.session.buffered(), before);
}
