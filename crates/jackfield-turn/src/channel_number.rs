use std::fmt;

/// A channel number: 0x4000 to 0x7FFE ([RFC 5766 §11]).
///
/// [RFC 8656 §12] ends the range at 0x4FFF, so that other protocols can share a port. Clients of its forerunner, such as
/// coturn's tools up to 4.15, still choose from all of it, and lose nothing here: a first byte from 0x50 on counts as
/// ChannelData only on the five-tuple of a client that has bound that number.
///
/// [RFC 5766 §11]: https://www.rfc-editor.org/rfc/rfc5766#section-11
/// [RFC 8656 §12]: https://www.rfc-editor.org/rfc/rfc8656#section-12
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The lowest.
    pub const MIN: Self = Self(0x4000);
    /// The highest.
    pub const MAX: Self = Self(0x7FFE);

    /// Returns `number` as a channel number if it is one.
    ///
    /// ```
    /// use jackfield_turn::ChannelNumber;
    ///
    /// assert!(ChannelNumber::new(0x4000).is_some());
    /// assert!(ChannelNumber::new(0x7FFF).is_none());
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
