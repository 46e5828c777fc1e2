//! The trace of a world as a capture for Wireshark.

use std::time::Duration;

use jackfield_nat::pcapng::{file_header, packet_block};

use super::trace::{HopOutcome, TraceKind};
use super::world::World;

impl World {
    /// Writes the trace as a pcapng file, with one capture interface for each interface of a
    /// machine.
    ///
    /// A packet is recorded where it is sent, with the outcome of its hop as a comment unless it
    /// arrives. At a NAT it is recorded once more with the verdict. `since_1970` is the time of
    /// the beginning of the world.
    pub fn pcapng(&self, since_1970: Duration) -> Vec<u8> {
        let names = self.interfaces.iter().map(|interface| {
            let network = self.networks.get(interface.network.0);
            let network = network.map_or("?", |network| network.name.as_str());
            format!("{} on {network}", self.name(interface.node))
        });
        let mut file = file_header(names);
        for event in self.trace.events() {
            let at = since_1970 + event.at;
            let (interface, comment) = match event.kind {
                TraceKind::Hop { from, outcome, .. } => {
                    (from.0, fate_comment(outcome).map(str::to_owned))
                }
                TraceKind::Verdict { by, from, verdict } => {
                    let mut mine = self.interfaces_of(by);
                    let interface = match from {
                        jackfield_nat::Side::Inside => mine.next(),
                        jackfield_nat::Side::Outside => mine.nth(1),
                    };
                    let comment = format!("{}: {verdict}", self.name(by));
                    (interface.map_or(0, |id| id.0), Some(comment))
                }
            };
            file.extend(packet_block(
                interface as u32,
                at,
                &event.bytes,
                comment.as_deref(),
            ));
        }
        file
    }
}

fn fate_comment(outcome: HopOutcome) -> Option<&'static str> {
    match outcome {
        HopOutcome::Arrived(_) => None,
        HopOutcome::Lost => Some("lost on the way"),
        HopOutcome::QueueFull => Some("dropped: queue full"),
        HopOutcome::TooBig => Some("dropped: larger than the link's MTU"),
        HopOutcome::NoRoute => Some("dropped: no route"),
        HopOutcome::Down => Some("dropped: interface down"),
    }
}
