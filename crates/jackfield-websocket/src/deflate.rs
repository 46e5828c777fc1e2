//! permessage-deflate ([RFC 7692]): what is negotiated, and the coders.
//!
//! By default neither side keeps its compression window between messages. Then a connection holds
//! no zlib state while no compressed message is on its way in, one compressor per thread serves
//! every connection, and one compressed frame can be shared by all receivers of a broadcast.
//!
//! [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692

mod compress;
mod inflate;
mod pool;

pub(crate) use compress::Compressor;
pub(crate) use inflate::Inflater;
pub(crate) use pool::{compress_once, reclaim_inflater, take_inflater};

/// What this side wants of compression, before the peer is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateConfig {
    /// zlib's level, 1 (fast) to 9 (small); others are clamped (6).
    pub level: u8,
    /// Messages below this many bytes are sent as they are (1,024).
    pub threshold: usize,
    /// Whether the server starts each message with an empty window (true): no state per
    /// connection, a little more traffic. A client can always demand it.
    pub server_no_context_takeover: bool,
    /// Whether the client starts each message with an empty window (true).
    pub client_no_context_takeover: bool,
    /// The largest window the server may use, 9 to 15 bits; others are clamped (15).
    pub server_max_window_bits: u8,
    /// The largest window the client may use, 9 to 15 bits; others are clamped (15). A server can
    /// only ask this of a client that offered to.
    pub client_max_window_bits: u8,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            level: 6,
            threshold: 1024,
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: MAX_WINDOW_BITS,
            client_max_window_bits: MAX_WINDOW_BITS,
        }
    }
}

impl DeflateConfig {
    pub(crate) fn clamped(mut self) -> Self {
        let window = MIN_WINDOW_BITS..=MAX_WINDOW_BITS;
        self.level = self.level.clamp(1, 9);
        self.server_max_window_bits = self
            .server_max_window_bits
            .clamp(*window.start(), *window.end());
        self.client_max_window_bits = self
            .client_max_window_bits
            .clamp(*window.start(), *window.end());
        self
    }
}

/// What both sides agreed on (RFC 7692 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The server starts each message with an empty window.
    pub server_no_context_takeover: bool,
    /// The client starts each message with an empty window.
    pub client_no_context_takeover: bool,
    /// The server's window, 9 to 15 bits.
    pub server_max_window_bits: u8,
    /// The client's window, 8 to 15 bits.
    pub client_max_window_bits: u8,
    /// zlib's level for what this side sends, 1 to 9; a local choice.
    pub level: u8,
    /// Messages below this many bytes are sent as they are; a local choice.
    pub threshold: usize,
}

/// How one side compresses what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outbound {
    pub(crate) takeover: bool,
    pub(crate) coding: Coding,
    pub(crate) threshold: usize,
}

/// What decides the bytes of a message that is compressed on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coding {
    pub(crate) window_bits: u8,
    pub(crate) level: u8,
}

impl Params {
    pub(crate) fn outbound(&self, server: bool) -> Outbound {
        let (no_takeover, bits) = if server {
            (self.server_no_context_takeover, self.server_max_window_bits)
        } else {
            (self.client_no_context_takeover, self.client_max_window_bits)
        };
        Outbound {
            takeover: !no_takeover,
            coding: Coding {
                window_bits: bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS),
                level: self.level.clamp(1, 9),
            },
            threshold: self.threshold,
        }
    }

    /// Returns whether the peer's messages may refer to its earlier ones.
    pub(crate) fn inbound_takeover(&self, server: bool) -> bool {
        if server {
            !self.client_no_context_takeover
        } else {
            !self.server_no_context_takeover
        }
    }
}

/// What a sync flush ends with: a sender removes it (RFC 7692 §7.2.1), a receiver appends it
/// (§7.2.2).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The smallest window that the compressor can keep to; an offer that asks for 8 bits is declined.
pub(crate) const MIN_WINDOW_BITS: u8 = 9;

/// The largest window of DEFLATE: 32 KiB.
pub(crate) const MAX_WINDOW_BITS: u8 = 15;
