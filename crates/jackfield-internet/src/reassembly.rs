//! Reassembly of fragments at hosts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jackfield_nat::Address;
use jackfield_nat::packet::{Headers, build};

/// Reassembles fragments, as a host does
/// ([RFC 791 §3.2](https://www.rfc-editor.org/rfc/rfc791#section-3.2)).
#[derive(Debug, Clone, Default)]
pub(super) struct Reassembly {
    parts: BTreeMap<Key, Parts>,
}

type Key = (Address, Address, u8, u32);

#[derive(Debug, Clone)]
struct Parts {
    since: Instant,
    /// The data by offset.
    pieces: BTreeMap<usize, Vec<u8>>,
    /// The length of the data, once the last fragment has come.
    length: Option<usize>,
}

impl Reassembly {
    /// Takes a packet; returns it, or the datagram that it completes.
    pub(super) fn take(&mut self, now: Instant, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let Ok(headers) = Headers::parse(&bytes) else {
            return Some(bytes);
        };
        let Some(fragment) = headers.fragment else {
            return Some(bytes);
        };
        self.parts
            .retain(|_, parts| now.saturating_duration_since(parts.since) < LIFETIME);
        let key = (
            headers.source,
            headers.destination,
            headers.protocol,
            fragment.id,
        );
        // The check for old datagrams is done with each fragment, so they need no timer.
        if !self.parts.contains_key(&key) && self.parts.len() >= MOST_DATAGRAMS {
            return None;
        }
        let data = bytes.get(headers.transport_at..headers.length)?.to_vec();
        let parts = self.parts.entry(key).or_insert_with(|| Parts {
            since: now,
            pieces: BTreeMap::new(),
            length: None,
        });
        if !fragment.more {
            parts.length = Some(fragment.offset + data.len());
        }
        parts.pieces.insert(fragment.offset, data);
        let whole = parts.whole()?;
        self.parts.remove(&key);
        // The header is new: time to live and options are not passed on, and no program reads
        // them.
        let mut packet = build::header(
            headers.source,
            headers.destination,
            headers.protocol,
            whole.len(),
        );
        packet.extend(whole);
        Some(packet)
    }
}

impl Parts {
    fn whole(&self) -> Option<Vec<u8>> {
        let length = self.length?;
        let mut whole = Vec::with_capacity(length);
        for (offset, piece) in &self.pieces {
            if *offset != whole.len() {
                // A fragment is missing, or two overlap, which only attackers send.
                return None;
            }
            whole.extend(piece);
        }
        (whole.len() == length).then_some(whole)
    }
}

/// How long a datagram may be incomplete, as Linux has it (`net.ipv4.ipfrag_time`).
const LIFETIME: Duration = Duration::from_secs(30);
const MOST_DATAGRAMS: usize = 256;
