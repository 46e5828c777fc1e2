//! What two machines have seen of the path between them.

use std::time::Duration;

use jackfield_connect::Relay;

use super::Sight;
use crate::target::Target;

/// What two machines have seen of each other, as one of them has it.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerFacts {
    /// The server where they met.
    pub server: Target,
    /// What the other side is called in the room; only visible characters.
    pub peer: String,
    /// This machine's network.
    pub here: Sight,
    /// The other machine's; nothing if it never said.
    pub there: Option<Sight>,
    /// The route that packets took at the end; nothing if none came about.
    pub route: Option<Route>,
    /// Round trips.
    pub delay: Option<Delay>,
    /// Datagrams that were sent and not sent again.
    pub loss: Option<Loss>,
    /// Bytes that were sent at full speed.
    pub throughput: Throughput,
    /// The largest packet that got through to the other side, in bytes of the whole IP packet.
    pub mtu: Option<u16>,
}

/// The way that packets took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The relay on the way, by how it is reached; nothing if the route is direct.
    pub relay: Option<Relay>,
    /// The type of this side's candidate: `host`, `srflx`, `prflx` or `relay`.
    pub local: &'static str,
    /// The type of the other side's.
    pub remote: &'static str,
    /// `udp` or `tcp`.
    pub protocol: &'static str,
}

/// Round-trip times of small messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// The shortest.
    pub min: Duration,
    /// Half of them were shorter.
    pub median: Duration,
    /// The longest.
    pub max: Duration,
}

/// Small messages, each sent once, and their answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Messages that were sent.
    pub sent: u32,
    /// Those that were answered.
    pub answered: u32,
}

/// How fast a reliable channel was, in bytes a second, in each direction that was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Throughput {
    /// To the other side.
    pub to_peer: Option<u64>,
    /// From the other side.
    pub from_peer: Option<u64>,
}

impl Throughput {
    pub(super) fn is_unknown(self) -> bool {
        self == Self::default()
    }
}

impl Delay {
    /// Summarises round trips; nothing if there are none.
    #[must_use]
    pub fn of(mut all: Vec<Duration>) -> Option<Self> {
        all.sort_unstable();
        Some(Self {
            min: *all.first()?,
            median: *all.get(all.len() / 2)?,
            max: *all.last()?,
        })
    }
}

impl Loss {
    /// Returns how many of a thousand messages were not answered.
    #[must_use]
    pub fn per_mille(self) -> u32 {
        let lost = u64::from(self.sent.saturating_sub(self.answered));
        (lost * 1000 / u64::from(self.sent.max(1))) as u32
    }
}
