//! What a NAT decides about a packet, and the counters of these decisions.

use std::fmt;

/// A side of the NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The side of the hosts that the NAT serves.
    Inside,
    /// The side of the internet.
    Outside,
}

impl Side {
    /// Returns the opposite side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Inside => Self::Outside,
            Self::Outside => Self::Inside,
        }
    }
}

/// What a NAT decides about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Verdict {
    /// The packet, as changed, leaves on the other side.
    Forward,
    /// The packet, as changed, leaves on the side that it came from.
    Hairpin,
    /// The NAT has kept a copy. Whatever it sends in its place comes from
    /// [`crate::Nat::poll_transmit`], perhaps later.
    Hold(HoldReason),
    /// The packet is dropped.
    Drop(DropReason),
}

/// Why the NAT keeps a packet instead of forwarding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HoldReason {
    /// A fragment waits for the first fragment of its datagram.
    Fragment,
    /// An unsolicited SYN waits for a SYN from inside.
    UnsolicitedSyn,
    /// The packet was larger than the MTU and leaves in fragments.
    Fragmented,
}

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a packet is dropped; each reason has a counter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[$doc])* $name,)*
        }

        impl DropReason {
            /// Every reason, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the reason's name as metrics and captures show it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

drop_reasons! {
    /// The bytes are not an IP packet.
    Malformed = "malformed",
    /// The protocol has no ports to translate.
    UnknownProtocol = "unknown-protocol",
    /// The address family is not the one of this side.
    WrongFamily = "wrong-family",
    /// The time to live ran out.
    TtlExpired = "ttl-expired",
    /// The packet is larger than the MTU and may not be fragmented.
    TooBig = "too-big",
    /// The packet came from outside, and its destination is not an address of the NAT.
    NotForUs = "not-for-us",
    /// The packet came from outside, and nothing is mapped to its destination port.
    NoMapping = "no-mapping",
    /// The filter of the mapping does not let this remote in.
    Filtered = "filtered",
    /// The firewall policy refuses the flow.
    Policy = "policy",
    /// No external port is left.
    PortExhausted = "port-exhausted",
    /// The port that had to be preserved is taken.
    PortConflict = "port-conflict",
    /// The host has reached its limit of mappings.
    HostMappings = "host-mappings",
    /// The host makes mappings faster than its limit.
    MappingRate = "mapping-rate",
    /// The host starts flows faster than its limit.
    FlowRate = "flow-rate",
    /// The host has reached its limit of flows.
    HostFlows = "host-flows",
    /// The flows that the outside started with the host have reached their limit.
    InboundFlows = "inbound-flows",
    /// The table of the NAT is full.
    TableFull = "table-full",
    /// The packet goes from inside to an external address, and hairpinning is off.
    HairpinOff = "hairpin-off",
    /// A TCP segment that belongs to no connection and starts none.
    TcpOutOfState = "tcp-out-of-state",
    /// An unsolicited SYN, refused.
    TcpUnsolicited = "tcp-unsolicited",
    /// The NAT does not let fragments pass.
    FragmentPolicy = "fragment-policy",
    /// A fragment came before the first of its datagram.
    FragmentOutOfOrder = "fragment-out-of-order",
    /// Too many fragmented datagrams are incomplete.
    FragmentLimit = "fragment-limit",
    /// The checksum of an ICMP error, or of the header quoted in it, is wrong.
    IcmpChecksum = "icmp-checksum",
    /// An ICMP error quotes a packet that belongs to no flow.
    IcmpNoFlow = "icmp-no-flow",
    /// The NAT does not let ICMP errors pass.
    IcmpPolicy = "icmp-policy",
    /// An ICMP message that is neither query nor error.
    IcmpOther = "icmp-other",
    /// The packet has a source route. It would show inside addresses outside, or does not exist in
    /// the other IP version.
    SourceRoute = "source-route",
    /// The packet has no equivalent in the other IP version.
    Untranslatable = "untranslatable",
    /// The buffer has no room in front for a longer header.
    NoHeadroom = "no-headroom",
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for DropReason {}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward => f.write_str("forward"),
            Self::Hairpin => f.write_str("hairpin"),
            Self::Hold(HoldReason::Fragment) => f.write_str("held: fragment"),
            Self::Hold(HoldReason::UnsolicitedSyn) => f.write_str("held: unsolicited SYN"),
            Self::Hold(HoldReason::Fragmented) => f.write_str("fragmented"),
            Self::Drop(reason) => write!(f, "drop: {reason}"),
        }
    }
}

/// Counts packets by what the NAT decided about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatCounters {
    /// Packets from inside that left outside.
    pub outbound: u64,
    /// Packets from outside that left inside.
    pub inbound: u64,
    /// Packets from inside that went back inside.
    pub hairpinned: u64,
    /// Packets that were held, for any reason.
    pub held: u64,
    /// Packets that the NAT sent itself, and held ones that it sent on.
    pub transmitted: u64,
    /// ICMP errors that a rate limit suppressed.
    pub errors_suppressed: u64,
    /// Mappings and flows that were ended early to make room for others.
    pub evicted: u64,
    /// Held fragments whose first fragment never came.
    pub fragments_expired: u64,
    drops: [u64; DropReason::ALL.len()],
}

impl NatCounters {
    pub(crate) const fn new() -> Self {
        Self {
            outbound: 0,
            inbound: 0,
            hairpinned: 0,
            held: 0,
            transmitted: 0,
            errors_suppressed: 0,
            evicted: 0,
            fragments_expired: 0,
            drops: [0; DropReason::ALL.len()],
        }
    }

    /// Returns how many packets were dropped for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or(0)
    }

    /// Returns how many packets were dropped.
    #[must_use]
    pub fn dropped_in_total(&self) -> u64 {
        self.drops.iter().sum()
    }

    pub(crate) fn count(&mut self, from: Side, verdict: Verdict) {
        match (verdict, from) {
            (Verdict::Forward, Side::Inside) => self.outbound += 1,
            (Verdict::Forward, Side::Outside) => self.inbound += 1,
            (Verdict::Hairpin, _) => self.hairpinned += 1,
            (Verdict::Hold(_), _) => self.held += 1,
            (Verdict::Drop(reason), _) => {
                if let Some(counter) = self.drops.get_mut(reason as usize) {
                    *counter += 1;
                }
            }
        }
    }
}
