use crate::Prefix;

/// How addresses change on the way from inside to outside and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Translation {
    /// Inside addresses and ports become the NAT's own: NAPT ([RFC 3022](https://www.rfc-editor.org/rfc/rfc3022#section-4)).
    Ports,
    /// Nothing changes: a stateful firewall, which filters but does not translate.
    None,
    /// One IPv6 prefix becomes another, without state ([RFC 6296](https://www.rfc-editor.org/rfc/rfc6296#section-3)).
    Prefixes {
        /// The prefix inside.
        internal: Prefix,
        /// The prefix outside.
        external: Prefix,
    },
}
