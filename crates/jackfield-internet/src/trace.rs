use std::fmt::Write;
use std::time::Duration;

use super::world::{InterfaceId, NodeId};
use jackfield_nat::packet::describe;
use jackfield_nat::{Side, Verdict};

/// What became of a packet on a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HopOutcome {
    /// It arrives at this interface.
    Arrived(InterfaceId),
    /// The link lost it.
    Lost,
    /// The link's queue was full.
    QueueFull,
    /// It did not fit the link.
    TooBig,
    /// Nobody on the network has or routes the address.
    NoRoute,
    /// The interface is down.
    Down,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// When, since the world began.
    pub at: Duration,
    /// To which packet.
    pub bytes: Vec<u8>,
    /// What.
    pub kind: TraceKind,
}

/// What happened to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceKind {
    /// It was put on a link.
    Hop {
        /// By whom.
        from: InterfaceId,
        /// How that ended, and when.
        outcome: HopOutcome,
        /// When it arrives, since the world began.
        arrives: Duration,
    },
    /// A NAT or firewall judged it.
    Verdict {
        /// Which one.
        by: NodeId,
        /// Where the packet came from.
        from: Side,
        /// How it was judged.
        verdict: Verdict,
    },
}

/// Everything that happened, in order.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    pub(crate) events: Vec<TraceEvent>,
    /// Nothing is recorded: for worlds that run for very long.
    pub(crate) off: bool,
}

impl Trace {
    /// Returns everything that happened, in order.
    pub fn events(&self) -> &[TraceEvent] {
        &self.events
    }

    /// Writes one line for each event, with every byte of the packet: two worlds agree if these texts do.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for event in &self.events {
            let _ = write!(text, "{:>14} {:?} ", event.at.as_nanos(), event.kind);
            let _ = write!(text, "{} ", describe(&event.bytes));
            for byte in &event.bytes {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        text
    }

    pub(crate) fn record(&mut self, event: impl FnOnce() -> TraceEvent) {
        if !self.off {
            self.events.push(event());
        }
    }
}
