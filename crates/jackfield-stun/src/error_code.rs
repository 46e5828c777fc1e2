//! The numbers by which servers say why they refuse a request, with their names.

use std::fmt;

/// Why a request was refused: a number from 300 to 699 ([RFC 8489 §14.8]).
///
/// This is a number with names rather than an enum: an enum would need a variant for codes without
/// a name, and `Other(437)` beside `AllocationMismatch` would be two values of one code. The
/// constants can be matched on.
///
/// ```
/// use jackfield_stun::ErrorCode;
///
/// let code = ErrorCode::new(437).unwrap();
/// assert_eq!(code, ErrorCode::ALLOCATION_MISMATCH);
/// assert_eq!(code.to_string(), "437 (Allocation Mismatch)");
/// assert_eq!(ErrorCode::new(200), None);
/// ```
///
/// [RFC 8489 §14.8]: https://www.rfc-editor.org/rfc/rfc8489#section-14.8
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(u16);

impl ErrorCode {
    /// Returns the code of this number, or `None` unless the number is from 300 to 699.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        //= https://www.rfc-editor.org/rfc/rfc8489#section-14.8
        //# The value MUST be between 3 and 6.
        match number {
            300..=699 => Some(Self(number)),
            _ => None,
        }
    }

    /// Returns the number, from 300 to 699.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// Returns whether the server itself is in trouble (500 to 599), so that the same request may
    /// succeed later.
    #[must_use]
    pub const fn is_server_error(self) -> bool {
        matches!(self.0, 500..=599)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $phrase:literal;)+) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($number);)+

            /// Returns the reason phrase that the code's RFC recommends, or `""` for a code without
            /// a name here.
            #[must_use]
            pub const fn reason_phrase(self) -> &'static str {
                match self {
                    $(Self::$name => $phrase,)+
                    Self(_) => "",
                }
            }
        }

        #[cfg(test)]
        const NAMED: &[ErrorCode] = &[$(ErrorCode::$name),+];
    };
}

codes! {
    /// 300: the client is to ask the server that ALTERNATE-SERVER names (RFC 8489 §14.8).
    TRY_ALTERNATE = 300, "Try Alternate";
    /// 400: the request is malformed (RFC 8489 §14.8).
    BAD_REQUEST = 400, "Bad Request";
    /// 401: the request lacks the right credentials (RFC 8489 §14.8).
    UNAUTHENTICATED = 401, "Unauthenticated";
    /// 403: the request is valid, and an administrator forbids it (RFC 8656 §19).
    FORBIDDEN = 403, "Forbidden";
    /// 405: the server does not let the client take its allocation along (RFC 8016 §3.5).
    MOBILITY_FORBIDDEN = 405, "Mobility Forbidden";
    /// 420: the request has a comprehension-required attribute that the server does not know (RFC
    /// 8489 §14.8).
    UNKNOWN_ATTRIBUTE = 420, "Unknown Attribute";
    /// 437: there is no allocation where one is needed, or one where none may be (RFC 8656 §19).
    ALLOCATION_MISMATCH = 437, "Allocation Mismatch";
    /// 438: the NONCE is not valid any more; the response brings a new one (RFC 8489 §14.8).
    STALE_NONCE = 438, "Stale Nonce";
    /// 440: the server has no relayed address of the requested family (RFC 8656 §19).
    ADDRESS_FAMILY_NOT_SUPPORTED = 440, "Address Family not Supported";
    /// 441: the credentials are not those that made the allocation (RFC 8656 §19).
    WRONG_CREDENTIALS = 441, "Wrong Credentials";
    /// 442: the server does not relay the requested transport protocol (RFC 8656 §19).
    UNSUPPORTED_TRANSPORT_PROTOCOL = 442, "Unsupported Transport Protocol";
    /// 443: the peer's address is of another family than the relayed address (RFC 8656 §19).
    PEER_ADDRESS_FAMILY_MISMATCH = 443, "Peer Address Family Mismatch";
    /// 446: the allocation has a connection to this peer already (RFC 6062 §6.3).
    CONNECTION_ALREADY_EXISTS = 446, "Connection Already Exists";
    /// 447: the server could not connect to the peer in time (RFC 6062 §6.3).
    CONNECTION_TIMEOUT_OR_FAILURE = 447, "Connection Timeout or Failure";
    /// 486: the user has as many allocations as the server allows (RFC 8656 §19).
    ALLOCATION_QUOTA_REACHED = 486, "Allocation Quota Reached";
    /// 487: both ICE agents believe to be in the same role (RFC 8445 §16.1).
    ROLE_CONFLICT = 487, "Role Conflict";
    /// 500: the server has a temporary error; the client should try again (RFC 8489 §14.8).
    SERVER_ERROR = 500, "Server Error";
    /// 508: the server has reached a limit, of ports for example (RFC 8656 §19).
    INSUFFICIENT_CAPACITY = 508, "Insufficient Capacity";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason_phrase() {
            "" => self.0.fmt(f),
            phrase => write!(f, "{} ({phrase})", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_300_to_699_are_codes() {
        let codes = (0..=u16::MAX).filter_map(ErrorCode::new);
        let numbers: Vec<u16> = codes.map(ErrorCode::value).collect();
        assert_eq!(numbers, (300..=699).collect::<Vec<u16>>());
    }

    #[test]
    fn every_name_is_a_valid_code_with_a_phrase_of_its_own() {
        let mut phrases = std::collections::BTreeSet::new();
        for code in NAMED {
            assert_eq!(ErrorCode::new(code.value()), Some(*code));
            assert!(!code.reason_phrase().is_empty());
            assert!(phrases.insert(code.reason_phrase()), "{code} twice");
        }
        assert!(NAMED.is_sorted());
    }

    #[test]
    fn a_code_without_a_name_is_shown_as_its_number() {
        let code = ErrorCode::new(699).unwrap();
        assert_eq!(
            (code.to_string().as_str(), code.reason_phrase()),
            ("699", "")
        );
    }
}
