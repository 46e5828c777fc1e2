use std::collections::BTreeMap;
use std::time::Instant;

use super::config::Fragments;
use super::hosts::host_of;
use super::queue::Timeout;
use super::{DropReason, HoldReason, Nat, Side, Verdict};
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
/// Their number and the bytes held are bounded, for everybody and for each inside host, so that a flood of fragments
/// costs whole packets and other hosts nothing (REQ-14a). What comes from outside before its first fragment is on
/// nobody's account but the strangers', who get half of all there is.
#[derive(Debug, Clone)]
pub(crate) struct Datagrams {
    datagrams: BTreeMap<DatagramKey, Datagram>,
    all: Usage,
    /// By inside host; `None` for strangers.
    accounts: BTreeMap<Option<Address>, Usage>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    datagrams: usize,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Datagram {
    expires: Instant,
    progress: Progress,
    account: Option<Address>,
}

#[derive(Debug, Clone)]
enum Progress {
    /// The first fragment has not come; these have.
    Held(Vec<Vec<u8>>),
    /// The first fragment has gone, and the others follow it.
    Going(Route),
}

/// How the first fragment was translated.
#[derive(Debug, Clone, Copy)]
struct Route {
    source: Address,
    destination: Address,
    id: u16,
    to: Side,
}

impl Datagrams {
    pub(crate) fn new() -> Self {
        Self {
            datagrams: BTreeMap::new(),
            all: Usage::default(),
            accounts: BTreeMap::new(),
        }
    }

    fn insert(&mut self, key: DatagramKey, datagram: Datagram) {
        self.all.datagrams += 1;
        self.accounts.entry(datagram.account).or_default().datagrams += 1;
        self.datagrams.insert(key, datagram);
    }

    fn remove(&mut self, key: &DatagramKey) -> Option<Datagram> {
        let datagram = self.datagrams.remove(key)?;
        let bytes = datagram.held_bytes();
        self.all.datagrams -= 1;
        self.all.bytes -= bytes;
        if let Some(account) = self.accounts.get_mut(&datagram.account) {
            account.datagrams -= 1;
            account.bytes -= bytes;
            if account.datagrams == 0 {
                self.accounts.remove(&datagram.account);
            }
        }
        Some(datagram)
    }

    /// Puts a fragment to those that wait.
    fn hold(&mut self, key: &DatagramKey, bytes: &[u8]) {
        if let Some(datagram) = self.datagrams.get_mut(key)
            && let Progress::Held(held) = &mut datagram.progress
        {
            held.push(bytes.to_vec());
            self.all.bytes += bytes.len();
            self.accounts.entry(datagram.account).or_default().bytes += bytes.len();
        }
    }

    fn used_by(&self, account: Option<Address>) -> Usage {
        self.accounts.get(&account).copied().unwrap_or_default()
    }
}

#[cfg(any(test, feature = "internals"))]
impl Datagrams {
    /// Returns how many datagrams are awaited, and the bytes that wait for their first, counted from scratch.
    pub(crate) fn held(&self) -> (usize, usize) {
        let bytes = self.datagrams.values().map(|it| match &it.progress {
            Progress::Held(held) => held.iter().map(Vec::len).sum(),
            Progress::Going(_) => 0,
        });
        let bytes: usize = bytes.sum();
        assert_eq!(
            (self.datagrams.len(), bytes),
            (self.all.datagrams, self.all.bytes)
        );
        let accounts = self.accounts.values();
        let sum = accounts.fold((0, 0), |sum, it| (sum.0 + it.datagrams, sum.1 + it.bytes));
        assert_eq!(sum, (self.datagrams.len(), bytes), "accounts");
        (self.datagrams.len(), bytes)
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
        let way = Route {
            source: translated.source,
            destination: translated.destination,
            id: translated.fragment.map_or(0, |fragment| fragment.id as u16),
            to,
        };
        let host = match from {
            Side::Inside => original.source,
            Side::Outside => translated.destination,
        };
        let earlier = self.datagrams.remove(&key);
        let timed = earlier.is_some();
        if !self.expect_more(now, key, Some(host), Progress::Going(way), timed) {
            return;
        }
        let Some(Progress::Held(held)) = earlier.map(|datagram| datagram.progress) else {
            return;
        };
        for bytes in held {
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
        let account = match key.from {
            Side::Inside => Some(host_of(key.source)),
            Side::Outside => None,
        };
        let room = self.config.limits.held_bytes;
        let share = account.map_or(room / 2, |_| room / 8);
        let used = self.datagrams.used_by(account).bytes;
        if self.datagrams.all.bytes + bytes.len() > room || used + bytes.len() > share {
            return Err(DropReason::FragmentLimit);
        }
        let known = self.datagrams.datagrams.contains_key(&key);
        if !known && !self.expect_more(now, key, account, Progress::Held(Vec::new()), false) {
            return Err(DropReason::FragmentLimit);
        }
        self.datagrams.hold(&key, bytes);
        Ok(Verdict::Hold(HoldReason::Fragment))
    }

    /// Starts or goes on with a datagram, unless there are too many; one that has a timer keeps it.
    fn expect_more(
        &mut self,
        now: Instant,
        key: DatagramKey,
        account: Option<Address>,
        progress: Progress,
        timed: bool,
    ) -> bool {
        let account = account.map(host_of);
        let limits = &self.config.limits;
        let share = account.map_or(limits.datagrams / 2, |_| limits.datagrams_per_host);
        let used = self.datagrams.used_by(account).datagrams;
        if self.datagrams.all.datagrams >= limits.datagrams || used >= share {
            return false;
        }
        let expires = now + self.config.timers.fragment;
        let datagram = Datagram {
            expires,
            progress,
            account,
        };
        self.datagrams.insert(key, datagram);
        if !timed {
            self.queue.push(expires, Timeout::Datagram(key));
        }
        true
    }

    fn send_along(
        &mut self,
        from: Side,
        packet: &mut Packet<'_>,
        mut headers: Headers,
        way: Route,
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
            self.queue.push(later, Timeout::Datagram(key));
        } else if let Some(datagram) = self.datagrams.remove(&key)
            && let Progress::Held(held) = datagram.progress
        {
            self.counters.fragments_expired += held.len() as u64;
        }
    }

    /// Forgets every fragment, as a reboot does.
    pub(super) fn forget_fragments(&mut self) {
        self.datagrams = Datagrams::new();
    }
}

impl Datagram {
    fn held_bytes(&self) -> usize {
        match &self.progress {
            Progress::Held(held) => held.iter().map(Vec::len).sum(),
            Progress::Going(_) => 0,
        }
    }

    fn way(&self) -> Option<Route> {
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
