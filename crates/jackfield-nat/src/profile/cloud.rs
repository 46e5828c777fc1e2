//! NATs of cloud providers.

use std::time::Duration;

use super::Profile;
use super::classical::{APDF, DEPENDENT, EIM, behave};
use super::deviation::{Rfc, breaks};
use crate::{
    Assignment, Conflict, Filtering, Fragments, Hairpinning, Mapping, Refresh, Refusal,
    UnsolicitedSyn,
};

impl Profile {
    /// A managed NAT gateway of a cloud.
    pub const AWS_NAT_GATEWAY: Self = Self {
        name: "aws-nat-gateway",
        about: "managed NAT gateway of a cloud: symmetric, gone after 350 s of idling",
        configure: |config| {
            behave(
                config,
                Mapping::AddressAndPortDependent,
                Filtering::AddressAndPortDependent,
            );
            config.ports.overlap = true;
            config.ports.parity = false;
            // The provider documents 55,000 connections to one destination.
            config.ports.range = 1024..=56023;
            config.timers.udp = Duration::from_secs(350);
            config.timers.udp_filter = Duration::from_secs(350);
            config.timers.tcp_established = Duration::from_secs(350);
            config.timers.tcp_opening = Duration::from_secs(350);
            config.refresh = Refresh::Both;
            config.hairpinning = Hairpinning::Off;
            config.unsolicited_syn = UnsolicitedSyn::Drop;
            config.fragments = Fragments::InOrder;
            config.limits.mappings_per_host = config.limits.mappings;
            config.limits.flows_per_host = config.limits.flows;
        },
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-1", DEPENDENT),
            breaks(Rfc::Rfc4787, "REQ-3a", "all ports are above 1023"),
            breaks(Rfc::Rfc4787, "REQ-4", "parity is not kept"),
            breaks(Rfc::Rfc4787, "REQ-8", APDF),
            breaks(Rfc::Rfc4787, "REQ-9", "no hairpinning"),
            breaks(
                Rfc::Rfc4787,
                "REQ-14",
                "fragments before their first are dropped",
            ),
            breaks(Rfc::Rfc5382, "REQ-1", DEPENDENT),
            breaks(Rfc::Rfc5382, "REQ-3", APDF),
            breaks(
                Rfc::Rfc5382,
                "REQ-4 (SHOULD)",
                "an unsolicited SYN is dropped for good",
            ),
            breaks(Rfc::Rfc5382, "REQ-5", "350 s for established connections"),
            breaks(Rfc::Rfc5382, "REQ-8", "no hairpinning"),
            breaks(Rfc::Rfc5508, "REQ-7", "no hairpinning"),
            breaks(
                Rfc::Rfc6888,
                "REQ-4",
                "one host may use all ports towards a destination",
            ),
        ],
    };

    /// A cloud instance with a public address of its own behind a stateful security group.
    ///
    /// The caller adds the pairs of addresses to [`crate::NatConfig::one_to_one`].
    pub const CLOUD_ONE_TO_ONE: Self = Self {
        name: "cloud-one-to-one",
        about: "cloud instance with an elastic address and a security group that lets answers in",
        configure: |config| {
            behave(config, EIM, Filtering::AddressAndPortDependent);
            config.ports.assignment = Assignment::Preserve;
            config.ports.conflict = Conflict::Refuse;
            config.unsolicited_syn = UnsolicitedSyn::Drop;
            config.refusal = Refusal::Silent;
        },
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-8", APDF),
            breaks(Rfc::Rfc5382, "REQ-3", APDF),
            breaks(
                Rfc::Rfc5382,
                "REQ-4 (SHOULD)",
                "an unsolicited SYN is dropped for good",
            ),
            breaks(Rfc::Rfc5508, "REQ-8", "no word to the host"),
        ],
    };
}
