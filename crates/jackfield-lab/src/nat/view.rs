//! What `nat list` shows of a router.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};
use std::time::Duration;

use jackfield_nat::{DropReason, MappingView, Protocol};
use jackfield_portmap::LeaseView;
use jackfield_router::{PortCounters, Report, UplinkCounters};
use serde::{Deserialize, Serialize};

use super::Settings;
use super::link::{LinkSettings, percent};
use super::values::{protocol_names, rate_text};

/// What `nat list` shows of a router; its JSON is a promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The profile's name.
    pub profile: String,
    /// The mapping of UDP.
    pub mapping: String,
    /// The filtering of UDP.
    pub filtering: String,
    /// The name of the firewall.
    pub firewall: String,
    /// The outside addresses.
    pub external: Vec<String>,
    /// How long the router has run, in seconds.
    pub uptime_s: f64,
    /// The link between the NAT and the outside.
    pub link: LinkView,
    /// Every mapping.
    pub mappings: Vec<MappingLine>,
    /// The protocols in which hosts inside may ask for ports.
    #[serde(default)]
    pub port_mapping: Vec<String>,
    /// Every port that a host asked for and got.
    #[serde(default)]
    pub leases: Vec<LeaseLine>,
    /// How many requests for ports had which result, by name.
    #[serde(default)]
    pub port_requests: BTreeMap<String, u64>,
    /// How many pairs of a mapping and a remote endpoint there are.
    pub flows: usize,
    /// How many packets were not dropped, by what became of them. A train of packets counts as
    /// one.
    pub packets: BTreeMap<String, u64>,
    /// How many packets were dropped, by the reason; reasons that did not occur are left out.
    pub drops: BTreeMap<String, u64>,
    /// The inside interface.
    pub inside: SideView,
    /// The outside interface.
    pub outside: SideView,
}

/// What the link between the NAT and the outside does to packets, in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LinkView {
    /// How long a packet travels, in milliseconds.
    pub latency_ms: f64,
    /// By how much longer a packet may travel, in milliseconds.
    #[serde(default)]
    pub jitter_ms: f64,
    /// The share of packets that get lost, in percent.
    pub loss_percent: f64,
    /// How many packets in a row get lost, on average.
    #[serde(default = "one")]
    pub loss_burst: u32,
    /// The share of packets that overtake those before them, in percent.
    #[serde(default)]
    pub reorder_percent: f64,
    /// The share of packets that arrive twice, in percent.
    #[serde(default)]
    pub duplicate_percent: f64,
    /// Bits a second; absent without a limit.
    #[serde(default)]
    pub rate_bits_per_s: Option<u64>,
    /// How many bytes may wait for their turn on a link with a rate.
    #[serde(default)]
    pub queue_bytes: usize,
    /// Whether UDP is dropped.
    pub block_udp: bool,
}

/// A mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MappingLine {
    /// `udp`, `tcp` or `icmp`.
    pub protocol: String,
    /// The inside endpoint.
    pub internal: String,
    /// The outside endpoint.
    pub external: String,
    /// The remote address or endpoint that it is for; absent when it is for all.
    pub remote: Option<String>,
    /// How many remote endpoints it has a flow with.
    pub flows: u32,
    /// How long it lives unless something refreshes it, in seconds; absent when it lives by its
    /// TCP connections.
    pub expires_in_s: Option<f64>,
}

/// A port that a host asked for and got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeaseLine {
    /// `udp` or `tcp`.
    pub protocol: String,
    /// The inside endpoint.
    pub internal: String,
    /// The outside endpoint.
    pub external: String,
    /// The remote endpoint that it is for; absent when it is for all.
    pub peer: Option<String>,
    /// `nat-pmp`, `pcp` or `upnp`.
    pub by: String,
    /// The description that the host gave it; any text.
    pub description: String,
    /// How long it lives unless the host renews it, in seconds.
    pub expires_in_s: f64,
}

/// What went through an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideView {
    /// Packets that the host sent.
    pub packets_in: u64,
    /// Bytes that the host sent.
    pub bytes_in: u64,
    /// How many reads they came in: packets and trains of packets.
    pub reads: u64,
    /// Packets that the host was given.
    pub packets_out: u64,
    /// Bytes that the host was given.
    pub bytes_out: u64,
}

