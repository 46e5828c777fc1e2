/// How addresses change on the way from inside to outside and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Translation {
    /// Inside addresses and ports become the NAT's own: NAPT ([RFC 3022](https://www.rfc-editor.org/rfc/rfc3022#section-4)).
    Ports,
    /// Nothing changes: a stateful firewall, which filters but does not translate.
    None,
}
