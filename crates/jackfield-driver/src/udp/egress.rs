//! Datagrams that wait to be sent, grouped into runs that the kernel takes as trains.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};

/// Datagrams that wait to be sent from one socket: copied into one arena, and grouped into runs of
/// one destination and size, which the kernel can take as one train.
#[derive(Debug, Default)]
pub(super) struct Egress {
    arena: Vec<u8>,
    datagrams: Vec<Queued>,
    runs: Vec<Run>,
    /// How many runs at the front are sent or dropped.
    sent: usize,
    /// How many datagrams the other runs have.
    waiting: usize,
}

#[derive(Debug, Clone, Copy)]
struct Queued {
    start: usize,
    len: usize,
    /// The next datagram of the same run.
    next: Option<usize>,
}

/// Where a datagram goes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Towards {
    pub(super) remote: SocketAddr,
    /// The address to send from, where the socket has several.
    pub(super) source: Option<IpAddr>,
    /// Whether the datagram is dropped rather than fragmented.
    pub(super) whole: bool,
}

/// Datagrams that go the same way, all of the same size but the last, which may be shorter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) to: Towards,
    /// Bytes of each datagram but the last.
    pub(super) segment: usize,
    /// How many datagrams.
    pub(super) count: usize,
    /// Bytes in all.
    pub(super) bytes: usize,
    first: usize,
    last: usize,
    /// Whether nothing may be added: the last datagram is shorter, or the train is to stay single.
    closed: bool,
}

/// What a queue and its trains may grow to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes that may wait.
    pub(super) bytes: usize,
    /// Datagrams in one run; 1 where the kernel takes no trains.
    pub(super) train: usize,
    /// Bytes of a datagram above which it goes alone.
    pub(super) segment: usize,
}

impl Egress {
    /// Queues a datagram made of `parts`; returns false, with nothing queued, if it does not fit.
    pub(super) fn push(&mut self, to: Towards, parts: &[&[u8]], limits: &Limits) -> bool {
        let len = parts.iter().map(|part| part.len()).sum();
        // The arena is freed as a whole, so what was sent already counts until all is sent.
        if self.arena.len() + len > limits.bytes {
            return false;
        }
        let start = self.arena.len();
        for part in parts {
            self.arena.extend_from_slice(part);
        }
        let index = self.datagrams.len();
        self.datagrams.push(Queued {
            start,
            len,
            next: None,
        });
        self.waiting += 1;
        if !self.lengthen(to, index, len, limits) {
            self.runs.push(Run {
                to,
                segment: len,
                count: 1,
                bytes: len,
                first: index,
                last: index,
                closed: len == 0 || len > limits.segment,
            });
        }
        true
    }

    /// Adds a datagram to the newest run between the same addresses, if that keeps the run a
    /// train.
    fn lengthen(&mut self, to: Towards, index: usize, len: usize, limits: &Limits) -> bool {
        let open = self.runs.get_mut(self.sent..).unwrap_or_default();
        // Only the newest match will do: adding to an older one would change the order of
        // datagrams.
        let newest = open
            .iter_mut()
            .rev()
            .take(LOOK_BACK)
            .find(|run| run.to.remote == to.remote && run.to.source == to.source);
        let Some(run) = newest else { return false };
        let fits = run.to == to
            && !run.closed
            && len > 0
            && len <= run.segment
            && run.count < limits.train
            && run.bytes + len <= TRAIN_BYTES;
        if !fits {
            return false;
        }
        // Only the last datagram of a train may be shorter.
        run.closed = len < run.segment;
        run.count += 1;
        run.bytes += len;
        if let Some(last) = self.datagrams.get_mut(run.last) {
            last.next = Some(index);
        }
        run.last = index;
        true
    }

    /// Returns whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Returns the runs that wait, in the order in which they are to be sent.
    pub(super) fn runs(&self) -> &[Run] {
        self.runs.get(self.sent..).unwrap_or_default()
    }

    /// Returns the bytes of a run, neighbours in the arena joined.
    pub(super) fn pieces(&self, run: &Run) -> impl Iterator<Item = &[u8]> {
        let mut next = Some(run.first);
        std::iter::from_fn(move || {
            let mut datagram = self.datagrams.get(next?)?;
            let start = datagram.start;
            let mut end = start + datagram.len;
            next = datagram.next;
            while let Some(follower) = next.and_then(|index| self.datagrams.get(index)) {
                if follower.start != end {
                    break;
                }
                datagram = follower;
                end += datagram.len;
                next = datagram.next;
            }
            self.arena.get(start..end)
        })
    }

