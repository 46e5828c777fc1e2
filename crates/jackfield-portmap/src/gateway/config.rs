//! The configuration of a gateway.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The configuration of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// The supported protocols.
    pub dialects: Dialects,
    /// Whether a host may map ports to another host. If so, a compromised host can expose every
    /// other one.
    pub third_parties: bool,
    /// The outside ports that may be requested. Below 1024 are the services of the gateway itself,
    /// and ports that remotes associate with well-known services.
    pub external_ports: RangeInclusive<u16>,
    /// The inside ports that may be mapped.
    pub internal_ports: RangeInclusive<u16>,
    /// Ports that are never mapped, outside and inside.
    pub denied_ports: Vec<RangeInclusive<u16>>,
    /// The shortest lease; shorter requests get this. RFC 6887 §15 recommends two minutes.
    pub min_lifetime: Duration,
    /// The longest lease; longer requests get this. RFC 6887 §15 recommends a day.
    pub max_lifetime: Duration,
    /// The longest UPnP lease. A request for zero seconds asks for the longest one (IGD:2 has a
    /// week).
    pub max_lifetime_upnp: Duration,
    /// The limit of leases of all hosts.
    pub leases: usize,
    /// The limit of leases of one host.
    pub leases_per_host: usize,
    /// The limit of filters of one lease.
    pub filters_per_lease: usize,
    /// The limit of requests of one host per second.
    pub requests_per_second: u32,
    /// How often a restart is announced by multicast; the pauses double from a quarter of a
    /// second.
    pub announcements: u32,
    /// The name of the gateway in UPnP.
    pub name: String,
    /// The version of UPnP IGD: 1, or 2, which includes version 1.
    pub igd_version: u8,
    /// The TCP port of UPnP.
    pub http_port: u16,
    /// How long a UPnP advertisement is valid; the gateway sends two in that time.
    pub advertisement: Duration,
    /// The speed of the outside link that UPnP reports, in bits per second.
    pub link_bit_rate: u32,
    /// The limit of TCP connections to the gateway.
    pub connections: usize,
    /// The limit of TCP connections of one host to the gateway.
    pub connections_per_host: usize,
    /// How long such a connection may be silent.
    pub patience: Duration,
}

/// A set of port mapping protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dialects {
    /// NAT-PMP.
    pub nat_pmp: bool,
    /// PCP.
    pub pcp: bool,
    /// UPnP IGD.
    pub upnp: bool,
}

impl Dialects {
    /// All of them.
    pub const ALL: Self = Self {
        nat_pmp: true,
        pcp: true,
        upnp: true,
    };
    /// None.
    pub const NONE: Self = Self {
        nat_pmp: false,
        pcp: false,
        upnp: false,
    };
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            dialects: Dialects::ALL,
            // A host that could map ports of others could expose every device of the network.
            third_parties: false,
            external_ports: 1024..=u16::MAX,
            internal_ports: 1..=u16::MAX,
            denied_ports: Vec::new(),
            // RFC 6887 §15 names both values.
            min_lifetime: Duration::from_secs(120),
            max_lifetime: Duration::from_secs(86_400),
            max_lifetime_upnp: Duration::from_secs(7 * 86_400),
            leases: 1024,
            leases_per_host: 128,
            filters_per_lease: 16,
            requests_per_second: 100,
            // RFC 6886 §3.2.1.
            announcements: 10,
            name: "Jackfield".to_owned(),
            igd_version: 2,
            http_port: 49_000,
            advertisement: Duration::from_secs(1800),
            link_bit_rate: 1_000_000_000,
            connections: 256,
            connections_per_host: 32,
            patience: Duration::from_secs(15),
        }
    }
}

impl GatewayConfig {
    /// Returns whether an outside port may be given out.
    pub(super) fn allows_external(&self, port: u16) -> bool {
        port != 0 && self.external_ports.contains(&port) && !self.denies(port)
    }

    /// Returns whether an inside port may be mapped.
    pub(super) fn allows_internal(&self, port: u16) -> bool {
        port != 0 && self.internal_ports.contains(&port) && !self.denies(port)
    }

    fn denies(&self, port: u16) -> bool {
        self.denied_ports.iter().any(|range| range.contains(&port))
    }
}
