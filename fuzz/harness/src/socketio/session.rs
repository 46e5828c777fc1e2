//! Any order of requests, frames, sends and time is a scenario that a session survives.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{payload_v3_text, payload_v4, text};
use jackfield_socketio_proto::engine::{
    LinkEnd, LinkId, Message, Outgoing, Output, PostBody, PostFailure, RequestId, SendError,
    ServerSession, ServerSessionConfig, Version,
};
use jackfield_testing::epoch;

const MAX_BUFFERED: usize = 1_500;

/// The first byte chooses how the session opens; after that each line is a step: a letter, then
/// what it takes.
pub fn session(data: &[u8]) {
    let Some((&choice, script)) = data.split_first() else {
        return;
    };
    let mut model = Model::new(choice);
    model.drain();
    for line in script.split(|byte| *byte == b'\n').take(500) {
        let Some((&step, rest)) = line.split_first() else {
            continue;
        };
        model.step(step, rest);
        model.drain();
    }
    model.finish();
}

/// A session and what must be true of it.
struct Model {
    now: Instant,
    version: Version,
    session: ServerSession,
    next_request: u64,
    /// Requests that have no answer yet.
    open: BTreeSet<RequestId>,
    /// Requests that their client has given up, which may be answered all the same.
    given_up: BTreeSet<RequestId>,
    /// The GETs among the open ones, in order.
    gets: Vec<RequestId>,
    /// POSTs whose body is awaited.
    posts: Vec<RequestId>,
    links: Vec<LinkId>,
    closed: bool,
    deadline: Option<Instant>,
}

impl Model {
    fn new(choice: u8) -> Self {
        let now = epoch();
        let config = Arc::new(ServerSessionConfig {
            max_buffered: MAX_BUFFERED,
            allow_upgrades: choice & 8 == 0,
            ..ServerSessionConfig::default()
        });
        let version = if choice & 1 == 0 {
            Version::V4
        } else {
            Version::V3
        };
        let (session, links) = if choice & 2 == 0 {
            let session = ServerSession::polling(now, config, version, "sid", choice & 4 != 0);
            (session, Vec::new())
        } else {
            let (session, link) =
                ServerSession::websocket(now, config, version, "sid", choice & 4 != 0);
            (session, vec![link])
        };
        Self {
            now,
            version,
            session,
            next_request: 0,
            open: BTreeSet::new(),
            given_up: BTreeSet::new(),
            gets: Vec::new(),
            posts: Vec::new(),
            links,
            closed: false,
            deadline: None,
        }
    }

    fn step(&mut self, step: u8, rest: &[u8]) {
        match step {
            b'g' => self.get(),
            b'a' => self.abort_get(),
            b'h' => self.post_head(rest.first() == Some(&b'b')),
            b'p' => self.post_body(rest),
            b'x' => self.post_fails(rest.first().copied().unwrap_or_default()),
            b'w' => {
                let link = self.session.handle_link(self.now, false);
                self.links.push(link);
            }
            b't' | b'b' => self.frame(step == b't', rest),
            b'e' => self.link_ends(rest.first().copied().unwrap_or_default()),
            b's' => self.send(rest),
            b'd' => self.wait(rest),
            b'c' => self.session.close(self.now),
            _ => {}
        }
    }

