//! The data plane: Send and Data indications ([RFC 8656 §11]) and ChannelData ([RFC 8656 §12]);
//! nothing here allocates.
//!
//! [RFC 8656 §11]: https://www.rfc-editor.org/rfc/rfc8656#section-11
//! [RFC 8656 §12]: https://www.rfc-editor.org/rfc/rfc8656#section-12

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_sansio::FiveTuple;
use jackfield_stun::{Message, TransactionId};
use rand_chacha::rand_core::Rng;

use super::Server;
use crate::allocation::Allocation;
use crate::attribute::{Data, DontFragment, XorPeerAddress};
use crate::relay::padding;
use crate::{ChannelNumber, DropReason, Header, Relay, ServerLimits};

/// Where a client wants data to go.
enum Destination {
    Channel(ChannelNumber),
    Peer(SocketAddr),
}

impl Server {
    /// Takes a ChannelData message from a client.
    pub(super) fn channel_data<'b>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        bytes: &'b [u8],
    ) -> Result<Relay<'b>, DropReason> {
        let (&[n0, n1, l0, l1], rest) = bytes
            .split_first_chunk::<4>()
            .ok_or(DropReason::Truncated)?;
        let number = u16::from_be_bytes([n0, n1]);
        let number = ChannelNumber::new(number).ok_or(DropReason::NoChannel)?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        // What follows the data is padding, which even datagrams may have.
        let payload = rest.get(..length).ok_or(DropReason::Truncated)?;
        self.relay_to_peer(now, path, Destination::Channel(number), payload, false)
    }

    /// Takes a Send indication from a client.
    pub(super) fn send_indication<'b>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'b>,
    ) -> Result<Relay<'b>, DropReason> {
        if self.unknown_attributes(message).next().is_some() {
            return Err(DropReason::UnknownAttribute);
        }
        let malformed = |_| DropReason::Malformed;
        let peer: Option<XorPeerAddress> = message.get().map_err(malformed)?;
        let data: Option<Data<'b>> = message.get().map_err(malformed)?;
        let dont_fragment: Option<DontFragment> = message.get().map_err(malformed)?;
        let (Some(XorPeerAddress(peer)), Some(Data(payload))) = (peer, data) else {
            return Err(DropReason::Malformed);
        };
        let towards = Destination::Peer(peer);
        self.relay_to_peer(now, path, towards, payload, dont_fragment.is_some())
    }

    fn relay_to_peer<'b>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        towards: Destination,
        payload: &'b [u8],
        dont_fragment: bool,
    ) -> Result<Relay<'b>, DropReason> {
        let allocation = self
            .allocations
            .by_path(&path)
            .ok_or(DropReason::NoAllocation)?;
        let peer = match towards {
            Destination::Channel(number) => allocation.channels.peer(number, now),
            Destination::Peer(peer) => Some(peer),
        };
        let peer = peer.ok_or(DropReason::NoChannel)?;
        let relay = allocation
            .relays
            .towards(peer.ip(), now)
            .ok_or(DropReason::FamilyMismatch)?;
        let relayed = relay.local;
        // For ChannelData, RFC 8656 §12.6 asks only whether the channel is bound.
        let needs_permission = matches!(towards, Destination::Peer(_));
        if needs_permission && !allocation.permissions.has(peer.ip(), now) {
            return Err(DropReason::NoPermission);
        }
        // A permission is for an address; what lives at its ports changes from packet to packet.
        let peer = self.relay_addresses.to_local(peer, &self.registry);
        self.policy.judge(peer).or(Err(DropReason::PeerDenied))?;
        meter(allocation, &self.config.limits, now, payload.len())?;
        allocation.traffic.packets_to_peers += 1;
        allocation.traffic.bytes_to_peers += payload.len() as u64;
        self.counters.packets_to_peers += 1;
        self.counters.bytes_to_peers += payload.len() as u64;
        Ok(Relay::ToPeer {
            allocation: allocation.id,
            relayed,
            peer,
            payload,
            dont_fragment,
        })
    }

    pub(super) fn relay_to_client<'b>(
        &mut self,
        now: Instant,
        relayed: SocketAddr,
        peer: SocketAddr,
        payload: &'b [u8],
    ) -> Result<Relay<'b>, DropReason> {
        let source = self.relay_addresses.to_advertised(peer, &self.registry);
        let allocation = self
            .allocations
            .by_relayed(&relayed)
            .ok_or(DropReason::UnknownRelayed)?;
        // The relayed address may have run out a moment before its socket is closed.
        if allocation.relays.towards(source.ip(), now).is_none() {
            return Err(DropReason::UnknownRelayed);
        }
        if !allocation.permissions.has(source.ip(), now) {
            return Err(DropReason::PeerWithoutPermission);
        }
        // A peer that may not be sent to may not send either: its answers would come from where
        // nothing should come.
        self.policy.judge(peer).or(Err(DropReason::PeerDenied))?;
        let path = allocation.path;
        let channel = allocation.channels.number(source, now);
        let (header, padding) = match channel {
            Some(number) => {
                let length = u16::try_from(payload.len()).or(Err(DropReason::TooLong))?;
                // RFC 8656 §12.5 wants the padding on streams; in a datagram it would only cost
                // bytes.
                let padded = path.transport.is_stream();
                (
                    Header::channel_data(number.value(), length),
                    if padded { padding(payload.len()) } else { 0 },
                )
            }
            None => {
                let mut id = [0; 12];
                self.random.fill_bytes(&mut id);
                let header = data_header(source, TransactionId::new(id), payload.len());
                (header.ok_or(DropReason::TooLong)?, padding(payload.len()))
            }
        };
        meter(allocation, &self.config.limits, now, payload.len())?;
        allocation.traffic.packets_to_client += 1;
        allocation.traffic.bytes_to_client += payload.len() as u64;
        self.counters.packets_to_clients += 1;
        self.counters.bytes_to_clients += payload.len() as u64;
        Ok(Relay::ToClient {
            path,
            header,
            payload,
            padding,
        })
    }
}

