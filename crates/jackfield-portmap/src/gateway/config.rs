use std::ops::RangeInclusive;
use std::time::Duration;

/// What a gateway does and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Which protocols it speaks.
    pub dialects: Dialects,
    /// Whether a host may map ports to another one. With it, whoever is inside can open any machine inside to the
    /// world.
    pub third_parties: bool,
    /// The outside ports that may be asked for. Those below 1024 are where services of the gateway itself and of
    /// everybody's expectations are.
    pub external_ports: RangeInclusive<u16>,
    /// The inside ports that may be mapped.
    pub internal_ports: RangeInclusive<u16>,
    /// Ports that are never mapped, outside and inside.
    pub denied_ports: Vec<RangeInclusive<u16>>,
    /// The shortest lease; shorter wishes get this. RFC 6887 §15 recommends two minutes.
    pub min_lifetime: Duration,
    /// The longest lease; longer wishes get this. RFC 6887 §15 recommends a day.
    pub max_lifetime: Duration,
    /// The longest lease by UPnP, where a request for zero seconds is one for as long as possible (IGD:2 has a week).
    pub max_lifetime_upnp: Duration,
    /// Leases of all hosts.
    pub leases: usize,
    /// Leases of one host.
    pub leases_per_host: usize,
    /// Filters of one lease.
    pub filters_per_lease: usize,
    /// Requests of one host that are answered in a second.
    pub requests_per_second: u32,
    /// How often a restart is announced by multicast; the pauses double from a quarter of a second on.
    pub announcements: u32,
    /// What UPnP calls the gateway.
    pub name: String,
    /// The version of UPnP IGD: 1, or 2, which knows version 1 as well.
    pub igd_version: u8,
    /// The port of UPnP's HTTP.
    pub http_port: u16,
    /// For how long a UPnP device counts as present after it has said so; it says so twice in that time.
    pub advertisement: Duration,
    /// How fast the link outside is, as UPnP tells, in bits per second.
    pub link_bit_rate: u32,
    /// TCP connections to the gateway.
    pub connections: usize,
    /// TCP connections of one host to the gateway.
    pub connections_per_host: usize,
    /// For how long such a connection may be silent.
    pub patience: Duration,
}

/// Which protocols a gateway speaks.
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
            third_parties: false,
            external_ports: 1024..=u16::MAX,
            internal_ports: 1..=u16::MAX,
            denied_ports: Vec::new(),
            min_lifetime: Duration::from_secs(120),
            max_lifetime: Duration::from_secs(86_400),
            max_lifetime_upnp: Duration::from_secs(7 * 86_400),
            leases: 1024,
            leases_per_host: 128,
            filters_per_lease: 16,
            requests_per_second: 100,
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
