//! What a channel may deliver: a model that knows what was written.

use std::collections::BTreeSet;

use jackfield_peer::{ChannelConfig, ChannelId, Reliability};

/// One side's view of a channel.
pub(super) struct Line {
    pub(super) id: ChannelId,
    pub(super) sent: Sent,
    pub(super) received: Received,
    /// Whether this side asked for its end.
    pub(super) closing: bool,
    pub(super) closed: bool,
}

/// What was written on a channel.
pub(super) struct Sent {
    /// The number of the channel: its messages carry it.
    pub(super) number: u32,
    pub(super) count: u32,
    pub(super) is_reliable: bool,
    is_ordered: bool,
}

/// What came from a channel.
#[derive(Default)]
pub(super) struct Received {
    /// The number of the channel at the other side that wrote it.
    pub(super) number: Option<u32>,
    pub(super) count: u32,
    highest: Option<u32>,
    seen: BTreeSet<u32>,
}

impl Line {
    pub(super) fn new(id: ChannelId, number: u32, config: &ChannelConfig) -> Self {
        Self {
            id,
            sent: Sent {
                number,
                count: 0,
                is_reliable: config.reliability == Reliability::Reliable,
                is_ordered: config.ordered,
            },
            received: Received::default(),
            closing: false,
            closed: false,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.closing && !self.closed
    }
}

impl Sent {
    /// Returns the next message: it says which it is, and by which rules it travels.
    pub(super) fn next(&self, length: usize) -> Vec<u8> {
        let rules = u8::from(self.is_reliable) << 1 | u8::from(self.is_ordered);
        letter(self.number, self.count, rules, length)
    }
}

impl Received {
    /// Notes a message, which must be one that the other side wrote, and whose turn it is.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let Some((&[n0, n1, n2, n3, c0, c1, c2, c3, rules], _)) = bytes.split_first_chunk() else {
            panic!("nobody wrote {} bytes", bytes.len());
        };
        let number = u32::from_be_bytes([n0, n1, n2, n3]);
        let count = u32::from_be_bytes([c0, c1, c2, c3]);
        assert!(
            bytes == letter(number, count, rules, bytes.len()),
            "changed"
        );
        let known = *self.number.get_or_insert(number);
        assert_eq!(known, number, "a message of another channel");
        assert!(self.seen.insert(count), "message {count} comes twice");
        match rules {
            ORDERED => assert!(self.highest < Some(count), "{count} comes too late"),
            RELIABLE_ORDERED => assert_eq!(count, self.count, "a message is missing"),
            _ => {}
        }
        self.highest = self.highest.max(Some(count));
        self.count += 1;
    }
}

fn letter(number: u32, count: u32, rules: u8, length: usize) -> Vec<u8> {
    let mut bytes = [number.to_be_bytes(), count.to_be_bytes()].concat();
    bytes.push(rules);
    bytes.extend((bytes.len()..length).map(|at| (at as u32 ^ number ^ count) as u8));
    bytes
}

const ORDERED: u8 = 1;
const RELIABLE_ORDERED: u8 = 3;
