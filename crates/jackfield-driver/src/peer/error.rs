//! What can go wrong with a peer and its channels.

use std::io;

use jackfield_peer::sdp::SdpError;
use jackfield_peer::{CandidateRefused, CloseReason, OpenError};

/// Why a peer did not do what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// A description cannot be used.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// A candidate cannot be used.
    #[error(transparent)]
    Candidate(#[from] CandidateRefused),
    /// A channel cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The other side refused the channel.
    #[error("the other side refused the channel")]
    Refused,
    /// The peer is closed.
    #[error("the peer is closed: {0}")]
    Closed(CloseReason),
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The other side accepts no message of this length.
    #[error("the other side accepts messages of at most {0} bytes")]
    TooLarge(usize),
    /// The channel is closed.
    #[error("the channel is closed")]
    Closed,
}

impl From<ChannelError> for io::Error {
    fn from(error: ChannelError) -> Self {
        let kind = match error {
            ChannelError::TooLarge(_) => io::ErrorKind::InvalidInput,
            ChannelError::Closed => io::ErrorKind::BrokenPipe,
        };
        Self::new(kind, error)
    }
}

impl From<PeerError> for io::Error {
    fn from(error: PeerError) -> Self {
        let kind = match error {
            PeerError::Sdp(_) | PeerError::Candidate(_) => io::ErrorKind::InvalidData,
            PeerError::Open(_) => io::ErrorKind::InvalidInput,
            PeerError::Refused => io::ErrorKind::ConnectionRefused,
            PeerError::Closed(_) => io::ErrorKind::ConnectionAborted,
        };
        Self::new(kind, error)
    }
}
