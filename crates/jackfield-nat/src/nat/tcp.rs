//! The state of a TCP connection, as far as a NAT follows it.

use std::time::Duration;

use super::Side;
use super::config::Timers;
use crate::packet::TcpFlags;

/// Where a TCP connection is in its life
/// ([RFC 7857 §2](https://www.rfc-editor.org/rfc/rfc7857#section-2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TcpState {
    /// This side has sent a SYN, and the other has not.
    Opening(Side),
    /// Both sides have sent a SYN.
    Established,
    /// This side has sent a FIN.
    HalfClosed(Side),
    /// Both sides have sent a FIN.
    Closing,
    /// One side has sent a RST.
    Reset,
}

impl TcpState {
    /// Returns the state after a segment with `flags` from `from`.
    ///
    /// A SYN on a connection that is closing or reset starts a new one. The figure of the RFC has
    /// no such edge; clients reuse ports within the four minutes that these states last.
    pub(crate) fn step(self, from: Side, flags: TcpFlags) -> Self {
        let (syn, fin, rst) = (
            flags.has(TcpFlags::SYN),
            flags.has(TcpFlags::FIN),
            flags.has(TcpFlags::RST),
        );
        match self {
            Self::Opening(first) if syn && first != from => Self::Established,
            // RFC 6146 §3.5.2.2: while a connection opens, only the other side's SYN changes its
            // state, and a RST does not.
            Self::Opening(_) => self,
            Self::Closing | Self::Reset if syn && !flags.has(TcpFlags::ACK) => Self::Opening(from),
            Self::Closing => self,
            // The connection is kept for a while: the receiver may refuse the RST, or may never
            // get it (RFC 7857 §2.2).
            Self::Established | Self::HalfClosed(_) if rst => Self::Reset,
            Self::Established if fin => Self::HalfClosed(from),
            Self::Established => self,
            Self::HalfClosed(first) if fin && first != from => Self::Closing,
            Self::HalfClosed(_) => self,
            Self::Reset if rst => self,
            Self::Reset => Self::Established,
        }
    }

    /// Returns how long the connection may stay idle in this state.
    pub(crate) fn lifetime(self, timers: &Timers) -> Duration {
        match self {
            Self::Opening(_) => timers.tcp_opening,
            Self::Established | Self::HalfClosed(_) => timers.tcp_established,
            Self::Closing => timers.tcp_closing,
            Self::Reset => timers.tcp_reset,
        }
    }

    /// Returns whether a segment that leads from `before` to here starts the idle time anew.
    ///
    /// Once both FINs are seen, acknowledgements must not keep the connection alive, nor must a
    /// RST that answers something
    /// ([RFC 7857 §7.1](https://www.rfc-editor.org/rfc/rfc7857#section-7.1)).
    pub(crate) fn is_refreshed(self, before: Self, flags: TcpFlags) -> bool {
        if self != before {
            return true;
        }
        match self {
            // Only a SYN restarts the time in V6 INIT (RFC 6146 §3.5.2.2).
            Self::Opening(_) => flags.has(TcpFlags::SYN),
            Self::Established | Self::HalfClosed(_) => true,
            Self::Closing | Self::Reset => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: TcpFlags = TcpFlags(TcpFlags::SYN);
    const FIN: TcpFlags = TcpFlags(TcpFlags::FIN | TcpFlags::ACK);
    const RST: TcpFlags = TcpFlags(TcpFlags::RST);
    const ACK: TcpFlags = TcpFlags(TcpFlags::ACK);

    #[test]
    fn a_simultaneous_open_establishes_a_connection() {
        let state = TcpState::Opening(Side::Inside).step(Side::Outside, SYN);
        assert_eq!(state, TcpState::Established);
    }

    #[test]
    fn a_connection_closes_when_both_sides_have_sent_fin() {
        let state = TcpState::Established.step(Side::Inside, FIN);
        assert_eq!(state, TcpState::HalfClosed(Side::Inside));
        assert_eq!(state.step(Side::Inside, FIN), state);
        assert_eq!(state.step(Side::Outside, FIN), TcpState::Closing);
    }

    #[test]
    fn data_after_a_reset_revives_the_connection() {
        let state = TcpState::Established.step(Side::Outside, RST);
        assert_eq!(state, TcpState::Reset);
        assert_eq!(state.step(Side::Outside, RST), TcpState::Reset);
        assert_eq!(state.step(Side::Inside, ACK), TcpState::Established);
    }
}
