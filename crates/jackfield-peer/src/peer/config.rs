//! How a peer behaves.

use jackfield_ice::AgentConfig;

use crate::{AssociationConfig, Certificate};

/// How a peer behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PeerConfig {
    /// How ICE behaves. Its role is the first offer's to give: the side that makes it controls.
    pub ice: AgentConfig,
    /// How the association behaves.
    pub association: AssociationConfig,
    /// Whether our own offer gives way to one of the other side that crosses it. One of the two
    /// sides is polite in [perfect negotiation]; the signaling server says which. Default: yes.
    ///
    /// [perfect negotiation]: https://www.w3.org/TR/webrtc/#perfect-negotiation-example
    pub polite: bool,
    /// Whether it finds out how large packets on each new path may be, for
    /// [`PeerStats::path_mtu`](crate::PeerStats::path_mtu); that costs some ten kilobytes.
    /// Default: no, since what it sends itself passes any path.
    pub probe_path: bool,
}

impl PeerConfig {
    /// Returns the default configuration for a certificate.
    #[must_use]
    pub fn new(certificate: Certificate) -> Self {
        Self {
            ice: AgentConfig::default(),
            association: AssociationConfig::new(certificate),
            polite: true,
            probe_path: false,
        }
    }
}
