//! Bytes at every stage of a peer's connection: at DTLS, inside it at SCTP, and inside that at the
//! data channels.

use std::time::{Duration, Instant};

use jackfield_peer::internals::{BareDtls, BareSctp, Decrypted};
use jackfield_peer::{
    Association, AssociationConfig, Certificate, ChannelConfig, ChannelId, DtlsRole, Event,
    Message, Output, RemoteParameters,
};
use jackfield_testing::{epoch, held_bytes};

use super::packet;

/// An association meets another side that is honest for as long as the first byte says, and sends
/// whatever it likes from then on: datagrams, packets of SCTP in DTLS, messages in SCTP.
///
/// Nothing panics, memory is bounded, what the association sends stays in proportion, and its end
/// is the last that it says.
pub fn bytes(data: &[u8]) {
    let before = held_bytes();
    let (&stage, mut rest) = data.split_first().unwrap_or((&0, &[]));
    let mut attack = Attack::new(stage & 1 == 0);
    attack.exchange(usize::from(stage / 2));
    while let Some((&[op, length], more)) = rest.split_first_chunk() {
        let (piece, more) = more.split_at(usize::from(length).min(more.len()));
        rest = more;
        attack.step(op, piece);
        attack.victim_is_bounded(before, data.len());
    }
    attack.end();
}

/// The victim, and the other side's DTLS and SCTP.
struct Attack {
    now: Instant,
    victim: Association,
    dtls: BareDtls,
    sctp: BareSctp,
    started: bool,
    /// Datagrams for the victim, and from it.
    inward: Vec<Vec<u8>>,
    outward: Vec<Vec<u8>>,
    /// The victim's verification tag, and our next TSN.
    tag: [u8; 4],
    tsn: u32,
    /// The victim's channels, opened by either side.
    channels: Vec<ChannelId>,
    sent: usize,
    ended: bool,
}

impl Attack {
    fn new(is_client: bool) -> Self {
        let now = epoch();
        let [ours, theirs] = [1, 2].map(|seed| Certificate::from_seed([seed; 32]));
        let mut config = AssociationConfig::new(theirs.clone());
        config.max_channels = 4;
        config.max_message_size = 10_000;
        config.receive_buffer = 40_000;
        config.max_buffered = 40_000;
        let mut victim = Association::new(config, now);
        let (us, them) = match is_client {
            true => (DtlsRole::Client, DtlsRole::Server),
            false => (DtlsRole::Server, DtlsRole::Client),
        };
        victim.start(now, them, RemoteParameters::new(ours.fingerprint().clone()));
        let own = victim.open_channel(now, ChannelConfig::new("victim's"));
        let own = own.expect("the first of four channels");
        let mut attack = Self {
            now,
            victim,
            dtls: BareDtls::new(now, us, &ours, theirs.fingerprint().clone()),
            sctp: BareSctp::new(is_client),
            started: false,
            inward: Vec::new(),
            outward: Vec::new(),
            tag: [0; 4],
            tsn: 0,
            channels: vec![own],
            sent: 0,
            ended: false,
        };
        attack.drain();
        attack
    }

    fn step(&mut self, op: u8, piece: &[u8]) {
        match op % 12 {
            0 => self.receive(piece),
            1 => self.receive(&record(op, piece)),
            2 => self.mutate(piece),
            3 => self.exchange(1),
            4 => self.exchange(piece.len()),
            5 => self.pass(Duration::from_millis(u64::from(op) * 10)),
            6 => self.pass(Duration::from_secs(piece.len() as u64)),
            7 => {
                let packet = packet(self.tag, piece);
                self.encrypt(&packet);
            }
            8 => self.encrypt(piece),
            9 | 10 => self.message(piece),
            _ => self.victim_acts(op, piece),
        }
        self.drain();
    }

    fn receive(&mut self, datagram: &[u8]) {
        self.victim.handle_datagram(self.now, datagram);
    }

    /// Changes an honest datagram on its way.
    fn mutate(&mut self, piece: &[u8]) {
        if self.inward.is_empty() {
            return;
        }
        let mut datagram = self.inward.remove(0);
        for change in piece.chunks_exact(3) {
            let &[high, low, value] = change else {
                continue;
            };
            let at = usize::from(u16::from_be_bytes([high, low])) % datagram.len().max(1);
            if let Some(byte) = datagram.get_mut(at) {
                *byte ^= value;
            }
        }
        self.receive(&datagram);
    }

