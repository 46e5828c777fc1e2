//! NATs as they are sold, shipped and rented.
//!
//! Linux's mapping, filtering and clash were measured in network namespaces (kernel 6.18), its timers are the kernel's
//! defaults. The others follow what is commonly documented of such devices, not a measurement of one.

use std::time::Duration;

use super::classical::{APDF, DEPENDENT, EIM, behave};
use super::deviation::{Rfc, breaks};
use super::{Deviation, Profile};
use crate::{
    Assignment, Config, Conflict, Conntrack, Filtering, Fragments, Hairpinning, IcmpErrors,
    Mapping, Pooling, Refresh, Refusal, UnsolicitedSyn,
};

impl Profile {
    /// Every profile there is.
    pub const ALL: &'static [Self] = &[
        Self::FULL_CONE,
        Self::RESTRICTED_CONE,
        Self::PORT_RESTRICTED_CONE,
        Self::SYMMETRIC,
        Self::LINUX,
        Self::LINUX_OPEN_INPUT,
        Self::LINUX_RANDOM,
        Self::OPENWRT_FULL_CONE,
        Self::PF,
        Self::CGN,
        Self::CGN_SYMMETRIC,
        Self::AWS_NAT_GATEWAY,
        Self::CLOUD_ONE_TO_ONE,
        Self::HOME_ROUTER,
        Self::OLD_HOME_ROUTER,
        Self::CHANGEABLE_ROUTER,
    ];

    /// Linux `masquerade` with its own input closed, as routers ship it.
    pub const LINUX: Self = Self {
        name: "linux",
        about: "Linux masquerade, unsolicited packets to the router dropped",
        configure: |config| linux(config, false),
        deviations: LINUX_DEVIATIONS,
    };

    /// Linux `masquerade` on a machine that accepts packets to itself, where an early packet spoils hole punching.
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
                "REQ-4",
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
            breaks(
                Rfc::Rfc5382,
                "REQ-4",
                "an unsolicited SYN is dropped for good",
            ),
            breaks(
                Rfc::Rfc5382,
                "REQ-5",
                "two minutes for connections that open",
            ),
            breaks(Rfc::Rfc5508, "REQ-2", "30 s"),
            breaks(Rfc::Rfc5508, "REQ-8", "no word to the host"),
            breaks(Rfc::Rfc7857, "TCP RST", "RST ends a connection after 10 s"),
        ],
    };

    /// OpenBSD's and FreeBSD's packet filter, and so pfSense and OPNsense.
    pub const PF: Self = Self {
        name: "pf",
        about: "pf as in OpenBSD, pfSense and OPNsense: a random port for each destination",
        configure: |config| {
            behave(
                config,
                Mapping::AddressAndPortDependent,
                Filtering::AddressAndPortDependent,
            );
            config.ports.overlap = true;
            config.ports.parity = false;
            config.ports.keep_range = false;
            config.ports.range = 50001..=65535;
            config.timers.udp = Duration::from_secs(60);
            config.timers.udp_unreplied = Some(Duration::from_secs(30));
            config.timers.udp_filter = Duration::from_secs(60);
            config.timers.tcp_established = Duration::from_secs(86_400);
            config.timers.tcp_opening = Duration::from_secs(30);
            config.timers.tcp_closing = Duration::from_secs(90);
            config.timers.tcp_reset = Duration::from_secs(90);
            config.timers.icmp = Duration::from_secs(20);
            config.refresh = Refresh::Both;
            config.hairpinning = Hairpinning::Off;
            config.unsolicited_syn = UnsolicitedSyn::Drop;
            config.refusal = Refusal::Silent;
        },
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-1", DEPENDENT),
            breaks(
                Rfc::Rfc4787,
                "REQ-3",
                "one port serves several destinations",
            ),
            breaks(Rfc::Rfc4787, "REQ-4", "parity is not kept"),
            breaks(Rfc::Rfc4787, "REQ-5", "a minute or less"),
            breaks(Rfc::Rfc4787, "REQ-8", APDF),
            breaks(Rfc::Rfc4787, "REQ-9", "no hairpinning"),
            breaks(Rfc::Rfc5382, "REQ-1", DEPENDENT),
            breaks(Rfc::Rfc5382, "REQ-3", APDF),
            breaks(
                Rfc::Rfc5382,
                "REQ-4",
                "an unsolicited SYN is dropped for good",
            ),
            breaks(
                Rfc::Rfc5382,
                "REQ-5",
                "30 s for connections that open, 90 s for those that close",
            ),
            breaks(
                Rfc::Rfc5382,
                "REQ-7",
                "one port serves several destinations",
            ),
            breaks(Rfc::Rfc5382, "REQ-8", "no hairpinning"),
            breaks(Rfc::Rfc5508, "REQ-2", "20 s"),
            breaks(Rfc::Rfc5508, "REQ-7", "no hairpinning"),
            breaks(Rfc::Rfc5508, "REQ-8", "no word to the host"),
            breaks(Rfc::Rfc7857, "TCP RST", "RST ends a connection after 90 s"),
        ],
    };

    /// A carrier-grade NAT by the book.
    pub const CGN: Self = Self {
        name: "cgn",
        about: "carrier-grade NAT as RFC 6888 wants it: a block of ports a subscriber",
        configure: carrier_grade,
        deviations: &[
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
        ],
    };

    /// A mobile carrier's NAT that counts ports up and maps each destination anew.
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
            breaks(
                Rfc::Rfc4787,
                "REQ-4",
                "parity is not kept, which RFC 7857 allows",
            ),
            breaks(Rfc::Rfc4787, "REQ-5", "one minute"),
            breaks(Rfc::Rfc4787, "REQ-8", APDF),
            breaks(Rfc::Rfc4787, "REQ-9", "no hairpinning"),
            breaks(Rfc::Rfc5382, "REQ-1", DEPENDENT),
            breaks(Rfc::Rfc5382, "REQ-3", APDF),
            breaks(
                Rfc::Rfc5382,
                "REQ-4",
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
                "REQ-2",
                "any external address for each mapping",
            ),
            breaks(Rfc::Rfc6888, "REQ-7", APDF),
            breaks(Rfc::Rfc6888, "REQ-8", "ports are used again at once"),
            breaks(
                Rfc::Rfc6888,
                "REQ-14",
                "each mapping is worth a line of log",
            ),
            breaks(Rfc::Rfc6888, "REQ-15", "ports are given out in sequence"),
        ],
    };

    /// A cloud's managed NAT gateway.
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
            config.ports.range = 1024..=65535;
            config.timers.udp = Duration::from_secs(350);
            config.timers.udp_filter = Duration::from_secs(350);
            config.timers.tcp_established = Duration::from_secs(350);
            config.timers.tcp_opening = Duration::from_secs(350);
            config.refresh = Refresh::Both;
            config.hairpinning = Hairpinning::Off;
            config.unsolicited_syn = UnsolicitedSyn::Drop;
            config.fragments = Fragments::InOrder;
        },
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-1", DEPENDENT),
            breaks(
                Rfc::Rfc4787,
                "REQ-3",
                "one port serves several destinations",
            ),
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
                "REQ-4",
                "an unsolicited SYN is dropped for good",
            ),
            breaks(Rfc::Rfc5382, "REQ-5", "350 s for established connections"),
            breaks(
                Rfc::Rfc5382,
                "REQ-7",
                "one port serves several destinations",
            ),
            breaks(Rfc::Rfc5382, "REQ-8", "no hairpinning"),
            breaks(Rfc::Rfc5508, "REQ-7", "no hairpinning"),
        ],
    };

    /// A cloud instance with a public address of its own behind a stateful security group.
    ///
    /// The pairs of addresses are the caller's to add to [`Config::one_to_one`].
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
                "REQ-4",
                "an unsolicited SYN is dropped for good",
            ),
            breaks(Rfc::Rfc5508, "REQ-8", "no word to the host"),
        ],
    };

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
                "REQ-4",
                "an unsolicited SYN is dropped for good",
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
            config.limits.mappings_per_host = 512;
        },
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-3", "two hosts may get one port"),
            breaks(Rfc::Rfc4787, "REQ-5", "30 s"),
            breaks(Rfc::Rfc4787, "REQ-8", APDF),
            breaks(Rfc::Rfc4787, "REQ-9", "no hairpinning"),
            breaks(
                Rfc::Rfc4787,
                "REQ-10",
                "addresses in payloads are rewritten",
            ),
            breaks(Rfc::Rfc4787, "REQ-12", "ICMP errors are dropped"),
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
        ],
    };
}

