//! Packets in the forms that the transports and revisions need, each made once.

use std::sync::OnceLock;

use bytes::Bytes;
use jackfield_socketio_proto::engine::{Outgoing, Version};
use jackfield_socketio_proto::packet::EventBody;
use jackfield_ws::{Frame, Kind};

/// A text message and its binary attachments, ready for any number of clients.
#[derive(Debug)]
pub(crate) struct Wire {
    text: Outgoing,
    attachments: Vec<Bytes>,
    framed: [OnceLock<Vec<Outgoing>>; 2],
}

impl Wire {
    /// Frames a text message, without its engine packet type.
    pub(crate) fn text(text: &str) -> Self {
        Self::with_attachments(text, Vec::new())
    }

    /// Frames a text message and the binary messages that follow it.
    pub(crate) fn with_attachments(text: &str, attachments: Vec<Bytes>) -> Self {
        Self::framed(frame_text("", text), attachments)
    }

    /// Frames an event for a namespace, with the id to acknowledge it by if an answer is wanted.
    pub(crate) fn event(namespace: &str, ack_id: Option<u64>, body: &EventBody) -> Self {
        Self::framed(
            frame_text(&body.prefix(namespace, ack_id), body.json()),
            body.attachments().to_vec(),
        )
    }

    fn framed(text: Outgoing, attachments: Vec<Bytes>) -> Self {
        Self {
            text,
            attachments,
            framed: [const { OnceLock::new() }; 2],
        }
    }

    /// Returns the packets for a client of this revision.
    pub(crate) fn packets(&self, version: Version) -> impl Iterator<Item = &Outgoing> + Clone {
        let index = match version {
            Version::V3 => 0,
            Version::V4 => 1,
        };
        // The first client of a revision has them framed, and all others share them.
        let attachments = match self.framed.get(index) {
            Some(framed) if !self.attachments.is_empty() => framed
                .get_or_init(|| {
                    let attachments = self.attachments.iter();
                    attachments
                        .map(|bytes| frame_binary(version, bytes))
                        .collect()
                })
                .as_slice(),
            _ => &[],
        };
        std::iter::once(&self.text).chain(attachments)
    }

    /// Returns how many messages this is.
    pub(crate) const fn len(&self) -> usize {
        1 + self.attachments.len()
    }
}

/// Frames a text message, given in two parts, as an engine packet.
fn frame_text(prefix: &str, text: &str) -> Outgoing {
    let frame = Frame::new(Kind::Text, &[b"4", prefix.as_bytes(), text.as_bytes()]).plain();
    let start = frame.len() - text.len() - prefix.len() - 1;
    Outgoing::framed_text(frame, start_as_u8(start))
}

/// Frames a binary message.
pub(crate) fn frame_binary(version: Version, bytes: &[u8]) -> Outgoing {
    let frame = match version {
        Version::V3 => Frame::new(Kind::Binary, &[&[4], bytes]).plain(),
        Version::V4 => Frame::new(Kind::Binary, &[bytes]).plain(),
    };
    let start = frame.len() - bytes.len();
    Outgoing::framed_binary(frame, start_as_u8(start))
}

fn start_as_u8(start: usize) -> u8 {
    u8::try_from(start).expect("a frame's header has at most 14 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packet_lies_behind_the_frame_header() {
        for length in [0, 124, 125, 126, 65_534, 65_535, 65_536] {
            let text = "x".repeat(length);
            let packet = frame_text("", &text);
            assert_eq!(packet.content().len(), length + 1);
            assert!(packet.content().starts_with(b"4"));
            let frame = packet.frame().unwrap();
            assert_eq!(frame.first(), Some(&0x81));
        }
    }

    #[test]
    fn a_binary_message_of_revision_3_has_its_type_in_the_frame_only() {
        let wire = Wire::with_attachments("a", vec![Bytes::from_static(b"xyz")]);
        let frame = |version| {
            wire.packets(version)
                .nth(1)
                .unwrap()
                .frame()
                .unwrap()
                .clone()
        };
        assert_eq!(frame(Version::V3), &b"\x82\x04\x04xyz"[..]);
        assert_eq!(frame(Version::V4), &b"\x82\x03xyz"[..]);
        assert!(
            wire.packets(Version::V3)
                .all(|packet| packet.content() != b"\x04xyz")
        );
    }
}
