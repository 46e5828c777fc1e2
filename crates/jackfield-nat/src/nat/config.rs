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
/// [`NatConfig::default`] is what RFC 4787, 5382, 5508 and 7857 ask for, with a choice towards application transparency:
/// endpoint-independent mapping and filtering. Named devices are in [`crate::profile`].
#[derive(Debug, Clone, PartialEq)]
pub struct NatConfig {
    /// How addresses change on the way.
    pub translation: Translation,
    /// The NAT's own addresses outside, of which mappings are made; unused when nothing is translated.
    pub externals: Vec<IpAddr>,
    /// The NAT's own address inside, from which ICMP errors to inside hosts come.
    pub inside: Option<IpAddr>,
    /// How UDP is mapped and filtered.
    pub udp: Behaviour,
    /// How TCP is mapped and filtered.
    pub tcp: Behaviour,
    /// How responses to ICMP queries are filtered; their mapping is always endpoint-independent.
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
    /// Whether TCP segments of unknown connections make mappings, as they have to after a reboot without a reset.
    pub tcp_loose: bool,
    /// Whether the inside end of a TCP connection that has been idle for
    /// [`Timers::tcp_established`] is asked for a sign of life, and has [`Timers::tcp_reset`] to
    /// give one ([RFC 6146 §3.5.2.2](https://www.rfc-editor.org/rfc/rfc6146#section-3.5.2.2)).
    pub tcp_probe: bool,
    /// What happens to ICMP errors about translated packets.
    pub icmp_errors: IcmpErrors,
    /// What a host is told when no mapping can be made for it.
    pub refusal: Refusal,
    /// What happens to fragments.
    pub fragments: Fragments,
    /// Whether the time to live is lowered, and packets without any left are dropped.
    pub decrement_ttl: bool,
    /// The largest packet that leaves on either side, in bytes.
    pub mtu: Option<u16>,
    /// Whether fragmentable IPv4 packets that leave get identifications of the NAT's own, so that two inside hosts
    /// cannot clash ([RFC 7857](https://www.rfc-editor.org/rfc/rfc7857), "IP Identification").
    pub rewrite_ip_id: bool,
    /// Imitates Linux's connection tracking, where a mapping belongs to one connection.
    pub conntrack: Option<Conntrack>,
    /// Inside and outside addresses that are tied together one to one, with all their ports; unused when nothing is
    /// translated, and left out where the two are of IP versions that the NAT does not join.
    pub one_to_one: Vec<(IpAddr, IpAddr)>,
    /// Mappings that always exist, open to everybody.
    pub forwards: Vec<Forward>,
    /// Destinations that packets reach untranslated (RFC 6888 REQ-6).
    pub untranslated: Vec<Prefix>,
    /// What a firewall in the same box refuses.
    pub policy: Policy,
    /// Whether payloads are searched for addresses to translate: an application-level gateway, which is evil.
    pub alg: bool,
    /// How much state there may be.
    pub limits: NatLimits,
}

/// How external ports and ICMP query identifiers are chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// The first choice.
    pub assignment: Assignment,
    /// What happens when [`Assignment::Preserve`] finds the port taken.
    pub conflict: Conflict,
    /// Lets endpoint-dependent mappings share an external port as long as their destinations differ
    /// ([RFC 7857 §3](https://www.rfc-editor.org/rfc/rfc7857#section-3)).
    pub overlap: bool,
    /// Maps even ports to even ports and odd to odd (RFC 4787 REQ-4).
    pub parity: bool,
    /// Maps ports below 1024 to ports below 1024 and others to others (RFC 4787 REQ-3a).
    pub keep_range: bool,
    /// Ports to choose from.
    pub range: RangeInclusive<u16>,
    /// For how long a port stays unused after its mapping is gone (RFC 6888 REQ-8).
    pub hold_down: Duration,
}

/// Which port is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Assignment {
    /// The inside port.
    Preserve,
    /// The one after the last one given out.
    Sequential {
        /// How far apart; 0 counts as 1.
        step: u16,
        /// Whether each inside host has a sequence of its own.
        per_host: bool,
    },
    /// Any.
    Random,
    /// Any of a block of this many ports that belongs to the host alone.
    Block {
        /// Ports in a block; 0 counts as 1.
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
    /// The port is given out again, and who gets what comes in depends on luck (RFC 4787 REQ-3 forbids it).
    Overload,
    /// No mapping is made.
    Refuse,
    /// The host gets address and port-dependent mappings (RFC 4787 REQ-11 forbids it).
    ChangeBehaviour,
}

/// How external addresses are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// One for all mappings of a host.
    Paired,
    /// Any for each mapping.
    Arbitrary,
}

/// Which packets keep a UDP or ICMP mapping alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refresh {
    /// Those from inside.
    Outbound,
    /// Those from outside (RFC 4787 REQ-6 forbids it alone).
    Inbound,
    /// All.
    Both,
}

/// What happens to packets from inside to an external address of the NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hairpinning {
    /// They are dropped.
    Off,
    /// They come back in from the sender's inside endpoint (RFC 4787 REQ-9a forbids it).
    InternalSource,
    /// They come back in from the sender's outside endpoint.
    ExternalSource,
}

/// What happens to a TCP connection attempt from outside that nothing inside asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnsolicitedSyn {
    /// It is dropped in silence.
    Drop,
    /// It is refused at once, which ends a simultaneous open (RFC 5382 REQ-4 forbids it).
    Refuse,
    /// It is refused after this long unless the inside has sent its own SYN (RFC 5382 REQ-4: 6 seconds or more).
    Wait(Duration),
}

/// What happens to ICMP errors about translated packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IcmpErrors {
    /// They are translated, and so is the packet inside.
    Translate,
    /// They are dropped.
    Drop,
    /// They end the mapping that they are about (RFC 4787 REQ-12 forbids it).
    KillMapping,
}

/// What a host is told when no mapping can be made for it.
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
    /// Those that come before their first are dropped.
    InOrder,
    /// All are dropped.
    Drop,
}

/// The part of Linux's connection tracking that peers notice.
///
/// A connection keeps the source endpoint of earlier ones as long as that makes it unique, and gets a random port when
/// it does not. So mappings look endpoint-independent, until a peer's packet that the router itself accepted has
/// taken the combination that the inside host's answer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conntrack {
    /// Whether the router's own firewall accepts unsolicited packets, which then are connections to the router. Those
    /// of TCP do no harm, since the router resets them.
    pub accepts_input: bool,
}

/// A mapping that an administrator or a port mapping protocol made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Forward {
    /// Which protocol.
    pub protocol: Protocol,
    /// The outside endpoint.
    pub external: crate::Endpoint,
    /// The inside endpoint.
    pub internal: crate::Endpoint,
}

/// The protocols that a NAT translates ports of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// User datagrams.
    Udp,
    /// Transmission control.
    Tcp,
    /// ICMP queries, with their identifiers as ports.
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
            icmp_filtering: Filtering::AddressDependent,
            ports: Ports::default(),
            pooling: Pooling::Paired,
            refresh: Refresh::Outbound,
            timers: Timers::default(),
            hairpinning: Hairpinning::ExternalSource,
            unsolicited_syn: UnsolicitedSyn::Wait(Duration::from_secs(6)),
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
            assignment: Assignment::Random,
            conflict: Conflict::Random,
            overlap: false,
            parity: true,
            keep_range: true,
            range: 1..=65535,
            hold_down: Duration::ZERO,
        }
    }
}
