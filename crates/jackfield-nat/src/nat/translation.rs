//! How a NAT changes addresses.

use crate::{Address, Prefix};

/// How addresses change on the way from inside to outside and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Translation {
    /// Inside addresses and ports become the NAT's own: NAPT
    /// ([RFC 3022](https://www.rfc-editor.org/rfc/rfc3022#section-4)).
    Ports,
    /// IPv6 inside becomes IPv4 outside, with addresses and ports of the NAT's own: stateful NAT64
    /// ([RFC 6146](https://www.rfc-editor.org/rfc/rfc6146)).
    Nat64 {
        /// The IPv6 prefix that stands for IPv4 inside, of 32, 40, 48, 56, 64 or 96 bits
        /// ([RFC 6052 §2.2](https://www.rfc-editor.org/rfc/rfc6052#section-2.2)); every packet is
        /// [untranslatable](crate::DropReason::Untranslatable) with another.
        prefix: Prefix,
    },
    /// Nothing changes: a stateful firewall, which filters but does not translate.
    None,
    /// One IPv6 prefix becomes another, without state
    /// ([RFC 6296](https://www.rfc-editor.org/rfc/rfc6296#section-3)).
    Prefixes {
        /// The prefix inside.
        internal: Prefix,
        /// The prefix outside.
        external: Prefix,
    },
}

impl Translation {
    /// Returns whether an inside and an outside address can stand for each other: both are of one
    /// IP version, except in NAT64.
    pub(super) fn joins(self, inside: Address, outside: Address) -> bool {
        match self {
            Self::Nat64 { .. } => !inside.is_v4() && outside.is_v4(),
            Self::Ports | Self::None | Self::Prefixes { .. } => inside.is_v4() == outside.is_v4(),
        }
    }
}
