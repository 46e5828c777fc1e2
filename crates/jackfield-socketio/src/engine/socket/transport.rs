//! What HTTP requests and WebSocket tasks bring to a session.

use std::sync::Arc;

use jackfield_socketio_proto::engine::{
    LinkEnd, LinkId, Message, Outgoing, PostBody, PostFailure, RequestId, Response,
};
use jackfield_ws::Violation;
use tokio::sync::oneshot;

use super::{EngineSocket, Link};
use crate::sync::lock;

impl EngineSocket {
    pub(in crate::engine) fn poll(&self) -> (RequestId, oneshot::Receiver<Response>) {
        let (id, answer) = self.register();
        self.with(|core, now| core.handle_poll(now, id));
        (id, answer)
    }

    pub(in crate::engine) fn poll_aborted(&self, id: RequestId) {
        self.with(|core, _| core.handle_poll_aborted(id));
        // The core does not answer a GET that was given up, so its channel goes here.
        lock(&self.0.state)
            .waiting
            .retain(|(waiting, _)| *waiting != id);
    }

    /// Announces a POST; the flag tells whether its body shall be read.
    pub(in crate::engine) fn post_head(
        &self,
        octet_stream: bool,
    ) -> (RequestId, oneshot::Receiver<Response>, bool) {
        let (id, answer) = self.register();
        let read = self.with(|core, now| core.handle_post_head(now, id, octet_stream));
        (id, answer, read)
    }

    pub(in crate::engine) fn post(&self, id: RequestId, body: PostBody) {
        self.with(|core, _| core.handle_post(id, body));
    }

    /// Handles a part of the body of the POST; tells whether there may be more.
    pub(in crate::engine) fn post_body(&self) -> bool {
        self.with(|core, now| core.handle_body(now, PACKETS_AT_ONCE))
    }

    pub(in crate::engine) fn post_failed(&self, id: RequestId, failure: PostFailure) {
        self.with(|core, _| core.handle_post_failed(id, failure));
    }

    fn register(&self) -> (RequestId, oneshot::Receiver<Response>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = lock(&self.0.state);
        let id = RequestId(state.next_request);
        state.next_request += 1;
        state.waiting.push((id, sender));
        (id, receiver)
    }

    /// Adds the WebSocket that the session was opened on.
    pub(in crate::engine) fn add_link(&self, id: LinkId) -> Arc<Link> {
        let link = Arc::new(Link::default());
        lock(&self.0.state).links.push((id, Arc::clone(&link)));
        link
    }

    /// Adds a WebSocket that wants to take the session over.
    pub(in crate::engine) fn probe(&self, base64_only: bool) -> (LinkId, Arc<Link>) {
        let link = Arc::new(Link::default());
        let added = Arc::clone(&link);
        let mut id = None;
        self.with_state(|state, now| {
            let new = state.core.handle_link(now, base64_only);
            // The lock is still held: the core may want this link flushed or closed at once.
            state.links.push((new, added));
            id = Some(new);
        });
        (id.expect("the closure has run"), link)
    }

    pub(in crate::engine) fn frame(&self, link: LinkId, message: Message) {
        self.with(|core, now| core.handle_frame(now, link, message));
    }

    pub(in crate::engine) fn link_ended(&self, link: LinkId, end: LinkEnd) {
        self.with_state(|state, _| {
            state.links.retain(|(id, _)| *id != link);
            state.core.handle_link_end(link, end);
        });
    }

    /// Counts the end of a WebSocket that broke a limit or the protocol.
    pub(in crate::engine) fn count_violation(&self, violation: Violation) {
        let stats = &self.0.server.stats;
        if violation.is_limit() {
            stats.payload_too_large.increment();
        } else {
            stats.protocol_errors.increment();
        }
    }

    /// Takes packets for a WebSocket until `take` wants no more; tells whether some are left.
    pub(in crate::engine) fn take_frames(
        &self,
        link: LinkId,
        mut take: impl FnMut(Outgoing) -> bool,
    ) -> bool {
        let mut state = lock(&self.0.state);
        let mut more = false;
        while let Some(packet) = state.core.next_frame(link) {
            if !take(packet) {
                more = true;
                break;
            }
        }
        self.0.charge(&mut state);
        drop(state);
        self.0.account.settle();
        more
    }
}

/// So many packets of a body are read before their messages are handled.
const PACKETS_AT_ONCE: usize = 32;
