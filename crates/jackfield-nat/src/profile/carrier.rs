//! NATs that a provider runs for many subscribers.

use std::time::Duration;

use super::Profile;
use super::classical::{APDF, DEPENDENT, behave};
use super::deviation::{Rfc, breaks};
use crate::{
    Assignment, Filtering, Hairpinning, Mapping, NatConfig, Pooling, Prefix, Refusal, Translation,
    UnsolicitedSyn,
};

impl Profile {
    /// A carrier-grade NAT that follows RFC 6888.
    pub const CGN: Self = Self {
        name: "cgn",
        about: "carrier-grade NAT as RFC 6888 wants it: a block of ports a subscriber",
        configure: carrier_grade,
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-3a", "all ports are above 1023"),
            breaks(
                Rfc::Rfc4787,
                "REQ-4",
                "parity is not kept, which RFC 7857 allows",
            ),
            breaks(
                Rfc::Rfc5508,
                "REQ-8",
                "code 1 as RFC 6888 REQ-11 has it, not code 13",
            ),
            breaks(
                Rfc::Rfc6888,
                "REQ-8 (state loss)",
                "a reboot forgets which ports were in use",
            ),
        ],
    };

    /// A mobile carrier's NAT with sequential ports and a mapping for each destination.
    pub const CGN_SYMMETRIC: Self = Self {
        name: "cgn-symmetric",
        about: "mobile carrier: a new port in sequence for each destination, several addresses",
        configure: |config| {
            carrier_grade(config);
            behave(
                config,
                Mapping::AddressAndPortDependent,
                Filtering::AddressAndPortDependent,
            );
            config.ports.assignment = Assignment::Sequential {
                step: 1,
                per_host: false,
            };
            config.ports.hold_down = Duration::ZERO;
            config.pooling = Pooling::Arbitrary;
            config.hairpinning = Hairpinning::Off;
            config.timers.udp = Duration::from_secs(60);
            config.timers.udp_filter = Duration::from_secs(60);
            config.unsolicited_syn = UnsolicitedSyn::Drop;
        },
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-1", DEPENDENT),
            breaks(
                Rfc::Rfc4787,
                "REQ-2",
                "any external address for each mapping",
            ),
            breaks(Rfc::Rfc4787, "REQ-3a", "all ports are above 1023"),
            breaks(
                Rfc::Rfc4787,
                "REQ-4",
                "parity is not kept, which RFC 7857 allows",
            ),
            breaks(Rfc::Rfc4787, "REQ-5", "one minute"),
            breaks(Rfc::Rfc4787, "REQ-5c", "one minute"),
            breaks(Rfc::Rfc4787, "REQ-8", APDF),
            breaks(Rfc::Rfc4787, "REQ-9", "no hairpinning"),
            breaks(Rfc::Rfc5382, "REQ-1", DEPENDENT),
            breaks(Rfc::Rfc5382, "REQ-3", APDF),
            breaks(
                Rfc::Rfc5382,
                "REQ-4 (SHOULD)",
                "an unsolicited SYN is dropped for good",
            ),
            breaks(Rfc::Rfc5382, "REQ-8", "no hairpinning"),
            breaks(Rfc::Rfc5508, "REQ-7", "no hairpinning"),
            breaks(
                Rfc::Rfc5508,
                "REQ-8",
                "code 1 as RFC 6888 REQ-11 has it, not code 13",
            ),
            breaks(
                Rfc::Rfc6888,
                "REQ-1",
                "what UDP and TCP ask for is not met, as listed above",
            ),
            breaks(
                Rfc::Rfc6888,
                "REQ-2",
                "any external address for each mapping",
            ),
            breaks(Rfc::Rfc6888, "REQ-7", APDF),
            breaks(
                Rfc::Rfc6888,
                "REQ-14",
                "each mapping is worth a line of log",
            ),
            breaks(Rfc::Rfc6888, "REQ-15", "ports are given out in sequence"),
            breaks(
                Rfc::Rfc7857,
                "Port randomization",
                "ports are given out in sequence",
            ),
        ],
    };

    /// A provider's gateway between an IPv6-only access network and IPv4, by RFC 6146.
    ///
    /// Its hosts have IPv6 addresses; IPv4 stands under `64:ff9b::/96`.
    pub const NAT64: Self = Self {
        name: "nat64",
        about: "stateful NAT64: hosts of IPv6 alone reach IPv4 under 64:ff9b::/96",
        configure: |config| {
            config.translation = Translation::Nat64 {
                prefix: Prefix::WELL_KNOWN_64,
            };
            config.timers.tcp_established = Duration::from_secs(2 * 3600);
            config.tcp_probe = true;
            config.refusal = Refusal::HostUnreachable;
        },
        deviations: &[
            breaks(
                Rfc::Rfc4787,
                "REQ-13a",
                "IPv6 packets are not fragmented on the way: the host learns the MTU",
            ),
            breaks(
                Rfc::Rfc5508,
                "REQ-4b",
                "types and codes are those of the other version",
            ),
            breaks(
                Rfc::Rfc5508,
                "REQ-5b",
                "types and codes are those of the other version",
            ),
            breaks(
                Rfc::Rfc5508,
                "REQ-8",
                "address unreachable as RFC 6146 has it, not code 13",
            ),
            breaks(
                Rfc::Rfc6146,
                "section 3.4",
                "fragments of UDP without a checksum are dropped: there is no room to reassemble them",
            ),
            breaks(
                Rfc::Rfc6146,
                "section 3.5.2.2 (no session)",
                "a segment that starts no session and belongs to none is dropped by policy",
            ),
            breaks(
                Rfc::Rfc6146,
                "section 3.5.2.2 (FIN RCV)",
                "a RST after a FIN starts the short timer, as a RST does without one",
            ),
            breaks(
                Rfc::Rfc6146,
                "section 3.7",
                "an ICMP error keeps the router that it comes from as its source, which traceroute shows",
            ),
        ],
    };
}

fn carrier_grade(config: &mut NatConfig) {
    config.ports.assignment = Assignment::Block { size: 1008 };
    config.ports.range = 1024..=65535;
    config.ports.parity = false;
    config.ports.hold_down = Duration::from_secs(120);
    config.limits.mappings_per_host = 1008;
    config.limits.new_mappings_per_host = Some(500);
    config.limits.new_flows_per_host = Some(2000);
    config.refusal = Refusal::HostUnreachable;
}
