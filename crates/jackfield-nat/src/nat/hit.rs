//! The fast path for most of the packets that a NAT sees: whole IPv4 packets without options, of
//! UDP or of an open TCP connection, that belong to an existing flow. It reads the few fields it
//! needs, looks at one flow of the table, and writes.
//!
//! Every other packet takes the slow path, which gives the same bytes and leaves the same state. A
//! property test and a fuzz target compare the two.

use std::time::Instant;

use super::config::{NatConfig, Protocol, Refresh};
use super::entry::Flow;
use super::key::FlowKey;
use super::tcp::TcpState;
use super::{Nat, Side, Translation};
use crate::packet::checksum::fold;
use crate::packet::{Packet, TcpFlags, protocol};
use crate::{Address, Endpoint};

/// The part of the config that the fast path needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HitPath {
    /// Whether the config allows the fast path at all.
    pub(super) on: bool,
    decrement_ttl: bool,
    rewrite_ip_id: bool,
    mtu: u16,
    refresh: Refresh,
}

/// The fields that the fast path reads from a packet.
struct PacketFields {
    source: Endpoint,
    destination: Endpoint,
    protocol: Protocol,
    flags: TcpFlags,
    length: usize,
    may_fragment: bool,
}

impl HitPath {
    pub(super) fn new(config: &NatConfig) -> Self {
        let plain = match config.translation {
            Translation::Ports | Translation::None => true,
            // Neither has an IPv4 packet that is IPv4 on both sides, which is all that this path
            // knows.
            Translation::Prefixes { .. } | Translation::Nat64 { .. } => false,
        };
        Self {
            on: plain
                // These four need more than one flow: a payload, a list of prefixes, or the
                // mapping itself.
                && !config.alg
                && config.untranslated.is_empty()
                && config.refresh != Refresh::Inbound,
            decrement_ttl: config.decrement_ttl,
            rewrite_ip_id: config.rewrite_ip_id,
            mtu: config.mtu.unwrap_or(u16::MAX),
            refresh: config.refresh,
        }
    }

    /// Reads a packet; returns `None` if it has to take the slow path.
    #[inline]
    fn read(self, bytes: &[u8]) -> Option<PacketFields> {
        let (head, rest) = bytes.split_first_chunk::<28>()?;
        // One pattern over a fixed array leaves one bounds check for the whole header; `b'E'` is
        // version 4 with a header of 20 bytes, that is without options.
        let [b'E', _, l0, l1, _, _, f0, f1, ttl, protocol, ..] = *head else {
            return None;
        };
        let [
            ..,
            s0,
            s1,
            s2,
            s3,
            d0,
            d1,
            d2,
            d3,
            p0,
            p1,
            q0,
            q1,
            _,
            _,
            _,
            _,
        ] = *head;
        let length = u16::from_be_bytes([l0, l1]);
        let fragment = u16::from_be_bytes([f0, f1]);
        let fits = length <= self.mtu && usize::from(length) <= bytes.len();
        if fragment & !DONT_FRAGMENT != 0 || !fits || (self.decrement_ttl && ttl <= 1) {
            return None;
        }
        let (protocol, least, flags) = match protocol {
            protocol::UDP => (Protocol::Udp, 28, 0),
            protocol::TCP => (Protocol::Tcp, 40, *rest.get(5)?),
            _ => return None,
        };
        // A packet that ends inside its transport header is malformed, and the slow path counts it
        // as such.
        if length < least {
            return None;
        }
        let endpoint = |address: [u8; 4], port: [u8; 2]| Endpoint {
            address: Address::v4(u32::from_be_bytes(address)),
            port: u16::from_be_bytes(port),
        };
        Some(PacketFields {
            source: endpoint([s0, s1, s2, s3], [p0, p1]),
            destination: endpoint([d0, d1, d2, d3], [q0, q1]),
            protocol,
            flags: TcpFlags(flags),
            length: usize::from(length),
            may_fragment: fragment == 0,
        })
    }
}