    /// Removes the first `count` waiting runs.
    pub(super) fn advance(&mut self, count: usize) {
        let done: usize = self.runs().iter().take(count).map(|run| run.count).sum();
        self.waiting = self.waiting.saturating_sub(done);
        self.sent = (self.sent + count).min(self.runs.len());
        if self.waiting == 0 {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.arena.clear();
        self.datagrams.clear();
        self.runs.clear();
        self.sent = 0;
        self.waiting = 0;
    }

    /// Cuts the first waiting run into runs of one datagram each.
    pub(super) fn split_first(&mut self) {
        let Some(run) = self.runs().first().copied() else {
            return;
        };
        let mut singles = Vec::with_capacity(run.count);
        let mut next = Some(run.first);
        while let Some((index, datagram)) =
            next.and_then(|index| Some((index, self.datagrams.get_mut(index)?)))
        {
            next = datagram.next.take();
            singles.push(Run {
                segment: datagram.len,
                count: 1,
                bytes: datagram.len,
                first: index,
                last: index,
                closed: true,
                ..run
            });
        }
        self.runs.splice(self.sent..=self.sent, singles);
    }

    /// Takes an empty queue from this thread's pool. A socket holds one only while it has
    /// something to send: a server has thousands of relay sockets, of which few send at any
    /// moment.
    pub(super) fn from_pool() -> Box<Self> {
        POOL.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    /// Gives an empty queue back to this thread's pool.
    pub(super) fn into_pool(self: Box<Self>) {
        if self.arena.capacity() <= POOLED_BYTES {
            POOL.with_borrow_mut(|pool| {
                if pool.len() < POOLED {
                    pool.push(self);
                }
            });
        }
    }
}

/// The queues are boxed, so that taking one moves a pointer and not its four fields.
type Pool = Vec<Box<Egress>>;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Vec::new()) };
}

/// How many runs back a new datagram looks for its own.
const LOOK_BACK: usize = 16;

/// Bytes of the longest train: below the 65,535 of an IP packet less its headers.
const TRAIN_BYTES: usize = 65_000;

/// Queues kept for reuse, and the largest that is worth keeping.
const POOLED: usize = 64;
const POOLED_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_destination_and_size_make_one_train() {
        let mut egress = Egress::default();
        for payload in [b"1111", b"2222", b"3333"] {
            assert!(egress.push(peer(1), &[b"h", payload], &LIMITS));
        }
        let [run] = egress.runs() else {
            panic!("one run")
        };
        assert_eq!((run.segment, run.count, run.bytes), (5, 3, 15));
        let pieces: Vec<_> = egress.pieces(run).collect();
        assert_eq!(pieces, [b"h1111h2222h3333"]);
    }

    #[test]
    fn interleaved_destinations_make_a_train_each() {
        let mut egress = Egress::default();
        for payload in [b"1", b"2"] {
            egress.push(peer(1), &[b"a", payload], &LIMITS);
            egress.push(peer(2), &[b"b", payload], &LIMITS);
        }
        assert_eq!(sent(&egress), [(1, "a1,a2".into()), (2, "b1,b2".into())]);
    }

    #[test]
    fn a_shorter_datagram_ends_its_train_and_a_longer_one_starts_another() {
        let mut egress = Egress::default();
        for payload in ["long", "sho", "sho", "longer", ""] {
            egress.push(peer(1), &[b"", payload.as_bytes()], &LIMITS);
        }
        let counts: Vec<_> = egress.runs().iter().map(|run| run.count).collect();
        assert_eq!(counts, [2, 1, 1, 1]);
        assert_eq!(egress.waiting, 5);
    }

    #[test]
    fn a_queue_that_is_full_takes_nothing_more() {
        let limits = Limits { bytes: 4, ..LIMITS };
        let mut egress = Egress::default();
        assert!(egress.push(peer(1), &[b"", b"123"], &limits));
        assert!(!egress.push(peer(1), &[b"", b"45"], &limits));
        assert_eq!(egress.waiting, 1);
        egress.advance(1);
        assert!(egress.is_empty());
        assert!(egress.push(peer(1), &[b"", b"45"], &limits));
    }

    #[test]
    fn a_refused_train_goes_as_single_datagrams_in_order() {
        let mut egress = Egress::default();
        egress.push(peer(1), &[b"", b"0"], &LIMITS);
        egress.push(peer(2), &[b"", b"1"], &LIMITS);
        egress.push(peer(1), &[b"", b"2"], &LIMITS);
        egress.push(peer(2), &[b"", b"3"], &LIMITS);
        egress.advance(1);
        egress.split_first();
        assert_eq!(sent(&egress), [(2, "1".into()), (2, "3".into())]);
        egress.advance(1);
        assert_eq!(egress.waiting, 1);
    }

    const LIMITS: Limits = Limits {
        bytes: 1_000,
        train: 64,
        segment: 100,
    };

    fn peer(port: u16) -> Towards {
        Towards {
            remote: SocketAddr::from(([127, 0, 0, 1], port)),
            source: None,
            whole: false,
        }
    }

    /// The port and the pieces of each run.
    fn sent(egress: &Egress) -> Vec<(u16, String)> {
        let text = |piece: &[u8]| String::from_utf8(piece.to_vec()).unwrap();
        egress
            .runs()
            .iter()
            .map(|run| {
                let pieces: Vec<_> = egress.pieces(run).map(text).collect();
                (run.to.remote.port(), pieces.join(","))
            })
            .collect()
    }
}
