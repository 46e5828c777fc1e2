//! What a link does to packets: delay, jitter, bursts of loss, reordering, a rate and its queue.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// What a packet meets between an interface and its network, one way.
///
/// Chances are parts of a million, so that no platform rounds them differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// How long a packet travels.
    pub latency: Duration,
    /// By how much longer it may travel; packets do not overtake each other for it.
    pub jitter: Duration,
    /// How packets get lost.
    pub loss: Loss,
    /// The chance that a packet overtakes those before it, in parts of a million.
    pub reorder: u32,
    /// The chance that a packet arrives twice, in parts of a million.
    pub duplicate: u32,
    /// Bits in a second; `None` is without limit.
    pub rate: Option<u64>,
    /// Bytes that may wait for their turn before packets are dropped.
    pub queue: usize,
    /// The largest packet, in bytes.
    pub mtu: usize,
}

/// How packets get lost: the Gilbert-Elliott model, a good and a bad state with a chance of loss
/// in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// The chance of loss in the good state, in parts of a million.
    pub good: u32,
    /// The chance of loss in the bad state.
    pub bad: u32,
    /// The chance to turn bad, with each packet.
    pub to_bad: u32,
    /// The chance to turn good again.
    pub to_good: u32,
}

impl Loss {
    /// No packet gets lost.
    pub const NONE: Self = Self {
        good: 0,
        bad: 0,
        to_bad: 0,
        to_good: MILLION,
    };

    /// Each packet gets lost with the same chance, in parts of a million.
    #[must_use]
    pub const fn even(parts: u32) -> Self {
        Self {
            good: parts,
            ..Self::NONE
        }
    }

    /// Losses come in bursts of about `length` packets and make up `parts` of a million.
    #[must_use]
    pub fn bursts(parts: u32, length: u32) -> Self {
        // The bad state lasts 1 / to_good packets on average, and takes up to_bad / (to_bad +
        // to_good) of all packets. `parts` is that share.
        let to_good = MILLION / length.max(1);
        let parts = parts.min(MILLION - 1);
        let to_bad = u64::from(to_good) * u64::from(parts) / u64::from(MILLION - parts);
        Self {
            good: 0,
            bad: MILLION,
            to_bad: to_bad.min(u64::from(MILLION)) as u32,
            to_good,
        }
    }

    /// Returns the share of packets that get lost in the long run, in parts of a million.
    pub fn mean(self) -> u32 {
        let [good, bad] = [self.good, self.bad].map(u64::from);
        let [to_bad, to_good] = [self.to_bad, self.to_good].map(u64::from);
        // The model is in a state for a share of the time that is proportional to the chance to
        // enter it.
        let mean = (good * to_good + bad * to_bad).checked_div(to_good + to_bad);
        mean.unwrap_or(good) as u32
    }
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: Loss::NONE,
            reorder: 0,
            duplicate: 0,
            rate: None,
            queue: 64 * 1024,
            mtu: 1500,
        }
    }
}

impl Link {
    /// Returns a link that does nothing but delay.
    #[must_use]
    pub fn latency(latency: Duration) -> Self {
        Self {
            latency,
            ..Self::default()
        }
    }

    /// Returns whether the link delays all packets alike and does nothing else to them, so that it
    /// does not matter whether several packets cross it as one.
    #[must_use]
    pub fn only_delays(&self) -> bool {
        let Self {
            latency: _,
            jitter,
            loss,
            reorder,
            duplicate,
            rate,
            queue: _,
            mtu: _,
        } = *self;
        jitter.is_zero() && loss.mean() == 0 && reorder == 0 && duplicate == 0 && rate.is_none()
    }
}

/// One direction of a link, with what its packets leave behind: the state of the loss model and
/// how long it is busy.
#[derive(Debug, Clone)]
pub struct Pipe {
    pub(crate) link: Link,
    /// The Gilbert-Elliott model is in its bad state.
    bad: bool,
    /// When the last bit of the last packet has left.
    busy_until: Option<Instant>,
    /// When the last packet arrives that may not be overtaken.
    last_arrival: Option<Instant>,
}

/// What becomes of a packet that is put into a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// The packet arrives at the other end.
    Arrives {
        /// When it arrives.
        at: Instant,
        /// When a duplicate of it arrives, if the link makes one.
        again: Option<Instant>,
    },
    /// The link lost it.
    Lost,
    /// Too many bytes wait for their turn already ([`Link::queue`]).
    QueueFull,
}

