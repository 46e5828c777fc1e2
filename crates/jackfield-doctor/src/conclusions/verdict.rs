//! The most important thing to say.

use super::relay::works_without_udp;
use super::{Health, Problem};
use crate::facts::Facts;

/// The most important thing to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// One problem keeps everything else from working, or from being tried.
    Blocked(Problem),
    /// UDP does not get through: calls need a relay that is reached by TCP.
    RelayOverTcpOnly,
    /// Nothing gets out but what goes through the proxy; a relay inside TLS does.
    RelayByProxyOnly,
    /// UDP does not get through, and no relay works.
    NoCalls,
    /// UDP gets through: the reach says to which peers.
    Direct,
}

impl Verdict {
    pub(super) fn of(facts: &Facts, problems: &[Problem]) -> Self {
        if let Some(problem) = problems.iter().find(|problem| problem.is_fatal()) {
            return Self::Blocked(problem.clone());
        }
        let is_by_proxy = |problem: &Problem| {
            matches!(
                problem,
                Problem::ProxyNeeded {
                    relay: Some(true),
                    ..
                }
            )
        };
        if facts.is_udp_answered() {
            Self::Direct
        } else if works_without_udp(facts) {
            Self::RelayOverTcpOnly
        } else if problems.iter().any(is_by_proxy) {
            Self::RelayByProxyOnly
        } else {
            Self::NoCalls
        }
    }

    /// Returns how bad it is at least.
    pub(super) fn health(&self) -> Health {
        match self {
            Self::Blocked(_) | Self::NoCalls => Health::Broken,
            Self::RelayOverTcpOnly | Self::RelayByProxyOnly => Health::Degraded,
            Self::Direct => Health::Ok,
        }
    }

    /// Returns the name that programs know it by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Blocked(problem) => problem.kind(),
            Self::RelayOverTcpOnly => "relay-over-tcp-only",
            Self::RelayByProxyOnly => "relay-by-proxy-only",
            Self::NoCalls => "no-calls",
            Self::Direct => "direct",
        }
    }
}
