//! Trains: consecutive packets of a flow under one header, which a kernel's stack handles as one
//! packet.
//!
//! Network cards and kernels build them on receipt (GRO). A train is made only of packets that the
//! kernel's segmentation gives back exactly: they have the same headers and, but for the last, the
//! same length; TCP has no gap; and their checksums are right or left out.

use super::bytes::{put_u16, u16_at, u32_at};
use super::checksum::{finish, fold, sum};
use super::{Offload, TrainKind};

/// Which trains a receiver takes, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Support {
    /// None: packets are written as they come.
    None,
    /// Those of TCP.
    Tcp,
    /// Those of UDP as well, from Linux 6.2 on.
    TcpAndUdp,
}

/// Trains that are being built, one a flow.
#[derive(Debug)]
pub struct Trains {
    support: Support,
    /// By a hash of the flow. Of two flows with one hash, the train of the earlier one is written
    /// to make room.
    slots: Box<[Train]>,
    /// The slots in the order in which their trains began, each with the number of its train,
    /// which may have been written since.
    order: Vec<(usize, u64)>,
    /// How many trains have begun so far.
    started: u64,
    /// How many packets were examined since the last judgement ([`Trains::watch`]).
    looked: u32,
    /// How many of them joined a train.
    joined: u32,
    /// How many of the next packets pass without a look.
    pause: u32,
}

/// Packets of one flow: none, one, or several.
#[derive(Debug, Default)]
struct Train {
    /// An [`Offload`], the first packet's header, and the data of all packets.
    bytes: Vec<u8>,
    offload: Offload,
    headers: Headers,
    /// The number of the train.
    number: u64,
    packets: usize,
    /// How much data each packet has, but for the last.
    segment: usize,
    /// Nothing may follow: the last packet was shorter, or said so (PSH).
    is_complete: bool,
}

/// The offsets of the headers in a packet that may join a train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Headers {
    is_v4: bool,
    is_tcp: bool,
    transport_at: usize,
    data_at: usize,
}

/// Writes a packet or a train, with the bytes of its [`Offload`] in front.
pub type Write<'a> = &'a mut dyn FnMut(Offload, &[u8]);

impl Trains {
    /// Creates an empty set; `support` says which trains the receiver takes.
    pub fn new(support: Support) -> Self {
        let mut slots = Vec::new();
        slots.resize_with(SLOTS, Train::default);
        Self {
            support,
            slots: slots.into_boxed_slice(),
            order: Vec::new(),
            started: 0,
            looked: 0,
            joined: 0,
            pause: 0,
        }
    }

    /// Takes a packet with the bytes of its [`Offload`] in front. Writes at once what must not
    /// wait: trains that the packet would overtake, or the packet itself.
    ///
    /// [`Trains::flush`] writes what was kept.
    pub fn push(&mut self, offload: Offload, framed: &[u8], write: Write<'_>) {
        if self.support == Support::None || self.pauses() {
            write(offload, framed);
            return;
        }
        let packet = framed.get(Offload::LENGTH..).unwrap_or_default();
        let Some(headers) = Headers::read(packet) else {
            // The flow of a fragment is unknown, so no packet may overtake it.
            self.flush(write);
            write(offload, framed);
            return;
        };
        let slot = headers.hash(packet) % SLOTS;
        let Some(train) = self.slots.get_mut(slot) else {
            return;
        };
        let joins = train.join(offload, packet, headers);
        if !joins {
            let may_start = self.support.takes(headers) && headers.may_start(offload, packet);
            // A packet that cannot join its own flow's train needs that train written first, and
            // no other.
            let is_of_flow = train.packets == 0 || train.is_of_flow(packet, headers);
            if is_of_flow && (may_start || headers.is_bare_ack(packet)) {
                train.leave(write);
            } else {
                // Otherwise the packet would overtake those of other flows that came before it.
                self.flush(write);
            }
            if may_start {
                self.start(slot, offload, framed, headers);
            } else {
                write(offload, framed);
            }
        }
        self.watch(joins, write);
    }

    fn start(&mut self, slot: usize, offload: Offload, framed: &[u8], headers: Headers) {
        if let Some(train) = self.slots.get_mut(slot) {
            self.started += 1;
            train.start(offload, framed, headers);
            train.number = self.started;
            self.order.push((slot, self.started));
        }
    }

