//! A NAT of any kind, whose hosts, strangers and operator do anything, and what has to hold
//! whatever they do.

#![expect(
    clippy::indexing_slicing,
    reason = "numbers are taken modulo how many there are, and packets built here have headers"
)]

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::{ip, life_config};
use jackfield_nat::packet::{
    Headers, IcmpError, Packet, TcpFlags, Transport, build, fragment, verify,
};
use jackfield_nat::{
    Address, Endpoint, Forward, Nat, NatConfig, Prefix, Protocol, RemoteFilter, Side, Translation,
    Verdict,
};
use jackfield_testing::epoch;

/// Plays a NAT's life: packets of all kinds from both sides, time, and what an operator does.
///
/// After each step the NAT's tables are counted from scratch; a NAT without the short way of its
/// hit path does the same; what leaves has right checksums, one hop less, fits the MTU, goes to a
/// host that exists and shows no inside address. After a long silence nothing is left but
/// forwards. Input: bytes for the config, then six bytes for each step.
pub fn life(data: &[u8]) {
    let Some((head, steps)) = data.split_first_chunk::<{ life_config::BYTES }>() else {
        return;
    };
    let mut life = Life::new(life_config::config(head), head[0]);
    for step in steps.chunks_exact(6).take(MOST_STEPS) {
        if let [kind, host, remote, port, flags, extra] = step {
            life.step(
                *kind,
                Choice {
                    host: *host,
                    remote: *remote,
                    port: *port,
                    flags: *flags,
                    extra: *extra,
                },
            );
            life.nat.audit();
        }
    }
    life.end();
}

/// What a step is about.
#[derive(Clone, Copy)]
struct Choice {
    host: u8,
    remote: u8,
    port: u8,
    flags: u8,
    extra: u8,
}

struct Life {
    nat: Nat,
    /// The same without the short way.
    slow: Nat,
    now: Instant,
    /// Who is inside: whoever sent from there, and whom the operator named.
    hosts: BTreeSet<Address>,
    /// The last packets that came out, for errors to be about and to be sent again.
    left: Vec<(Side, Vec<u8>)>,
}

impl Life {
    fn new(config: NatConfig, seed: u8) -> Self {
        let pairs = config.one_to_one.iter().map(|(inside, _)| (*inside).into());
        let forwards = config.forwards.iter().map(|it| it.internal.address);
        let hosts = pairs.chain(forwards).collect();
        let nat = Nat::new(config, [seed; 32]);
        let mut slow = nat.clone();
        slow.never_hit();
        Self {
            nat,
            slow,
            now: epoch(),
            hosts,
            left: Vec::new(),
        }
    }

    fn step(&mut self, kind: u8, choice: Choice) {
        match kind % 16 {
            0..=2 => self.outbound(choice, Protocol::Udp),
            3 | 4 => self.inbound(choice, Protocol::Udp),
            5 => self.outbound(choice, Protocol::Tcp),
            6 => self.inbound(choice, Protocol::Tcp),
            7 => self.outbound(choice, Protocol::Icmp),
            8 => self.inbound(choice, Protocol::Icmp),
            9 => self.error(choice),
            10 => self.pieces(choice),
            11 => self.again(choice),
            12 => self.loop_back(choice),
            13 | 14 => self.pass(choice),
            _ => self.operate(choice),
        }
    }

    fn outbound(&mut self, choice: Choice, protocol: Protocol) {
        let from = self.host(choice);
        let to = self.remote(choice, Side::Inside);
        let bytes = packet(protocol, from, to, choice, false);
        self.send(Side::Inside, &bytes);
    }

    fn inbound(&mut self, choice: Choice, protocol: Protocol) {
        let to = self.target(choice);
        let from = self.remote(choice, Side::Outside);
        let bytes = packet(protocol, from, to, choice, true);
        self.send(Side::Outside, &bytes);
    }

    /// An ICMP error about a packet that came out, from where that went to.
    fn error(&mut self, choice: Choice) {
        let Some((to, about)) = self.picked(choice) else {
            return;
        };
        let error = match choice.flags % 5 {
            0 => IcmpError::TimeExceeded,
            1 => IcmpError::PortUnreachable,
            2 => IcmpError::Prohibited,
            3 => IcmpError::TooBig { mtu: 0 },
            _ => IcmpError::TooBig { mtu: 1280 },
        };
        let Ok(headers) = Headers::parse(&about) else {
            return;
        };
        let from = match choice.extra % 3 {
            0 => headers.source,
            _ => headers.destination,
        };
        if let Some(mut bytes) = error.about(from, &about) {
            if choice.extra & 0x80 != 0 {
                flip(&mut bytes, choice);
            }
            self.send(to, &bytes);
        }
    }

