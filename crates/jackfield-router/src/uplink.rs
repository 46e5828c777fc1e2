//! The way between the NAT and the outside: the virtual internet's link, a pipe in each direction.

use std::collections::BTreeMap;
use std::time::Instant;

use jackfield_internet::{Link, Passage, Pipe};
use jackfield_nat::Side;
use jackfield_nat::packet::{Headers, Offload, protocol};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What the way between the NAT and the outside does to packets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UplinkConfig {
    /// What happens to packets in either direction, as in the virtual internet. Packets are not
    /// held to [`Link::mtu`]: each interface has an MTU, and [`jackfield_nat::NatConfig::mtu`] is
    /// the NAT's.
    pub link: Link,
    /// Whether all UDP that would cross the NAT is dropped, as strict firewalls do.
    pub block_udp: bool,
}

/// How many packets the uplink kept from crossing, by reason. A train counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UplinkCounters {
    /// UDP, where it is blocked.
    pub udp_blocked: u64,
    /// Packets that got lost as [`Link::loss`] says.
    pub lost: u64,
    /// Packets that found the queue full: [`Link::queue`], or
    /// [`RouterConfig::bytes_under_way`](super::RouterConfig::bytes_under_way).
    pub queue_full: u64,
}

/// The uplink at work. It has no clock: every call brings the time.
#[derive(Debug)]
pub(super) struct Uplink {
    config: UplinkConfig,
    pub(super) counters: UplinkCounters,
    outward: Pipe,
    inward: Pipe,
    /// Packets by their arrival; the number keeps those of one instant in order.
    under_way: BTreeMap<(Instant, u64), QueuedPacket>,
    /// How many packets were ever under way.
    numbered: u64,
    bytes_under_way: usize,
    max_bytes: usize,
    rng: ChaCha8Rng,
}

/// A packet that has not arrived yet.
#[derive(Debug, Clone)]
pub(super) struct QueuedPacket {
    /// The side that it came from.
    pub(super) from: Side,
    pub(super) offload: Offload,
    pub(super) bytes: Vec<u8>,
}

