//! The configuration of a NAT: each requirement of the RFCs that devices differ in is a field.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use jackfield_sansio::{Behaviour, Filtering, Mapping};

pub use super::limits::NatLimits;
use super::policy::Policy;
pub use super::timers::Timers;
use super::translation::Translation;
use crate::Prefix;

/// Everything that makes one NAT differ from another.
///
/// [`NatConfig::default`] is what RFC 4787, 5382, 5508 and 7857 ask for, with a choice towards
/// application transparency: endpoint-independent mapping and filtering. Named devices are in
/// [`crate::profile`].
#[derive(Debug, Clone, PartialEq)]
pub struct NatConfig {
    /// How addresses change on the way.
    pub translation: Translation,
    /// The outside addresses that mappings are made of; unused when nothing is translated.
    pub externals: Vec<IpAddr>,
    /// The inside address of the NAT, the source of its ICMP errors to inside hosts.
    pub inside: Option<IpAddr>,
    /// The mapping and filtering of UDP.
    pub udp: Behaviour,
    /// The mapping and filtering of TCP.
    pub tcp: Behaviour,
    /// The filtering of responses to ICMP queries; their mapping is always endpoint-independent.
    pub icmp_filtering: Filtering,
    /// How external ports are chosen.
    pub ports: Ports,
    /// How external addresses are chosen when there are several.
    pub pooling: Pooling,
    /// Which packets keep a UDP or ICMP mapping alive.
    pub refresh: Refresh,
    /// How long idle state lives.
    pub timers: Timers,
    /// What happens to packets from inside to an external address of the NAT.
    pub hairpinning: Hairpinning,
    /// What happens to a TCP connection attempt from outside that nothing inside asked for.
    pub unsolicited_syn: UnsolicitedSyn,
    /// Whether TCP segments of unknown connections make mappings, as they have to after a reboot
    /// without a reset.
    pub tcp_loose: bool,
    /// Whether the inside end of a TCP connection that has been idle for
    /// [`Timers::tcp_established`] is asked for a sign of life, and has [`Timers::tcp_reset`] to
    /// give one ([RFC 6146 §3.5.2.2](https://www.rfc-editor.org/rfc/rfc6146#section-3.5.2.2)).
    pub tcp_probe: bool,
    /// What happens to ICMP errors about translated packets.
    pub icmp_errors: IcmpErrors,
    /// The answer to a host for which no mapping can be made.
    pub refusal: Refusal,
    /// What happens to fragments.
    pub fragments: Fragments,
    /// Whether the NAT decrements the time to live, and drops packets whose time to live runs out.
    pub decrement_ttl: bool,
    /// The largest packet that leaves on either side, in bytes.
    pub mtu: Option<u16>,
    /// Whether IPv4 packets that may be fragmented get identifications of the NAT, so that those
    /// of two inside hosts cannot collide
    /// ([RFC 7857 §10](https://www.rfc-editor.org/rfc/rfc7857#section-10)).
    pub rewrite_ip_id: bool,
    /// Imitates Linux's connection tracking, in which a mapping belongs to one connection. It
    /// overrides the mapping, filtering and port assignment configured above.
    pub conntrack: Option<Conntrack>,
    /// Pairs of an inside and an outside address that stand for each other with all ports. Unused
    /// when nothing is translated; pairs of IP versions that the NAT does not join are ignored.
    pub one_to_one: Vec<(IpAddr, IpAddr)>,
    /// Permanent mappings that let all remotes in.
    pub forwards: Vec<Forward>,
    /// Destinations to which packets pass without translation (RFC 6888 REQ-6).
    pub untranslated: Vec<Prefix>,
    /// The firewall rules of the same device.
    pub policy: Policy,
    /// Whether the NAT replaces addresses in UDP payloads, as an application-level gateway that
    /// knows no protocol does. Peers then learn wrong addresses; it exists to test against.
    pub alg: bool,
    /// The limits of the state that the NAT keeps.
    pub limits: NatLimits,
}

/// How external ports and ICMP query identifiers are chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// The port that is tried first.
    pub assignment: Assignment,
    /// What happens when [`Assignment::Preserve`] finds the port taken.
    pub conflict: Conflict,
    /// Lets endpoint-dependent mappings share an external port as long as their destinations
    /// differ ([RFC 7857 §3](https://www.rfc-editor.org/rfc/rfc7857#section-3)).
    pub overlap: bool,
    /// Maps even ports to even ports and odd to odd (RFC 4787 REQ-4).
    pub parity: bool,
    /// Maps ports below 1024 to ports below 1024 and others to others (RFC 4787 REQ-3a).
    pub keep_range: bool,
    /// Ports to choose from.
    pub range: RangeInclusive<u16>,
    /// How long a port stays unused after its mapping ends (RFC 6888 REQ-8).
    pub hold_down: Duration,
}

/// The port that is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Assignment {
    /// The inside port.
    Preserve,
    /// The next port after the last one that was assigned.
    Sequential {
        /// The distance between two ports; 0 counts as 1.
        step: u16,
        /// Whether each inside host has a sequence of its own.
        per_host: bool,
    },
    /// Any.
    Random,
    /// A random port of a block that belongs to the host alone.
    Block {
        /// The number of ports in a block; 0 counts as 1.
        size: u16,
    },
}