const LINUX_DEVIATIONS: &[Deviation] = &[
    breaks(Rfc::Rfc4787, "REQ-1", "a clash gives one flow another port"),
    breaks(
        Rfc::Rfc4787,
        "REQ-3",
        "one port serves several destinations",
    ),
    breaks(Rfc::Rfc4787, "REQ-4", "parity is not kept"),
    breaks(
        Rfc::Rfc4787,
        "REQ-5",
        "30 s before an answer came, two minutes after",
    ),
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
        "REQ-4",
        "an unsolicited SYN is dropped for good",
    ),
    breaks(
        Rfc::Rfc5382,
        "REQ-5",
        "two minutes for connections that open or close",
    ),
    breaks(
        Rfc::Rfc5382,
        "REQ-7",
        "one port serves several destinations",
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
];

/// Timers are the kernel's defaults (`nf_conntrack_*_timeout`).
fn linux(config: &mut Config, accepts_input: bool) {
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
}

fn carrier_grade(config: &mut Config) {
    config.ports.assignment = Assignment::Block { size: 1008 };
    config.ports.range = 1024..=65535;
    config.ports.parity = false;
    config.ports.hold_down = Duration::from_secs(120);
    config.limits.mappings_per_host = 1008;
    config.refusal = Refusal::HostUnreachable;
}
