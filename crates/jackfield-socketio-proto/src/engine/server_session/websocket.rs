//! Frames in and out of a session's WebSockets.

use std::time::Instant;

use super::{LinkEnd, LinkId, ServerSession};
use crate::engine::{CloseReason, Message, Outgoing, Packet};

impl ServerSession {
    /// Takes a message from a WebSocket; one from a socket that is no longer ours is ignored.
    pub fn handle_frame(&mut self, now: Instant, link: LinkId, frame: Message) {
        let packet = match frame {
            Message::Text(text) => Packet::decode_text(self.version, &text),
            Message::Binary(bytes) => Packet::decode_binary(self.version, bytes),
        };
        // A probe carries nothing of the session before the upgrade packet.
        if self.link == Some(link) {
            self.handle_packet(now, packet);
        } else if self.is_probe(link) {
            self.handle_probe_packet(now, packet);
        }
    }

    /// Takes the news that a WebSocket has ended. A session that it carried ends; a probe is
    /// forgotten.
    pub fn handle_link_end(&mut self, link: LinkId, end: LinkEnd) {
        if self.link == Some(link) && !self.is_closed() {
            self.abort(match end {
                LinkEnd::Closed => CloseReason::TransportClose,
                LinkEnd::Failed => CloseReason::TransportError,
            });
        } else if self.is_probe(link) {
            self.probe = None;
        }
    }

    /// Takes the next packet for a WebSocket, until there is none.
    pub fn next_frame(&mut self, link: LinkId) -> Option<Outgoing> {
        if self.link == Some(link) {
            let packet = self.buffer.pop_front()?;
            self.buffered = self.buffered.saturating_sub(packet.cost());
            self.give_memory_back();
            return Some(if self.base64_only {
                packet.into_base64(self.version)
            } else {
                packet
            });
        }
        self.probe
            .as_mut()
            .filter(|probe| probe.link == link)
            .and_then(|probe| probe.outbox.take())
    }

    fn is_probe(&self, link: LinkId) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.link == link)
    }
}