impl Pipe {
    /// Returns a pipe that no packet has passed yet.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self {
            link,
            bad: false,
            busy_until: None,
            last_arrival: None,
        }
    }

    /// Changes the link under packets that are on their way: they keep their arrivals, and none
    /// after them overtakes them unless the new link reorders.
    pub fn set_link(&mut self, link: Link) {
        self.link = link;
    }

    /// Puts in a packet of `length` bytes; draws the same numbers whatever becomes of it. The
    /// caller holds packets to [`Link::mtu`].
    pub fn pass(&mut self, now: Instant, length: usize, rng: &mut ChaCha8Rng) -> Passage {
        // All numbers are drawn for every packet: whether one is lost must not shift the chances
        // of the next.
        let [lost, reordered, duplicated] = [
            self.draw_loss(rng),
            chance(self.link.reorder, rng),
            chance(self.link.duplicate, rng),
        ];
        let wander = rng.next_u64() % (self.link.jitter.as_nanos() as u64).saturating_add(1);
        // A packet that gets lost on the way has taken the sender's time all the same.
        let Some(sent) = self.transmit(now, length) else {
            return Passage::QueueFull;
        };
        if lost {
            return Passage::Lost;
        }
        let due = sent + self.link.latency + Duration::from_nanos(wander);
        // A packet that overtakes skips the delay, as Linux's netem does it.
        let at = if reordered {
            sent
        } else {
            let at = self.last_arrival.map_or(due, |last| last.max(due));
            self.last_arrival = Some(at);
            at
        };
        let again = duplicated.then_some(at);
        Passage::Arrives { at, again }
    }

    /// Waits for the packet's turn and sends its bits; `None` when too many bytes wait already.
    fn transmit(&mut self, now: Instant, length: usize) -> Option<Instant> {
        let Some(rate) = self.link.rate else {
            return Some(now);
        };
        let start = self.busy_until.map_or(now, |busy| busy.max(now));
        // How long the link is busy says how many bytes wait, so no packet is stored here.
        let waiting = start.saturating_duration_since(now);
        let queued = waiting.as_nanos() * u128::from(rate) / 8 / 1_000_000_000;
        if queued + length as u128 > self.link.queue as u128 {
            return None;
        }
        let bits = length as u64 * 8;
        // A rate of zero counts as one bit in a second: the end of never has no instant.
        let took = bits.saturating_mul(1_000_000_000) / rate.max(1);
        let end = start + Duration::from_nanos(took);
        self.busy_until = Some(end);
        Some(end)
    }

    fn draw_loss(&mut self, rng: &mut ChaCha8Rng) -> bool {
        let loss = self.link.loss;
        let turn = if self.bad { loss.to_good } else { loss.to_bad };
        if chance(turn, rng) {
            self.bad = !self.bad;
        }
        chance(if self.bad { loss.bad } else { loss.good }, rng)
    }
}

fn chance(parts: u32, rng: &mut ChaCha8Rng) -> bool {
    rng.next_u32() % MILLION < parts
}

const MILLION: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::epoch;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn a_rate_spaces_packets_and_a_full_queue_drops_them() {
        let mut pipe = Pipe::new(Link {
            rate: Some(8_000),
            queue: 2_000,
            ..Link::default()
        });
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let now = epoch();
        let mut arrivals = Vec::new();
        for _ in 0..4 {
            arrivals.push(pipe.pass(now, 1_000, &mut rng));
        }
        let arrives = |seconds| Passage::Arrives {
            at: now + Duration::from_secs(seconds),
            again: None,
        };
        let full = Passage::QueueFull;
        assert_eq!(arrivals, [arrives(1), arrives(2), full, full]);
    }

    #[test]
    fn bursts_lose_as_much_as_they_should_and_in_a_row() {
        let mut pipe = Pipe::new(Link {
            loss: Loss::bursts(100_000, 5),
            ..Link::default()
        });
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let now = epoch();
        let lost: Vec<bool> = (0..100_000)
            .map(|_| pipe.pass(now, 100, &mut rng) == Passage::Lost)
            .collect();
        let losses = lost.iter().filter(|lost| **lost).count();
        let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        assert!((8_000..12_000).contains(&losses), "{losses}");
        assert!((4..7).contains(&(losses / bursts)), "{losses} in {bursts}");
    }

    #[test]
    fn the_mean_of_bursts_is_the_loss_that_was_asked_for() {
        assert_eq!(Loss::NONE.mean(), 0);
        assert_eq!(Loss::even(20_000).mean(), 20_000);
        assert!((99_000..101_000).contains(&Loss::bursts(100_000, 5).mean()));
    }

    #[test]
    fn jitter_alone_never_reorders() {
        let mut pipe = Pipe::new(Link {
            jitter: Duration::from_millis(50),
            ..Link::default()
        });
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut last = epoch();
        let start = last;
        for n in 0..1000 {
            let now = start + Duration::from_millis(n);
            let Passage::Arrives { at, .. } = pipe.pass(now, 100, &mut rng) else {
                panic!("lost");
            };
            assert!(at >= last);
            last = at;
        }
    }
}