    /// Counts down a pause.
    fn pauses(&mut self) -> bool {
        let pauses = self.pause > 0;
        self.pause = self.pause.saturating_sub(1);
        pauses
    }

    /// Begins a pause when hardly any packet joined a train: then the search costs more than it
    /// saves.
    fn watch(&mut self, joins: bool, write: Write<'_>) {
        self.looked += 1;
        self.joined += u32::from(joins);
        if self.looked < SAMPLE {
            return;
        }
        if self.joined < SAMPLE / 16 {
            self.flush(write);
            self.pause = PAUSE;
        }
        (self.looked, self.joined) = (0, 0);
    }

    /// Writes all that is kept, in the order of first packets.
    pub fn flush(&mut self, write: Write<'_>) {
        for (slot, number) in self.order.drain(..) {
            if let Some(train) = self.slots.get_mut(slot)
                && train.number == number
            {
                train.leave(write);
            }
        }
    }
}

impl Support {
    fn takes(self, headers: Headers) -> bool {
        self >= if headers.is_tcp {
            Self::Tcp
        } else {
            Self::TcpAndUdp
        }
    }
}

impl Train {
    fn start(&mut self, offload: Offload, framed: &[u8], headers: Headers) {
        self.bytes.clear();
        self.bytes.extend_from_slice(framed);
        let packet = framed.get(Offload::LENGTH..).unwrap_or_default();
        self.offload = offload;
        self.headers = headers;
        self.packets = 1;
        self.segment = packet.len() - headers.data_at;
        self.is_complete = headers.is_tcp && flags(packet, headers) & PSH != 0;
    }

    /// Appends a packet, if it is the next one.
    fn join(&mut self, offload: Offload, packet: &[u8], headers: Headers) -> bool {
        let data = packet.get(headers.data_at..).unwrap_or_default();
        let fits = self.packets > 0
            && self.packets < LONGEST_TRAIN
            && !self.is_complete
            && self.headers == headers
            && data.len() <= self.segment
            && self.packet().len() + data.len() <= LONGEST_PACKET
            && self.is_followed_by(packet)
            && headers.may_start(offload, packet);
        if !fits {
            return false;
        }
        self.bytes.extend_from_slice(data);
        self.packets += 1;
        let pushes = headers.is_tcp && flags(packet, headers) & PSH != 0;
        if pushes && let Some(flags) = self.packet_mut().get_mut(headers.transport_at + 13) {
            *flags |= PSH;
        }
        // PSH asks the receiver to deliver at once, and segmentation sets it on the last packet
        // alone. A shorter packet can only be the last.
        self.is_complete = pushes || data.len() < self.segment;
        true
    }

    /// Returns whether a packet has the same ends.
    fn is_of_flow(&self, packet: &[u8], headers: Headers) -> bool {
        let from = if headers.is_v4 { 12 } else { 8 };
        let (train, to) = (self.packet(), headers.transport_at + 4);
        let is_alike = self.headers.is_v4 == headers.is_v4 && self.headers.is_tcp == headers.is_tcp;
        is_alike && train.get(from..to) == packet.get(from..to)
    }

    /// Returns whether the headers say that a packet is of the same flow, and next in it.
    fn is_followed_by(&self, packet: &[u8]) -> bool {
        let Headers {
            is_v4,
            is_tcp,
            transport_at,
            data_at,
        } = self.headers;
        let train = self.packet();
        let same = |from: usize, to: usize| train.get(from..to) == packet.get(from..to);
        let network = if is_v4 {
            // Version to type of service, flags to protocol, addresses.
            same(0, 2) && same(6, 10) && same(12, 20) && self.has_next_id(packet)
        } else {
            // Version to flow label, next header, hop limit, addresses.
            same(0, 4) && same(6, 40)
        };
        let ports = same(transport_at, transport_at + 4);
        let transport = || {
            let next = word4(train, transport_at + 4).wrapping_add((train.len() - data_at) as u32);
            // Acknowledgement and length of the header, window, urgent pointer and options; the
            // flags were looked at.
            word4(packet, transport_at + 4) == next
                && same(transport_at + 8, transport_at + 13)
                && same(transport_at + 14, transport_at + 16)
                && same(transport_at + 18, data_at)
        };
        network && ports && (!is_tcp || transport())
    }

