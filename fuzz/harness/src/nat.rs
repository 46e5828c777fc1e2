//! Entries for a fuzzer: each takes bytes and panics when a property does not hold.

mod life;
mod life_config;
mod model;
#[cfg(test)]
mod seeds;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use model::Model;

use jackfield_nat::packet::{Headers, Packet, build, verify};
use jackfield_nat::profile::Profile;
use jackfield_nat::{
    Assignment, Behaviour, Endpoint, Filtering, Mapping, Nat, NatConfig, NatLimits, Prefix, Side,
    Translation, Verdict,
};
use jackfield_testing::epoch;

pub use self::life::life;

/// Feeds any bytes to a NAT as packets, both ways, with time passing in between.
///
/// Nothing panics, a packet that came in right leaves right, and a NAT without the short way of
/// its hit path does the same. Input: a byte for the profile, then packets, each as a byte of side
/// and time, two bytes of length, and that many bytes.
pub fn packet(data: &[u8]) {
    let Some((profile, mut rest)) = data.split_first() else {
        return;
    };
    let (mut nat, mut now) = any_nat(*profile);
    let mut slow = nat.clone();
    slow.never_hit();
    while let Some(([how, high, low], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (bytes, after) = after.split_at_checked(length).unwrap_or_default();
        rest = after;
        now += Duration::from_secs(u64::from(how >> 1) * u64::from(how >> 1));
        let side = if how & 1 == 0 {
            Side::Inside
        } else {
            Side::Outside
        };
        let fast = translate_and_check(&mut nat, now, side, bytes);
        let slow = translate_and_check(&mut slow, now, side, bytes);
        assert_eq!(fast, slow, "the short way differs");
    }
    assert_eq!(nat.counters(), slow.counters());
    assert!(nat.mappings().eq(slow.mappings()));
}

fn translate_and_check(
    nat: &mut Nat,
    now: Instant,
    side: Side,
    bytes: &[u8],
) -> (Verdict, Vec<u8>) {
    let was_right = verify(bytes).is_ok();
    let mut buffer = vec![0; Packet::HEADROOM];
    buffer.extend(bytes);
    let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
    let verdict = match side {
        Side::Inside => nat.outbound(now, &mut packet),
        Side::Outside => nat.inbound(now, &mut packet),
    };
    match verdict {
        Verdict::Forward | Verdict::Hairpin => {
            let right = verify(packet.bytes());
            assert!(!was_right || right.is_ok(), "{right:?} after {verdict}");
        }
        Verdict::Hold(_) | Verdict::Drop(_) => {}
    }
    while let Some(transmit) = nat.poll_transmit() {
        assert!(Headers::parse(&transmit.bytes).is_ok(), "sent nonsense");
    }
    nat.handle_timeout(now);
    assert!(
        nat.next_timeout().is_none_or(|at| at > now),
        "a timer is stuck"
    );
    (verdict, packet.bytes().to_vec())
}

fn any_nat(choice: u8) -> (Nat, Instant) {
    let at = usize::from(choice) % Profile::ALL.len();
    let profile = Profile::ALL.get(at).copied().unwrap_or(Profile::LINUX);
    let mut config = profile.config(&["203.0.113.1", "203.0.113.2"].map(ip));
    config.inside = Some(match config.translation {
        Translation::Nat64 { .. } => ip("2001:db8::1"),
        _ => ip("192.168.1.1"),
    });
    config.mtu = (choice & 0x80 != 0).then_some(600);
    config.limits = NatLimits {
        mappings: 64,
        flows: 64,
        held_bytes: 4096,
        ..NatLimits::default()
    };
    (Nat::new(config, [choice; 32]), epoch())
}

/// Plays a UDP scenario against a NAT and against a model that is too simple to be wrong, and
/// compares.
///
/// Input: a byte that chooses mapping, filtering and whether the inside is of IPv6, then three
/// bytes for each step: what happens, and to whom.
pub fn scenario(data: &[u8]) {
    let Some((choice, steps)) = data.split_first() else {
        return;
    };
    let choice = usize::from(*choice);
    let mapping = Mapping::ALL.get(choice % 3).copied();
    let filtering = Filtering::ALL.get(choice / 3 % 3).copied();
    let (Some(mapping), Some(filtering)) = (mapping, filtering) else {
        return;
    };
    let mut race = Race::new(Behaviour { mapping, filtering }, choice / 9 % 2 == 1);
    for step in steps.chunks_exact(3) {
        if let [what, host, remote] = step {
            race.step(*what, *host, *remote);
        }
    }
}

/// A NAT and the model, side by side.
struct Race {
    nat: Nat,
    model: Model,
    now: Instant,
    /// What IPv4 stands under inside, if the inside is of IPv6.
    pref64: Option<Prefix>,
    /// Outside endpoints seen so far, for the outside to send to.
    seen: Vec<Endpoint>,
}

impl Race {
    fn new(behaviour: Behaviour, six: bool) -> Self {
        let prefix = Prefix::WELL_KNOWN_64;
        let mut config = NatConfig {
            externals: vec![ip("203.0.113.1")],
            translation: if six {
                Translation::Nat64 { prefix }
            } else {
                Translation::Ports
            },
            udp: behaviour,
            ..NatConfig::default()
        };
        config.ports.assignment = Assignment::Random;
        config.ports.parity = false;
        Self {
            nat: Nat::new(config, [1; 32]),
            model: Model::new(behaviour),
            now: epoch(),
            pref64: six.then_some(prefix),
            seen: Vec::new(),
        }
    }

    /// Returns an endpoint as it is named inside.
    fn inside(&self, endpoint: Endpoint) -> Endpoint {
        match (self.pref64, IpAddr::from(endpoint.address)) {
            (Some(prefix), IpAddr::V4(v4)) => prefix
                .embed(v4)
                .map_or(endpoint, |v6| Endpoint::new(v6, endpoint.port)),
            _ => endpoint,
        }
    }

    fn translate(&mut self, from: Side, bytes: Vec<u8>) -> (Verdict, Option<Headers>) {
        let mut buffer = vec![0; Packet::HEADROOM];
        buffer.extend(bytes);
        let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
        let verdict = match from {
            Side::Inside => self.nat.outbound(self.now, &mut packet),
            Side::Outside => self.nat.inbound(self.now, &mut packet),
        };
        (verdict, Headers::parse(packet.bytes()).ok())
    }

    fn step(&mut self, what: u8, host: u8, remote: u8) {
        let number = 2 + (host & 3);
        let address = match self.pref64 {
            Some(_) => IpAddr::from([0x2001, 0xdb8, 0, u16::from(number), 0, 0, 0, 1]),
            None => IpAddr::from([192, 168, 1, number]),
        };
        let inside = Endpoint::new(address, 5000 + u16::from(host >> 2 & 3));
        let outside = Endpoint::new(
            Ipv4Addr::new(198, 51, 100, 1 + (remote & 3)),
            6000 + u16::from(remote >> 2 & 3),
        );
        match what % 4 {
            0 | 1 => self.outbound(inside, outside),
            2 => self.inbound(usize::from(host), outside),
            _ => {
                self.now += Duration::from_secs(u64::from(what));
                self.nat.handle_timeout(self.now);
            }
        }
    }

    fn outbound(&mut self, inside: Endpoint, outside: Endpoint) {
        let (verdict, headers) = self.translate(Side::Inside, udp(inside, self.inside(outside)));
        assert_eq!(verdict, Verdict::Forward);
        let source = headers.and_then(|it| it.source_endpoint());
        let source = source.unwrap_or(inside);
        self.model.outbound(self.now, inside, outside, source);
        if !self.seen.contains(&source) {
            self.seen.push(source);
        }
    }

    fn inbound(&mut self, which: usize, outside: Endpoint) {
        let Some(external) = self.seen.get(which % self.seen.len().max(1)).copied() else {
            return;
        };
        let (verdict, headers) = self.translate(Side::Outside, udp(outside, external));
        let headers = headers.filter(|_| verdict == Verdict::Forward);
        let from = headers.and_then(|it| it.source_endpoint());
        assert!(from.is_none_or(|from| from == self.inside(outside)));
        let arrived = headers.and_then(|it| it.destination_endpoint());
        let expected = self.model.inbound(self.now, external, outside);
        assert_eq!(arrived, expected, "{outside} to {external}: {verdict}");
    }
}

fn udp(from: Endpoint, to: Endpoint) -> Vec<u8> {
    build::udp(SocketAddr::from(from), SocketAddr::from(to), b"data")
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

#[cfg(test)]
mod tests {
    use super::seeds::{packets, scenarios};
    use super::*;
    use jackfield_testing::{corpus_folder, replay};

    #[test]
    fn the_life_corpus_and_mutations_of_it_hold() {
        replay("nat_life", 4_000, life);
    }

    #[test]
    fn the_packet_corpus_and_mutations_of_it_hold() {
        replay("nat_packet", 40_000, packet);
    }

    #[test]
    fn the_scenario_corpus_and_mutations_of_it_hold() {
        replay("nat_scenario", 40_000, scenario);
    }

    /// Writes the seed corpora; run by hand after a change of format, with `WRITE_CORPUS=1` set.
    #[test]
    fn the_seed_corpora_are_those_that_this_writes() {
        for (name, seeds) in [("nat_packet", packets()), ("nat_scenario", scenarios())] {
            for (seed, bytes) in seeds {
                let path = corpus_folder(name).join(seed);
                if std::env::var_os("WRITE_CORPUS").is_some() {
                    std::fs::create_dir_all(corpus_folder(name)).unwrap();
                    std::fs::write(&path, &bytes).unwrap();
                }
                assert_eq!(std::fs::read(&path).unwrap(), bytes, "{}", path.display());
            }
        }
    }
}