impl Nat {
    /// Translates a packet on the fast path. If anything about it is unusual, returns `None` and
    /// has changed nothing.
    #[inline]
    pub(super) fn hit(&mut self, now: Instant, from: Side, packet: &mut Packet<'_>) -> Option<()> {
        let hit = self.hit;
        if !hit.on {
            return None;
        }
        let seen = hit.read(packet.bytes())?;
        let (local, remote) = match from {
            Side::Inside => (seen.source, seen.destination),
            Side::Outside => (seen.destination, seen.source),
        };
        let key = FlowKey {
            protocol: seen.protocol,
            local,
            remote,
        };
        let id = match from {
            Side::Inside => self.table.flow_inside(&key)?,
            Side::Outside => self.table.flow_outside(&key)?,
        };
        let flow = self.table.flows.get_mut(id)?;
        flow.take_usual(now, from, seen.flags, hit.refresh)?;
        let to = match from {
            Side::Inside => flow.external(),
            Side::Outside => flow.internal(),
        };
        // The identification is drawn only once nothing can fail any more, so that the slow path
        // would have drawn the same one.
        let id = (from == Side::Inside && hit.rewrite_ip_id && seen.may_fragment).then(|| {
            self.last_id = self.last_id.wrapping_add(1);
            self.last_id
        });
        packet.truncate(seen.length);
        let rewrite = Rewrite {
            from,
            old: local,
            new: to,
            id,
            decrement_ttl: hit.decrement_ttl,
        };
        match seen.protocol {
            Protocol::Tcp => rewrite.apply::<36>(packet.bytes_mut()),
            _ => rewrite.apply::<26>(packet.bytes_mut()),
        }
        match from {
            Side::Inside => self.counters.outbound += 1,
            Side::Outside => self.counters.inbound += 1,
        }
        Some(())
    }
}

#[cfg(any(test, feature = "internals"))]
impl Nat {
    /// Makes every packet take the slow path.
    #[doc(hidden)]
    pub fn never_hit(&mut self) {
        self.hit.on = false;
    }
}

impl Flow {
    /// Notes a packet that neither opens nor closes anything; returns `None`, and notes nothing,
    /// if it does.
    #[inline]
    fn take_usual(
        &mut self,
        now: Instant,
        from: Side,
        flags: TcpFlags,
        refresh: Refresh,
    ) -> Option<()> {
        // The first packet in each direction changes counts of the host and the mapping, which are
        // not on these two cache lines.
        let known = self.permits && (from == Side::Inside || self.replied);
        if !known || self.hairpin {
            return None;
        }
        let refreshed = match self.tcp {
            None => refresh == Refresh::Both || from == Side::Inside,
            Some(TcpState::Established | TcpState::HalfClosed(_)) if !flags.changes() => true,
            Some(_) => return None,
        };
        if refreshed {
            self.used = now;
        }
        Some(())
    }
}

impl TcpFlags {
    /// Returns whether a segment opens or closes a connection.
    #[inline]
    fn changes(self) -> bool {
        self.0 & (Self::SYN | Self::FIN | Self::RST) != 0
    }
}

/// What changes in a packet.
struct Rewrite {
    from: Side,
    old: Endpoint,
    new: Endpoint,
    id: Option<u16>,
    decrement_ttl: bool,
}

impl Rewrite {
    /// Changes a packet whose transport checksum is at `CHECKSUM`; the checksum has to lie within
    /// the packet.
    ///
    /// The sum is that of equation 3 of
    /// [RFC 1624 §3](https://www.rfc-editor.org/rfc/rfc1624#section-3): the complement of what
    /// goes plus what comes. It fits 32 bits by far.
    #[inline]
    fn apply<const CHECKSUM: usize>(&self, bytes: &mut [u8]) {
        let new = self.new.address.halves().1 as u32;
        let addresses = words(!(self.old.address.halves().1 as u32)) + words(new);
        let ports = u32::from(!self.old.port) + u32::from(self.new.port);
        let Some(head) = bytes.first_chunk_mut::<28>() else {
            return;
        };
        let [a, b, c, d] = new.to_be_bytes();
        let [e, f] = self.new.port.to_be_bytes();
        match self.from {
            Side::Inside => {
                [head[12], head[13], head[14], head[15]] = [a, b, c, d];
                [head[20], head[21]] = [e, f];
            }
            Side::Outside => {
                [head[16], head[17], head[18], head[19]] = [a, b, c, d];
                [head[22], head[23]] = [e, f];
            }
        }
        let mut sum = addresses;
        if let Some(id) = self.id {
            sum += u32::from(!u16::from_be_bytes([head[4], head[5]])) + u32::from(id);
            [head[4], head[5]] = id.to_be_bytes();
        }
        if self.decrement_ttl {
            // `read` lets no packet pass whose time to live is below two.
            head[8] -= 1;
            sum += u32::from(!0x0100_u16);
        }
        let checksum = u16::from_be_bytes([head[10], head[11]]);
        [head[10], head[11]] = updated(checksum, sum).to_be_bytes();
        let Some(field) = bytes.get_mut(CHECKSUM..).and_then(<[u8]>::first_chunk_mut) else {
            return;
        };
        let udp = CHECKSUM == 26;
        *field = match u16::from_be_bytes(*field) {
            0 if udp => return, // the sender did not compute one
            checksum => match updated(checksum, addresses + ports) {
                // Zero would say that there is no checksum. All ones is the same number in ones'
                // complement.
                0 if udp => [0xff, 0xff],
                checksum => checksum.to_be_bytes(),
            },
        };
    }
}

