//! Linux's NAT: `masquerade` by nftables or iptables, and what is built on it.
//!
//! Mapping, filtering and the clash were measured in network namespaces (kernel 6.18); timers are
//! the kernel's defaults.

use std::time::Duration;

use super::classical::{APDF, DEPENDENT, EIM, behave};
use super::deviation::{Rfc, breaks};
use super::{Deviation, Profile};
use crate::{
    Assignment, Conntrack, Filtering, Hairpinning, Mapping, NatConfig, Refresh, Refusal,
    UnsolicitedSyn,
};

impl Profile {
    /// Linux `masquerade` with its own input closed, as routers ship it.
    pub const LINUX: Self = Self {
        name: "linux",
        about: "Linux masquerade, unsolicited packets to the router dropped",
        configure: |config| linux(config, false),
        deviations: LINUX_DEVIATIONS,
    };

    /// Linux `masquerade` on a machine that accepts packets to itself, where an early packet
    /// spoils hole punching.
    pub const LINUX_OPEN_INPUT: Self = Self {
        name: "linux-open-input",
        about: "Linux masquerade, unsolicited packets to the router accepted: early packets clash",
        configure: |config| linux(config, true),
        deviations: LINUX_DEVIATIONS,
    };

    /// Linux `masquerade random`: a random port for each connection.
    pub const LINUX_RANDOM: Self = Self {
        name: "linux-random",
        about: "Linux masquerade with random ports: symmetric",
        configure: |config| {
            linux(config, false);
            config.conntrack = None;
            config.udp.mapping = Mapping::AddressAndPortDependent;
            config.tcp.mapping = Mapping::AddressAndPortDependent;
            config.ports.assignment = Assignment::Random;
        },
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-1", DEPENDENT),
            breaks(Rfc::Rfc4787, "REQ-4", "parity is not kept"),
            breaks(
                Rfc::Rfc4787,
                "REQ-5",
                "30 s before an answer came, two minutes after",
            ),
            breaks(Rfc::Rfc4787, "REQ-5c", "two minutes after an answer"),
            breaks(Rfc::Rfc4787, "REQ-8", APDF),
            breaks(
                Rfc::Rfc4787,
                "REQ-9",
                "no hairpinning without further rules",
            ),
            breaks(Rfc::Rfc5382, "REQ-1", DEPENDENT),
            breaks(Rfc::Rfc5382, "REQ-3", APDF),
            breaks(
                Rfc::Rfc5382,
                "REQ-4 (SHOULD)",
                "an unsolicited SYN is dropped for good",
            ),
            breaks(
                Rfc::Rfc5382,
                "REQ-5",
                "two minutes for connections that open or close",
            ),
            breaks(
                Rfc::Rfc5382,
                "REQ-8",
                "no hairpinning without further rules",
            ),
            breaks(Rfc::Rfc5508, "REQ-2", "30 s"),
            breaks(
                Rfc::Rfc5508,
                "REQ-7",
                "no hairpinning without further rules",
            ),
            breaks(Rfc::Rfc5508, "REQ-8", "no word to the host"),
            breaks(Rfc::Rfc7857, "TCP RST", "RST ends a connection after 10 s"),
        ],
    };

    /// OpenWrt with the full cone module that many images carry.
    pub const OPENWRT_FULL_CONE: Self = Self {
        name: "openwrt-full-cone",
        about: "OpenWrt with full cone NAT switched on",
        configure: |config| {
            linux(config, false);
            config.conntrack = None;
            behave(config, EIM, Filtering::EndpointIndependent);
            config.ports.assignment = Assignment::Preserve;
            config.hairpinning = Hairpinning::ExternalSource;
        },
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-4", "a taken port gives way to any other"),
            breaks(Rfc::Rfc4787, "REQ-5", "30 s before an answer came"),
            breaks(Rfc::Rfc4787, "REQ-5c", "two minutes after an answer"),
            breaks(
                Rfc::Rfc5382,
                "REQ-4 (SHOULD)",
                "an unsolicited SYN is dropped for good",
            ),
            breaks(
                Rfc::Rfc5382,
                "REQ-5",
                "two minutes for connections that open or close",
            ),
            breaks(Rfc::Rfc5508, "REQ-2", "30 s"),
            breaks(Rfc::Rfc5508, "REQ-8", "no word to the host"),
            breaks(Rfc::Rfc7857, "TCP RST", "RST ends a connection after 10 s"),
        ],
    };
}