    fn request(&mut self) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.open.insert(id);
        id
    }

    fn get(&mut self) {
        let id = self.request();
        self.gets.push(id);
        self.session.handle_poll(self.now, id);
    }

    fn abort_get(&mut self) {
        if let Some(id) = self.gets.pop() {
            self.session.handle_poll_aborted(id);
            self.open.remove(&id);
            self.given_up.insert(id);
        }
    }

    fn post_head(&mut self, binary: bool) {
        let id = self.request();
        if self.session.handle_post_head(self.now, id, binary) {
            self.posts.push(id);
        }
    }

    fn post_body(&mut self, body: &[u8]) {
        if let (Some(id), Some(text)) = (self.posts.pop(), text(body)) {
            self.session.handle_post(id, PostBody::Text(text));
            while self.session.handle_body(self.now, 3) {}
        }
        // What sessions take, the decoders have taken.
        match self.version {
            Version::V3 => payload_v3_text(body),
            Version::V4 => payload_v4(body),
        }
    }

    fn post_fails(&mut self, how: u8) {
        if let Some(id) = self.posts.pop() {
            let failure = match how {
                b'l' => PostFailure::TooLarge,
                b'u' => PostFailure::NotUtf8,
                _ => PostFailure::Aborted,
            };
            self.session.handle_post_failed(id, failure);
        }
    }

    fn frame(&mut self, as_text: bool, rest: &[u8]) {
        let Some((&index, content)) = rest.split_first() else {
            return;
        };
        let Some(link) = self.link(index) else { return };
        let message = match text(content) {
            Some(text) if as_text => Message::Text(text),
            _ => Message::Binary(Bytes::copy_from_slice(content)),
        };
        self.session.handle_frame(self.now, link, message);
    }

    fn link_ends(&mut self, index: u8) {
        if let Some(link) = self.link(index) {
            let end = if index & 1 == 0 {
                LinkEnd::Closed
            } else {
                LinkEnd::Failed
            };
            self.session.handle_link_end(link, end);
        }
    }

    fn link(&self, index: u8) -> Option<LinkId> {
        let count = self.links.len();
        (count > 0).then(|| self.links.get(usize::from(index) % count).copied())?
    }

    fn send(&mut self, content: &[u8]) {
        let was_open = self.session.is_open();
        let before = self.session.buffered();
        let packets = [
            Outgoing::text("4head"),
            Outgoing::binary(Bytes::copy_from_slice(content)),
        ];
        match self.session.send(&packets) {
            Ok(()) => assert!(was_open),
            Err(SendError::Closed) => assert!(!was_open),
            Err(SendError::Full) => {
                let cost: usize = packets.iter().map(Outgoing::cost).sum();
                assert!(before + cost > MAX_BUFFERED);
                assert_eq!(self.session.buffered(), before);
            }
        }
    }

    /// Lets some seconds pass, with or without the timer's calls.
    fn wait(&mut self, rest: &[u8]) {
        let seconds = rest.first().map_or(1, |byte| u64::from(byte & 63));
        self.now += Duration::from_secs(seconds);
        if rest.get(1) != Some(&b'!') {
            self.session.handle_timeout(self.now);
        }
    }

    fn drain(&mut self) {
        loop {
            match self.session.poll_output() {
                Output::Respond { request, response } => {
                    assert!(matches!(response.status, 200 | 400 | 413));
                    let known = self.open.remove(&request) || self.given_up.remove(&request);
                    assert!(known, "{request:?} is answered once");
                }
                Output::Message(_) | Output::Upgraded(_) => assert!(!self.closed),
                Output::Closed(_) => {
                    assert!(!self.closed, "a session ends once");
                    self.closed = true;
                }
                Output::Flush(link) => assert!(self.links.contains(&link)),
                // A link may be refused before its number is known to the driver.
                Output::CloseLink(_) | Output::UpgradeTimedOut => {}
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    break;
                }
            }
        }
        assert_eq!(self.closed, self.session.is_closed());
        assert_eq!(
            self.closed,
            self.deadline.is_none(),
            "an open session has a deadline"
        );
        // Control packets come on top of what the application sends.
        assert!(self.session.buffered() <= MAX_BUFFERED + 400);
        self.gets.retain(|id| self.open.contains(id));
        assert!(self.gets.len() <= 1, "one GET waits");
    }

    /// Takes what is left, then lets time end the session.
    fn finish(&mut self) {
        for link in self.links.clone() {
            while self.session.next_frame(link).is_some() {}
        }
        let mut rounds = 0;
        while let Some(deadline) = self.deadline {
            self.now = self.now.max(deadline);
            self.session.handle_timeout(self.now);
            self.drain();
            rounds += 1;
            assert!(rounds < 10, "silence ends a session");
        }
        assert!(self.gets.is_empty(), "the end answers what waits");
    }
}