#[inline]
fn words(pair: u32) -> u32 {
    (pair >> 16) + (pair & 0xffff)
}

#[inline]
fn updated(checksum: u16, sum: u32) -> u16 {
    !fold(u64::from(sum + u32::from(!checksum)))
}

/// The one flag of the fragmentation word that a packet on the fast path may have.
const DONT_FRAGMENT: u16 = 0x4000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::build;
    use crate::profile::Profile;
    use jackfield_testing::epoch;
    use proptest::prelude::*;
    use std::net::SocketAddr;
    use std::time::Duration;

    proptest! {
        #[test]
        fn the_fast_path_and_the_slow_path_agree(
            profile in 0..Profile::ALL.len(),
            steps in proptest::collection::vec(any::<[u8; 4]>(), 1..60),
        ) {
            let mut config = Profile::ALL[profile].config(&["203.0.113.1".parse().unwrap()]);
            config.inside = Some("192.168.1.1".parse().unwrap());
            let mut short = Nat::new(config, [7; 32]);
            let mut long = short.clone();
            long.never_hit();
            let mut now = epoch();
            for [what, who, flags, seconds] in steps {
                now += Duration::from_secs(u64::from(seconds));
                let external = short.mappings().nth(usize::from(who >> 4)).map(|it| it.external);
                let (from, mut bytes) = packet(what, who, flags, external);
                let mut again = bytes.clone();
                let (mut one, mut other) = (Packet::new(&mut bytes), Packet::new(&mut again));
                let verdicts = match from {
                    Side::Inside => (short.outbound(now, &mut one), long.outbound(now, &mut other)),
                    Side::Outside => (short.inbound(now, &mut one), long.inbound(now, &mut other)),
                };
                prop_assert_eq!(verdicts.0, verdicts.1);
                prop_assert_eq!(bytes, again);
                prop_assert!(short.mappings().eq(long.mappings()));
                prop_assert_eq!(short.flow_count(), long.flow_count());
                while let Some(transmit) = short.poll_transmit() {
                    prop_assert_eq!(Some(transmit), long.poll_transmit());
                }
            }
            prop_assert_eq!(short.counters(), long.counters());
        }
    }

    /// A packet from inside, or from outside to a mapping; with and without checksum, time to
    /// live, trailing bytes.
    fn packet(what: u8, who: u8, flags: u8, external: Option<Endpoint>) -> (Side, Vec<u8>) {
        let host = SocketAddr::from(([192, 168, 1, 2 + (who & 1)], 5000 + u16::from(who >> 1 & 1)));
        let server = SocketAddr::from(([198, 51, 100, 9], 3478 + u16::from(who >> 2 & 1)));
        let (side, from, to) = match external {
            Some(external) if what & 1 == 1 => (Side::Outside, server, external.into()),
            _ => (Side::Inside, host, server),
        };
        let mut bytes = if what & 2 == 0 {
            build::udp(from, to, &[flags; 3])
        } else {
            build::tcp(from, to, TcpFlags(flags & 0x17), b"data")
        };
        if what & 0x0c == 0x0c {
            bytes[26..28].fill(0);
        }
        if what & 0x30 == 0x30 {
            bytes[8] = 1;
        }
        if what & 0x40 != 0 {
            bytes[6] = 0x40;
        }
        if what & 0x80 != 0 {
            bytes.extend([0; 4]);
        }
        (side, bytes)
    }
}
