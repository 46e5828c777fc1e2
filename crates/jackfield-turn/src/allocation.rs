//! One allocation: its relayed addresses, permissions, channels and counters.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use jackfield_sansio::{FiveTuple, Rate, TokenBucket};
use jackfield_stun::TransactionId;

use crate::attribute::AddressFamily;
use crate::channels::Channels;
use crate::permissions::Permissions;
use crate::shared_bucket::SharedBucket;
use crate::{AllocationId, Relayed, Traffic};

/// What one client has: relayed addresses, permissions, channels ([RFC 8656 §5]).
///
/// [RFC 8656 §5]: https://www.rfc-editor.org/rfc/rfc8656#section-5
#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) id: AllocationId,
    pub(crate) path: FiveTuple,
    /// Only this user may change it.
    pub(crate) username: Arc<str>,
    /// Of the request that made it, so that a repeated one gets the same answer.
    pub(crate) transaction: TransactionId,
    pub(crate) reservation: Option<[u8; 8]>,
    /// At most one of each family.
    pub(crate) relays: Relays,
    pub(crate) permissions: Permissions,
    pub(crate) channels: Channels,
    pub(crate) packets: TokenBucket,
    pub(crate) bytes: TokenBucket,
    pub(crate) network: NetworkShare,
    pub(crate) traffic: Traffic,
    /// Whether it was refreshed once after its credential had expired.
    pub(crate) used_grace: bool,
}

impl Allocation {
    /// Returns when something of it ends next.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let relays = self.relays.iter().map(|relay| relay.expires).min();
        [
            relays,
            self.permissions.next_expiry(),
            self.channels.next_expiry(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// An allocation's part of what its client's network may relay.
#[derive(Debug)]
pub(crate) struct NetworkShare {
    bucket: Arc<SharedBucket>,
    /// Bytes taken from the bucket and not yet used.
    credit: u64,
}

impl NetworkShare {
    pub(crate) fn new(bucket: Arc<SharedBucket>) -> Self {
        Self { bucket, credit: 0 }
    }

    /// Takes `length` bytes and returns whether the network had them.
    pub(crate) fn take(&mut self, now: Instant, rate: Rate, length: u64) -> bool {
        if self.credit < length {
            // All shards share the bucket, so it is asked once for many packets. Where it has no
            // more for many, it may have enough for this one.
            let missing = length - self.credit;
            let taken = [missing.max(LOT), missing]
                .into_iter()
                .find(|cost| self.bucket.take(now, rate, *cost));
            let Some(taken) = taken else {
                return false;
            };
            self.credit += taken;
        }
        self.credit -= length;
        true
    }
}

/// Bytes that are taken from a network's bucket at once.
const LOT: u64 = 16 * 1024;

/// A bound relay socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RelaySocket {
    pub(crate) local: SocketAddr,
    pub(crate) advertised: SocketAddr,
    pub(crate) expires: Instant,
}

/// The relay sockets of an allocation, by family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Relays {
    v4: Option<RelaySocket>,
    v6: Option<RelaySocket>,
}

impl Relays {
    pub(crate) fn get(&self, family: AddressFamily) -> Option<&RelaySocket> {
        match family {
            AddressFamily::V4 => self.v4.as_ref(),
            AddressFamily::V6 => self.v6.as_ref(),
        }
    }

    /// Returns the place of the socket that reaches peers of this family.
    pub(crate) fn slot(&mut self, family: AddressFamily) -> &mut Option<RelaySocket> {
        match family {
            AddressFamily::V4 => &mut self.v4,
            AddressFamily::V6 => &mut self.v6,
        }
    }

    /// Returns the socket for `peer` if it lives at `now`.
    pub(crate) fn towards(&self, peer: IpAddr, now: Instant) -> Option<&RelaySocket> {
        self.get(AddressFamily::of(peer))
            .filter(|relay| relay.expires > now)
    }

    /// Sets when all end.
    pub(crate) fn expire_at(&mut self, expires: Instant) {
        for relay in [&mut self.v4, &mut self.v6].into_iter().flatten() {
            relay.expires = expires;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = RelaySocket> + use<> {
        [self.v4, self.v6].into_iter().flatten()
    }

    pub(crate) fn advertised(&self) -> Relayed {
        Relayed {
            v4: self.v4.map(|relay| relay.advertised),
            v6: self.v6.map(|relay| relay.advertised),
        }
    }
}
