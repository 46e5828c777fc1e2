//! Data to and from peers ([RFC 8656 §11, §12]); once a peer is let in, nothing here allocates.
//!
//! [RFC 8656 §11, §12]: https://www.rfc-editor.org/rfc/rfc8656#section-11

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_stun::attribute::AttributeType;
use jackfield_stun::{Class, Message, Method};

use super::request::Operation;
use super::{Client, Failure};
use crate::attribute::{Data, XorPeerAddress, kind, method};
use crate::relay::padding;
use crate::{ChannelNumber, Header};

/// A packet for a peer on its way to the server: what the driver sends at once, as one message,
/// before it asks for outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing<'b> {
    /// A ChannelData header, or a Send indication up to its data.
    pub header: Header,
    /// What the peer gets.
    pub payload: &'b [u8],
    /// How many zero bytes follow, 0 to 3.
    pub padding: u8,
}

/// What a peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'b> {
    /// Which peer.
    pub peer: SocketAddr,
    /// What, in the buffer that was given.
    pub data: &'b [u8],
    /// The channel it came by, if by one.
    pub channel: Option<ChannelNumber>,
}

/// Why a packet cannot be sent: the caller's fault, but for [`SendError::PeerRefused`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no allocation yet, or no more.
    #[error("there is no allocation yet, or no more")]
    NotAllocated,
    /// The allocation has no relayed address of the peer's family.
    #[error("the relay has no address of the peer's address family")]
    FamilyMismatch,
    /// The server does not let this peer in.
    #[error("the peer is not let in: {0}")]
    PeerRefused(Failure),
    /// As many peers as allowed are kept already
    /// ([`ClientLimits::peers`](super::ClientLimits::peers)).
    #[error("too many peers are kept already")]
    TooManyPeers,
    /// As much as allowed waits already for peers to be let in; sending later may succeed.
    #[error("too much waits already for peers to be let in")]
    TooMuchWaiting,
    /// More than a datagram carries through a relay.
    #[error("{0} bytes are more than a datagram carries through a relay")]
    TooLong(usize),
}

/// Packets that wait for the server to let their peers in, in order.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    packets: VecDeque<(SocketAddr, Vec<u8>)>,
    bytes: usize,
}

impl SendQueue {
    /// Drops everything; returns how many packets.
    pub(super) fn clear(&mut self) -> u64 {
        self.bytes = 0;
        let dropped = self.packets.len() as u64;
        self.packets.clear();
        dropped
    }

    /// Drops what waits for an address; returns how many packets.
    pub(super) fn discard(&mut self, peer: IpAddr) -> u64 {
        self.take(peer).len() as u64
    }

    /// Takes out what waits for an address.
    fn take(&mut self, peer: IpAddr) -> VecDeque<(SocketAddr, Vec<u8>)> {
        let all = std::mem::take(&mut self.packets);
        let (taken, left) = all.into_iter().partition(|(to, _)| to.ip() == peer);
        self.packets = left;
        self.bytes = self.packets.iter().map(|(_, payload)| payload.len()).sum();
        taken
    }

    #[cfg(any(test, feature = "internals"))]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.packets.len(), self.bytes)
    }
}

