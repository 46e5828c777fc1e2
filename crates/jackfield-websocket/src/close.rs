//! Close codes and the body of a Close frame ([RFC 6455 §7.4]).
//!
//! [RFC 6455 §7.4]: https://www.rfc-editor.org/rfc/rfc6455#section-7.4

use bytes::Bytes;

use crate::Violation;

/// A status code of a Close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server shuts down or the page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: a protocol error.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: data of a kind that the receiver cannot accept.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: data that does not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: against the receiver's policy.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message too large to process.
    pub const TOO_LARGE: Self = Self(1009);
    /// 1011: the server met a condition that it did not expect.
    pub const INTERNAL: Self = Self(1011);
    /// 1012: the service restarts; come back.
    pub const RESTART: Self = Self(1012);
    /// 1013: the server is overloaded; try later.
    pub const TRY_LATER: Self = Self(1013);

    /// Returns the code, if it may appear on the wire.
    ///
    /// That is: the codes of RFC 6455 without 1004, 1005, 1006 and 1015, the registered 1012 to
    /// 1014, and the ranges for libraries (3000 to 3999) and applications (4000 to 4999).
    #[must_use]
    pub fn new(code: u16) -> Option<Self> {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999).then_some(Self(code))
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

/// The body of a Close frame that has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    /// Why the connection is closed.
    pub code: CloseCode,
    /// Valid UTF-8 for a log or a person, at most [`MAX_REASON`] bytes.
    pub reason: Bytes,
}

impl CloseFrame {
    /// Returns a body with `code` and `reason`, cut to the last whole character within
    /// [`MAX_REASON`] bytes.
    #[must_use]
    pub fn new(code: CloseCode, reason: &str) -> Self {
        let mut end = reason.len().min(MAX_REASON);
        // Half a character would make the peer fail the connection (RFC 6455 §8.1).
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = reason.get(..end).unwrap_or_default();
        Self {
            code,
            reason: Bytes::copy_from_slice(reason.as_bytes()),
        }
    }

    /// Reads the body of a Close frame; an empty one has neither code nor reason.
    ///
    /// # Errors
    /// [`Violation::InvalidClose`] for a body of one byte or a code that may not be sent,
    /// [`Violation::InvalidUtf8`].
    pub fn decode(body: &Bytes) -> Result<Option<Self>, Violation> {
        let Some((code, reason)) = body.split_first_chunk::<2>() else {
            return if body.is_empty() {
                Ok(None)
            } else {
                Err(Violation::InvalidClose)
            };
        };
        let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(Violation::InvalidClose)?;
        if simdutf8::basic::from_utf8(reason).is_err() {
            return Err(Violation::InvalidUtf8);
        }
        Ok(Some(Self {
            code,
            reason: body.slice(2..),
        }))
    }

    /// Returns the body as it goes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(2 + self.reason.len());
        body.extend_from_slice(&self.code.0.to_be_bytes());
        body.extend_from_slice(self.reason.get(..MAX_REASON).unwrap_or(&self.reason));
        body
    }
}

/// The bytes a reason may have: a control frame carries 125, two of them the code.
pub const MAX_REASON: usize = 123;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_reads_back_as_written() {
        let frame = CloseFrame::new(CloseCode::GOING_AWAY, "bye");
        let body = Bytes::from(frame.encode());
        assert_eq!(&body[..], b"\x03\xe9bye");
        assert_eq!(CloseFrame::decode(&body), Ok(Some(frame)));
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let frame = CloseFrame::new(CloseCode::NORMAL, &"é".repeat(100));
        assert_eq!(frame.reason.len(), 122);
        assert_eq!(frame.encode().len(), 124);
    }

    #[test]
    fn codes_that_only_describe_a_local_state_are_refused() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            let body = Bytes::copy_from_slice(&u16::to_be_bytes(code));
            assert_eq!(
                CloseFrame::decode(&body),
                Err(Violation::InvalidClose),
                "{code}"
            );
        }
        for code in [1000, 1003, 1007, 1011, 1014, 3000, 4999] {
            assert!(CloseCode::new(code).is_some(), "{code}");
        }
    }

    #[test]
    fn a_body_of_one_byte_and_a_reason_that_is_not_text_are_refused() {
        assert_eq!(CloseFrame::decode(&Bytes::new()), Ok(None));
        assert_eq!(
            CloseFrame::decode(&Bytes::from_static(b"\x03")),
            Err(Violation::InvalidClose)
        );
        assert_eq!(
            CloseFrame::decode(&Bytes::from_static(b"\x03\xe8\xff")),
            Err(Violation::InvalidUtf8)
        );
    }
}
