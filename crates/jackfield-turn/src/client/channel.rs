//! Channels: four bytes in place of an indication's 36 ([RFC 8656 §12]).
//!
//! [RFC 8656 §12]: https://www.rfc-editor.org/rfc/rfc8656#section-12

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_stun::ErrorCode;

use super::allocation::ahead;
use super::request::{Operation, RETRY};
use super::{Client, Event, Failure, SendError, Timer};
use crate::ChannelNumber;

/// Every channel that was asked for, by number and by peer.
#[derive(Debug, Default)]
pub(super) struct Channels {
    peers: BTreeMap<ChannelNumber, Channel>,
    numbers: BTreeMap<SocketAddr, ChannelNumber>,
    /// The number of each peer, also after its channel ended: the peer gets the same number again,
    /// and no other peer does.
    assigned: BTreeMap<SocketAddr, ChannelNumber>,
    /// Peers for which the server had no channel.
    unavailable: BTreeSet<SocketAddr>,
}

#[derive(Debug, Clone, Copy)]
struct Channel {
    peer: SocketAddr,
    /// Until when it is bound; `None` before the server has said so.
    expires: Option<Instant>,
}

impl Channels {
    /// Returns the channel that leads to a peer at `now`.
    pub(super) fn towards(&self, peer: SocketAddr, now: Instant) -> Option<ChannelNumber> {
        let number = *self.numbers.get(&peer)?;
        let expires = self.peers.get(&number)?.expires?;
        (expires > now).then_some(number)
    }

    /// Returns the peer of a channel. A number that is only asked for counts: its data may overtake
    /// the answer.
    pub(super) fn peer(&self, number: ChannelNumber) -> Option<SocketAddr> {
        self.peers.get(&number).map(|channel| channel.peer)
    }

    #[cfg(any(test, feature = "internals"))]
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    /// Returns the number of the channel that was asked for to this peer.
    pub(super) fn number(&self, peer: SocketAddr) -> Option<ChannelNumber> {
        self.numbers.get(&peer).copied()
    }

    /// Gives a peer its number; `None` once all are given out.
    fn add(&mut self, peer: SocketAddr) -> Option<ChannelNumber> {
        //= https://www.rfc-editor.org/rfc/rfc8656#section-12
        //# To prevent race conditions, the client MUST wait 5
        //# minutes after the channel binding expires before attempting to bind
        //# the channel number to a different transport address or the transport
        //# address to a different channel number.
        let number = match self.assigned.get(&peer) {
            Some(number) => *number,
            None => {
                let used = u16::try_from(self.assigned.len()).ok()?;
                let number = ChannelNumber::MIN.value().checked_add(used)?;
                ChannelNumber::new(number).filter(|number| number.is_rfc8656())?
            }
        };
        self.assigned.insert(peer, number);
        let expires = None;
        self.peers.insert(number, Channel { peer, expires });
        self.numbers.insert(peer, number);
        Some(number)
    }

    fn remove(&mut self, number: ChannelNumber) {
        if let Some(channel) = self.peers.remove(&number) {
            self.numbers.remove(&channel.peer);
        }
    }
}

impl Client {
    /// Asks the server for a channel to this peer, which permits the peer's address as well, and
    /// keeps both alive.
    ///
    /// [`Client::send`] does so by itself unless
    /// [`ClientConfig::channels`](super::ClientConfig::channels) says no.
    ///
    /// # Errors
    /// When there is no allocation, none of this family, or no room for another peer.
    pub fn bind_channel(&mut self, now: Instant, peer: SocketAddr) -> Result<(), SendError> {
        self.check_peer(peer.ip())?;
        self.note_asked(peer.ip())?;
        let number = self.channels.number(peer);
        match number.or_else(|| self.channels.add(peer)) {
            Some(number) if self.timers.deadline(&Timer::Channel(number)).is_none() => {
                self.ask(now, Operation::Bind(number, peer));
            }
            // The timer asks.
            Some(_) => {}
            None => self.permit(now, peer.ip())?,
        }
        Ok(())
    }

    /// Asks for a channel to a peer that is sent to, unless that was tried already.
    pub(super) fn want_channel(&mut self, now: Instant, peer: SocketAddr) -> Result<(), SendError> {
        if self.channels.unavailable.contains(&peer) {
            return Ok(());
        }
        self.bind_channel(now, peer)
    }

    pub(super) fn refresh_channel(&mut self, now: Instant, number: ChannelNumber) {
        if let Some(peer) = self.channels.peer(number) {
            self.ask(now, Operation::Bind(number, peer));
        }
    }

    /// Takes a success response to ChannelBind.
    pub(super) fn bound(&mut self, now: Instant, number: ChannelNumber, peer: SocketAddr) {
        let Some(channel) = self.channels.peers.get_mut(&number) else {
            return;
        };
        let is_news = channel.expires.is_none();
        channel.expires = Some(now + CHANNEL_LIFETIME);
        self.timers
            .set(Timer::Channel(number), now + ahead(CHANNEL_LIFETIME));
        if is_news {
            self.event(Event::ChannelBound { number, peer });
        }
        self.permitted(now, peer.ip());
    }

    /// Takes a refusal of ChannelBind: the peer may still be reached by indications.
    ///
    /// A request without an answer is no refusal. The server may have bound the channel, and sends
    /// the peer's data by it from then on; so the channel stays, and is asked for again.
    pub(super) fn channel_refused(
        &mut self,
        now: Instant,
        number: ChannelNumber,
        peer: SocketAddr,
        why: Failure,
    ) {
        if self.channels.peer(number).is_none() {
            return;
        }
        let is_permitted = self.permissions.allows(peer.ip(), now);
        if why.is_silence() && (is_permitted || self.channels.towards(peer, now).is_some()) {
            self.timers.set(Timer::Channel(number), now + RETRY);
            self.send_waiting(now, peer.ip());
            return;
        }
        self.timers.cancel(&Timer::Channel(number));
        if !why.is_silence() {
            self.channels.remove(number);
        }
        match why {
            Failure::Refused(code) if is_about_the_channel(code) => {
                self.channels.unavailable.insert(peer);
                if self.permissions.allows(peer.ip(), now) {
                    self.send_waiting(now, peer.ip());
                } else {
                    self.ask(now, Operation::Permit(peer.ip()));
                }
            }
            _ => self.permission_refused(now, peer.ip(), why),
        }
    }

    pub(super) fn forget_channels(&mut self, peer: IpAddr) {
        self.abandon(
            |operation| matches!(operation, Operation::Bind(_, bound) if bound.ip() == peer),
        );
        let of_peer = |channel: &&ChannelNumber| {
            self.channels
                .peer(**channel)
                .is_some_and(|address| address.ip() == peer)
        };
        let numbers: Vec<_> = self
            .channels
            .peers
            .keys()
            .filter(of_peer)
            .copied()
            .collect();
        for number in numbers {
            self.timers.cancel(&Timer::Channel(number));
            self.channels.remove(number);
        }
    }
}

/// Returns whether a refusal is about the channel, so that a permission alone may still be granted.
fn is_about_the_channel(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::BAD_REQUEST | ErrorCode::UNKNOWN_ATTRIBUTE) || code.is_server_error()
}

//= https://www.rfc-editor.org/rfc/rfc8656#section-12
//# Channel bindings last for 10 minutes unless refreshed.
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
