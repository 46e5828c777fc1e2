//! The four classical types, as [RFC 3489 §5](https://www.rfc-editor.org/rfc/rfc3489#section-5)
//! named them.

use super::Profile;
use super::deviation::{Deviation, Rfc, breaks};
use crate::{Behaviour, Filtering, Mapping, NatConfig};

impl Profile {
    /// Endpoint-independent mapping and filtering.
    pub const FULL_CONE: Self = Self {
        name: "full-cone",
        about: "endpoint-independent mapping, any remote may answer",
        configure: |config| behave(config, EIM, Filtering::EndpointIndependent),
        deviations: &[],
    };

    /// Endpoint-independent mapping, address-dependent filtering.
    pub const RESTRICTED_CONE: Self = Self {
        name: "restricted-cone",
        about: "endpoint-independent mapping, addresses that were sent to may answer",
        configure: |config| behave(config, EIM, Filtering::AddressDependent),
        deviations: &[],
    };

    /// Endpoint-independent mapping, address-and-port-dependent filtering.
    pub const PORT_RESTRICTED_CONE: Self = Self {
        name: "port-restricted-cone",
        about: "endpoint-independent mapping, endpoints that were sent to may answer",
        configure: |config| behave(config, EIM, Filtering::AddressAndPortDependent),
        deviations: STRICT_FILTER,
    };

    /// Address-and-port-dependent mapping and filtering.
    pub const SYMMETRIC: Self = Self {
        name: "symmetric",
        about: "another outside endpoint for each destination, which alone may answer",
        configure: |config| {
            behave(
                config,
                Mapping::AddressAndPortDependent,
                Filtering::AddressAndPortDependent,
            );
        },
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-1", DEPENDENT),
            breaks(Rfc::Rfc5382, "REQ-1", DEPENDENT),
            breaks(Rfc::Rfc4787, "REQ-8", APDF),
            breaks(Rfc::Rfc5382, "REQ-3", APDF),
        ],
    };
}

pub(super) fn behave(config: &mut NatConfig, mapping: Mapping, filtering: Filtering) {
    config.udp = Behaviour { mapping, filtering };
    config.tcp = Behaviour { mapping, filtering };
}

pub(super) const EIM: Mapping = Mapping::EndpointIndependent;
pub(super) const DEPENDENT: &str = "mapping depends on the destination";
pub(super) const APDF: &str = "filtering depends on address and port";

const STRICT_FILTER: &[Deviation] = &[
    breaks(Rfc::Rfc4787, "REQ-8", APDF),
    breaks(Rfc::Rfc5382, "REQ-3", APDF),
];
