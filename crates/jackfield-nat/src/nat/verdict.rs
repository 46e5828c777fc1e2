use std::fmt;

/// A side of the NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Where the hosts are that the NAT serves.
    Inside,
    /// Where everybody else is.
    Outside,
}

impl Side {
    /// Returns the opposite side.
    pub const fn other(self) -> Self {
        match self {
            Self::Inside => Self::Outside,
            Self::Outside => Self::Inside,
        }
    }
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Verdict {
    /// It leaves, as it now is, on the other side.
    Forward,
    /// It leaves, as it now is, on the side that it came from.
    Hairpin,
    /// The NAT has taken a copy; what becomes of it comes out of [`crate::Nat::poll_transmit`], perhaps later.
    Hold(HoldReason),
    /// It goes nowhere.
    Drop(DropReason),
}

/// Why the NAT keeps a packet for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HoldReason {
    /// A fragment waits for the first of its datagram.
    Fragment,
    /// A SYN that nobody asked for waits for a SYN from inside.
    UnsolicitedSyn,
    /// A packet was larger than the MTU and leaves in pieces.
    Fragmented,
}

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a packet goes nowhere; each has a counter.
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
    /// The bytes are no packet.
    Malformed = "malformed",
    /// The protocol has no ports to translate.
    UnknownProtocol = "unknown-protocol",
    /// The address family is not the one of this side.
    WrongFamily = "wrong-family",
    /// The time to live ran out.
    TtlExpired = "ttl-expired",
    /// It is larger than the MTU and may not be fragmented.
    TooBig = "too-big",
    /// It came from outside and is for none of the NAT's addresses.
    NotForUs = "not-for-us",
    /// It came from outside to a port that nothing is mapped to.
    NoMapping = "no-mapping",
    /// The mapping exists, and does not let this sender in.
    Filtered = "filtered",
    /// The firewall refuses such flows.
    Policy = "policy",
    /// No external port is left.
    PortExhausted = "port-exhausted",
    /// The port that had to be preserved is taken.
    PortConflict = "port-conflict",
    /// The host has all the mappings it may have.
    HostMappings = "host-mappings",
    /// The host makes mappings faster than it may.
    MappingRate = "mapping-rate",
    /// The host starts flows faster than it may.
    FlowRate = "flow-rate",
    /// The host has all the flows it may have.
    HostFlows = "host-flows",
    /// Strangers have started all the flows with the host that they may.
    InboundFlows = "inbound-flows",
    /// The NAT has all the state it may have.
    TableFull = "table-full",
    /// It is from inside to an external address, and hairpinning is off.
    HairpinOff = "hairpin-off",
    /// A TCP segment that belongs to no connection and starts none.
    TcpOutOfState = "tcp-out-of-state",
    /// An unsolicited SYN, refused.
    TcpUnsolicited = "tcp-unsolicited",
    /// The NAT does not let fragments pass.
    FragmentPolicy = "fragment-policy",
    /// A fragment came before the first of its datagram.
    FragmentOutOfOrder = "fragment-out-of-order",
    /// No room to keep track of another fragmented datagram.
    FragmentLimit = "fragment-limit",
    /// The checksum of an ICMP error, or of the header quoted in it, is wrong.
    IcmpChecksum = "icmp-checksum",
    /// An ICMP error about no packet of a flow that exists.
    IcmpNoFlow = "icmp-no-flow",
    /// The NAT does not let ICMP errors pass.
    IcmpPolicy = "icmp-policy",
    /// An ICMP message that is neither query nor error.
    IcmpOther = "icmp-other",
    /// Its sender has chosen its way, which would show inside addresses outside, or the other IP
    /// version cannot take.
    SourceRoute = "source-route",
    /// It cannot be said in the other IP version.
    Untranslatable = "untranslatable",
    /// The buffer has no room for a longer header.
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

/// How many packets met which end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatCounters {
    /// Packets from inside that left outside.
    pub outbound: u64,
    /// Packets from outside that left inside.
    pub inbound: u64,
    /// Packets from inside that went back inside.
    pub hairpinned: u64,
    /// Packets that were held, for whatever reason.
    pub held: u64,
    /// Packets of the NAT's own, and held ones that went on.
    pub transmitted: u64,
    /// ICMP errors that were not sent for there were too many.
    pub errors_suppressed: u64,
    /// Mappings and flows that made room for others before their time.
    pub evicted: u64,
    /// Held fragments that were given up.
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
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or(0)
    }

    /// Returns how many packets were dropped.
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
