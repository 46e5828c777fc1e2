use std::collections::BTreeMap;
use std::time::Instant;

use super::config::Fragments;
use super::queue::Due;
use super::{DropReason, Hold, Nat, Side, Verdict};
use crate::Address;
use crate::packet::rewrite::{End, decrement_ttl, rewrite_address, rewrite_id};
use crate::packet::translate::Header;
use crate::packet::{Headers, Packet};

/// What fragments of one datagram have in common when they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DatagramKey {
    from: Side,
    source: Address,
    destination: Address,
    protocol: u8,
    id: u32,
}

/// Fragmented datagrams of which more is awaited ([RFC 4787 §11](https://www.rfc-editor.org/rfc/rfc4787#section-11)).
///
/// Their number and the bytes held are bounded, so that a flood of fragments costs whole packets nothing (REQ-14a).
#[derive(Debug, Clone)]
pub(crate) struct Datagrams {
    datagrams: BTreeMap<DatagramKey, Datagram>,
    held_bytes: usize,
}

#[derive(Debug, Clone)]
struct Datagram {
    expires: Instant,
    progress: Progress,
}

#[derive(Debug, Clone)]
enum Progress {
    /// The first fragment has not come; these have.
    Held(Vec<Vec<u8>>),
    /// The first fragment has gone, and the others follow it.
    Going(Way),
}

/// How the first fragment was translated.
#[derive(Debug, Clone, Copy)]
struct Way {
    source: Address,
    destination: Address,
    id: u16,
    to: Side,
}

impl Datagrams {
    pub(crate) fn new() -> Self {
        Self {
            datagrams: BTreeMap::new(),
            held_bytes: 0,
        }
    }
}

impl Nat {
    /// Notes how a first fragment was translated, and sends on those that waited for it.
    #[cold]
    pub(super) fn first_fragment(
        &mut self,
        now: Instant,
        from: Side,
        to: Side,
        original: &Headers,
        translated: &Headers,
    ) {
        let Some(key) = datagram_key(from, original) else {
            return;
        };
        let way = Way {
            source: translated.source,
            destination: translated.destination,
            id: translated.fragment.map_or(0, |fragment| fragment.id as u16),
            to,
        };
        let earlier = self.datagrams.datagrams.remove(&key);
        if !self.expect_more(now, key, Progress::Going(way), earlier.is_some()) {
            return;
        }
        let Some(Progress::Held(held)) = earlier.map(|datagram| datagram.progress) else {
            return;
        };
        for bytes in held {
            self.datagrams.held_bytes -= bytes.len();
            if let Ok(headers) = Headers::parse(&bytes) {
                let mut buffer = vec![0; Packet::HEADROOM];
                buffer.extend(bytes);
                let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
                let verdict = self.send_along(from, &mut packet, headers, way);
                if matches!(verdict, Ok(Verdict::Forward | Verdict::Hairpin)) {
                    self.transmit(way.to, packet.bytes().to_vec());
                }
            }
        }
    }

    /// Sends a fragment the way its first went, or holds it until that comes.
    #[cold]
    pub(super) fn later_fragment(
        &mut self,
        now: Instant,
        from: Side,
        packet: &mut Packet<'_>,
        headers: Headers,
    ) -> Result<Verdict, DropReason> {
        let key = datagram_key(from, &headers).ok_or(DropReason::Malformed)?;
        let going = self.datagrams.datagrams.get(&key).and_then(Datagram::way);
        if let Some(way) = going {
            return self.send_along(from, packet, headers, way);
        }
        if self.config.fragments == Fragments::InOrder {
            return Err(DropReason::FragmentOutOfOrder);
        }
        self.hold_fragment(now, key, packet.bytes())
    }

    fn hold_fragment(
        &mut self,
        now: Instant,
        key: DatagramKey,
        bytes: &[u8],
    ) -> Result<Verdict, DropReason> {
        let room = self.config.limits.held_bytes;
        if self.datagrams.held_bytes + bytes.len() > room {
            return Err(DropReason::FragmentLimit);
        }
        let known = self.datagrams.datagrams.contains_key(&key);
        if !known && !self.expect_more(now, key, Progress::Held(Vec::new()), false) {
            return Err(DropReason::FragmentLimit);
        }
        if let Some(Progress::Held(held)) = self
            .datagrams
            .datagrams
            .get_mut(&key)
            .map(|datagram| &mut datagram.progress)
        {
            held.push(bytes.to_vec());
            self.datagrams.held_bytes += bytes.len();
        }
        Ok(Verdict::Held(Hold::Fragment))
    }

    /// Starts or goes on with a datagram, unless there are too many; one that has a timer keeps it.
    fn expect_more(
        &mut self,
        now: Instant,
        key: DatagramKey,
        progress: Progress,
        timed: bool,
    ) -> bool {
        if self.datagrams.datagrams.len() >= self.config.limits.datagrams {
            return false;
        }
        let expires = now + self.config.timers.fragment;
        self.datagrams
            .datagrams
            .insert(key, Datagram { expires, progress });
        if !timed {
            self.queue.push(expires, Due::Datagram(key));
        }
        true
    }

    fn send_along(
        &mut self,
        from: Side,
        packet: &mut Packet<'_>,
        mut headers: Headers,
        way: Way,
    ) -> Result<Verdict, DropReason> {
        if headers.is_v4() != way.source.is_v4() {
            let new = Header {
                source: way.source,
                destination: way.destination,
                ttl: self.ttl_after(&headers),
                id: way.id,
            };
            return self.change_version(packet, &headers, new, way.to);
        }
        let bytes = packet.bytes_mut();
        rewrite_address(bytes, &mut headers, End::Source, way.source);
        rewrite_address(bytes, &mut headers, End::Destination, way.destination);
        rewrite_id(bytes, &mut headers, way.id);
        if self.config.decrement_ttl {
            decrement_ttl(bytes, &mut headers);
        }
        Ok(self.leave(from, way.to, packet, &headers))
    }

    /// Gives up a datagram of which nothing came for a while.
    pub(super) fn datagram_due(&mut self, now: Instant, key: DatagramKey) {
        let expires = self.datagrams.datagrams.get(&key).map(|it| it.expires);
        if let Some(later) = expires.filter(|at| *at > now) {
            self.queue.push(later, Due::Datagram(key));
        } else if let Some(datagram) = self.datagrams.datagrams.remove(&key)
            && let Progress::Held(held) = datagram.progress
        {
            self.counters.fragments_expired += held.len() as u64;
            self.datagrams.held_bytes -= held.iter().map(Vec::len).sum::<usize>();
        }
    }

    /// Forgets every fragment, as a reboot does.
    pub(super) fn forget_fragments(&mut self) {
        self.datagrams = Datagrams::new();
    }
}

impl Datagram {
    fn way(&self) -> Option<Way> {
        match self.progress {
            Progress::Going(way) => Some(way),
            Progress::Held(_) => None,
        }
    }
}

fn datagram_key(from: Side, headers: &Headers) -> Option<DatagramKey> {
    Some(DatagramKey {
        from,
        source: headers.source,
        destination: headers.destination,
        protocol: headers.protocol,
        id: headers.fragment?.id,
    })
}