    /// Lets datagrams go each way, one after the other.
    fn exchange(&mut self, count: usize) {
        for _ in 0..count {
            if !self.inward.is_empty() {
                let datagram = self.inward.remove(0);
                self.receive(&datagram);
            }
            if !self.outward.is_empty() {
                let datagram = self.outward.remove(0);
                self.dtls.handle_datagram(self.now, &datagram);
            }
            self.drain();
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.victim.handle_timeout(self.now);
        self.dtls.handle_timeout(self.now);
        self.sctp.handle_timeout(self.now);
    }

    /// Sends any bytes as a packet of SCTP, if DTLS is up.
    fn encrypt(&mut self, packet: &[u8]) {
        if self.started {
            self.dtls.send(packet);
        }
    }

    /// Sends a message, or a part of one, in a DATA chunk whose turn it is: the first bytes say its
    /// flags, its stream and its PPID.
    fn message(&mut self, piece: &[u8]) {
        let Some((&[flags, stream, ppid], payload)) = piece.split_first_chunk() else {
            return;
        };
        let length = 16 + payload.len() as u16;
        let mut chunk = vec![0, flags & 15];
        chunk.extend(length.to_be_bytes());
        chunk.extend(self.tsn.to_be_bytes());
        chunk.extend(u16::from(stream).to_be_bytes());
        // Messages without order need no number; those with one are the fuzzer's to number.
        chunk.extend(u16::from(flags >> 4).to_be_bytes());
        chunk.extend([0, 0, 0, ppid]);
        chunk.extend(payload);
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        self.tsn = self.tsn.wrapping_add(1);
        let packet = packet(self.tag, &chunk);
        self.encrypt(&packet);
    }

    fn victim_acts(&mut self, op: u8, piece: &[u8]) {
        let now = self.now;
        let id = piece.len() % self.channels.len().max(1);
        let id = self.channels.get(id).copied();
        match (op / 12 % 5, id) {
            (0, Some(id)) => {
                let message = piece.repeat(20);
                let _ = self.victim.write(now, id, Message::Binary(&message));
            }
            (1, Some(id)) => self.victim.close_channel(now, id),
            (2, Some(id)) if piece.is_empty() => self.victim.pause_channel(id),
            (2, Some(id)) => self.victim.resume_channel(now, id),
            (3, _) if piece.len() == 7 => self.victim.shutdown(now),
            _ => {
                let opened = self.victim.open_channel(now, ChannelConfig::new("another"));
                self.channels.extend(opened);
            }
        }
    }

    fn drain(&mut self) {
        loop {
            let mut moved = self.drain_victim();
            while let Some(output) = self.dtls.poll_output() {
                moved = true;
                match output {
                    Decrypted::Transmit(datagram) => self.inward.push(datagram),
                    Decrypted::Connected => {
                        self.started = true;
                        self.sctp.start(self.now);
                    }
                    Decrypted::Packet(packet) => self.learn(&packet),
                }
            }
            while let Some(packet) = self.sctp.poll_packet(self.now) {
                moved = true;
                self.note_tsn(&packet);
                self.encrypt(&packet);
            }
            if !moved {
                return;
            }
        }
    }

    fn drain_victim(&mut self) -> bool {
        let mut moved = false;
        loop {
            match self.victim.poll_output() {
                Output::Transmit(datagram) => {
                    moved = true;
                    assert!(datagram.len() <= 1_200, "{}", datagram.len());
                    self.sent += 1;
                    self.outward.push(datagram);
                }
                Output::Event(event) => {
                    assert!(!self.ended, "{event:?} after the end");
                    match event {
                        Event::ChannelOpened {
                            id, incoming: true, ..
                        } => self.channels.push(id),
                        Event::ChannelClosed(id) => self.channels.retain(|known| *known != id),
                        Event::Closed(_) => self.ended = true,
                        _ => {}
                    }
                }
                Output::Wait(_) => return moved,
            }
        }
    }

    /// Takes a packet of the victim, whose answer to our INIT, or own INIT, says its tag.
    fn learn(&mut self, packet: &[u8]) {
        if let Some((&[kind, _, _, _, t0, t1, t2, t3], _)) =
            packet.get(12..).and_then(<[u8]>::split_first_chunk)
            && matches!(kind, INIT | INIT_ACK)
        {
            self.tag = [t0, t1, t2, t3];
        }
        self.sctp.handle_packet(self.now, packet);
    }

    /// Learns our first TSN from our own INIT or the answer to the victim's.
    fn note_tsn(&mut self, packet: &[u8]) {
        if let Some(&kind) = packet.get(12)
            && matches!(kind, INIT | INIT_ACK)
            && let Some(&tsn) = packet.get(28..).and_then(<[u8]>::first_chunk)
        {
            self.tsn = u32::from_be_bytes(tsn);
        }
    }

    fn victim_is_bounded(&self, before: i64, input: usize) {
        // What the victim said waits at the other side, which may never read it.
        let waiting: usize = self.outward.iter().chain(&self.inward).map(Vec::len).sum();
        let held = held_bytes() - before - 2 * waiting as i64;
        assert!(held <= MOST_MEMORY, "{held} bytes are held");
        assert!(self.sent <= 1_000 + input * 50, "{} datagrams", self.sent);
        assert!(self.channels.len() <= 4, "{:?}", self.channels);
    }

    fn end(&mut self) {
        self.drain();
        self.victim.abort(self.now);
        self.drain_victim();
        assert!(self.ended);
        assert_eq!(self.victim.poll_output(), Output::Wait(None));
    }
}

/// Returns a plaintext record of DTLS 1.2 or 1.3 of any kind.
fn record(kind: u8, fragment: &[u8]) -> Vec<u8> {
    // From change_cipher_spec to ACK, RFC 9147 §5.9.
    let mut record = vec![20 + kind / 12 % 7, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, kind];
    record.extend((fragment.len() as u16).to_be_bytes());
    record.extend(fragment);
    record
}

const INIT: u8 = 1;
const INIT_ACK: u8 = 2;

/// A victim's windows, buffers and the two sides' tables of DTLS.
const MOST_MEMORY: i64 = 4 << 20;
