use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jackfield_nat::Side;
use jackfield_nat::packet::{Headers, protocol};

use super::offload::Offload;

/// What the way between the NAT and the outside does to packets, in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Link {
    /// How long a packet takes, one way.
    pub latency: Duration,
    /// How many of a million packets get lost.
    pub loss_per_million: u32,
    /// Drops all UDP that would cross the NAT, as strict firewalls do.
    pub block_udp: bool,
}

/// How many packets the link kept from crossing, by reason. A train counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkCounters {
    /// UDP, which is blocked.
    pub udp_blocked: u64,
    /// Lost as [`Link::loss_per_million`] says.
    pub lost: u64,
    /// No room to keep more packets for as long as [`Link::latency`] says.
    pub queue_full: u64,
}

/// The outside cable: packets go in at one end and come out at the other, later or not at all. It is told the time.
#[derive(Debug)]
pub(super) struct Cable {
    pub(super) link: Link,
    pub(super) counters: LinkCounters,
    /// In order of sending; a shorter latency does not let packets overtake each other.
    under_way: VecDeque<Parcel>,
    bytes_under_way: usize,
    most_bytes: usize,
    random: u64,
}

/// A packet on its way through the cable.
#[derive(Debug)]
pub(super) struct Parcel {
    due: Instant,
    /// Where it came from.
    pub(super) from: Side,
    pub(super) offload: Offload,
    pub(super) bytes: Vec<u8>,
}

/// What becomes of a packet that enters the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is at the other end.
    Arrived,
    /// A copy is under way, or it is lost.
    Gone,
}

impl Cable {
    pub(super) fn new(link: Link, most_bytes: usize, seed: u64) -> Self {
        Self {
            link,
            counters: LinkCounters::default(),
            under_way: VecDeque::new(),
            bytes_under_way: 0,
            most_bytes,
            random: seed,
        }
    }

    /// Returns whether the link lets a packet cross at all.
    pub(super) fn admits(&mut self, packet: &[u8]) -> bool {
        let is_udp = || Headers::parse(packet).is_ok_and(|it| it.protocol == protocol::UDP);
        if self.link.block_udp && is_udp() {
            self.counters.udp_blocked += 1;
            return false;
        }
        true
    }

    /// Sends a packet through.
    pub(super) fn enter(
        &mut self,
        now: Instant,
        from: Side,
        offload: Offload,
        bytes: &[u8],
    ) -> Fate {
        if self.link.loss_per_million > 0 && self.next_below_million() < self.link.loss_per_million
        {
            self.counters.lost += 1;
            return Fate::Gone;
        }
        if self.link.latency.is_zero() && self.under_way.is_empty() {
            return Fate::Arrived;
        }
        if self.bytes_under_way + bytes.len() > self.most_bytes {
            self.counters.queue_full += 1;
            return Fate::Gone;
        }
        self.bytes_under_way += bytes.len();
        self.under_way.push_back(Parcel {
            due: now + self.link.latency,
            from,
            offload,
            bytes: bytes.to_vec(),
        });
        Fate::Gone
    }

    /// Returns when the next packet arrives.
    pub(super) fn next(&self) -> Option<Instant> {
        self.under_way.front().map(|parcel| parcel.due)
    }

    /// Takes the next packet that has arrived by `now`.
    pub(super) fn arrived(&mut self, now: Instant) -> Option<Parcel> {
        if self.next()? > now {
            return None;
        }
        let parcel = self.under_way.pop_front()?;
        self.bytes_under_way -= parcel.bytes.len();
        Some(parcel)
    }

    /// SplitMix64, by Steele, Lea and Flood; losses need no secret.
    fn next_below_million(&mut self) -> u32 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % MILLION) as u32
    }
}

const MILLION: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_nat::packet::build;

    fn cable(link: Link) -> Cable {
        Cable::new(link, 100, 7)
    }

    #[test]
    fn without_latency_and_loss_a_packet_is_there_at_once() {
        let mut cable = cable(Link::default());
        let fate = cable.enter(Instant::now(), Side::Inside, Offload::default(), b"x");
        assert_eq!(fate, Fate::Arrived);
    }

    #[test]
    fn packets_arrive_in_order_after_the_latency_even_when_it_is_lowered() {
        let now = Instant::now();
        let latency = Duration::from_millis(50);
        let mut cable = cable(Link {
            latency,
            ..Link::default()
        });
        assert_eq!(
            cable.enter(now, Side::Inside, Offload::default(), b"1"),
            Fate::Gone
        );
        cable.link.latency = Duration::ZERO;
        assert_eq!(
            cable.enter(now, Side::Outside, Offload::default(), b"2"),
            Fate::Gone
        );
        assert_eq!(cable.next(), Some(now + latency));
        assert!(cable.arrived(now).is_none());
        assert_eq!(cable.arrived(now + latency).unwrap().bytes, b"1");
        assert_eq!(cable.arrived(now + latency).unwrap().bytes, b"2");
    }

    #[test]
    fn what_does_not_fit_the_queue_is_dropped_and_counted() {
        let now = Instant::now();
        let mut cable = cable(Link {
            latency: Duration::from_secs(1),
            ..Link::default()
        });
        for _ in 0..3 {
            let _ = cable.enter(now, Side::Inside, Offload::default(), &[0; 40]);
        }
        assert_eq!(cable.counters.queue_full, 1);
        let _ = cable.arrived(now + Duration::from_secs(1)).unwrap();
        let _ = cable.enter(now, Side::Inside, Offload::default(), &[0; 40]);
        assert_eq!(cable.counters.queue_full, 1);
    }

    #[test]
    fn about_as_many_packets_are_lost_as_asked_for() {
        let mut cable = cable(Link {
            loss_per_million: 250_000,
            ..Link::default()
        });
        for _ in 0..10_000 {
            let _ = cable.enter(Instant::now(), Side::Inside, Offload::default(), b"x");
        }
        assert!(
            (2_300..2_700).contains(&cable.counters.lost),
            "{:?}",
            cable.counters
        );
    }

    #[test]
    fn blocked_udp_does_not_cross_and_other_packets_do() {
        let mut cable = cable(Link {
            block_udp: true,
            ..Link::default()
        });
        let (a, b) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        assert!(!cable.admits(&build::udp(a, b, b"x")));
        assert!(cable.admits(&build::echo(a.ip(), b.ip(), 1, 1, false, b"x")));
        assert_eq!(cable.counters.udp_blocked, 1);
    }
}