/// What happens when a port that should be preserved is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conflict {
    /// A random free port is used.
    Random,
    /// The next free port is used.
    Next,
    /// The port is assigned a second time, and chance decides which host gets incoming packets
    /// (RFC 4787 REQ-3 forbids it).
    Overload,
    /// No mapping is made.
    Refuse,
    /// The mapping becomes address- and port-dependent (RFC 4787 REQ-11 forbids it).
    ChangeBehaviour,
}

/// How external addresses are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// All mappings of a host use one address (RFC 4787 REQ-2).
    Paired,
    /// Each mapping uses a random address.
    Arbitrary,
}

/// Which packets keep a UDP or ICMP mapping alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refresh {
    /// Packets from inside.
    Outbound,
    /// Packets from outside (RFC 4787 REQ-6 forbids that they alone do).
    Inbound,
    /// All.
    Both,
}

/// What happens to packets from inside to an external address of the NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hairpinning {
    /// They are dropped.
    Off,
    /// They arrive with the inside endpoint of their sender as source (RFC 4787 REQ-9a forbids
    /// it).
    InternalSource,
    /// They arrive with the outside endpoint of their sender as source.
    ExternalSource,
}

/// What happens to a TCP connection attempt from outside that nothing inside asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnsolicitedSyn {
    /// It is dropped without an answer.
    Drop,
    /// It is refused at once, which ends a simultaneous open (RFC 5382 REQ-4 forbids it).
    Refuse,
    /// It is refused after this time unless the inside has sent a SYN of its own (RFC 5382 REQ-4
    /// asks for at least 6 seconds).
    Wait(Duration),
}

/// What happens to ICMP errors about translated packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IcmpErrors {
    /// The error and the packet quoted in it are translated.
    Translate,
    /// They are dropped.
    Drop,
    /// They end the mapping that they are about (RFC 4787 REQ-12 forbids it).
    KillMapping,
}

/// The answer to a host for which no mapping can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Nothing.
    Silent,
    /// ICMP code 13, administratively prohibited (RFC 5508 REQ-8).
    Prohibited,
    /// ICMP code 1, host unreachable (RFC 6888 REQ-11).
    HostUnreachable,
}

/// What happens to fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fragments {
    /// They are translated in whatever order they come (RFC 4787 REQ-14).
    AnyOrder,
    /// Fragments that come before the first of their datagram are dropped.
    InOrder,
    /// All are dropped.
    Drop,
}

/// The part of Linux's connection tracking that peers notice.
///
/// A connection uses the source endpoint of earlier connections from the same inside endpoint as
/// long as the pair of endpoints is unique, and a random port otherwise. So mappings look
/// endpoint-independent, until the router itself has accepted a packet of a peer: that packet then
/// occupies the pair of endpoints that the inside host needs to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conntrack {
    /// Whether the router's own firewall accepts unsolicited packets, which then become
    /// connections to the router. Those of TCP do no harm: the router resets them, and a
    /// connection that was reset no longer occupies its pair of endpoints.
    pub accepts_input: bool,
}

/// A permanent mapping that an administrator or a port mapping protocol makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Forward {
    /// Which protocol.
    pub protocol: Protocol,
    /// The outside endpoint.
    pub external: crate::Endpoint,
    /// The inside endpoint.
    pub internal: crate::Endpoint,
}

/// The protocols whose ports a NAT translates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// User datagrams.
    Udp,
    /// Transmission control.
    Tcp,
    /// ICMP queries, whose identifiers serve as ports.
    Icmp,
}

impl Default for NatConfig {
    fn default() -> Self {
        let transparent = Behaviour {
            mapping: Mapping::EndpointIndependent,
            filtering: Filtering::EndpointIndependent,
        };
        Self {
            translation: Translation::Ports,
            externals: Vec::new(),
            inside: None,
            udp: transparent,
            tcp: transparent,
            // A query has one remote that may answer it; an open identifier would let strangers in
            // and help no program.
            icmp_filtering: Filtering::AddressDependent,
            ports: Ports::default(),
            pooling: Pooling::Paired,
            refresh: Refresh::Outbound,
            timers: Timers::default(),
            hairpinning: Hairpinning::ExternalSource,
            // RFC 5382 REQ-4: no answer for at least six seconds.
            unsolicited_syn: UnsolicitedSyn::Wait(Duration::from_secs(6)),
            // RFC 7857 §2 follows RFC 6146 here: only a SYN leads out of the closed state.
            tcp_loose: false,
            tcp_probe: false,
            icmp_errors: IcmpErrors::Translate,
            refusal: Refusal::Prohibited,
            fragments: Fragments::AnyOrder,
            decrement_ttl: true,
            mtu: None,
            rewrite_ip_id: true,
            conntrack: None,
            one_to_one: Vec::new(),
            forwards: Vec::new(),
            untranslated: Vec::new(),
            policy: Policy::default(),
            alg: false,
            limits: NatLimits::default(),
        }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            // RFC 7857 §9: ports that are not preserved should be hard to guess.
            assignment: Assignment::Random,
            conflict: Conflict::Random,
            overlap: false,
            parity: true,
            keep_range: true,
            // Port 0 is reserved, and a peer cannot answer it.
            range: 1..=65535,
            // Only carriers are asked for a hold-down (RFC 6888 REQ-8); their profiles set 120
            // seconds.
            hold_down: Duration::ZERO,
        }
    }
}
