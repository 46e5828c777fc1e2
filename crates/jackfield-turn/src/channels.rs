//! The channels of one allocation.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::ChannelNumber;

/// Which number stands for which peer, and until when ([RFC 8656 §12]).
///
/// [RFC 8656 §12]: https://www.rfc-editor.org/rfc/rfc8656#section-12
#[derive(Debug, Default)]
pub(crate) struct Channels {
    /// Sorted by number.
    by_number: Vec<Channel>,
    /// The same, sorted by peer.
    by_peer: Vec<(SocketAddr, ChannelNumber)>,
}

#[derive(Debug, Clone, Copy)]
struct Channel {
    number: ChannelNumber,
    peer: SocketAddr,
    expires: Instant,
}

/// Why a channel cannot be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// The number stands for another peer, or the peer has another number.
    Taken,
    /// There are as many as are allowed.
    Full,
}

impl Channels {
    /// Binds `number` to `peer`, or prolongs the binding.
    pub(crate) fn bind(
        &mut self,
        number: ChannelNumber,
        peer: SocketAddr,
        now: Instant,
        max: usize,
    ) -> Result<Instant, Conflict> {
        let expires = now + LIFETIME;
        match (self.find(number), self.find_peer(peer)) {
            // Both are bound, to each other or each to something else (RFC 8656 §12.2).
            (Ok(index), Ok(_)) => match self.by_number.get_mut(index) {
                Some(channel) if channel.peer == peer => channel.expires = expires,
                _ => return Err(Conflict::Taken),
            },
            (Err(index), Err(at)) => {
                if self.by_number.len() >= max {
                    return Err(Conflict::Full);
                }
                let channel = Channel {
                    number,
                    peer,
                    expires,
                };
                self.by_number.insert(index, channel);
                self.by_peer.insert(at, (peer, number));
            }
            _ => return Err(Conflict::Taken),
        }
        Ok(expires)
    }

    /// Returns the peer that `number` stands for at `now`.
    pub(crate) fn peer(&self, number: ChannelNumber, now: Instant) -> Option<SocketAddr> {
        let channel = self.by_number.get(self.find(number).ok()?)?;
        (channel.expires > now).then_some(channel.peer)
    }

    /// Returns the number that stands for `peer` at `now`.
    pub(crate) fn number(&self, peer: SocketAddr, now: Instant) -> Option<ChannelNumber> {
        let (_, number) = *self.by_peer.get(self.find_peer(peer).ok()?)?;
        self.peer(number, now).map(|_| number)
    }

    /// Forgets the bindings that have expired; calls `ended` with each.
    pub(crate) fn expire(&mut self, now: Instant, mut ended: impl FnMut(ChannelNumber)) {
        self.remove_if(|channel| channel.expires <= now, &mut ended);
    }

    /// Forgets the channels to peers for which `matches` holds.
    pub(crate) fn remove_peers(
        &mut self,
        matches: impl Fn(SocketAddr) -> bool,
        mut ended: impl FnMut(ChannelNumber),
    ) {
        self.remove_if(|channel| matches(channel.peer), &mut ended);
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.by_number.iter().map(|channel| channel.expires).min()
    }

    fn remove_if(
        &mut self,
        condition: impl Fn(&Channel) -> bool,
        ended: &mut impl FnMut(ChannelNumber),
    ) {
        let before = self.by_number.len();
        self.by_number.retain(|channel| {
            let remove = condition(channel);
            if remove {
                ended(channel.number);
            }
            !remove
        });
        if self.by_number.len() < before {
            let kept = &self.by_number;
            self.by_peer.retain(|(_, number)| {
                kept.binary_search_by_key(number, |channel| channel.number)
                    .is_ok()
            });
        }
    }

    fn find(&self, number: ChannelNumber) -> Result<usize, usize> {
        self.by_number
            .binary_search_by_key(&number, |channel| channel.number)
    }

    fn find_peer(&self, peer: SocketAddr) -> Result<usize, usize> {
        self.by_peer
            .binary_search_by_key(&peer, |(known, _)| *known)
    }
}

//= https://www.rfc-editor.org/rfc/rfc8656#section-12
//# Channel bindings last for 10 minutes unless refreshed.
pub(crate) const LIFETIME: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::epoch;

    #[test]
    fn a_number_and_a_peer_belong_together_until_the_binding_ends() {
        let now = epoch();
        let number = |number| ChannelNumber::new(number).unwrap();
        let peer = |port| SocketAddr::from(([203, 0, 113, 1], port));
        let mut channels = Channels::default();
        let end = channels.bind(number(0x4000), peer(1), now, 2).unwrap();
        assert_eq!(
            channels.bind(number(0x4000), peer(2), now, 2),
            Err(Conflict::Taken)
        );
        assert_eq!(
            channels.bind(number(0x4001), peer(1), now, 2),
            Err(Conflict::Taken)
        );
        channels.bind(number(0x4001), peer(2), now, 2).unwrap();
        assert_eq!(
            channels.bind(number(0x4000), peer(2), now, 2),
            Err(Conflict::Taken)
        );
        assert_eq!(
            channels.bind(number(0x4002), peer(3), now, 2),
            Err(Conflict::Full)
        );
        assert_eq!(channels.peer(number(0x4001), now), Some(peer(2)));
        assert_eq!(channels.number(peer(2), now), Some(number(0x4001)));
        assert_eq!(channels.number(peer(2), end), None);
        let mut ended = Vec::new();
        channels.expire(end, |number| ended.push(number));
        assert_eq!(ended, [number(0x4000), number(0x4001)]);
        assert!(channels.bind(number(0x4001), peer(1), end, 2).is_ok());
    }
}