/// Timers are the kernel's defaults (`nf_conntrack_*_timeout`).
fn linux(config: &mut NatConfig, accepts_input: bool) {
    behave(config, EIM, Filtering::AddressAndPortDependent);
    config.icmp_filtering = Filtering::AddressAndPortDependent;
    config.conntrack = Some(Conntrack { accepts_input });
    config.ports.assignment = Assignment::Preserve;
    config.ports.parity = false;
    config.timers.udp = Duration::from_secs(120);
    config.timers.udp_unreplied = Some(Duration::from_secs(30));
    config.timers.udp_filter = Duration::from_secs(120);
    config.timers.tcp_established = Duration::from_secs(5 * 86_400);
    config.timers.tcp_opening = Duration::from_secs(120);
    config.timers.tcp_closing = Duration::from_secs(120);
    config.timers.tcp_reset = Duration::from_secs(10);
    config.timers.icmp = Duration::from_secs(30);
    config.refresh = Refresh::Both;
    config.tcp_loose = true;
    config.hairpinning = Hairpinning::Off;
    config.unsolicited_syn = UnsolicitedSyn::Drop;
    config.refusal = Refusal::Silent;
    // One table for all hosts (`nf_conntrack_max`), in which flows without an answer make room.
    config.limits.mappings = 65_536;
    config.limits.mappings_per_host = 65_536;
    config.limits.flows = 65_536;
    config.limits.flows_per_host = 65_536;
    config.limits.evict_unanswered = true;
}

const LINUX_DEVIATIONS: &[Deviation] = &[
    breaks(Rfc::Rfc4787, "REQ-1", "a clash gives one flow another port"),
    breaks(Rfc::Rfc4787, "REQ-4", "parity is not kept"),
    breaks(
        Rfc::Rfc4787,
        "REQ-5",
        "30 s before an answer came, two minutes after",
    ),
    breaks(Rfc::Rfc4787, "REQ-5c", "two minutes after an answer"),
    breaks(Rfc::Rfc4787, "REQ-8", APDF),
    breaks(
        Rfc::Rfc4787,
        "REQ-9",
        "no hairpinning without further rules",
    ),
    breaks(
        Rfc::Rfc4787,
        "REQ-11",
        "a clash changes the mapping of one flow",
    ),
    breaks(
        Rfc::Rfc5382,
        "REQ-1",
        "a clash gives one connection another port",
    ),
    breaks(Rfc::Rfc5382, "REQ-3", APDF),
    breaks(
        Rfc::Rfc5382,
        "REQ-4 (SHOULD)",
        "an unsolicited SYN is dropped for good",
    ),
    breaks(
        Rfc::Rfc5382,
        "REQ-5",
        "two minutes for connections that open or close",
    ),
    breaks(
        Rfc::Rfc5382,
        "REQ-8",
        "no hairpinning without further rules",
    ),
    breaks(
        Rfc::Rfc5508,
        "REQ-1a",
        "a clash gives one query another identifier",
    ),
    breaks(Rfc::Rfc5508, "REQ-2", "30 s"),
    breaks(
        Rfc::Rfc5508,
        "REQ-7",
        "no hairpinning without further rules",
    ),
    breaks(Rfc::Rfc5508, "REQ-8", "no word to the host"),
    breaks(Rfc::Rfc7857, "TCP RST", "RST ends a connection after 10 s"),
];
