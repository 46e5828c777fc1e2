//! The packet filter of the BSDs.

use std::time::Duration;

use super::Profile;
use super::classical::{APDF, DEPENDENT, behave};
use super::deviation::{Rfc, breaks};
use crate::{Filtering, Hairpinning, Mapping, Refresh, Refusal, UnsolicitedSyn};

impl Profile {
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
            // `set limit states`, and no `max-src-states` unless a rule has one.
            config.limits.mappings = 100_000;
            config.limits.mappings_per_host = 100_000;
            config.limits.flows = 100_000;
            config.limits.flows_per_host = 100_000;
        },
        deviations: &[
            breaks(Rfc::Rfc4787, "REQ-1", DEPENDENT),
            breaks(Rfc::Rfc4787, "REQ-3a", "all ports are above 1023"),
            breaks(Rfc::Rfc4787, "REQ-4", "parity is not kept"),
            breaks(Rfc::Rfc4787, "REQ-5", "a minute or less"),
            breaks(Rfc::Rfc4787, "REQ-5c", "a minute or less"),
            breaks(Rfc::Rfc4787, "REQ-8", APDF),
            breaks(Rfc::Rfc4787, "REQ-9", "no hairpinning"),
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
                "30 s for connections that open, 90 s for those that close",
            ),
            breaks(Rfc::Rfc5382, "REQ-8", "no hairpinning"),
            breaks(Rfc::Rfc5508, "REQ-2", "20 s"),
            breaks(Rfc::Rfc5508, "REQ-7", "no hairpinning"),
            breaks(Rfc::Rfc5508, "REQ-8", "no word to the host"),
            breaks(
                Rfc::Rfc6888,
                "REQ-4",
                "one table for all hosts, which one may fill",
            ),
            breaks(Rfc::Rfc7857, "TCP RST", "RST ends a connection after 90 s"),
        ],
    };
}
