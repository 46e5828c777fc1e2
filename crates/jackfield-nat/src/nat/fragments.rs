//! Fragments: only the first of a datagram has ports, so the others wait for it and follow it.

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

/// The fields that all fragments of one datagram share when they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DatagramKey {
    from: Side,
    source: Address,
    destination: Address,
    protocol: u8,
    id: u32,
}

/// Fragmented datagrams that are incomplete
/// ([RFC 4787 §11](https://www.rfc-editor.org/rfc/rfc4787#section-11)).
///
/// Their number and the bytes held are limited, in total and for each inside host, so that a flood
/// of fragments costs other hosts nothing (REQ-14a). A fragment from outside that comes before its
/// first cannot be charged to a host, because the ports are in the first; all of these share one
/// account of half the total.
#[derive(Debug, Clone)]
pub(crate) struct Datagrams {
    datagrams: BTreeMap<DatagramKey, Datagram>,
    all: Usage,
    /// By inside host; `None` is the account of fragments from outside without a first.
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
    /// The first fragment has not come; these wait for it.
    Waiting(Vec<Vec<u8>>),
    /// The first fragment has been translated, and the others follow it.
    Translated(Route),
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

    /// Adds a fragment to those that wait.
    fn hold(&mut self, key: &DatagramKey, bytes: &[u8]) {
        if let Some(datagram) = self.datagrams.get_mut(key)
            && let Progress::Waiting(held) = &mut datagram.progress
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
    /// Returns how many datagrams are incomplete and how many bytes wait, and checks both against
    /// a recount.
    pub(crate) fn held(&self) -> (usize, usize) {
        let bytes = self.datagrams.values().map(|it| match &it.progress {
            Progress::Waiting(held) => held.iter().map(Vec::len).sum(),
            Progress::Translated(_) => 0,
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
    /// Notes how a first fragment was translated, and sends the fragments that waited for it.
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
        let route = Route {
            source: translated.source,
            destination: translated.destination,
            // All fragments leave with the identification of the first; otherwise the receiver
            // could not put them together.
            id: translated.fragment.map_or(0, |fragment| fragment.id as u16),
            to,
        };
        let host = match from {
            Side::Inside => original.source,
            Side::Outside => translated.destination,
        };
        // A first fragment may come twice, or its sender may reuse the identification. The newer
        // one replaces the route.
        let earlier = self.datagrams.remove(&key);
        let timed = earlier.is_some();
        if !self.track(now, key, Some(host), Progress::Translated(route), timed) {
            return;
        }
        let Some(Progress::Waiting(held)) = earlier.map(|datagram| datagram.progress) else {
            return;
        };
        for bytes in held {
            if let Ok(headers) = Headers::parse(&bytes) {
                // NAT64 from IPv4 to IPv6 writes a longer header in front.
                let mut buffer = vec![0; Packet::HEADROOM];
                buffer.extend(bytes);
                let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
                let verdict = self.send_fragment(from, &mut packet, headers, route);
                if matches!(verdict, Ok(Verdict::Forward | Verdict::Hairpin)) {
                    self.transmit(route.to, packet.bytes().to_vec());
                }
            }
        }
    }

    /// Translates a fragment as the first was, or holds it until the first comes.
    #[cold]
    pub(super) fn later_fragment(
        &mut self,
        now: Instant,
        from: Side,
        packet: &mut Packet<'_>,
        headers: Headers,
    ) -> Result<Verdict, DropReason> {
        let key = datagram_key(from, &headers).ok_or(DropReason::Malformed)?;
        let route = self.datagrams.datagrams.get(&key).and_then(Datagram::route);
        if let Some(route) = route {
            return self.send_fragment(from, packet, headers, route);
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
        // The destination of a fragment from outside is an address that many hosts share, and the
        // port is in the first fragment. So the host is unknown.
        let account = match key.from {
            Side::Inside => Some(host_of(key.source)),
            Side::Outside => None,
        };
        let room = self.config.limits.held_bytes;
        // An eighth lets a few hosts send large datagrams at the same time, and none of them fill
        // the buffer.
        let share = account.map_or(room / 2, |_| room / 8);
        let used = self.datagrams.used_by(account).bytes;
        if self.datagrams.all.bytes + bytes.len() > room || used + bytes.len() > share {
            return Err(DropReason::FragmentLimit);
        }
        let known = self.datagrams.datagrams.contains_key(&key);
        if !known && !self.track(now, key, account, Progress::Waiting(Vec::new()), false) {
            return Err(DropReason::FragmentLimit);
        }
        self.datagrams.hold(&key, bytes);
        Ok(Verdict::Hold(HoldReason::Fragment))
    }

    /// Adds a datagram, or updates it, unless there are too many. A datagram that has a timer
    /// keeps it.
    fn track(
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

    fn send_fragment(
        &mut self,
        from: Side,
        packet: &mut Packet<'_>,
        mut headers: Headers,
        route: Route,
    ) -> Result<Verdict, DropReason> {
        // In NAT64 the first fragment became a packet of the other version, and so must this one.
        if headers.is_v4() != route.source.is_v4() {
            let new = Header {
                source: route.source,
                destination: route.destination,
                ttl: self.ttl_after(&headers),
                id: route.id,
            };
            return self.change_version(packet, &headers, new, route.to);
        }
        let bytes = packet.bytes_mut();
        // A hairpinned datagram changes at both ends. Where an end did not change, this writes
        // what is there.
        rewrite_address(bytes, &mut headers, End::Source, route.source);
        rewrite_address(bytes, &mut headers, End::Destination, route.destination);
        rewrite_id(bytes, &mut headers, route.id);
        if self.config.decrement_ttl {
            decrement_ttl(bytes, &mut headers);
        }
        Ok(self.leave(from, route.to, packet, &headers))
    }

    /// Gives up a datagram of which no fragment came for a while.
    pub(super) fn datagram_due(&mut self, now: Instant, key: DatagramKey) {
        let expires = self.datagrams.datagrams.get(&key).map(|it| it.expires);
        if let Some(later) = expires.filter(|at| *at > now) {
            self.queue.push(later, Timeout::Datagram(key));
        } else if let Some(datagram) = self.datagrams.remove(&key)
            && let Progress::Waiting(held) = datagram.progress
        {
            self.counters.fragments_expired += held.len() as u64;
        }
    }

    /// Forgets all fragments, as a reboot does.
    pub(super) fn forget_fragments(&mut self) {
        self.datagrams = Datagrams::new();
    }
}

impl Datagram {
    fn held_bytes(&self) -> usize {
        match &self.progress {
            Progress::Waiting(held) => held.iter().map(Vec::len).sum(),
            Progress::Translated(_) => 0,
        }
    }

    fn route(&self) -> Option<Route> {
        match self.progress {
            Progress::Translated(route) => Some(route),
            Progress::Waiting(_) => None,
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
