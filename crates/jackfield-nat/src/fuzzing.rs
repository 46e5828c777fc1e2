//! Entries for a fuzzer: each takes bytes and panics when a property does not hold.

mod internet;
mod life;
mod life_config;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::packet::{Headers, Packet, build, verify};
use crate::profile::Profile;
use crate::{
    Assignment, Behaviour, Config, Endpoint, Filtering, Limits, Mapping, Nat, Prefix, Side,
    Translation, Verdict,
};

pub use self::internet::proxy_messages;
pub use self::internet::proxy_server;
pub use self::internet::stack;
pub use self::life::life;

/// Feeds any bytes to a NAT as packets, both ways, with time passing in between.
///
/// Nothing panics, a packet that came in right leaves right, and a NAT without the short way of its hit path does the
/// same. Input: a byte for the profile, then packets, each as a
/// byte of side and time, two bytes of length, and that many bytes.
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
        Verdict::Held(_) | Verdict::Drop(_) => {}
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
    config.limits = Limits {
        mappings: 64,
        flows: 64,
        held_bytes: 4096,
        ..Limits::default()
    };
    (Nat::new(config, [choice; 32]), epoch())
}

/// Plays a UDP scenario against a NAT and against a model that is too simple to be wrong, and compares.
///
/// Input: a byte that chooses mapping, filtering and whether the inside is of IPv6, then three bytes for each step: what
/// happens, and to whom.
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
        let mut config = Config {
            externals: vec![ip("203.0.113.1")],
            translation: if six {
                Translation::Nat64 { prefix }
            } else {
                Translation::Ports
            },
            udp: behaviour,
            ..Config::default()
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

/// Mapping and filtering as RFC 4787 words them, as lists that are searched from end to end.
struct Model {
    behaviour: Behaviour,
    mappings: Vec<Modelled>,
    conversations: Vec<Conversation>,
    /// The conversation that an inside endpoint's packets to a remote belong to.
    current: BTreeMap<(Endpoint, Endpoint), usize>,
    next: usize,
}

struct Modelled {
    inside: Endpoint,
    external: Endpoint,
    first_remote: Endpoint,
    ends: Instant,
}

struct Conversation {
    id: usize,
    external: Endpoint,
    remote: Endpoint,
    /// The inside has sent.
    sent: bool,
    ends: Instant,
}

impl Model {
    const LIFETIME: Duration = Duration::from_secs(300);

    fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            mappings: Vec::new(),
            conversations: Vec::new(),
            current: BTreeMap::new(),
            next: 0,
        }
    }

    fn outbound(&mut self, now: Instant, inside: Endpoint, remote: Endpoint, source: Endpoint) {
        self.forget(now);
        let current = self.current.get(&(inside, remote)).copied();
        let ends = now + Self::LIFETIME;
        let rule = self.mapped(inside, remote);
        let mut conversations = self.conversations.iter_mut();
        let expected = match conversations.find(|it| Some(it.id) == current) {
            Some(conversation) => {
                conversation.sent = true;
                conversation.ends = ends;
                Some(conversation.external)
            }
            None => {
                self.converse(inside, source, remote, true, ends);
                rule
            }
        };
        match expected {
            Some(external) => assert_eq!(external, source, "{inside} to {remote}"),
            None => {
                let fresh = self.mappings.iter().all(|it| it.external != source);
                assert!(fresh, "{source} is given out twice");
                self.mappings.push(Modelled {
                    inside,
                    external: source,
                    first_remote: remote,
                    ends,
                });
            }
        }
        for mapping in self.mappings.iter_mut().filter(|it| it.external == source) {
            mapping.ends = ends;
        }
    }

    /// Returns what the mapping behaviour says that packets to a remote leave from, if that is known already.
    fn mapped(&self, inside: Endpoint, remote: Endpoint) -> Option<Endpoint> {
        let fits = |it: &&Modelled| {
            it.inside == inside
                && match self.behaviour.mapping {
                    Mapping::EndpointIndependent => true,
                    Mapping::AddressDependent => it.first_remote.address == remote.address,
                    Mapping::AddressAndPortDependent => it.first_remote == remote,
                }
        };
        self.mappings.iter().find(fits).map(|it| it.external)
    }

    fn inbound(&mut self, now: Instant, external: Endpoint, remote: Endpoint) -> Option<Endpoint> {
        self.forget(now);
        let mapping = self.mappings.iter().find(|it| it.external == external)?;
        let inside = mapping.inside;
        let mut here = self
            .conversations
            .iter()
            .filter(|it| it.external == external);
        let lets_in = match self.behaviour.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => {
                here.any(|it| it.sent && it.remote.address == remote.address)
            }
            Filtering::AddressAndPortDependent => here.any(|it| it.sent && it.remote == remote),
        };
        if !lets_in {
            return None;
        }
        let known = |it: &Conversation| it.external == external && it.remote == remote;
        if !self.conversations.iter().any(known) {
            self.converse(inside, external, remote, false, now + Self::LIFETIME);
        }
        Some(inside)
    }

    fn converse(
        &mut self,
        inside: Endpoint,
        external: Endpoint,
        remote: Endpoint,
        sent: bool,
        ends: Instant,
    ) {
        let id = self.next;
        self.next += 1;
        self.current.insert((inside, remote), id);
        self.conversations.push(Conversation {
            id,
            external,
            remote,
            sent,
            ends,
        });
    }

    fn forget(&mut self, now: Instant) {
        self.mappings.retain(|it| it.ends > now);
        let mappings = &self.mappings;
        self.conversations
            .retain(|it| it.ends > now && mappings.iter().any(|on| on.external == it.external));
        let conversations = &self.conversations;
        self.current
            .retain(|_, id| conversations.iter().any(|it| it.id == *id));
    }
}