    /// A packet in pieces, in some order and not always all of them.
    fn pieces(&mut self, choice: Choice) {
        let (side, from, to) = if choice.flags & 1 == 0 {
            let from = self.host(choice);
            (Side::Inside, from, self.remote(choice, Side::Inside))
        } else {
            let from = self.remote(choice, Side::Outside);
            (Side::Outside, from, self.target(choice))
        };
        let mut whole = build::udp(from, to, &[choice.extra; 1500]);
        if let Some(id) = whole.get_mut(4..6).filter(|_| from.is_ipv4()) {
            id.copy_from_slice(&[0, choice.extra & 3]);
        }
        let Ok(headers) = Headers::parse(&whole) else {
            return;
        };
        let size = if choice.flags & 2 == 0 { 576 } else { 1300 };
        let Some(mut pieces) = fragment::split(&whole, &headers, size) else {
            return;
        };
        if choice.flags & 4 != 0 {
            pieces.reverse();
        }
        for (index, piece) in pieces.iter().enumerate() {
            if choice.flags >> 4 & 1 << (index & 3) == 0 {
                self.send(side, piece);
            }
        }
    }

    /// A packet that came out goes back in, as from a mirror or a router's loop; or one with a bit
    /// turned.
    fn again(&mut self, choice: Choice) {
        let Some((side, mut bytes)) = self.picked(choice) else {
            return;
        };
        flip(&mut bytes, choice);
        self.send(side, &bytes);
    }

    /// From inside to an outside endpoint of the NAT.
    fn loop_back(&mut self, choice: Choice) {
        let from = self.host(choice);
        let to = self.target(choice);
        let to = match (from.is_ipv6(), self.nat.config().translation, to.ip()) {
            (true, Translation::Nat64 { prefix }, IpAddr::V4(v4)) => {
                let v6 = prefix.embed(v4).map_or_else(|| to.ip(), IpAddr::from);
                SocketAddr::new(v6, to.port())
            }
            _ => to,
        };
        let protocol = protocol(choice.flags >> 6);
        let bytes = packet(protocol, from, to, choice, choice.extra & 1 == 1);
        self.send(Side::Inside, &bytes);
    }

    fn pass(&mut self, choice: Choice) {
        let seconds = u64::from(choice.host) * u64::from(choice.remote % 64 + 1);
        self.now += Duration::from_secs(seconds);
        if choice.port & 1 == 0 {
            self.nat.handle_timeout(self.now);
            self.slow.handle_timeout(self.now);
            self.drain();
        }
    }

    fn operate(&mut self, choice: Choice) {
        let forward = Forward {
            protocol: protocol(choice.flags >> 6),
            internal: self.host(choice).into(),
            external: self.target(choice).into(),
        };
        let now = self.now;
        self.hosts.insert(forward.internal.address);
        match choice.flags % 8 {
            0 => {
                let added = self.nat.add_forward(now, forward);
                assert_eq!(added, self.slow.add_forward(now, forward));
            }
            1 | 2 => {
                let (protocol, external) = (forward.protocol, forward.external);
                let removed = self.nat.remove_forward(now, protocol, external);
                let too = self.slow.remove_forward(now, protocol, external);
                assert_eq!(removed, too);
            }
            3 => {
                let remote = self.remote(choice, Side::Outside);
                let filter = |port| RemoteFilter {
                    prefix: Prefix::new(remote.ip(), 31).unwrap_or(Prefix::WELL_KNOWN_64),
                    port,
                };
                let port = (choice.extra & 1 == 1).then_some(remote.port());
                let filters = vec![filter(port); usize::from(choice.extra >> 1 & 1)];
                let (protocol, external) = (forward.protocol, forward.external);
                let found = self.nat.filter_forward(protocol, external, filters.clone());
                let too = self.slow.filter_forward(protocol, external, filters);
                assert_eq!(found, too);
            }
            4 | 5 => {
                let (inside, remote) = (self.host(choice), self.remote(choice, Side::Inside));
                let kept = self.nat.keep_alive(now, forward.protocol, inside, remote);
                let too = self.slow.keep_alive(now, forward.protocol, inside, remote);
                assert_eq!(kept, too);
            }
            6 => {
                self.nat.reboot();
                self.slow.reboot();
            }
            _ => {
                let externals = life_config::externals(choice.extra & 1 == 1);
                self.nat.renumber(externals.clone());
                self.slow.renumber(externals);
            }
        }
        self.drain();
    }

