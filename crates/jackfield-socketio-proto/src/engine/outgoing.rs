//! A packet on its way to a client, encoded once however many clients it goes to.

use bytes::Bytes;
use bytestring::ByteString;

use super::payload::{base64_prefix, push_base64};
use super::{Message, Version};

/// An encoded packet: a text packet with its type digit, or the content of a binary message.
///
/// A driver that sends one packet to many clients makes the WebSocket frame once
/// ([`Self::framed_text`], [`Self::framed_binary`]); clones share the bytes, and polling payloads
/// are cut out of the same buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The WebSocket frame with its header, or only the packet if no frame was made.
    bytes: Bytes,
    /// Where the packet begins in `bytes`; a wrong value would put header bytes into a polling
    /// payload.
    start: u8,
    binary: bool,
    framed: bool,
}

impl Outgoing {
    /// A text packet, its type digit included.
    #[must_use]
    pub fn text(packet: impl Into<ByteString>) -> Self {
        Self {
            bytes: packet.into().into_bytes(),
            start: 0,
            binary: false,
            framed: false,
        }
    }

    /// A binary message.
    #[must_use]
    pub const fn binary(content: Bytes) -> Self {
        Self {
            bytes: content,
            start: 0,
            binary: true,
            framed: false,
        }
    }

    /// A message, text or binary.
    #[must_use]
    pub fn message(message: Message) -> Self {
        match message {
            Message::Text(text) => {
                let mut packet = String::with_capacity(text.len() + 1);
                packet.push('4');
                packet.push_str(&text);
                Self::text(packet)
            }
            Message::Binary(bytes) => Self::binary(bytes),
        }
    }

    /// A text packet inside its WebSocket frame; the packet with its type digit begins at `start`.
    #[must_use]
    pub const fn framed_text(frame: Bytes, start: u8) -> Self {
        Self {
            bytes: frame,
            start,
            binary: false,
            framed: true,
        }
    }

    /// A binary message inside its WebSocket frame; the content begins at `start`.
    ///
    /// In revision 3 the byte 4 stands before the content and is not part of it.
    #[must_use]
    pub const fn framed_binary(frame: Bytes, start: u8) -> Self {
        Self {
            bytes: frame,
            start,
            binary: true,
            framed: true,
        }
    }

    /// Turns a binary message into a text packet, for a client that cannot read bytes; a text
    /// packet stays as it is.
    #[must_use]
    pub fn into_base64(self, version: Version) -> Self {
        if !self.binary {
            return self;
        }
        let mut text = base64_prefix(version).as_bytes().to_vec();
        push_base64(self.content(), &mut text);
        Self {
            bytes: text.into(),
            start: 0,
            binary: false,
            framed: false,
        }
    }

    /// Returns whether this is a binary message.
    #[must_use]
    pub const fn is_binary(&self) -> bool {
        self.binary
    }

    /// Returns the text packet with its type digit, or the binary content.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.bytes
            .get(usize::from(self.start)..)
            .unwrap_or_default()
    }

    /// Returns the ready WebSocket frame, if one was made.
    #[must_use]
    pub fn frame(&self) -> Option<&Bytes> {
        self.framed.then_some(&self.bytes)
    }

    /// Returns how many bytes of memory this costs while it waits, which is what counts against a
    /// buffer's limit: its bytes and its place. Bytes that several clients share count for each.
    #[must_use]
    pub const fn cost(&self) -> usize {
        self.bytes.len() + PLACE
    }
}

/// What a packet takes beside its bytes: its place, which a growing queue has twice, and the heads
/// of the allocation.
const PLACE: usize = 128;

const _: () = assert!(2 * size_of::<Outgoing>() + 48 <= PLACE);
