//! Firewalls by name.

use jackfield_nat::Policy;

/// What the router refuses, whatever its NAT would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Firewall {
    /// Nothing.
    #[default]
    None,
    /// UDP, in both directions.
    NoUdp,
    /// UDP, and TCP connections from outside.
    NoUdpNoIncomingTcp,
    /// All but TCP connections from inside to ports 80 and 443.
    OnlyHttps,
}

impl Firewall {
    /// Every firewall, from the most open to the strictest.
    pub const ALL: [Self; 4] = [
        Self::None,
        Self::NoUdp,
        Self::NoUdpNoIncomingTcp,
        Self::OnlyHttps,
    ];

    /// Returns the name in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NoUdp => "no-udp",
            Self::NoUdpNoIncomingTcp => "no-udp-no-incoming-tcp",
            Self::OnlyHttps => "only-https",
        }
    }

    /// Returns the firewall of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Returns the rules for the NAT.
    #[must_use]
    pub fn policy(self) -> Policy {
        match self {
            Self::None => Policy::default(),
            Self::NoUdp => Policy::no_udp(),
            Self::NoUdpNoIncomingTcp => Policy::no_udp_no_incoming_tcp(),
            Self::OnlyHttps => Policy::web_only(),
        }
    }
}
