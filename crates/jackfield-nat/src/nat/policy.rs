//! The firewall rules of a NAT.

use std::ops::RangeInclusive;

use super::Side;
use super::config::Protocol;

/// What a firewall refuses: the first rule that fits a packet decides, and without one it passes.
///
/// Rules are asked when a flow starts, not for each packet, as stateful firewalls do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The rules; an earlier rule wins.
    pub rules: Vec<Rule>,
    /// Whether the inside gets no answer to what is refused, as most firewalls have it; otherwise
    /// it gets ICMP code 13, administratively prohibited
    /// ([RFC 5508 §6](https://www.rfc-editor.org/rfc/rfc5508#section-6)).
    pub silent: bool,
}

/// One line of a [`Policy`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The side that the first packet of a flow comes from; `None` matches both.
    pub from: Option<Side>,
    /// The protocol; `None` matches all.
    pub protocol: Option<Protocol>,
    /// The destination ports of the first packet.
    pub ports: RangeInclusive<u16>,
    /// Whether the flow may start.
    pub allow: bool,
}

impl Policy {
    /// Refuses all UDP.
    #[must_use]
    pub fn no_udp() -> Self {
        Self {
            rules: vec![Rule::refuse(None, Protocol::Udp)],
            silent: true,
        }
    }

    /// Refuses all UDP, and TCP from outside.
    #[must_use]
    pub fn no_udp_no_incoming_tcp() -> Self {
        Self {
            rules: vec![
                Rule::refuse(None, Protocol::Udp),
                Rule::refuse(Some(Side::Outside), Protocol::Tcp),
            ],
            silent: true,
        }
    }

    /// Refuses everything but TCP from inside to ports 80 and 443.
    #[must_use]
    pub fn web_only() -> Self {
        let web = |port| Rule {
            from: Some(Side::Inside),
            protocol: Some(Protocol::Tcp),
            ports: port..=port,
            allow: true,
        };
        let everything = Rule {
            from: None,
            protocol: None,
            ports: 0..=u16::MAX,
            allow: false,
        };
        Self {
            rules: vec![web(80), web(443), everything],
            silent: true,
        }
    }

    /// Returns whether a flow may start.
    pub(crate) fn allows(&self, from: Side, protocol: Protocol, port: u16) -> bool {
        self.rules
            .iter()
            .find(|rule| rule.fits(from, protocol, port))
            .is_none_or(|rule| rule.allow)
    }
}

impl Rule {
    fn refuse(from: Option<Side>, protocol: Protocol) -> Self {
        Self {
            from,
            protocol: Some(protocol),
            ports: 0..=u16::MAX,
            allow: false,
        }
    }

    fn fits(&self, from: Side, protocol: Protocol, port: u16) -> bool {
        self.from.is_none_or(|side| side == from)
            && self.protocol.is_none_or(|mine| mine == protocol)
            && self.ports.contains(&port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_only_lets_nothing_else_out_and_nothing_in() {
        let policy = Policy::web_only();
        assert!(policy.allows(Side::Inside, Protocol::Tcp, 443));
        assert!(!policy.allows(Side::Inside, Protocol::Tcp, 22));
        assert!(!policy.allows(Side::Inside, Protocol::Udp, 443));
        assert!(!policy.allows(Side::Outside, Protocol::Tcp, 443));
    }
}
