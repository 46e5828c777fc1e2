//! What a peer did wrong, and the close code that tells it so.

use crate::close::CloseCode;

/// Why a connection was failed ([RFC 6455 §7.1.7]); no bytes of the peer's are in it.
///
/// [RFC 6455 §7.1.7]: https://www.rfc-editor.org/rfc/rfc6455#section-7.1.7
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A reserved bit was set that no negotiated extension defines, or on a frame where it has no
    /// meaning.
    #[error("a reserved bit is set without an extension that defines it")]
    ReservedBit,
    /// An opcode that RFC 6455 reserves.
    #[error("the opcode is reserved")]
    ReservedOpcode,
    /// A 64-bit length with its highest bit set.
    #[error("the payload length is above 2^63 - 1")]
    LengthOverflow,
    /// A length that would have fitted a shorter form.
    #[error("the payload length is not in its shortest form")]
    LengthNotMinimal,
    /// A client's frame without a mask.
    #[error("a frame from a client is not masked")]
    NotMasked,
    /// A server's frame with a mask.
    #[error("a frame from a server is masked")]
    Masked,
    /// A control frame in fragments.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame with more than 125 bytes.
    #[error("a control frame carries more than 125 bytes")]
    OversizedControl,
    /// A continuation frame with nothing to continue.
    #[error("a continuation frame continues no message")]
    UnexpectedContinuation,
    /// A new message inside an unfinished one.
    #[error("a message starts inside another")]
    InterruptedMessage,
    /// A Close frame whose body is one byte, or whose code may not be sent.
    #[error("the Close frame carries no code that may be sent")]
    InvalidClose,
    /// Text, or the reason of a Close frame, that is not UTF-8.
    #[error("text is not UTF-8")]
    InvalidUtf8,
    /// A compressed message that does not decompress.
    #[error("the compressed message is corrupt")]
    CorruptDeflate,
    /// A frame above [`WebSocketLimits::max_frame`](crate::WebSocketLimits::max_frame).
    #[error("a frame is larger than allowed")]
    FrameTooLarge,
    /// A message above [`WebSocketLimits::max_message`](crate::WebSocketLimits::max_message),
    /// after decompression.
    #[error("a message is larger than allowed")]
    MessageTooLarge,
    /// A message in more frames than
    /// [`WebSocketLimits::max_fragments`](crate::WebSocketLimits::max_fragments).
    #[error("a message has more fragments than allowed")]
    TooManyFragments,
}

impl Violation {
    /// Returns the code that the Close frame of a failed connection carries.
    #[must_use]
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::CorruptDeflate => CloseCode::INVALID_PAYLOAD,
            Self::FrameTooLarge | Self::MessageTooLarge => CloseCode::TOO_LARGE,
            Self::TooManyFragments => CloseCode::POLICY,
            Self::ReservedBit
            | Self::ReservedOpcode
            | Self::LengthOverflow
            | Self::LengthNotMinimal
            | Self::NotMasked
            | Self::Masked
            | Self::FragmentedControl
            | Self::OversizedControl
            | Self::UnexpectedContinuation
            | Self::InterruptedMessage
            | Self::InvalidClose => CloseCode::PROTOCOL,
        }
    }

    /// Returns whether a limit of the receiver was passed, rather than the protocol broken.
    #[must_use]
    pub fn is_limit(self) -> bool {
        matches!(
            self,
            Self::FrameTooLarge | Self::MessageTooLarge | Self::TooManyFragments
        )
    }
}