fn udp(from: Endpoint, to: Endpoint) -> Vec<u8> {
    build::udp(SocketAddr::from(from), SocketAddr::from(to), b"data")
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

#[expect(clippy::disallowed_methods, reason = "a fuzzer needs some instant")]
fn epoch() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{IcmpError, TcpFlags};
    use jackfield_corpus::{folder, replay};

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
                let path = folder(name).join(seed);
                if std::env::var_os("WRITE_CORPUS").is_some() {
                    std::fs::create_dir_all(folder(name)).unwrap();
                    std::fs::write(&path, &bytes).unwrap();
                }
                assert_eq!(std::fs::read(&path).unwrap(), bytes, "{}", path.display());
            }
        }
    }

    fn packets() -> Vec<(&'static str, Vec<u8>)> {
        let inside = "192.168.1.2:5000".parse().unwrap();
        let outside: SocketAddr = "198.51.100.9:3478".parse().unwrap();
        let external: SocketAddr = "203.0.113.1:5000".parse().unwrap();
        let hello = build::udp(inside, outside, b"hello");
        let reply = build::udp(outside, external, b"reply");
        let syn = build::tcp(inside, outside, TcpFlags(TcpFlags::SYN), b"");
        let stranger = build::tcp(outside, external, TcpFlags(TcpFlags::SYN), b"");
        let ping = build::echo(inside.ip(), outside.ip(), 7, 1, false, b"ping");
        let about = build::udp(external, outside, b"hello");
        let error = IcmpError::PortUnreachable
            .about(outside.ip().into(), &about)
            .unwrap();
        let hairpin = build::udp(inside, external, b"loop");
        let v6 = build::udp(
            "[2001:db8::2]:5000".parse().unwrap(),
            "[2001:db8:1::9]:3478".parse().unwrap(),
            b"six",
        );
        let large = build::udp(inside, outside, &[7; 1200]);
        let headers = Headers::parse(&large).unwrap();
        let pieces = crate::packet::fragment::split(&large, &headers, 600).unwrap();
        let backwards: Vec<(u8, &[u8])> = pieces.iter().rev().map(|it| (0, &it[..])).collect();
        let inside: SocketAddr = "[2001:db8::2]:5000".parse().unwrap();
        let named = |v4: SocketAddr| {
            let IpAddr::V4(ip) = v4.ip() else {
                panic!("IPv4 only");
            };
            let ip = Prefix::WELL_KNOWN_64.embed(ip).unwrap();
            SocketAddr::new(ip.into(), v4.port())
        };
        let six = build::udp(inside, named(outside), b"six");
        // The port that this profile and seed give to the first mapping.
        let (mut nat, now) = any_nat(16);
        let mut buffer = [&[0; Packet::HEADROOM], &six[..]].concat();
        let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
        assert_eq!(nat.outbound(now, &mut packet), Verdict::Forward);
        let out = packet.bytes().to_vec();
        let mapped: SocketAddr = Headers::parse(&out)
            .unwrap()
            .source_endpoint()
            .unwrap()
            .into();
        let answer = build::udp(outside, mapped, b"four");
        let six_error = IcmpError::TooBig { mtu: 900 }
            .about(outside.ip().into(), &out)
            .unwrap();
        let six_large = build::udp(outside, mapped, &[7; 1300]);
        let headers = Headers::parse(&six_large).unwrap();
        let six_pieces = crate::packet::fragment::split(&six_large, &headers, 600).unwrap();
        let mut six_pieces: Vec<(u8, &[u8])> = six_pieces.iter().map(|it| (1, &it[..])).collect();
        six_pieces.insert(0, (0, &six));
        let six_ping = build::echo(inside.ip(), named(outside).ip(), 7, 1, false, b"ping");
        let six_loop = build::udp(inside, named(mapped), b"loop");
        let mut old = hello.clone();
        old[8] = 1;
        vec![
            ("udp-both-ways", input(4, &[(0, &hello), (1, &reply)])),
            ("udp-after-a-while", input(0, &[(0, &hello), (41, &reply)])),
            ("tcp-open", input(2, &[(0, &syn), (0, &syn)])),
            (
                "tcp-stranger-waits",
                input(0, &[(1, &stranger), (6, &hello)]),
            ),
            ("ping", input(9, &[(0, &ping)])),
            ("error-about-a-flow", input(4, &[(0, &hello), (1, &error)])),
            ("error-about-nothing", input(0, &[(1, &error)])),
            ("hairpin", input(0, &[(0, &hello), (0, &hairpin)])),
            ("ipv6-through-ipv4", input(0, &[(0, &v6)])),
            ("fragments-backwards", input(0, &backwards)),
            ("cut-by-the-mtu", input(0x80, &[(0, &large)])),
            ("no-time-to-live", input(0, &[(0, &old)])),
            ("cut-short", input(0, &[(0, &hello[..21])])),
            ("empty-packet", input(0, &[(0, &[])])),
            ("rewrites-payloads", input(14, &[(0, &hello), (1, &reply)])),
            ("nat64-both-ways", input(16, &[(0, &six), (1, &answer)])),
            ("nat64-error", input(16, &[(0, &six), (1, &six_error)])),
            ("nat64-large", input(16, &[(0, &six), (1, &six_large)])),
            ("nat64-fragments", input(16, &six_pieces)),
            ("nat64-ping", input(16, &[(0, &six_ping)])),
            ("nat64-hairpin", input(16, &[(0, &six), (0, &six_loop)])),
        ]
    }

    fn input(profile: u8, packets: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![profile];
        for (how, packet) in packets {
            bytes.push(*how);
            bytes.extend((packet.len() as u16).to_be_bytes());
            bytes.extend(*packet);
        }
        bytes
    }

    fn scenarios() -> Vec<(&'static str, Vec<u8>)> {
        let names = [
            "eim-eif",
            "adm-eif",
            "apdm-eif",
            "eim-adf",
            "adm-adf",
            "apdm-adf",
            "eim-apdf",
            "adm-apdf",
            "apdm-apdf",
            "nat64-eim-eif",
            "nat64-adm-eif",
            "nat64-apdm-eif",
            "nat64-eim-adf",
            "nat64-adm-adf",
            "nat64-apdm-adf",
            "nat64-eim-apdf",
            "nat64-adm-apdf",
            "nat64-apdm-apdf",
        ];
        let steps = [
            [0, 0, 0],
            [0, 0, 1],
            [0, 0, 5],
            [2, 0, 0],
            [2, 0, 9],
            [2, 1, 4],
            [1, 5, 0],
            [2, 2, 2],
            [0, 0, 2],
            [255, 0, 0],
            [2, 0, 1],
            [3, 0, 0],
            [0, 0, 0],
            [63, 0, 0],
            [2, 3, 0],
        ];
        names
            .into_iter()
            .zip(0_u8..)
            .map(|(name, choice)| (name, [&[choice], steps.concat().as_slice()].concat()))
            .collect()
    }
}