    /// Returns whether the identification is the one that segmentation would write. With DF set it
    /// means nothing.
    fn has_next_id(&self, packet: &[u8]) -> bool {
        let forbids_fragments = packet.get(6).is_some_and(|flags| flags & 0x40 != 0);
        let next = word2(self.packet(), 4).wrapping_add(self.packets as u16);
        forbids_fragments || word2(packet, 4) == next
    }

    /// Writes the train, if there is one.
    fn leave(&mut self, write: Write<'_>) {
        if self.packets > 1 {
            self.couple();
        }
        if self.packets > 0 {
            write(self.offload, &self.bytes);
        }
        self.packets = 0;
    }

    /// Turns the header of the first packet into that of the train: its lengths, and the checksums
    /// that segmentation starts from.
    fn couple(&mut self) {
        let Headers {
            is_v4,
            is_tcp,
            transport_at,
            data_at,
        } = self.headers;
        let packet = self.packet_mut();
        let length = (packet.len() - transport_at) as u16;
        let addresses = if is_v4 {
            let total = packet.len() as u16;
            put_u16(packet, 2, total);
            put_u16(packet, 10, 0);
            let checksum = finish(sum(packet.get(..transport_at).unwrap_or_default()));
            put_u16(packet, 10, checksum);
            12..20
        } else {
            put_u16(packet, 4, length);
            8..40
        };
        let pseudo = sum(packet.get(addresses).unwrap_or_default())
            + u32::from(length)
            + if is_tcp { 6 } else { 17 };
        let (kind, sum_at) = match (is_tcp, is_v4) {
            (true, true) => (TrainKind::Tcp4, 16),
            (true, false) => (TrainKind::Tcp6, 16),
            (false, _) => {
                put_u16(packet, transport_at + 4, length);
                (TrainKind::Udp, 6)
            }
        };
        put_u16(packet, transport_at + sum_at, fold(pseudo.into()));
        self.offload = Offload::train(kind, data_at, self.segment, transport_at, sum_at);
        if let Some(header) = self.bytes.first_chunk_mut() {
            *header = self.offload.bytes();
        }
    }

    fn packet(&self) -> &[u8] {
        self.bytes.get(Offload::LENGTH..).unwrap_or_default()
    }

    fn packet_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(Offload::LENGTH..).unwrap_or_default()
    }
}

impl Headers {
    /// Reads the offsets of a whole UDP or TCP packet; returns `None` for a packet with IP options
    /// or extension headers.
    fn read(packet: &[u8]) -> Option<Self> {
        let (is_v4, protocol, transport_at, length) = match packet.first()? {
            0x45 => {
                // More fragments, or not the first one.
                if word2(packet, 6) & 0x3fff != 0 {
                    return None;
                }
                (true, packet.get(9)?, 20, usize::from(word2(packet, 2)))
            }
            first if first >> 4 == 6 => {
                let length = 40 + usize::from(word2(packet, 4));
                (false, packet.get(6)?, 40, length)
            }
            _ => return None,
        };
        let (is_tcp, data_at) = match protocol {
            17 => (false, transport_at + 8),
            6 => {
                let words = packet.get(transport_at + 12)? >> 4;
                (true, transport_at + usize::from(words.max(5)) * 4)
            }
            _ => return None,
        };
        let is_whole = length == packet.len() && data_at <= length;
        is_whole.then_some(Self {
            is_v4,
            is_tcp,
            transport_at,
            data_at,
        })
    }

