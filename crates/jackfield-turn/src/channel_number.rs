//! Channel numbers.

use std::fmt;

/// A channel number: 0x4000 to 0x4FFF by [RFC 8656 §12], and to 0x7FFF by RFC 5766 before it.
///
/// [RFC 8656 §12]: https://www.rfc-editor.org/rfc/rfc8656#section-12
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The lowest.
    pub const MIN: Self = Self(0x4000);
    /// The highest of RFC 8656.
    pub const MAX: Self = Self(0x4FFF);
    /// The highest of RFC 5766.
    pub const MAX_RFC5766: Self = Self(0x7FFF);

    /// Returns `number` as a channel number if it is one by either RFC.
    ///
    /// ```
    /// use jackfield_turn::ChannelNumber;
    ///
    /// assert!(ChannelNumber::new(0x4000).is_some_and(ChannelNumber::is_rfc8656));
    /// assert!(ChannelNumber::new(0x5000).is_some_and(|number| !number.is_rfc8656()));
    /// assert!(ChannelNumber::new(0x8000).is_none());
    /// ```
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (Self::MIN.0..=Self::MAX_RFC5766.0)
            .contains(&number)
            .then_some(Self(number))
    }

    /// Returns whether it is one by RFC 8656, whose first byte no other protocol on a shared port
    /// has (RFC 7983).
    #[must_use]
    pub fn is_rfc8656(self) -> bool {
        self <= Self::MAX
    }

    /// Returns the number.
    #[must_use]
    pub fn value(self) -> u16 {
        self.0
    }
}

impl fmt::Display for ChannelNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}