/// Takes one packet out of an allocation's buckets.
fn meter(
    allocation: &mut Allocation,
    limits: &ServerLimits,
    now: Instant,
    length: usize,
) -> Result<(), DropReason> {
    // What is dropped for other reasons has cost the client nothing of its rate.
    if length > limits.payload {
        return Err(DropReason::TooLong);
    }
    if let Some(rate) = limits.packets
        && !allocation.packets.take(now, rate, 1)
    {
        return Err(DropReason::PacketRate);
    }
    if let Some(rate) = limits.bytes
        && !allocation.bytes.take(now, rate, length as u64)
    {
        return Err(DropReason::ByteRate);
    }
    if let Some(rate) = limits.bytes_per_network
        && !allocation.network.take(now, rate, length as u64)
    {
        return Err(DropReason::NetworkByteRate);
    }
    Ok(())
}

/// Returns a Data indication up to its data, if the length fits.
fn data_header(peer: SocketAddr, id: TransactionId, length: usize) -> Option<Header> {
    Header::indication(DATA_INDICATION, peer, id, length)
}

/// The class and method of a Data indication.
const DATA_INDICATION: u16 = 0x0017;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use jackfield_stun::Class;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_data_indication_is_read_back_as_a_message(ip: IpAddr, port: u16, id: [u8; 12], data in proptest::collection::vec(any::<u8>(), 0..64)) {
            let peer = SocketAddr::new(ip, port);
            let header = data_header(peer, TransactionId::new(id), data.len()).unwrap();
            let mut bytes = header.as_bytes().to_vec();
            bytes.extend_from_slice(&data);
            bytes.resize(bytes.len() + usize::from(padding(data.len())), 0);
            let message = Message::parse(&bytes).unwrap();
            prop_assert_eq!((message.class(), message.method()), (Class::Indication, crate::attribute::method::DATA));
            prop_assert_eq!(message.get(), Ok(Some(XorPeerAddress(peer))));
            prop_assert_eq!(message.get(), Ok(Some(Data(&data))));
        }
    }

    #[test]
    fn a_datagram_that_no_indication_can_hold_has_no_header() {
        let peer = "[2001:db8::1]:1".parse().unwrap();
        let id = TransactionId::new([0; 12]);
        assert!(data_header(peer, id, 65_504).is_some());
        assert!(data_header(peer, id, 65_505).is_none());
    }
}
