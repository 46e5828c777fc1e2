//! The requirements of RFCs, and which of them a profile violates.

use std::fmt;

/// An RFC with requirements for NATs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rfc {
    /// UDP.
    Rfc4787,
    /// TCP.
    Rfc5382,
    /// ICMP.
    Rfc5508,
    /// Carrier-grade NATs.
    Rfc6888,
    /// NAT64; its requirements have no numbers, so its sections name them.
    Rfc6146,
    /// Updates to the first three; its requirements have no numbers, so its headings name them.
    Rfc7857,
}

/// A requirement by its name in the RFC, such as `REQ-1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement(pub Rfc, pub &'static str);

/// A requirement that a profile violates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deviation {
    /// Which.
    pub requirement: Requirement,
    /// What the NAT does instead.
    pub instead: &'static str,
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = match self.0 {
            Rfc::Rfc4787 => 4787,
            Rfc::Rfc5382 => 5382,
            Rfc::Rfc5508 => 5508,
            Rfc::Rfc6146 => 6146,
            Rfc::Rfc6888 => 6888,
            Rfc::Rfc7857 => 7857,
        };
        write!(f, "RFC {number} {}", self.1)
    }
}

/// Shortens the tables of deviations.
pub(super) const fn breaks(
    rfc: Rfc,
    requirement: &'static str,
    instead: &'static str,
) -> Deviation {
    Deviation {
        requirement: Requirement(rfc, requirement),
        instead,
    }
}