    /// Hashes addresses and ports. Flows that collide lose a train and nothing else, so the hash
    /// needs no secret.
    fn hash(self, packet: &[u8]) -> usize {
        let from = if self.is_v4 { 12 } else { 8 };
        let words = packet.get(from..self.transport_at + 4).unwrap_or_default();
        let (words, _) = words.as_chunks::<4>();
        let mixed = words.iter().fold(0u64, |mixed, word| {
            (mixed ^ u64::from(u32::from_ne_bytes(*word))).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        (mixed >> 40) as usize
    }

    /// Returns whether a packet may begin or join a train: it has data, no unusual flags, and a
    /// checksum that may be computed anew.
    fn may_start(self, offload: Offload, packet: &[u8]) -> bool {
        let usual = if self.is_tcp {
            // Data and an acknowledgement, no beginning, end or urgency.
            flags(packet, self) & !PSH == ACK
        } else {
            usize::from(word2(packet, self.transport_at + 4)) == packet.len() - self.transport_at
        };
        usual
            && packet.len() > self.data_at
            && !offload.is_train()
            && (offload.needs_checksum() || self.has_right_checksum(packet))
    }

    /// Returns whether a packet does nothing but acknowledge.
    fn is_bare_ack(self, packet: &[u8]) -> bool {
        self.is_tcp && packet.len() == self.data_at && flags(packet, self) == ACK
    }

    /// Returns whether the checksum is present and right. That of a train is computed anew, which
    /// must not hide damage.
    fn has_right_checksum(self, packet: &[u8]) -> bool {
        let sum_at = self.transport_at + if self.is_tcp { 16 } else { 6 };
        let addresses = if self.is_v4 { 12..20 } else { 8..40 };
        let transport = packet.get(self.transport_at..).unwrap_or_default();
        let total = sum(packet.get(addresses).unwrap_or_default())
            + transport.len() as u32
            + if self.is_tcp { 6 } else { 17 }
            + sum(transport);
        word2(packet, sum_at) != 0 && finish(total) == 0
    }
}

fn flags(packet: &[u8], headers: Headers) -> u8 {
    let flags = packet.get(headers.transport_at + 13);
    flags.copied().unwrap_or_default()
}

fn word2(bytes: &[u8], at: usize) -> u16 {
    u16_at(bytes, at).unwrap_or_default()
}

fn word4(bytes: &[u8], at: usize) -> u32 {
    u32_at(bytes, at).unwrap_or_default()
}

const PSH: u8 = 8;
const ACK: u8 = 16;

/// How many packets are examined between two judgements.
const SAMPLE: u32 = 512;
/// How many packets a pause lasts.
const PAUSE: u32 = 4_096;

/// How many flows may have a train at the same time.
const SLOTS: usize = 256;
/// The most packets that Linux takes in a train of UDP (UDP_MAX_SEGMENTS of 5.x).
const LONGEST_TRAIN: usize = 64;
const LONGEST_PACKET: usize = 65_535;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{TcpFlags, build, verify};
    use proptest::prelude::*;

    type Log = Vec<(Offload, Vec<u8>)>;

    proptest! {
        /// Whatever is pushed comes out once, unchanged and in the order of its flow, when trains
        /// are cut up again.
        #[test]
        fn trains_are_cut_up_into_what_they_were_made_of(
            steps in proptest::collection::vec(
                (0..6usize, 0..4usize, 0..3u16, any::<bool>(), any::<bool>(), 0..20u8), 1..200)
        ) {
            let mut trains = Trains::new(Support::TcpAndUdp);
            let (mut flows, mut written) = ([Flow::default(); 6], Log::new());
            let mut pushed = vec![Vec::new(); 6];
            for (flow, size, skip, forbids, push, pause) in steps {
                let packet = flows[flow].next(flow, [0, 7, 100, 101][size], skip, forbids, push);
                pushed[flow].push(packet.clone());
                trains.push(Offload::NONE, &framed(&packet), &mut collect(&mut written));
                if pause == 0 {
                    trains.flush(&mut collect(&mut written));
                }
            }
            trains.flush(&mut collect(&mut written));
            let mut cut = vec![Vec::new(); 6];
            for (offload, packet) in &written {
                for packet in cut_up(*offload, packet) {
                    prop_assert_eq!(verify(&packet), Ok(()));
                    cut[flow_of(&packet)].push(comparable(packet));
                }
            }
            let pushed: Vec<Vec<_>> = pushed.into_iter()
                .map(|flow| flow.into_iter().map(comparable).collect()).collect();
            prop_assert_eq!(cut, pushed);
        }

        #[test]
        fn any_bytes_are_written_one_way_or_another(packets in proptest::collection::vec(any::<Vec<u8>>(), 0..20)) {
            let mut trains = Trains::new(Support::TcpAndUdp);
            let mut written = Log::new();
            for packet in &packets {
                trains.push(Offload::NONE, &framed(packet), &mut collect(&mut written));
            }
            trains.flush(&mut collect(&mut written));
            prop_assert_eq!(written.len(), packets.len());
        }
    }

    #[test]
    fn datagrams_of_a_flow_become_one_train_and_a_shorter_one_ends_it() {
        let mut flow = Flow::default();
        let mut packets: Vec<_> = (0..5).map(|_| flow.next(0, 100, 0, true, false)).collect();
        packets.push(flow.next(0, 7, 0, true, false));
        packets.push(flow.next(0, 7, 0, true, false));
        let written = through(Support::TcpAndUdp, &packets);
        let counts: Vec<_> = written
            .iter()
            .map(|(offload, packet)| offload.packets(packet.len()))
            .collect();
        assert_eq!(counts, [6, 1]);
        assert_eq!(through(Support::Tcp, &packets).len(), 7);
        assert_eq!(through(Support::None, &packets).len(), 7);
    }

    #[test]
    fn a_broken_checksum_is_passed_on_as_it_came() {
        let mut flow = Flow::default();
        let mut packets: Vec<_> = (0..3).map(|_| flow.next(0, 100, 0, true, false)).collect();
        packets[1][40] ^= 1;
        let written = through(Support::TcpAndUdp, &packets);
        assert_eq!(written.len(), 3);
        assert!(
            written
                .iter()
                .zip(&packets)
                .all(|((_, written), pushed)| written == pushed)
        );
    }

    #[test]
    fn flows_that_take_turns_leave_in_the_order_in_which_they_came() {
        let mut flows = [Flow::default(); 6];
        let order = [5, 0, 3, 1, 4, 2];
        let packets: Vec<_> = order
            .iter()
            .map(|flow| flows[*flow].next(*flow, 9, 0, true, false))
            .collect();
        let written = through(Support::TcpAndUdp, &packets);
        assert!(
            written
                .iter()
                .zip(&packets)
                .all(|((_, written), pushed)| written == pushed)
        );
        // What cannot be in a train overtakes nothing either.
        let mut packets = packets;
        packets.push(flows[1].next(1, 0, 0, true, false));
        let written = through(Support::TcpAndUdp, &packets);
        assert!(
            written
                .iter()
                .zip(&packets)
                .all(|((_, written), pushed)| written == pushed)
        );
    }

    #[test]
    fn a_gap_in_a_connection_ends_its_train() {
        let mut flow = Flow::default();
        let mut packets: Vec<_> = (0..2).map(|_| flow.next(2, 100, 0, true, false)).collect();
        flow.sequence += 1;
        packets.push(flow.next(2, 100, 0, true, false));
        assert_eq!(through(Support::Tcp, &packets).len(), 2);
    }

    fn through(support: Support, packets: &[Vec<u8>]) -> Log {
        let mut trains = Trains::new(support);
        let mut written = Log::new();
        for packet in packets {
            trains.push(Offload::NONE, &framed(packet), &mut collect(&mut written));
        }
        trains.flush(&mut collect(&mut written));
        written
    }

    fn collect(written: &mut Log) -> impl FnMut(Offload, &[u8]) {
        |offload, framed| {
            let (header, packet) = framed.split_first_chunk().unwrap();
            assert_eq!(*header, offload.bytes());
            written.push((offload, packet.to_vec()));
        }
    }

    /// Puts the header of a packet that nothing is left to do on before it.
    fn framed(packet: &[u8]) -> Vec<u8> {
        [&Offload::NONE.bytes(), packet].concat()
    }

    #[test]
    fn where_flows_take_turns_nothing_is_looked_for_until_they_do_not() {
        let mut trains = Trains::new(Support::TcpAndUdp);
        let mut written = Log::new();
        let mut flows = [Flow::default(); 6];
        let lone: Vec<_> = (0..6)
            .map(|flow| framed(&flows[flow].next(flow, 7, 0, true, true)))
            .collect();
        for packet in lone.iter().cycle().take(SAMPLE as usize) {
            trains.push(Offload::NONE, packet, &mut collect(&mut written));
            trains.flush(&mut collect(&mut written));
        }
        assert_eq!((trains.pause, written.len()), (PAUSE, SAMPLE as usize));
        let mut flow = Flow::default();
        for _ in 0..PAUSE + 64 {
            let packet = framed(&flow.next(0, 100, 0, true, false));
            trains.push(Offload::NONE, &packet, &mut collect(&mut written));
        }
        trains.flush(&mut collect(&mut written));
        assert_eq!(written.len(), (SAMPLE + PAUSE) as usize + 1);
    }

    #[derive(Debug, Clone, Copy, Default)]
    struct Flow {
        id: u16,
        sequence: u32,
    }

    impl Flow {
        /// Makes the flow's next packet; flows 0 to 3 are IPv4, those with an odd half are TCP.
        fn next(
            &mut self,
            flow: usize,
            length: usize,
            skip: u16,
            forbids: bool,
            push: bool,
        ) -> Vec<u8> {
            let data = vec![self.id as u8; length];
            let (from, to) = match flow < 4 {
                true => (format!("10.0.0.{}:5000", flow + 1), "192.0.2.1:7"),
                false => (
                    format!("[2001:db8::{}]:5000", flow + 1),
                    "[2001:db8:1::1]:7",
                ),
            };
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            self.id = self.id.wrapping_add(1 + skip);
            let mut packet = if is_tcp(flow) {
                let mut packet =
                    build::tcp(from, to, TcpFlags(ACK | if push { PSH } else { 0 }), &data);
                let at = if flow < 4 { 24 } else { 44 };
                packet[at..at + 4].copy_from_slice(&self.sequence.to_be_bytes());
                self.sequence += length as u32;
                packet
            } else {
                build::udp(from, to, &data)
            };
            if flow < 4 {
                put_u16(&mut packet, 4, self.id);
                put_u16(&mut packet, 6, if forbids { 0x4000 } else { 0 });
            }
            sum_up(&mut packet);
            packet
        }
    }

    fn is_tcp(flow: usize) -> bool {
        [2, 3, 5].contains(&flow)
    }

    fn flow_of(packet: &[u8]) -> usize {
        usize::from(if packet[0] >> 4 == 4 {
            packet[15]
        } else {
            packet[23]
        }) - 1
    }

    /// Where fragments are forbidden the identification means nothing.
    fn comparable(mut packet: Vec<u8>) -> Vec<u8> {
        if packet[0] == 0x45 && packet[6] & 0x40 != 0 {
            put_u16(&mut packet, 4, 0);
            put_u16(&mut packet, 10, 0);
        }
        packet
    }

    /// Does what the kernel does to a train (`skb_segment`).
    fn cut_up(offload: Offload, train: &[u8]) -> Vec<Vec<u8>> {
        if !offload.is_train() {
            return vec![train.to_vec()];
        }
        let headers = Headers::read(train).unwrap();
        let segment = offload.segment();
        let pieces = train[headers.data_at..].chunks(segment);
        let last = pieces.len() - 1;
        let cut = |(number, data): (usize, &[u8])| {
            let mut packet = train[..headers.data_at].to_vec();
            packet.extend_from_slice(data);
            let length = packet.len() as u16;
            if headers.is_v4 {
                put_u16(&mut packet, 2, length);
                let id = word2(train, 4).wrapping_add(number as u16);
                put_u16(&mut packet, 4, id);
            } else {
                put_u16(&mut packet, 4, length - 40);
            }
            if headers.is_tcp {
                let at = headers.transport_at + 4;
                let sequence = word4(train, at).wrapping_add((number * segment) as u32);
                packet[at..at + 4].copy_from_slice(&sequence.to_be_bytes());
                if number < last {
                    packet[headers.transport_at + 13] &= !PSH;
                }
            } else {
                put_u16(
                    &mut packet,
                    headers.transport_at + 4,
                    length - headers.transport_at as u16,
                );
            }
            sum_up(&mut packet);
            packet
        };
        pieces.enumerate().map(cut).collect()
    }

    /// Fills in both checksums.
    fn sum_up(packet: &mut [u8]) {
        let headers = Headers::read(packet).unwrap();
        let from = headers.transport_at;
        let addresses = if headers.is_v4 {
            put_u16(packet, 10, 0);
            let checksum = finish(sum(&packet[..20]));
            put_u16(packet, 10, checksum);
            12..20
        } else {
            8..40
        };
        let (protocol, at): (u32, usize) = if headers.is_tcp { (6, 16) } else { (17, 6) };
        put_u16(packet, from + at, 0);
        let total = sum(&packet[addresses])
            + sum(&packet[from..])
            + (packet.len() - from) as u32
            + protocol;
        let checksum = finish(total);
        put_u16(
            packet,
            from + at,
            if checksum == 0 { 0xffff } else { checksum },
        );
    }
}