impl Client {
    /// Sends `payload` to `peer`: by channel, by Send indication, or, while the server has not let
    /// the peer in, later.
    ///
    /// `Ok(None)` says that it waits inside, and comes out of [`Client::poll_output`] in its time.
    ///
    /// # Errors
    /// When it cannot be sent, now and without a change of something; see [`SendError`].
    pub fn send<'b>(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        payload: &'b [u8],
    ) -> Result<Option<Outgoing<'b>>, SendError> {
        if payload.len() > MAX_PAYLOAD {
            return Err(SendError::TooLong(payload.len()));
        }
        self.check_peer(peer.ip())?;
        if self.config.channels && self.channels.towards(peer, now).is_none() {
            self.check_refused(peer.ip())?;
            self.want_channel(now, peer)?;
        }
        match self.outgoing(now, peer, payload) {
            Some(outgoing) => {
                self.last_sent = now;
                self.counters.packets_to_peers += 1;
                Ok(Some(outgoing))
            }
            None => self.wait_for_peer(now, peer, payload).map(|()| None),
        }
    }

    /// Returns the message that carries `payload` now, if the server lets it through.
    fn outgoing<'b>(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        payload: &'b [u8],
    ) -> Option<Outgoing<'b>> {
        if let Some(number) = self.channels.towards(peer, now) {
            let length = u16::try_from(payload.len()).ok()?;
            let is_stream = self.path.transport.is_stream();
            return Some(Outgoing {
                header: Header::channel_data(number.value(), length),
                payload,
                padding: if is_stream { padding(payload.len()) } else { 0 },
            });
        }
        if !self.permissions.allows(peer.ip(), now) {
            return None;
        }
        let id = self.new_transaction();
        let header = Header::indication(SEND_INDICATION, peer, id, payload.len())?;
        Some(Outgoing {
            header,
            payload,
            padding: padding(payload.len()),
        })
    }

    /// Keeps a copy until the peer is let in, which is asked for.
    fn wait_for_peer(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.check_refused(peer.ip())?;
        if !self.is_being_asked_for(peer) {
            self.permit(now, peer.ip())?;
        }
        let limits = &self.config.limits;
        let waiting = &mut self.waiting;
        if waiting.packets.len() >= limits.waiting_packets
            || waiting.bytes + payload.len() > limits.waiting_bytes
        {
            self.counters.dropped_waiting += 1;
            return Err(SendError::TooMuchWaiting);
        }
        waiting.bytes += payload.len();
        waiting.packets.push_back((peer, payload.to_vec()));
        Ok(())
    }

    fn is_being_asked_for(&self, peer: SocketAddr) -> bool {
        let is_bound = |number| self.requests.is_asking(Operation::Bind(number, peer));
        self.channels.number(peer).is_some_and(is_bound)
            || self.requests.is_asking(Operation::Permit(peer.ip()))
    }

    /// Sends what waited for this address.
    pub(super) fn send_waiting(&mut self, now: Instant, peer: IpAddr) {
        for (to, payload) in self.waiting.take(peer) {
            let Some(outgoing) = self.outgoing(now, to, &payload) else {
                self.counters.dropped_waiting += 1;
                continue;
            };
            let mut bytes = outgoing.header.as_bytes().to_vec();
            bytes.extend_from_slice(&payload);
            bytes.resize(bytes.len() + usize::from(outgoing.padding), 0);
            self.counters.packets_to_peers += 1;
            self.transmit(now, bytes);
        }
    }

    /// Takes a ChannelData message.
    pub(super) fn channel_data<'b>(
        &mut self,
        now: Instant,
        bytes: &'b [u8],
    ) -> Option<Received<'b>> {
        let found = bytes.split_first_chunk::<4>().and_then(|(header, rest)| {
            let &[n0, n1, l0, l1] = header;
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            // What follows the data is padding, which even datagrams may have.
            let data = rest.get(..length)?;
            Some((ChannelNumber::new(u16::from_be_bytes([n0, n1]))?, data))
        });
        let Some((number, data)) = found else {
            self.counters.malformed += 1;
            return None;
        };
        let Some(peer) = self.channels.peer(number) else {
            self.counters.dropped_unpermitted += 1;
            return None;
        };
        let _ = now;
        self.counters.packets_from_peers += 1;
        Some(Received {
            peer,
            data,
            channel: Some(number),
        })
    }

    /// Takes a STUN message.
    pub(super) fn stun<'b>(&mut self, now: Instant, bytes: &'b [u8]) -> Option<Received<'b>> {
        let Ok(message) = Message::parse(bytes) else {
            self.counters.malformed += 1;
            return None;
        };
        match (message.class(), message.method()) {
            (Class::Success | Class::Error, _) => self.response(now, &message),
            (Class::Indication, method::DATA) => return self.data_indication(now, &message),
            (Class::Indication, Method::BINDING) => {} // a keepalive; it wants nothing
            (Class::Request | Class::Indication, _) => self.counters.unexpected += 1,
        }
        None
    }

    fn data_indication<'b>(&mut self, now: Instant, message: &Message<'b>) -> Option<Received<'b>> {
        let peer: Option<XorPeerAddress> = message.get().ok().flatten();
        let data: Option<Data<'b>> = message.get().ok().flatten();
        let understood = message.unknown(KNOWN_IN_DATA).next().is_none();
        let (Some(XorPeerAddress(peer)), Some(Data(data)), true) = (peer, data, understood) else {
            self.counters.malformed += 1;
            return None;
        };
        // Indications are not signed; this keeps out what we did not ask for.
        if !self.permissions.allows(peer.ip(), now) {
            self.counters.dropped_unpermitted += 1;
            return None;
        }
        self.counters.packets_from_peers += 1;
        Some(Received {
            peer,
            data,
            channel: None,
        })
    }
}

/// The class and method of a Send indication.
const SEND_INDICATION: u16 = 0x0016;

/// The most bytes of a payload: what a UDP datagram carries beside the longest header.
const MAX_PAYLOAD: usize = 65_507 - Header::MAX - 3;

const KNOWN_IN_DATA: &[AttributeType] = &[kind::XOR_PEER_ADDRESS, kind::DATA];
