//! What a session's core puts out, done under the session's lock.

use std::sync::atomic::Ordering;
use std::time::Instant;

use jackfield_socketio_proto::engine::{CloseReason, LinkId, Output, RequestId, Response};

use super::{After, Inbound, Shared, State};
use crate::sync::lock;

impl Shared {
    /// Does what the core has put out.
    pub(super) fn drain(&self, state: &mut State) -> After {
        let mut after = After::default();
        loop {
            match state.core.poll_output() {
                Output::Respond { request, response } => state.respond(request, response),
                Output::Flush(link) => state.wake(link, false),
                Output::CloseLink(link) => state.wake(link, true),
                Output::Message(message) => {
                    self.server.stats.received_messages.increment();
                    self.server.stats.received_bytes.add(message.len());
                    lock(&self.inbox).queue.push_back(Inbound::Message(message));
                    after.deliver = true;
                }
                Output::Upgraded(_) => self.server.stats.upgrades.increment(),
                Output::UpgradeTimedOut => self.server.stats.upgrade_timeouts.increment(),
                Output::Closed(reason) => {
                    self.count_close(reason);
                    lock(&self.inbox).queue.push_back(Inbound::Close(reason));
                    after.deliver = true;
                    after.closed = true;
                }
                Output::Wait(deadline) => {
                    self.schedule(state, deadline);
                    return after;
                }
            }
        }
    }

    fn schedule(&self, state: &mut State, deadline: Option<Instant>) {
        let peer = state.peer_deadline.filter(|_| !state.core.is_closed());
        let Some(at) = deadline.into_iter().chain(peer).min() else {
            return;
        };
        // A later deadline needs no entry: the earlier one looks again when it comes. So a busy
        // session does not touch the server's timers.
        if state.scheduled.is_none_or(|scheduled| at < scheduled) {
            state.scheduled = Some(at);
            self.server.timers.schedule(at, self.sid);
        }
    }

    fn count_close(&self, reason: CloseReason) {
        let stats = &self.server.stats;
        match reason {
            CloseReason::ParseError => stats.protocol_errors.increment(),
            CloseReason::PingTimeout => stats.ping_timeouts.increment(),
            CloseReason::SlowConsumer => stats.slow_consumers.increment(),
            _ => {}
        }
    }
}

impl State {
    fn respond(&mut self, request: RequestId, response: Response) {
        if let Some(index) = self.waiting.iter().position(|(id, _)| *id == request) {
            let (_, sender) = self.waiting.swap_remove(index);
            // A client that has gone meanwhile has said so by dropping its request.
            let _gone = sender.send(response);
        }
    }

    fn wake(&self, link: LinkId, close: bool) {
        if let Some((_, link)) = self.links.iter().find(|(id, _)| *id == link) {
            if close {
                link.closing.store(true, Ordering::Release);
            }
            link.wake.notify_one();
        }
    }
}
