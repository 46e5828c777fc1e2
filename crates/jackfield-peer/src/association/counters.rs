//! What an association counts.

/// Counters of one association. None of them ever falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams taken.
    pub datagrams_received: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Datagrams that came before there was room for them, or after the end.
    pub datagrams_dropped: u64,
    /// Channels of the other side that were refused: the limit, a bad stream, a bad message.
    pub channels_refused: u64,
    /// Channels that the limit refused; [`channels_refused`](Self::channels_refused) has them, too.
    pub channels_over_limit: u64,
    /// Messages that closed their channel: no UTF-8, an unknown type, too long in parts.
    pub messages_refused: u64,
    /// Writes that were refused because the channel's buffer is full.
    pub writes_refused: u64,
}

/// What a channel carried, in W3C's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelStats {
    /// Messages written.
    pub messages_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
}
