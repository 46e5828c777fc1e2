//! What the fuzz targets run: each asserts properties of any bytes.

mod input;
mod model;

use jackfield_stun::attribute::Attribute;
use jackfield_stun::{Message, MessageWriter};

use crate::ChannelNumber;
use crate::attribute::{
    AdditionalAddressFamily, AddressErrorCode, Data, DontFragment, EvenPort, Lifetime,
    RequestedAddressFamily, RequestedTransport, ReservationToken, XorPeerAddress,
    XorRelayedAddress,
};

/// Reads bytes as a message with TURN's attributes; what is read is written the same.
pub fn attributes(data: &[u8]) {
    let Ok(message) = Message::parse(data) else {
        return;
    };
    round_trip::<ChannelNumber>(&message);
    round_trip::<Lifetime>(&message);
    round_trip::<XorPeerAddress>(&message);
    round_trip::<XorRelayedAddress>(&message);
    round_trip::<Data<'_>>(&message);
    round_trip::<RequestedAddressFamily>(&message);
    round_trip::<AdditionalAddressFamily>(&message);
    round_trip::<EvenPort>(&message);
    round_trip::<RequestedTransport>(&message);
    round_trip::<DontFragment>(&message);
    round_trip::<ReservationToken>(&message);
    round_trip::<AddressErrorCode<'_>>(&message);
}

fn round_trip<'a, A: Attribute<'a> + PartialEq + std::fmt::Debug>(message: &Message<'a>) {
    let Ok(Some(attribute)) = message.get::<A>() else {
        return;
    };
    let mut bytes = Vec::new();
    let header = message.header();
    let mut writer =
        MessageWriter::new(&mut bytes, header.class, header.method, header.transaction);
    writer.attribute(&attribute);
    if writer.finish().is_err() {
        return;
    }
    let reread = Message::parse(&bytes).expect("what we write is well-formed");
    let (kind, value) = reread.attributes().next().expect("one attribute");
    assert_eq!(kind, A::TYPE);
    let mut encoded = Vec::new();
    attribute.encode(&header.transaction, &mut encoded);
    assert_eq!(value, encoded);
}

/// Reads bytes as a range of addresses; what is read is written and read back the same.
pub fn cidr(data: &[u8]) {
    if let Some(cidr) = str::from_utf8(data)
        .ok()
        .and_then(|text| text.parse::<crate::Cidr>().ok())
    {
        assert_eq!(cidr.to_string().parse(), Ok(cidr));
    }
}

/// Turns bytes into what clients, peers, sockets and the clock do to a server, and checks it against a small model.
pub fn server(data: &[u8]) {
    model::World::new().run(input::Input::new(data));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_corpus_of_attributes_holds() {
        replay("turn_attributes", attributes);
    }

    #[test]
    fn the_corpus_of_cidr_holds() {
        replay("turn_cidr", cidr);
    }

    #[test]
    fn the_corpus_of_server_holds() {
        replay("turn_server", server);
    }

    #[test]
    fn the_stories_of_the_corpus_reach_every_part() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/turn_server");
        let stories: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
            .map(|seed| model::World::new().run(input::Input::new(&seed)))
            .collect();
        let sum = |of: fn(&crate::Stats) -> u64| stories.iter().map(of).sum::<u64>();
        assert!(sum(|stats| stats.allocated) > 20);
        assert!(sum(|stats| stats.packets_to_peers) > 10);
        assert!(sum(|stats| stats.packets_to_clients) > 5);
        for code in [400, 401, 403, 437, 438, 441, 443, 486, 508] {
            let answers: u64 = stories.iter().map(|stats| stats.errors(code)).sum();
            assert!(answers > 0, "no story leads to {code}");
        }
        for reason in [
            crate::DropReason::PeerDenied,
            crate::DropReason::NoPermission,
            crate::DropReason::InProgress,
        ] {
            let dropped: u64 = stories.iter().map(|stats| stats.dropped(reason)).sum();
            assert!(dropped > 0, "no story leads to {reason:?}");
        }
    }

    /// Replays a target's corpus, and some thousands of mutations of it.
    fn replay(name: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fuzz/corpus")
            .join(name);
        let entries = std::fs::read_dir(&folder).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let seeds: Vec<Vec<u8>> = paths
            .iter()
            .map(|path| std::fs::read(path).unwrap())
            .collect();
        assert!(!seeds.is_empty(), "{} has no seeds", folder.display());
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for seed in &seeds {
            target(seed);
            for _ in 0..MUTATIONS / seeds.len() {
                target(&mutated(seed, &seeds, &mut random));
            }
        }
    }

    const MUTATIONS: usize = 6_000;

    /// Changes a few bytes, cuts, repeats, or splices in a piece of another seed.
    fn mutated(seed: &[u8], seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() + 1);
            match random.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, random.below(256) as u8),
                2 => {
                    let other = &seeds[random.below(seeds.len())];
                    let from = random.below(other.len() + 1);
                    let to = from + random.below(other.len() - from + 1);
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
                3 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
                4 if at < bytes.len() => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][random.below(5)],
                _ if at < bytes.len() => {
                    bytes.remove(at);
                }
                _ => {}
            }
        }
        bytes
    }

    /// A xorshift generator, so that a failure is found again.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % end.max(1) as u64) as usize
        }
    }
}
