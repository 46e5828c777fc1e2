use std::fmt;

/// A channel number: 0x4000 to 0x4FFF ([RFC 8656 §12]).
///
/// The upper range of RFC 5766 (to 0x7FFF) is refused: RFC 7983 gives those first bytes to other protocols on one port.
///
/// [RFC 8656 §12]: https://www.rfc-editor.org/rfc/rfc8656#section-12
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The lowest.
    pub const MIN: Self = Self(0x4000);
    /// The highest.
    pub const MAX: Self = Self(0x4FFF);

    /// Returns `number` as a channel number if it is one.
    ///
    /// ```
    /// use jackfield_turn::ChannelNumber;
    ///
    /// assert!(ChannelNumber::new(0x4000).is_some());
    /// assert!(ChannelNumber::new(0x5000).is_none());
    /// ```
    pub fn new(number: u16) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0)
            .contains(&number)
            .then_some(Self(number))
    }

    /// Returns the number.
    pub fn value(self) -> u16 {
        self.0
    }
}

impl fmt::Display for ChannelNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}