impl View {
    /// Returns the view of a router with these settings, which the report came from.
    pub fn new(settings: &Settings, report: &Report) -> Self {
        let config = settings.config();
        Self {
            profile: settings.kind().to_owned(),
            mapping: config.udp.mapping.to_string(),
            filtering: config.udp.filtering.to_string(),
            firewall: settings.firewall.name().to_owned(),
            external: settings.externals.iter().map(ToString::to_string).collect(),
            uptime_s: (report.at - report.started).as_secs_f64(),
            link: LinkView::new(&settings.link),
            mappings: report
                .mappings
                .iter()
                .map(|mapping| line(mapping, report))
                .collect(),
            port_mapping: protocol_names(settings.port_mapping),
            leases: report
                .leases
                .iter()
                .map(|lease| lease_line(lease, report))
                .collect(),
            port_requests: port_requests(report),
            flows: report.flows,
            packets: packets(report),
            drops: drops(report),
            inside: side(&report.inside),
            outside: side(&report.outside),
        }
    }
}

impl LinkView {
    fn new(link: &LinkSettings) -> Self {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        Self {
            latency_ms: ms(link.latency),
            jitter_ms: ms(link.jitter),
            loss_percent: percent(link.loss),
            loss_burst: link.loss_burst,
            reorder_percent: percent(link.reorder),
            duplicate_percent: percent(link.duplicate),
            rate_bits_per_s: link.rate,
            queue_bytes: link.queue,
            block_udp: link.block_udp,
        }
    }
}

/// The length of bursts on a link that has none.
const fn one() -> u32 {
    1
}

fn line(mapping: &MappingView, report: &Report) -> MappingLine {
    let protocol = match mapping.protocol {
        Protocol::Udp => "udp",
        Protocol::Tcp => "tcp",
        Protocol::Icmp => "icmp",
    };
    let remote = match (mapping.remote, mapping.remote_port) {
        (Some(address), Some(port)) => {
            Some(jackfield_nat::Endpoint::new(address, port).to_string())
        }
        (Some(address), None) => Some(address.to_string()),
        (None, _) => None,
    };
    let left = |end: std::time::Instant| end.saturating_duration_since(report.at).as_secs_f64();
    MappingLine {
        protocol: protocol.to_owned(),
        internal: mapping.internal.to_string(),
        external: mapping.external.to_string(),
        remote,
        flows: mapping.flows,
        expires_in_s: mapping.expires.map(left),
    }
}

fn lease_line(lease: &LeaseView, report: &Report) -> LeaseLine {
    let left = lease.expires.saturating_duration_since(report.at);
    LeaseLine {
        protocol: lease.protocol.name().to_ascii_lowercase(),
        internal: lease.internal.to_string(),
        external: lease.external.to_string(),
        peer: lease.peer.map(|peer| peer.to_string()),
        by: lease.dialect.name().to_owned(),
        description: lease.description.clone(),
        expires_in_s: left.as_secs_f64(),
    }
}

