//! What happened in a world, as a capture for Wireshark.

use std::time::Duration;

use jackfield_nat::pcapng::{beginning, packet};

use super::trace::{Fate, What};
use super::world::World;

impl World {
    /// Writes everything that happened as a pcapng file, one capture interface for each interface of a machine.
    ///
    /// A packet is shown where it is sent, with its fate as a comment unless it arrives; at a NAT it is shown once more
    /// with the verdict. `since_1970` is what the world's beginning is to be called.
    pub fn pcapng(&self, since_1970: Duration) -> Vec<u8> {
        let names = self.interfaces.iter().map(|interface| {
            let network = self.networks.get(interface.network.0);
            let network = network.map_or("?", |network| network.name.as_str());
            format!("{} on {network}", self.name(interface.node))
        });
        let mut file = beginning(names);
        for event in self.trace.events() {
            let at = since_1970 + event.at;
            let (interface, comment) = match event.what {
                What::Hop { from, fate, .. } => (from.0, fate_comment(fate).map(str::to_owned)),
                What::Judged { by, from, verdict } => {
                    let mut mine = self.interfaces_of(by);
                    let interface = match from {
                        jackfield_nat::Side::Inside => mine.next(),
                        jackfield_nat::Side::Outside => mine.nth(1),
                    };
                    let comment = format!("{}: {verdict}", self.name(by));
                    (interface.map_or(0, |id| id.0), Some(comment))
                }
            };
            file.extend(packet(
                interface as u32,
                at,
                &event.bytes,
                comment.as_deref(),
            ));
        }
        file
    }
}

fn fate_comment(fate: Fate) -> Option<&'static str> {
    match fate {
        Fate::Arrived(_) => None,
        Fate::Lost => Some("lost on the way"),
        Fate::QueueFull => Some("dropped: queue full"),
        Fate::TooBig => Some("dropped: larger than the link's MTU"),
        Fate::NoRoute => Some("dropped: no route"),
        Fate::Down => Some("dropped: interface down"),
    }
}
