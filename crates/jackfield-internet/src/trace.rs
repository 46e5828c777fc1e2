//! The trace of a world: every hop of every packet, and every decision of a NAT.

use std::fmt::Write;
use std::time::Duration;

use jackfield_nat::packet::describe;
use jackfield_nat::{Side, Verdict};

use super::world::{InterfaceId, NodeId};

/// The outcome of a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HopOutcome {
    /// The packet arrives at this interface.
    Arrived(InterfaceId),
    /// The link lost the packet.
    Lost,
    /// The link's queue was full.
    QueueFull,
    /// The packet is larger than the MTU of the link.
    TooBig,
    /// No machine on the network has the address or a route to it.
    NoRoute,
    /// The interface is down.
    Down,
}

/// An event of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// When, since the world began.
    pub at: Duration,
    /// The packet.
    pub bytes: Vec<u8>,
    /// The kind of event.
    pub kind: TraceKind,
}

/// What happened to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceKind {
    /// The packet was put on a link.
    Hop {
        /// The interface that sent it.
        from: InterfaceId,
        /// The outcome.
        outcome: HopOutcome,
        /// When it arrives, since the world began.
        arrives: Duration,
    },
    /// A NAT or firewall decided about the packet.
    Verdict {
        /// The NAT.
        by: NodeId,
        /// The side that the packet came from.
        from: Side,
        /// The verdict.
        verdict: Verdict,
    },
}

/// All events of a world, in order.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    pub(crate) events: Vec<TraceEvent>,
    /// Whether recording is off, for worlds that run for very long.
    pub(crate) off: bool,
}

impl Trace {
    /// Returns all events, in order.
    #[must_use]
    pub fn events(&self) -> &[TraceEvent] {
        &self.events
    }

    /// Writes one line for each event, with every byte of the packet. Two worlds are equal if
    /// these texts are.
    #[must_use]
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
