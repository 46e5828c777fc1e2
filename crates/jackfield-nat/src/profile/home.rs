//! Routers that stand in homes.

use std::time::Duration;

use super::Profile;
use super::classical::{APDF, EIM, behave};
use super::deviation::{Rfc, breaks};
use crate::{
    Assignment, Conflict, Filtering, Fragments, Hairpinning, IcmpErrors, Refresh, Refusal,
    UnsolicitedSyn,
};

impl Profile {
    /// A decent home router of today.
    pub const HOME_ROUTER: Self = Self {
        name: "home-router",
        about: "decent home router: ports kept, address and port filtered, hairpins",
        configure: |config| {
            behave(config, EIM, Filtering::AddressAndPortDependent);
            config.ports.assignment = Assignment::Preserve;
            config.ports.conflict = Conflict::Next;
            config.ports.parity = false;
            config.refresh = Refresh::Both;
            config.unsolicited_syn = UnsolicitedSyn::Drop;
            config.limits.mappings_per_host = 2048;
        },
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-4", "parity is not kept"),
            breaks(Rfc::Rfc4787, "REQ-8", APDF),
            breaks(Rfc::Rfc5382, "REQ-3", APDF),
            breaks(
                Rfc::Rfc5382,
                "REQ-4 (SHOULD)",
                "an unsolicited SYN is dropped for good",
            ),
            breaks(
                Rfc::Rfc7857,
                "Port randomization",
                "a taken port gives way to the next",
            ),
        ],
    };

    /// Everything that made NAT traversal hard, in one box.
    pub const OLD_HOME_ROUTER: Self = Self {
        name: "old-home-router",
        about: "old home router: rewrites payloads, forgets at once, refuses SYNs, drops fragments",
        configure: |config| {
            behave(config, EIM, Filtering::AddressAndPortDependent);
            config.ports.assignment = Assignment::Preserve;
            config.ports.conflict = Conflict::Overload;
            config.ports.parity = false;
            config.timers.udp = Duration::from_secs(30);
            config.timers.udp_filter = Duration::from_secs(30);
            config.timers.tcp_established = Duration::from_secs(900);
            config.timers.tcp_opening = Duration::from_secs(30);
            config.timers.tcp_closing = Duration::from_secs(30);
            config.timers.tcp_reset = Duration::from_secs(1);
            config.timers.icmp = Duration::from_secs(10);
            config.hairpinning = Hairpinning::Off;
            config.unsolicited_syn = UnsolicitedSyn::Refuse;
            config.icmp_errors = IcmpErrors::Drop;
            config.fragments = Fragments::Drop;
            config.refusal = Refusal::Silent;
            config.rewrite_ip_id = false;
            config.alg = true;
            config.limits.mappings = 2048;
            config.limits.mappings_per_host = 2048;
            config.limits.flows = 2048;
            config.limits.flows_per_host = 2048;
        },
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-3", "two hosts may get one port"),
            breaks(Rfc::Rfc4787, "REQ-5", "30 s"),
            breaks(Rfc::Rfc4787, "REQ-5c", "30 s"),
            breaks(Rfc::Rfc4787, "REQ-8", APDF),
            breaks(Rfc::Rfc4787, "REQ-9", "no hairpinning"),
            breaks(
                Rfc::Rfc4787,
                "REQ-10",
                "addresses in payloads are rewritten",
            ),
            breaks(Rfc::Rfc4787, "REQ-12b", "ICMP errors are dropped"),
            breaks(Rfc::Rfc4787, "REQ-14", "fragments are dropped"),
            breaks(Rfc::Rfc5382, "REQ-3", APDF),
            breaks(
                Rfc::Rfc5382,
                "REQ-4",
                "an unsolicited SYN is refused at once",
            ),
            breaks(Rfc::Rfc5382, "REQ-5", "15 minutes, and 30 s while opening"),
            breaks(Rfc::Rfc5382, "REQ-7", "two hosts may get one port"),
            breaks(Rfc::Rfc5382, "REQ-8", "no hairpinning"),
            breaks(Rfc::Rfc5382, "REQ-9", "ICMP errors are dropped"),
            breaks(Rfc::Rfc5508, "REQ-2", "10 s"),
            breaks(Rfc::Rfc5508, "REQ-4", "ICMP errors are dropped"),
            breaks(Rfc::Rfc5508, "REQ-5", "ICMP errors are dropped"),
            breaks(Rfc::Rfc5508, "REQ-7", "no hairpinning"),
            breaks(Rfc::Rfc5508, "REQ-8", "no word to the host"),
            breaks(Rfc::Rfc5508, "REQ-10a", "ICMP errors are dropped"),
            breaks(
                Rfc::Rfc6888,
                "REQ-4",
                "one small table for all hosts, which one may fill",
            ),
            breaks(
                Rfc::Rfc7857,
                "TCP RST",
                "RST ends a connection after a second",
            ),
            breaks(
                Rfc::Rfc7857,
                "IP identification",
                "IPv4 identifications of two hosts may clash",
            ),
        ],
    };

    /// A router that behaves until two hosts want the same port.
    pub const CHANGEABLE_ROUTER: Self = Self {
        name: "changeable-router",
        about: "port-restricted cone that turns symmetric for the second host with a port",
        configure: |config| {
            behave(config, EIM, Filtering::AddressAndPortDependent);
            config.ports.assignment = Assignment::Preserve;
            config.ports.conflict = Conflict::ChangeBehaviour;
            config.ports.parity = false;
        },
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-1", "not for the second host with a port"),
            breaks(Rfc::Rfc5382, "REQ-1", "not for the second host with a port"),
            breaks(Rfc::Rfc4787, "REQ-4", "parity is not kept"),
            breaks(Rfc::Rfc4787, "REQ-8", APDF),
            breaks(
                Rfc::Rfc4787,
                "REQ-11",
                "mapping changes when a port is taken",
            ),
            breaks(Rfc::Rfc5382, "REQ-3", APDF),
            breaks(
                Rfc::Rfc5508,
                "REQ-1a",
                "not for the second host with an identifier",
            ),
        ],
    };
}
