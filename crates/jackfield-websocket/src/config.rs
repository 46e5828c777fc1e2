//! Limits and choices of a connection.

/// Which side of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Receives masked frames and sends bare ones.
    Server,
    /// Receives bare frames and sends masked ones, with keys drawn from this seed.
    ///
    /// RFC 6455 §5.3 wants the keys unpredictable: draw each connection's seed from the operating
    /// system.
    Client {
        /// Where the masking keys come from.
        seed: [u8; 32],
    },
}

/// The limits of a connection; each breach fails it with a [`Violation`](crate::Violation) that
/// names the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocketLimits {
    /// Most bytes in the payload of one frame, compressed if it is (1 MiB).
    pub max_frame: usize,
    /// Most bytes in one message, after decompression (1 MiB). This bounds what a connection holds
    /// for its peer.
    pub max_message: usize,
    /// Most frames that one message may come in (65,536). Fragments are joined as they come, so
    /// this bounds work.
    pub max_fragments: usize,
    /// Most Pong frames that wait to be written (16). Of further Pings only the last is answered,
    /// as RFC 6455 §5.5.3 allows.
    pub max_waiting_pongs: usize,
}

impl Default for WebSocketLimits {
    fn default() -> Self {
        Self {
            max_frame: 1 << 20,
            max_message: 1 << 20,
            max_fragments: 1 << 16,
            max_waiting_pongs: 16,
        }
    }
}
