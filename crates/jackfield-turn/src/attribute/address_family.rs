//! The families that attributes name.

use std::net::IpAddr;

use jackfield_stun::DecodeError;
use jackfield_stun::attribute::AttributeType;

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressFamily {
    /// IPv4 (1).
    V4,
    /// IPv6 (2).
    V6,
}

impl AddressFamily {
    /// Returns the family of an address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Returns the other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
        }
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::V4),
            2 => Some(Self::V6),
            _ => None,
        }
    }

    /// Reads a family followed by three bytes that don't count.
    pub(super) fn decode(kind: AttributeType, value: &[u8]) -> Result<Self, DecodeError> {
        let &[number, _, _, _] = value else {
            return Err(DecodeError::ValueLength(kind, value.len()));
        };
        Self::from_number(number).ok_or(DecodeError::Value(kind))
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.number(), 0, 0, 0]);
    }
}