    /// Sends a packet and checks whatever comes out.
    fn send(&mut self, from: Side, bytes: &[u8]) {
        if from == Side::Inside
            && let Ok(headers) = Headers::parse(bytes)
        {
            self.hosts.insert(headers.source);
        }
        let (verdict, out) = translate(&mut self.nat, self.now, from, bytes);
        let slow = translate(&mut self.slow, self.now, from, bytes);
        assert_eq!((verdict, &out), (slow.0, &slow.1), "the short way differs");
        let to = match verdict {
            Verdict::Forward => Some(from.other()),
            Verdict::Hairpin => Some(Side::Inside),
            Verdict::Hold(_) | Verdict::Drop(_) => None,
        };
        if let Some(to) = to {
            self.check_left(from, to, bytes, &out);
            self.left.push((to, out));
            if self.left.len() > 8 {
                self.left.remove(0);
            }
        }
        self.drain();
    }

    fn check_left(&self, from: Side, to: Side, before: &[u8], after: &[u8]) {
        let config = self.nat.config();
        let (Ok(old), Ok(new)) = (Headers::parse(before), Headers::parse(after)) else {
            panic!("nonsense went through");
        };
        let right = verify(before).is_ok();
        // A payload that an evil gateway changed may lie in a fragment, of which the checksum is
        // elsewhere.
        assert!(!right || verify(after).is_ok(), "{:?}", verify(after));
        let hop = u8::from(config.decrement_ttl);
        assert_eq!(old.ttl - hop, new.ttl, "one hop");
        let fits = config.mtu.is_none_or(|mtu| new.length <= usize::from(mtu));
        assert!(fits || new.dont_fragment, "{} bytes leave", new.length);
        let remote = match from {
            Side::Inside => old.destination,
            Side::Outside => old.source,
        };
        if config.untranslated.iter().any(|it| it.contains(remote)) {
            assert_eq!((old.source, old.destination), (new.source, new.destination));
            return;
        }
        match config.translation {
            Translation::Ports | Translation::Nat64 { .. } => self.check_addresses(to, &new),
            Translation::None => assert_eq!(addresses(&old), addresses(&new)),
            Translation::Prefixes { internal, external } => match to {
                Side::Inside => assert!(internal.contains(new.destination)),
                Side::Outside => assert!(external.contains(new.source)),
            },
        }
    }

    /// Nobody outside sees an inside address, and nothing comes in to an address that no host ever
    /// sent from.
    fn check_addresses(&self, to: Side, new: &Headers) {
        let config = self.nat.config();
        let one_to_one = config.one_to_one.iter().map(|(_, outside)| *outside);
        let mut outside = config.externals.iter().copied().chain(one_to_one);
        match to {
            Side::Outside => {
                let shown = IpAddr::from(new.source);
                assert!(outside.any(|it| it == shown), "{shown} is shown outside");
            }
            Side::Inside => {
                let known = self.hosts.contains(&new.destination);
                assert!(known, "{} is nobody", new.destination);
            }
        }
    }

    /// Takes what the NAT sends of its own accord.
    fn drain(&mut self) {
        while let Some(sent) = self.nat.poll_transmit() {
            assert_eq!(Some(&sent), self.slow.poll_transmit().as_ref());
            let headers = Headers::parse(&sent.bytes).expect("what the NAT sends is a packet");
            let mtu = self.nat.config().mtu.unwrap_or(u16::MAX);
            let fits = headers.length <= usize::from(mtu);
            assert!(fits || headers.dont_fragment, "{headers:?}");
            if headers.transport == Transport::Error {
                verify(&sent.bytes).expect("an error's checksums are right");
            }
        }
        assert_eq!(self.slow.poll_transmit(), None);
        assert!(self.nat.mappings().eq(self.slow.mappings()));
        assert_eq!(self.nat.flow_count(), self.slow.flow_count());
    }

    fn end(mut self) {
        assert_eq!(self.nat.counters(), self.slow.counters());
        // Once for what is idle, once for ports that rest after that.
        for _ in 0..2 {
            self.now += Duration::from_secs(86_400);
            self.nat.handle_timeout(self.now);
        }
        self.nat.audit_silence();
    }

    fn picked(&self, choice: Choice) -> Option<(Side, Vec<u8>)> {
        let at = usize::from(choice.port) % self.left.len().max(1);
        self.left.get(at).cloned()
    }

    fn host(&self, choice: Choice) -> SocketAddr {
        let six = match self.nat.config().translation {
            Translation::Nat64 { .. } | Translation::Prefixes { .. } => true,
            Translation::Ports | Translation::None => choice.host & 4 != 0,
        };
        let port = [5000, 5001, 80, 5003][usize::from(choice.host >> 3 & 3)];
        SocketAddr::new(address(choice.host, six), port)
    }

