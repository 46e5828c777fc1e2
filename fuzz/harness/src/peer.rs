//! Data channels: their messages, descriptions, SCTP and a whole association.

#![expect(clippy::unwrap_used, reason = "a fuzz target panics on purpose")]

mod bytes;
mod model;
mod scenario;

pub use bytes::bytes;
pub use scenario::scenario;

use std::time::{Duration, Instant};

use jackfield_peer::dcep::Dcep;
use jackfield_peer::internals::BareSctp;
use jackfield_peer::sdp::SessionDescription;
use jackfield_peer::{
    Association, AssociationConfig, Certificate, ChannelConfig, ChannelId, DtlsRole, Event,
    Message, Output, Reliability, RemoteParameters,
};
use jackfield_testing::epoch;

/// A message of DCEP is refused, or read, written and read back the same.
pub fn dcep(data: &[u8]) {
    if let Ok(message) = Dcep::decode(data) {
        assert_eq!(Dcep::decode(&message.encode()), Ok(message));
    }
}

/// A description is refused, or read, written and read back the same; and answered.
pub fn sdp(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Ok(description) = text.parse::<SessionDescription>() else {
        return;
    };
    let written = description.to_string();
    assert_eq!(written.parse(), Ok(description.clone()), "{written}");
    if let Some(data) = description.data() {
        let answer = description.answer(1, 1, data.clone()).unwrap();
        assert_eq!(answer.sections.len(), description.sections.len());
        let written = answer.to_string();
        assert_eq!(written.parse(), Ok(answer), "{written}");
    }
}

/// Chunks of any kind reach an association that is up, with the right tag and checksum, between
/// packets of an honest peer. Nothing panics, and what the victim sends stays in proportion.
pub fn sctp(data: &[u8]) {
    let mut now = epoch();
    let (mut honest, mut victim) = (BareSctp::new(true), BareSctp::new(false));
    honest.start(now);
    victim.start(now);
    let mut tag = [0; 4];
    exchange(&mut honest, &mut victim, now, &mut tag);
    let mut rest = data;
    let mut sent = 0;
    while let Some((&op, more)) = rest.split_first() {
        rest = more;
        match op % 8 {
            0 => {
                now += Duration::from_millis(u64::from(op) * 40);
                victim.handle_timeout(now);
                honest.handle_timeout(now);
            }
            1 => honest.send(u16::from(op / 8), op & 0x80 == 0, 1 + usize::from(op) * 30),
            2 => victim.send(u16::from(op / 8), op & 0x80 == 0, 1 + usize::from(op) * 30),
            3 => victim.reset(u16::from(op / 8)),
            4 => exchange(&mut honest, &mut victim, now, &mut tag),
            _ => {
                let (&length, more) = rest.split_first().unwrap_or((&0, &[]));
                let (chunks, more) = more.split_at(usize::from(length).min(more.len()));
                rest = more;
                victim.handle_packet(now, &packet(tag, chunks));
            }
        }
        while victim.poll_packet(now).is_some() {
            sent += 1;
        }
        assert!(sent <= 2_000 + data.len() * 100, "{sent} packets");
    }
}

/// Carries packets between the two, and learns the victim's tag from those that are for it.
fn exchange(honest: &mut BareSctp, victim: &mut BareSctp, now: Instant, tag: &mut [u8; 4]) {
    for _ in 0..100 {
        let mut moved = false;
        while let Some(packet) = honest.poll_packet(now) {
            moved = true;
            match packet.get(4..8).and_then(|bytes| bytes.first_chunk()) {
                Some(&[0, 0, 0, 0]) | None => {}
                Some(bytes) => *tag = *bytes,
            }
            victim.handle_packet(now, &packet);
        }
        while let Some(packet) = victim.poll_packet(now) {
            moved = true;
            honest.handle_packet(now, &packet);
        }
        if !moved {
            return;
        }
    }
}

/// Returns a packet with a tag, chunks, and the right checksum.
fn packet(tag: [u8; 4], chunks: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x13, 0x88, 0x13, 0x88];
    packet.extend(tag);
    packet.extend([0; 4]);
    packet.extend(chunks);
    let checksum = crc32c(&packet).to_le_bytes();
    for (byte, value) in packet.iter_mut().skip(8).zip(checksum) {
        *byte = value;
    }
    packet
}

fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// Two associations live through what the bytes say: channels open, carry and close, datagrams are
/// lost, doubled, changed and made up, time passes. Nothing panics; a channel that is closed is
/// closed once; nothing comes after the end.
pub fn association(data: &[u8]) {
    let mut life = Life::new();
    let mut rest = data;
    while let Some((&op, more)) = rest.split_first() {
        let argument = more.first().copied().unwrap_or(0);
        rest = more.get(1..).unwrap_or_default();
        life.step(op, argument);
    }
    life.end();
}

struct Life {
    now: Instant,
    ends: [End; 2],
}

struct End {
    association: Association,
    flying: Vec<Vec<u8>>,
    channels: Vec<ChannelId>,
    closed: Vec<ChannelId>,
    ended: bool,
}

impl Life {
    fn new() -> Self {
        let now = epoch();
        let certificates = [1, 2].map(|seed| Certificate::from_seed([seed; 32]));
        let mut ends = certificates.clone().map(|certificate| {
            let mut config = AssociationConfig::new(certificate);
            config.max_channels = 4;
            config.max_message_size = 10_000;
            config.max_buffered = 40_000;
            End {
                association: Association::new(config, now),
                flying: Vec::new(),
                channels: Vec::new(),
                closed: Vec::new(),
                ended: false,
            }
        });
        let [one, two] = &mut ends;
        let [first, second] = certificates.map(|it| it.fingerprint().clone());
        one.association
            .start(now, DtlsRole::Client, RemoteParameters::new(second));
        two.association
            .start(now, DtlsRole::Server, RemoteParameters::new(first));
        let mut life = Self { now, ends };
        for _ in 0..40 {
            life.deliver(0);
            life.deliver(1);
        }
        life
    }

    fn step(&mut self, op: u8, argument: u8) {
        let side = usize::from(op & 1);
        let now = self.now;
        match op / 2 % 16 {
            0..=3 => {
                for _ in 0..argument {
                    self.deliver(side);
                }
            }
            4 => self.pass(Duration::from_millis(u64::from(argument) * 8)),
            5 => self.pass(Duration::from_secs(argument.into())),
            6 => self.open(side, argument),
            7..=9 => self.write(side, argument),
            10 => {
                let end = self.end_mut(side);
                if let Some(id) = end.channels.get(usize::from(argument)).copied() {
                    end.association.close_channel(now, id);
                }
            }
            11 => {
                let end = self.end_mut(side);
                if !end.flying.is_empty() {
                    let index = usize::from(argument) % end.flying.len();
                    end.flying.remove(index);
                }
            }
            12 => {
                let end = self.end_mut(side);
                let index = usize::from(argument) % end.flying.len().max(1);
                if let Some(byte) = end.flying.get_mut(index).and_then(|it| it.last_mut()) {
                    *byte ^= argument | 1;
                }
            }
            13 => {
                let made_up = vec![argument; usize::from(argument)];
                self.end_mut(side)
                    .association
                    .handle_datagram(now, &made_up);
            }
            14 => {
                let end = self.end_mut(side);
                let id = end.channels.get(usize::from(argument / 2)).copied();
                match (id, argument & 1) {
                    (Some(id), 0) => end.association.pause_channel(id),
                    (Some(id), _) => end.association.resume_channel(now, id),
                    (None, _) => {}
                }
            }
            _ => match argument {
                0 => self.end_mut(side).association.shutdown(now),
                1 => self.end_mut(side).association.abort(now),
                _ => {}
            },
        }
        self.drain();
    }

    fn open(&mut self, side: usize, argument: u8) {
        let config = ChannelConfig {
            ordered: argument & 1 == 0,
            reliability: match argument / 2 % 3 {
                0 => Reliability::Reliable,
                1 => Reliability::MaxRetransmits(argument.into()),
                _ => Reliability::MaxLifetime(Duration::from_millis(argument.into())),
            },
            negotiated: (argument & 0x80 != 0).then_some(u16::from(argument & 7)),
            ..ChannelConfig::new("x")
        };
        let now = self.now;
        let end = self.end_mut(side);
        if let Ok(id) = end.association.open_channel(now, config) {
            end.channels.push(id);
        }
    }

