//! Why there is no allocation, and whose fault that is.

use std::fmt;
use std::time::Duration;

use jackfield_stun::ErrorCode;

/// Why there is no allocation, or why a peer is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The server said no, with this error code.
    Refused(ErrorCode),
    /// The server does not know the allocation any more, although its time was not over (437).
    AllocationLost,
    /// The server wants a credential and we have none.
    CredentialMissing,
    /// The server does not know our credential: wrong name or password, or its time is over.
    CredentialRefused,
    /// The server can do better than MD5 by its nonce, and its offer is gone: someone on the path
    /// took it out.
    Downgraded,
    /// The server offers only password algorithms that we do not know.
    UnknownAlgorithm,
    /// The server said yes, and left out or broke what belongs to it.
    Malformed,
    /// The server sent us to others too often, or in circles.
    TooManyRedirects,
    /// No answer came.
    TimedOut,
    /// Answers came, and none of them was signed with our credential.
    Untrusted,
    /// The connection ended, or could not be made.
    Disconnected,
    /// The allocation's time was over before the server prolonged it.
    Expired,
}

/// Whose fault a [`Failure`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Ours: the configuration or the credential.
    Caller,
    /// The server's: it refuses, is full, or is broken.
    Server,
    /// Of what is between us and the server.
    Network,
}

impl Failure {
    /// Returns the error code of the server, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(code) => Some(*code),
            Self::CredentialMissing | Self::CredentialRefused => Some(ErrorCode::UNAUTHENTICATED),
            Self::TooManyRedirects => Some(ErrorCode::TRY_ALTERNATE),
            Self::AllocationLost => Some(ErrorCode::ALLOCATION_MISMATCH),
            Self::Downgraded
            | Self::UnknownAlgorithm
            | Self::Malformed
            | Self::TimedOut
            | Self::Untrusted
            | Self::Disconnected
            | Self::Expired => None,
        }
    }

    /// Returns whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            // Transport, address family, quota of the user, peers that are not allowed.
            Self::Refused(
                ErrorCode::FORBIDDEN
                | ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED
                | ErrorCode::WRONG_CREDENTIALS
                | ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL
                | ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH
                | ErrorCode::CONNECTION_TIMEOUT_OR_FAILURE
                | ErrorCode::ALLOCATION_QUOTA_REACHED,
            ) => Fault::Caller,
            Self::CredentialMissing | Self::CredentialRefused => Fault::Caller,
            Self::Refused(_)
            | Self::AllocationLost
            | Self::UnknownAlgorithm
            | Self::Malformed
            | Self::TooManyRedirects => Fault::Server,
            Self::Downgraded
            | Self::TimedOut
            | Self::Untrusted
            | Self::Disconnected
            | Self::Expired => Fault::Network,
        }
    }

    /// Returns whether a request that failed so is worth another try soon: the server had no chance
    /// to decide.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused(code) => code.is_server_error(),
            _ => self.is_silence(),
        }
    }

    /// Returns whether no answer came that could be believed, so that the server may have done what
    /// was asked.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::TimedOut | Self::Untrusted)
    }

    /// Returns after which time another try may succeed; `None` if the same try will fail the same
    /// way.
    ///
    /// A server that is full is left alone for a minute, and one that has seen all our addresses
    /// before for two ([RFC 8656 §7.4]).
    ///
    /// [RFC 8656 §7.4]: https://www.rfc-editor.org/rfc/rfc8656#section-7.4
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(
                ErrorCode::ALLOCATION_QUOTA_REACHED | ErrorCode::INSUFFICIENT_CAPACITY,
            ) => Some(Duration::from_secs(60)),
            //= https://www.rfc-editor.org/rfc/rfc8656#section-7.4
            //# Once the client gives up on the server, it SHOULD NOT try
            //# to create another allocation on the server for 2 minutes.
            Self::Refused(ErrorCode::ALLOCATION_MISMATCH) => Some(Duration::from_secs(120)),
            Self::Refused(code) if code.is_server_error() => Some(Duration::from_secs(1)),
            Self::AllocationLost
            | Self::TimedOut
            | Self::Untrusted
            | Self::Disconnected
            | Self::Expired => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code) => write!(f, "the server answered {} ({})", code.value(), meaning(*code)),
            Self::AllocationLost => f.write_str("the server does not know the allocation any more"),
            Self::CredentialMissing => f.write_str("the server wants a username and a password"),
            Self::CredentialRefused => {
                f.write_str("the server does not accept this username and password")
            }
            Self::Downgraded => f.write_str(
                "something on the way took the server's offer of stronger passwords out",
            ),
            Self::UnknownAlgorithm => {
                f.write_str("the server offers only password algorithms that are unknown here")
            }
            Self::Malformed => f.write_str("the server's answer lacks what belongs to it"),
            Self::TooManyRedirects => {
                f.write_str("the server names other servers too often, or in circles")
            }
            Self::TimedOut => f.write_str("no answer came from the server"),
            Self::Untrusted => f.write_str(
                "answers came, but not signed with this password: the password is wrong, or they are forged",
            ),
            Self::Disconnected => f.write_str("the connection to the server ended"),
            Self::Expired => f.write_str("the allocation ran out before the server prolonged it"),
        }
    }
}

impl std::error::Error for Failure {}

/// Returns what an error code means, in words of ours: those of the server are not to be trusted.
fn meaning(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::TRY_ALTERNATE => "it names another server",
        ErrorCode::BAD_REQUEST => "it does not understand the request",
        ErrorCode::FORBIDDEN => "this peer is not allowed",
        ErrorCode::UNKNOWN_ATTRIBUTE => "it does not know an attribute of the request",
        ErrorCode::ALLOCATION_MISMATCH => "it knows no such allocation, or another one",
        ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED => "it has no address of this family",
        ErrorCode::WRONG_CREDENTIALS => "the allocation belongs to another user",
        ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL => "it does not relay this transport",
        ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH => {
            "the peer is of another address family than the relay"
        }
        ErrorCode::CONNECTION_ALREADY_EXISTS => "the connection exists already",
        ErrorCode::CONNECTION_TIMEOUT_OR_FAILURE => {
            "the connection could not be made, or timed out"
        }
        ErrorCode::ALLOCATION_QUOTA_REACHED => "this user has as many allocations as allowed",
        ErrorCode::ROLE_CONFLICT => "the roles conflict",
        ErrorCode::SERVER_ERROR => "it has an error of its own",
        ErrorCode::INSUFFICIENT_CAPACITY => "it is full",
        _ => "an unusual code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_and_whose_fault_in_our_own_words() {
        let full = Failure::Refused(ErrorCode::INSUFFICIENT_CAPACITY);
        assert_eq!(full.to_string(), "the server answered 508 (it is full)");
        assert_eq!(full.code(), Some(ErrorCode::INSUFFICIENT_CAPACITY));
        assert_eq!(full.fault(), Fault::Server);
        assert_eq!(full.retry_after(), Some(Duration::from_secs(60)));
        assert_eq!(Failure::CredentialRefused.fault(), Fault::Caller);
        assert_eq!(Failure::CredentialRefused.retry_after(), None);
        assert_eq!(Failure::TimedOut.fault(), Fault::Network);
    }
}
