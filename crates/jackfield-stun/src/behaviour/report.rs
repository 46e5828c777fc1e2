//! What a discovery found out.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jackfield_sansio::{Filtering, Mapping};

use super::finding::Finding;

/// What was found out about the way to the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The server that was asked.
    pub server: Option<SocketAddr>,
    /// The server's other address and port, if it has sent OTHER-ADDRESS.
    pub other: Option<SocketAddr>,
    /// The fastest round trip to the server.
    pub round_trip: Finding<Duration>,
    /// The address that this machine sent from.
    pub local: Finding<SocketAddr>,
    /// Where that seemed to come from.
    pub mapped: Finding<SocketAddr>,
    /// Whether addresses are translated.
    pub nat: Finding<bool>,
    /// When two packets from one socket leave from the same outside endpoint.
    pub mapping: Finding<Mapping>,
    /// How many rounds have seen that.
    pub mapping_stability: Stability,
    /// Which remote endpoints may send to that outside endpoint.
    pub filtering: Finding<Filtering>,
    /// How many rounds have seen that.
    pub filtering_stability: Stability,
    /// How external ports are chosen.
    pub ports: Finding<PortAssignment>,
    /// Every external address that was seen.
    pub externals: Vec<IpAddr>,
    /// Whether two sockets inside reach each other by their outside endpoints.
    pub hairpinning: Finding<bool>,
    /// Whether an application-level gateway rewrites addresses inside of messages.
    pub alg: Finding<bool>,
    /// What becomes of datagrams in fragments.
    pub fragments: Finding<Fragments>,
    /// How long an idle mapping lives.
    pub lifetime: Finding<Lifetime>,
    /// What the server said of each socket that it was asked from, in the order of the answers.
    pub observations: Vec<Observation>,
}

impl Report {
    /// Returns the name that RFC 3489 had for such a way, if it had one.
    ///
    /// The names are labels, no more: most combinations of mapping and filtering have none.
    #[must_use]
    pub fn label(&self) -> Option<Label> {
        use Filtering as F;
        use Mapping as M;
        self.mapped.known()?;
        match (self.nat, self.mapping, self.filtering) {
            (Finding::Known(false), _, Finding::Known(F::EndpointIndependent)) => Some(Label::Open),
            (Finding::Known(false), _, Finding::Known(F::AddressAndPortDependent)) => {
                Some(Label::SymmetricFirewall)
            }
            (Finding::Known(true), Finding::Known(mapping), Finding::Known(filtering)) => {
                match (mapping, filtering) {
                    (M::EndpointIndependent, F::EndpointIndependent) => Some(Label::FullCone),
                    (M::EndpointIndependent, F::AddressDependent) => Some(Label::RestrictedCone),
                    (M::EndpointIndependent, F::AddressAndPortDependent) => {
                        Some(Label::PortRestrictedCone)
                    }
                    (M::AddressAndPortDependent, F::AddressAndPortDependent) => {
                        Some(Label::Symmetric)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// How many of the rounds that saw anything have seen what the report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stability {
    /// Rounds that have seen it.
    pub agreeing: usize,
    /// Rounds that have seen anything.
    pub rounds: usize,
}

impl fmt::Display for Stability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.agreeing, self.rounds)
    }
}

/// How external ports are chosen ([RFC 4787 §4.2]).
///
/// [RFC 4787 §4.2]: https://www.rfc-editor.org/rfc/rfc4787#section-4.2
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortAssignment {
    /// They are the inside ports.
    Preserved,
    /// They follow each other.
    Sequential,
    /// They have no order that could be seen.
    Random,
}

impl fmt::Display for PortAssignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preserved => "preserved",
            Self::Sequential => "sequential",
            Self::Random => "random",
        })
    }
}

/// What becomes of datagrams in fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fragments {
    /// They get through both ways.
    BothWays,
    /// They get out; the server sent none back.
    Outbound,
    /// They are dropped on the way there or back.
    Dropped,
}

/// Between which times an idle mapping ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lifetime {
    /// It was seen to live for so long.
    pub at_least: Duration,
    /// It was seen to have ended after so long; nothing if it outlived the longest time that was
    /// tried.
    pub at_most: Option<Duration>,
}

/// What the server said of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Observation {
    /// Where the socket is bound.
    pub local: SocketAddr,
    /// Where its request seemed to come from.
    pub mapped: SocketAddr,
    /// The same address from MAPPED-ADDRESS, which is in the clear, so that an ALG may have changed
    /// it.
    pub in_the_clear: Option<SocketAddr>,
}

/// A name that [RFC 3489 §5] had for some ways; RFC 5389 took the names back, for few NATs fit one.
///
/// [RFC 3489 §5]: https://www.rfc-editor.org/rfc/rfc3489#section-5
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// No NAT, and every remote may send.
    Open,
    /// No NAT, and a filter that admits only endpoints that were sent to.
    SymmetricFirewall,
    /// Endpoint-independent mapping and filtering.
    FullCone,
    /// Endpoint-independent mapping, address-dependent filtering.
    RestrictedCone,
    /// Endpoint-independent mapping, address-and-port-dependent filtering.
    PortRestrictedCone,
    /// Address-and-port-dependent mapping and filtering.
    Symmetric,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open internet",
            Self::SymmetricFirewall => "symmetric UDP firewall",
            Self::FullCone => "full cone",
            Self::RestrictedCone => "restricted cone",
            Self::PortRestrictedCone => "port-restricted cone",
            Self::Symmetric => "symmetric",
        })
    }
}
