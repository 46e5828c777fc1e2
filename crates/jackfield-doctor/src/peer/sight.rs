//! What one machine tells another of its network.

use jackfield_nat::oracle::Traits;
use jackfield_nat::{Filtering, Mapping};
use jackfield_stun::behaviour::{Finding, Reason, Report};
use serde::{Deserialize, Serialize};

use crate::conclusions::RelayFinding;
use crate::facts::{Facts, PathMtu, RelayTransport};

/// What one machine tells another of its network: enough for both to draw the same conclusions, and
/// no address. It comes from a stranger's program, so every field may be anything of its type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sight {
    /// Whether the server answered by UDP.
    pub udp: bool,
    /// What is in front of the machine; nothing if that is not known.
    pub nat: Option<NatSight>,
    /// Whether a relay works that is reached by UDP.
    pub relay_udp: bool,
    /// Whether a relay works that is reached by TCP or TLS.
    pub relay_stream: bool,
    /// The largest packet to the server that was answered, in bytes of the whole IP packet.
    pub mtu: Option<u16>,
}

/// What is in front of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatSight {
    /// Whether addresses are translated.
    pub translates: bool,
    /// How the outside endpoint depends on the destination, by RFC 4787's name.
    pub mapping: String,
    /// Who may send to it, by RFC 4787's name.
    pub filtering: String,
    /// Whether conversations of one machine come from several addresses.
    pub several_addresses: bool,
}

impl Sight {
    /// Returns what an examination has seen of a network.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let works = |is_wanted: fn(RelayTransport) -> bool| {
            let mut relays = facts.relays.iter().filter(|it| is_wanted(it.transport));
            relays.any(|it| RelayFinding::of(it).is_usable())
        };
        let mtu = [facts.mtu_v4, facts.mtu_v6];
        Self {
            udp: facts.is_udp_answered(),
            nat: facts.report.as_ref().and_then(NatSight::of),
            relay_udp: works(|transport| transport == RelayTransport::Udp),
            relay_stream: works(|transport| transport != RelayTransport::Udp),
            mtu: mtu.into_iter().flatten().map(|it: PathMtu| it.path).min(),
        }
    }

    /// Returns what the oracle takes; nothing if too little is known.
    #[must_use]
    pub fn chain(&self) -> Option<Vec<Traits>> {
        if !self.udp {
            let blocked = Traits::plain(
                Mapping::EndpointIndependent,
                Filtering::AddressAndPortDependent,
            );
            return Some(vec![Traits {
                blocked: true,
                ..blocked
            }]);
        }
        self.nat.as_ref()?.chain()
    }
}

impl NatSight {
    /// Returns what a discovery has found; nothing if that is too little to go by.
    pub(crate) fn of(report: &Report) -> Option<Self> {
        let mapping = match report.mapping {
            Finding::Known(mapping) => mapping,
            // Whether the port matters too makes no difference to the oracle.
            Finding::Unknown(Reason::VariesByDestination) => Mapping::AddressDependent,
            Finding::Unknown(_) => return None,
        };
        let filtering = match report.filtering {
            Finding::Known(filtering) => filtering,
            // NATs that map by destination and let strangers in are rare, so none is hoped for.
            Finding::Unknown(_) if mapping != Mapping::EndpointIndependent => {
                Filtering::AddressAndPortDependent
            }
            Finding::Unknown(_) => return None,
        };
        Some(Self {
            translates: report.nat != Finding::Known(false),
            mapping: mapping.to_string(),
            filtering: filtering.to_string(),
            several_addresses: report.externals.len() > 1,
        })
    }

    /// Returns the NAT as the oracle takes it; nothing if the names are none of RFC 4787.
    pub(crate) fn chain(&self) -> Option<Vec<Traits>> {
        let (mapping, filtering) = (self.mapping.parse().ok()?, self.filtering.parse().ok()?);
        if !self.translates && filtering == Filtering::EndpointIndependent {
            return Some(Vec::new());
        }
        Some(vec![Traits {
            arbitrary_pooling: self.several_addresses,
            ..Traits::plain(mapping, filtering)
        }])
    }
}