fn port_requests(report: &Report) -> BTreeMap<String, u64> {
    let counters = report.port_mapping.iter();
    counters
        .flat_map(|counters| counters.named())
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

fn packets(report: &Report) -> BTreeMap<String, u64> {
    let nat = &report.nat;
    let counts = [
        ("outbound", nat.outbound),
        ("inbound", nat.inbound),
        ("hairpinned", nat.hairpinned),
        ("held", nat.held),
        ("transmitted", nat.transmitted),
        ("errors-suppressed", nat.errors_suppressed),
        ("fragments-expired", nat.fragments_expired),
    ];
    counts
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

fn drops(report: &Report) -> BTreeMap<String, u64> {
    let UplinkCounters {
        udp_blocked,
        lost,
        queue_full,
    } = report.uplink_counters;
    let of_the_nat = DropReason::ALL
        .iter()
        .map(|reason| (reason.name(), report.nat.dropped(*reason)));
    let of_the_router = [
        ("link-udp-blocked", udp_blocked),
        ("link-lost", lost),
        ("link-queue-full", queue_full),
        (
            "interface-refused",
            report.inside.refused + report.outside.refused,
        ),
    ];
    of_the_nat
        .chain(of_the_router)
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

fn side(counters: &PortCounters) -> SideView {
    SideView {
        packets_in: counters.packets_in,
        bytes_in: counters.bytes_in,
        reads: counters.reads,
        packets_out: counters.packets_out,
        bytes_out: counters.bytes_out,
    }
}

impl Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: UDP mapping {}, filtering {}; firewall {}; outside {}; up {:.0} s",
            self.profile,
            self.mapping,
            self.filtering,
            self.firewall,
            self.external.join(", "),
            self.uptime_s,
        )?;
        writeln!(f, "{}", self.link)?;
        table(f, &self.mappings)?;
        if !self.port_mapping.is_empty() {
            writeln!(f, "port mapping by {}", self.port_mapping.join(", "))?;
            lease_table(f, &self.leases)?;
            writeln!(f, "requests: {}", list(&self.port_requests))?;
        }
        writeln!(f, "packets: {}", list(&self.packets))?;
        write!(f, "dropped: {}", list(&self.drops))
    }
}

impl Display for LinkView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let udp = if self.block_udp {
            "blocked"
        } else {
            "let through"
        };
        let (latency, loss) = (self.latency_ms, self.loss_percent);
        write!(f, "link: {latency} ms each way, {loss} % lost, UDP {udp}")?;
        if self.jitter_ms > 0.0 {
            write!(f, ", jitter up to {} ms", self.jitter_ms)?;
        }
        if self.loss_burst > 1 {
            write!(f, ", bursts of {}", self.loss_burst)?;
        }
        if self.reorder_percent > 0.0 {
            write!(f, ", {} % reordered", self.reorder_percent)?;
        }
        if self.duplicate_percent > 0.0 {
            write!(f, ", {} % duplicated", self.duplicate_percent)?;
        }
        if let Some(rate) = self.rate_bits_per_s {
            let (rate, queue) = (rate_text(rate), self.queue_bytes);
            write!(f, ", {rate} with a queue of {queue} bytes")?;
        }
        Ok(())
    }
}

fn table(f: &mut fmt::Formatter<'_>, mappings: &[MappingLine]) -> fmt::Result {
    writeln!(
        f,
        "{:5} {:22} {:22} {:22} {:>5} {:>8}",
        "", "INSIDE", "OUTSIDE", "ONLY FOR", "FLOWS", "ENDS IN"
    )?;
    for mapping in mappings {
        let ends = mapping.expires_in_s.map(|left| format!("{left:.0} s"));
        writeln!(
            f,
            "{:5} {:22} {:22} {:22} {:>5} {:>8}",
            mapping.protocol,
            mapping.internal,
            mapping.external,
            mapping.remote.as_deref().unwrap_or("-"),
            mapping.flows,
            ends.as_deref().unwrap_or("-"),
        )?;
    }
    Ok(())
}

/// Writes the leases. Hosts choose the descriptions, so control characters are left out: a
/// terminal would take them for commands.
fn lease_table(f: &mut fmt::Formatter<'_>, leases: &[LeaseLine]) -> fmt::Result {
    writeln!(
        f,
        "{:5} {:22} {:22} {:22} {:8} {:>8} CALLED",
        "", "INSIDE", "OUTSIDE", "ONLY FOR", "BY", "ENDS IN"
    )?;
    for lease in leases {
        let harmless = lease.description.chars().filter(|char| !char.is_control());
        writeln!(
            f,
            "{:5} {:22} {:22} {:22} {:8} {:>8} {}",
            lease.protocol,
            lease.internal,
            lease.external,
            lease.peer.as_deref().unwrap_or("-"),
            lease.by,
            format!("{:.0} s", lease.expires_in_s),
            harmless.collect::<String>(),
        )?;
    }
    Ok(())
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    for (name, count) in counts.iter().filter(|(_, count)| **count > 0) {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{name} {count}");
    }
    if text.is_empty() {
        text.push_str("none");
    }
    text
}