    /// Returns a host outside, by the name it has on a side.
    fn remote(&self, choice: Choice, side: Side) -> SocketAddr {
        let four = match choice.remote & 7 {
            0..=2 => IpAddr::from([198, 51, 100, 1 + (choice.remote & 7)]),
            3 => ip("192.0.2.1"),
            4 => ip("224.0.0.251"),
            _ => ip("8.8.8.8"),
        };
        let port = [3478, 80, 7000, 0][usize::from(choice.port & 3)];
        let IpAddr::V4(v4) = four else {
            return SocketAddr::new(four, port);
        };
        let six = IpAddr::from(std::net::Ipv6Addr::from(
            0x2001_0db8_0009_u128 << 80 | u128::from(v4.to_bits()),
        ));
        let address = match (self.nat.config().translation, side) {
            (Translation::Nat64 { prefix }, Side::Inside) => {
                prefix.embed(v4).map_or(four, IpAddr::from)
            }
            (Translation::Nat64 { .. }, Side::Outside) => four,
            (Translation::Prefixes { .. }, _) => six,
            (Translation::Ports | Translation::None, _) if choice.host & 4 != 0 => six,
            (Translation::Ports | Translation::None, _) => four,
        };
        SocketAddr::new(address, port)
    }

    /// Returns an endpoint that strangers may try: one that is mapped, or any of the NAT's.
    fn target(&self, choice: Choice) -> SocketAddr {
        let count = self.nat.mapping_count();
        let mapped = self
            .nat
            .mappings()
            .nth(usize::from(choice.extra) % count.max(1));
        if let Some(mapping) = mapped.filter(|_| choice.extra & 0x80 == 0) {
            return mapping.external.into();
        }
        let config = self.nat.config();
        let known = config
            .externals
            .iter()
            .chain(config.one_to_one.iter().map(|(_, it)| it));
        let known: Vec<IpAddr> = known.copied().collect();
        let at = usize::from(choice.host) % known.len().max(1);
        let address = match config.translation {
            Translation::None => Some(self.host(choice).ip()),
            Translation::Prefixes { external, .. } => Some(external.first_host()),
            Translation::Ports | Translation::Nat64 { .. } => known.get(at).copied(),
        };
        let port = 4999 + u16::from(choice.extra & 7);
        SocketAddr::new(address.unwrap_or_else(|| ip("203.0.113.1")), port)
    }
}

fn translate(nat: &mut Nat, now: Instant, from: Side, bytes: &[u8]) -> (Verdict, Vec<u8>) {
    let mut buffer = vec![0; Packet::HEADROOM];
    buffer.extend(bytes);
    let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
    let verdict = match from {
        Side::Inside => nat.outbound(now, &mut packet),
        Side::Outside => nat.inbound(now, &mut packet),
    };
    (verdict, packet.bytes().to_vec())
}

/// Builds a packet, sometimes a strange one; where the families differ, it is one that no parser
/// takes.
fn packet(
    protocol: Protocol,
    from: SocketAddr,
    to: SocketAddr,
    choice: Choice,
    response: bool,
) -> Vec<u8> {
    let data = vec![choice.extra; [0, 5, 30, 700][usize::from(choice.flags >> 4 & 3)]];
    let mut bytes = match protocol {
        Protocol::Udp => build::udp(from, to, &data),
        Protocol::Tcp => build::tcp(from, to, TcpFlags(choice.flags & 0x17), &data),
        Protocol::Icmp => {
            let id = if response { to.port() } else { from.port() };
            let reply = response != (choice.flags & 1 == 1);
            build::echo(from.ip(), to.ip(), id, 1, reply, &data)
        }
    };
    if choice.flags & 0x80 != 0 && from.is_ipv4() && to.is_ipv4() {
        // No time to live, no checksum, or bytes behind the end.
        match choice.extra >> 5 & 3 {
            0 => bytes[8] = 1,
            1 if protocol == Protocol::Udp => bytes[26..28].fill(0),
            _ => bytes.extend([0; 3]),
        }
    }
    bytes
}

fn flip(bytes: &mut [u8], choice: Choice) {
    let at = usize::from(choice.host) % bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= choice.remote;
    }
}

fn addresses(headers: &Headers) -> (Address, Address, Option<Endpoint>) {
    (
        headers.source,
        headers.destination,
        headers.source_endpoint(),
    )
}

/// Returns the address of one of four hosts; those of IPv6 are two to a /64.
fn address(host: u8, six: bool) -> IpAddr {
    let number = host & 3;
    if six {
        IpAddr::from([
            0xfd01,
            0x203,
            0x405,
            u16::from(number >> 1),
            0,
            0,
            0,
            2 + u16::from(number & 1),
        ])
    } else {
        IpAddr::from([192, 168, 1, 2 + number])
    }
}

fn protocol(number: u8) -> Protocol {
    match number % 3 {
        0 => Protocol::Udp,
        1 => Protocol::Tcp,
        _ => Protocol::Icmp,
    }
}

/// More would only be slow: tables are counted after each.
const MOST_STEPS: usize = 200;