    fn write(&mut self, side: usize, argument: u8) {
        let now = self.now;
        let end = self.end_mut(side);
        let bytes = vec![7; usize::from(argument) * 39];
        let index = usize::from(argument) % end.channels.len().max(1);
        if let Some(id) = end.channels.get(index).copied() {
            let _ = end.association.write(now, id, Message::Binary(&bytes));
            assert!(end.association.buffered_amount(id) <= 40_000);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let now = self.now;
        for end in &mut self.ends {
            end.association.handle_timeout(now);
        }
    }

    fn deliver(&mut self, side: usize) {
        let now = self.now;
        let end = self.end_mut(side);
        if !end.flying.is_empty() {
            let datagram = end.flying.remove(0);
            end.association.handle_datagram(now, &datagram);
        }
        self.drain();
    }

    fn drain(&mut self) {
        let [one, two] = &mut self.ends;
        one.drain(&mut two.flying);
        two.drain(&mut one.flying);
    }

    fn end(&mut self) {
        self.drain();
        let now = self.now;
        for end in &mut self.ends {
            end.association.abort(now);
        }
        self.drain();
        for end in &mut self.ends {
            assert!(end.ended);
            assert_eq!(end.association.poll_output(), Output::Wait(None));
        }
    }

    fn end_mut(&mut self, side: usize) -> &mut End {
        let [one, two] = &mut self.ends;
        if side == 0 { one } else { two }
    }
}

impl End {
    fn drain(&mut self, flying: &mut Vec<Vec<u8>>) {
        loop {
            match self.association.poll_output() {
                Output::Transmit(datagram) => {
                    assert!(datagram.len() <= 1_200, "{}", datagram.len());
                    flying.push(datagram);
                }
                Output::Event(event) => {
                    assert!(!self.ended, "{event:?} after the end");
                    match event {
                        Event::ChannelOpened {
                            id, incoming: true, ..
                        } => self.channels.push(id),
                        Event::ChannelClosed(id) => {
                            assert!(!self.closed.contains(&id), "{id} is closed twice");
                            self.closed.push(id);
                        }
                        Event::Message(id, _) => assert!(!self.closed.contains(&id)),
                        Event::Closed(_) => self.ended = true,
                        _ => {}
                    }
                }
                Output::Wait(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jackfield_testing::{corpus_folder, replay};

    use super::scenario::play;

    #[test]
    fn the_seeds_of_dcep_and_mutations_of_them_hold() {
        replay("peer_dcep", 20_000, super::dcep);
    }

    #[test]
    fn the_seeds_of_sdp_and_mutations_of_them_hold() {
        replay("peer_sdp", 5_000, super::sdp);
    }

    #[test]
    fn the_seeds_of_sctp_and_mutations_of_them_hold() {
        replay("peer_sctp", 1_000, super::sctp);
    }

    #[test]
    fn the_seeds_of_associations_and_mutations_of_them_hold() {
        replay("peer_association", 15, super::association);
    }

    #[test]
    fn the_seeds_of_bytes_at_every_stage_and_mutations_of_them_hold() {
        replay("peer_bytes", 60, super::bytes);
    }

    #[test]
    fn the_seeds_of_scenarios_and_mutations_of_them_hold() {
        replay("peer_scenario", 30, super::scenario);
    }

    #[test]
    fn scenarios_of_honest_programs_end_connected_and_deliver() {
        for name in [
            "talk",
            "lossy",
            "restart",
            "negotiated",
            "partial",
            "paths",
            "pause",
        ] {
            let seed = std::fs::read(corpus_folder("peer_scenario").join(name)).unwrap();
            let outcome = play(&seed);
            assert!(outcome.connected, "{name}: {outcome:?}");
            assert!(
                outcome.delivered >= 3 && outcome.open >= 2,
                "{name}: {outcome:?}"
            );
        }
    }
}