impl Uplink {
    /// Returns an uplink that holds at most `max_bytes` of packets on their way.
    pub(super) fn new(config: UplinkConfig, max_bytes: usize, seed: u64) -> Self {
        Self {
            outward: Pipe::new(config.link.clone()),
            inward: Pipe::new(config.link.clone()),
            config,
            counters: UplinkCounters::default(),
            under_way: BTreeMap::new(),
            numbered: 0,
            bytes_under_way: 0,
            max_bytes,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    pub(super) fn config(&self) -> &UplinkConfig {
        &self.config
    }

    /// Changes what happens to packets from now on; those under way arrive as they would have.
    pub(super) fn configure(&mut self, config: UplinkConfig) {
        self.outward.set_link(config.link.clone());
        self.inward.set_link(config.link.clone());
        self.config = config;
    }

    /// Returns whether packets of either direction may cross as trains. A train would be lost or
    /// kept waiting as a whole, which no link does to so many packets at once.
    pub(super) fn takes_trains(&self) -> bool {
        self.config.link.only_delays()
    }

    /// Returns whether the uplink lets a packet cross at all.
    pub(super) fn admits(&mut self, packet: &[u8]) -> bool {
        let is_udp = || Headers::parse(packet).is_ok_and(|it| it.protocol == protocol::UDP);
        if self.config.block_udp && is_udp() {
            self.counters.udp_blocked += 1;
            return false;
        }
        true
    }

    /// Sends a packet through. Returns whether it is at the other end at once; otherwise the
    /// uplink keeps a copy, or has lost it.
    #[inline]
    pub(super) fn enter(
        &mut self,
        now: Instant,
        from: Side,
        offload: Offload,
        bytes: &[u8],
    ) -> bool {
        // A link that does nothing costs no random number and no copy; it is what most routers
        // have.
        let link = &self.config.link;
        if self.under_way.is_empty() && link.latency.is_zero() && link.only_delays() {
            return true;
        }
        self.pass(now, from, offload, bytes)
    }

    fn pass(&mut self, now: Instant, from: Side, offload: Offload, bytes: &[u8]) -> bool {
        let pipe = match from {
            Side::Inside => &mut self.outward,
            Side::Outside => &mut self.inward,
        };
        match pipe.pass(now, bytes.len(), &mut self.rng) {
            Passage::Lost => {
                self.counters.lost += 1;
                false
            }
            Passage::QueueFull => {
                self.counters.queue_full += 1;
                false
            }
            Passage::Arrives { at, again } => {
                // Nothing that is due may still wait, or this packet would overtake it.
                let at_once = at <= now && self.next().is_none_or(|due| due > now);
                let copies = (!at_once).then_some(at).into_iter().chain(again);
                for due in copies {
                    self.keep(due, from, offload, bytes);
                }
                at_once
            }
        }
    }

    fn keep(&mut self, due: Instant, from: Side, offload: Offload, bytes: &[u8]) {
        // A long latency at a high rate would otherwise keep any amount of memory.
        if self.bytes_under_way + bytes.len() > self.max_bytes {
            self.counters.queue_full += 1;
            return;
        }
        self.bytes_under_way += bytes.len();
        self.numbered += 1;
        let packet = QueuedPacket {
            from,
            offload,
            bytes: bytes.to_vec(),
        };
        self.under_way.insert((due, self.numbered), packet);
    }

    /// Returns when the next packet arrives.
    pub(super) fn next(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes the next packet that has arrived by `now`.
    pub(super) fn arrived(&mut self, now: Instant) -> Option<QueuedPacket> {
        if self.next()? > now {
            return None;
        }
        let (_, packet) = self.under_way.pop_first()?;
        self.bytes_under_way -= packet.bytes.len();
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use jackfield_internet::Loss;
    use jackfield_nat::packet::build;

    const PLAIN: Offload = Offload::NONE;

    #[test]
    fn without_latency_and_loss_a_packet_is_there_at_once() {
        let mut uplink = uplink(Link::default());
        assert!(uplink.enter(Instant::now(), Side::Inside, PLAIN, b"x"));
    }

    #[test]
    fn packets_arrive_in_order_after_the_latency_even_when_it_is_lowered() {
        let now = Instant::now();
        let latency = Duration::from_millis(50);
        let mut uplink = uplink(Link::latency(latency));
        assert!(!uplink.enter(now, Side::Inside, PLAIN, b"1"));
        uplink.configure(UplinkConfig::default());
        assert!(!uplink.enter(now, Side::Inside, PLAIN, b"2"));
        assert_eq!(uplink.next(), Some(now + latency));
        assert!(uplink.arrived(now).is_none());
        assert_eq!(uplink.arrived(now + latency).unwrap().bytes, b"1");
        assert_eq!(uplink.arrived(now + latency).unwrap().bytes, b"2");
        assert!(uplink.enter(now + latency, Side::Inside, PLAIN, b"3"));
    }

    #[test]
    fn one_direction_does_not_wait_for_the_other() {
        let now = Instant::now();
        let mut uplink = uplink(Link::latency(Duration::from_millis(50)));
        assert!(!uplink.enter(now, Side::Inside, PLAIN, b"out"));
        uplink.configure(UplinkConfig::default());
        assert!(uplink.enter(now, Side::Outside, PLAIN, b"in"));
    }

    #[test]
    fn what_does_not_fit_the_memory_is_dropped_and_counted() {
        let now = Instant::now();
        let mut uplink = uplink(Link::latency(Duration::from_secs(1)));
        for _ in 0..3 {
            assert!(!uplink.enter(now, Side::Inside, PLAIN, &[0; 40]));
        }
        assert_eq!(uplink.counters.queue_full, 1);
        uplink.arrived(now + Duration::from_secs(1)).unwrap();
        assert!(!uplink.enter(now, Side::Inside, PLAIN, &[0; 40]));
        assert_eq!(uplink.counters.queue_full, 1);
    }

    #[test]
    fn a_rate_spaces_packets_and_its_queue_overflows() {
        let now = Instant::now();
        let mut uplink = uplink(Link {
            rate: Some(320),
            queue: 80,
            ..Link::default()
        });
        for _ in 0..3 {
            assert!(!uplink.enter(now, Side::Outside, PLAIN, &[0; 40]));
        }
        assert_eq!(uplink.counters.queue_full, 1);
        for second in 1..=2 {
            assert_eq!(uplink.next(), Some(now + Duration::from_secs(second)));
            uplink.arrived(now + Duration::from_secs(second)).unwrap();
        }
    }

    #[test]
    fn a_duplicate_follows_its_packet() {
        let now = Instant::now();
        let mut uplink = uplink(Link {
            duplicate: 1_000_000,
            ..Link::default()
        });
        assert!(uplink.enter(now, Side::Inside, PLAIN, b"x"));
        assert_eq!(uplink.arrived(now).unwrap().bytes, b"x");
        assert!(uplink.arrived(now).is_none());
    }

    #[test]
    fn about_as_many_packets_are_lost_as_asked_for() {
        let mut uplink = uplink(Link {
            loss: Loss::even(250_000),
            ..Link::default()
        });
        assert!(!uplink.takes_trains());
        let now = Instant::now();
        for _ in 0..10_000 {
            let _ = uplink.enter(now, Side::Inside, PLAIN, b"x");
        }
        let lost = uplink.counters.lost;
        assert!((2_300..2_700).contains(&lost), "{lost}");
    }

    #[test]
    fn blocked_udp_does_not_cross_and_other_packets_do() {
        let config = UplinkConfig {
            block_udp: true,
            ..UplinkConfig::default()
        };
        let mut uplink = Uplink::new(config, 100, 7);
        let (a, b) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        assert!(!uplink.admits(&build::udp(a, b, b"x")));
        assert!(uplink.admits(&build::echo(a.ip(), b.ip(), 1, 1, false, b"x")));
        assert_eq!(uplink.counters.udp_blocked, 1);
    }

    fn uplink(link: Link) -> Uplink {
        let config = UplinkConfig {
            link,
            block_udp: false,
        };
        Uplink::new(config, 100, 7)
    }
}
