//! A queue of each interface, and what moves packets between the two: batches are read and written
//! without the NAT's lock.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jackfield_nat::Side;
use jackfield_nat::packet::{Offload, Packet};
use tokio::sync::{Notify, mpsc, watch};

use super::port::Port;
use super::translator::{Bytes, Outgoing, Translator};
use super::{PortCounters, RouterConfig, Tun};

/// One queue of each interface.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) inside: Port,
    pub(super) outside: Port,
    /// A buffer for each side, with the packets that were read from it one behind the other.
    buffers: [Box<[u8]>; 2],
    arrivals: Vec<Arrival>,
    out: Vec<Outgoing>,
    batch: usize,
    /// How long to rest between batches while many packets arrive; zero is never.
    moderation: Duration,
    /// When the last batch was taken.
    pumped: Instant,
    /// The average time between packets of the last batches.
    gap: Duration,
}

/// Where a packet lies in the buffer of its side, [`Packet::HEADROOM`] in front of it included.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    from: Side,
    offload: Offload,
    start: usize,
    end: usize,
}

/// What the lanes of a router share.
#[derive(Debug)]
pub(super) struct Shared {
    translator: Mutex<Translator>,
    /// Wakes the lane that keeps the time when something is due sooner than it waits for.
    pub(super) sooner: Notify,
}

impl Shared {
    pub(super) fn new(translator: Translator) -> Self {
        Self {
            translator: Mutex::new(translator),
            sooner: Notify::new(),
        }
    }

    /// Locks the translator. A lane holds the lock for one batch, and reads and writes without it.
    pub(super) fn translator(&self) -> MutexGuard<'_, Translator> {
        // The lock is poisoned when another lane has panicked; this one goes on.
        self.translator
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    /// Takes a queue of each interface. Has to be called within the runtime that it is to run in.
    pub(super) fn new(inside: Tun, outside: Tun, config: &RouterConfig) -> io::Result<Self> {
        let batch = config.batch.max(1);
        Ok(Self {
            inside: Port::new(inside, config.trains)?,
            outside: Port::new(outside, config.trains)?,
            buffers: [(); 2].map(|()| vec![0; BUFFER].into_boxed_slice()),
            arrivals: Vec::with_capacity(2 * batch),
            out: Vec::with_capacity(2 * batch),
            batch,
            moderation: config.moderation,
            pumped: Instant::now(),
            gap: LONG_GAP,
        })
    }

    /// Moves what has arrived at either side, up to a batch each. The one lane that `keeps_time`
    /// also does what is due.
    pub(super) fn pump(&mut self, shared: &Shared, keeps_time: bool) -> io::Result<()> {
        // Both sides are read before either is written: neither starves the other.
        self.read(Side::Inside)?;
        self.read(Side::Outside)?;
        let count = self.arrivals.len();
        let mut translator = shared.translator();
        let now = Instant::now();
        let [inside, outside] = &mut self.buffers;
        for arrival in self.arrivals.drain(..) {
            let buffer = match arrival.from {
                Side::Inside => &mut *inside,
                Side::Outside => &mut *outside,
            };
            let buffer = buffer
                .get_mut(arrival.start..arrival.end)
                .unwrap_or_default();
            translator.take(now, arrival.from, arrival.offload, buffer, arrival.start);
        }
        // One lane keeps the time. If all did, each timer would wake every thread.
        if keeps_time {
            translator.keep_time(now);
        } else if sooner(translator.next(), translator.awaited) {
            shared.sooner.notify_one();
        }
        if let Some(tap) = &mut translator.tap {
            tap.flush();
        }
        // The packets are taken out of the lock, so that other lanes translate while this one
        // writes.
        std::mem::swap(&mut translator.out, &mut self.out);
        drop(translator);
        self.write();
        self.moderate(now, count);
        Ok(())
    }

    /// Rests for a moment if packets arrive in quick succession, so that the next batch is worth
    /// its system calls and has trains in it; network cards do the same with their interrupts.
    fn moderate(&mut self, now: Instant, count: usize) {
        let Ok(packets @ 1..) = u32::try_from(count) else {
            return;
        };
        let gap = now.duration_since(self.pumped) / packets;
        self.pumped = now;
        self.gap = (self.gap * 3 + gap.min(LONG_GAP)) / 4;
        // After a full batch more packets are waiting, and a rest would only delay them.
        let is_drained = count < self.batch;
        if is_drained && self.gap < GAP && !self.moderation.is_zero() {
            // The runtime's timers are too coarse for microseconds, so the thread sleeps.
            std::thread::sleep(self.moderation);
        }
    }

    /// Reads what has arrived at a side.
    fn read(&mut self, from: Side) -> io::Result<()> {
        let [inside, outside] = &mut self.buffers;
        let (port, buffer) = match from {
            Side::Inside => (&mut self.inside, inside),
            Side::Outside => (&mut self.outside, outside),
        };
        let mut start = 0;
        for _ in 0..self.batch {
            let at = start + Packet::HEADROOM;
            if buffer.len() < at + LONGEST_PACKET {
                break;
            }
            let Some((length, offload)) = port.read(buffer, at)? else {
                break;
            };
            let end = at + length;
            self.arrivals.push(Arrival {
                from,
                offload,
                start,
                end,
            });
            start = end;
        }
        Ok(())
    }

    fn write(&mut self) {
        let [inside, outside] = &mut self.buffers;
        for Outgoing {
            to,
            offload,
            mut bytes,
        } in self.out.drain(..)
        {
            let framed = match &mut bytes {
                Bytes::Of(Side::Inside, range) => inside.get_mut(range.clone()).unwrap_or_default(),
                Bytes::Of(Side::Outside, range) => {
                    outside.get_mut(range.clone()).unwrap_or_default()
                }
                Bytes::Own(bytes) => bytes,
            };
            match to {
                Side::Inside => self.inside.write(offload, framed),
                Side::Outside => self.outside.write(offload, framed),
            }
        }
        self.inside.flush();
        self.outside.flush();
    }

    /// Waits until there may be something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        tokio::select! {
            ready = self.inside.readable() => ready,
            ready = self.outside.readable() => ready,
        }
    }

    pub(super) fn counters(&self) -> [PortCounters; 2] {
        [self.inside.counters, self.outside.counters]
    }
}

/// A lane on a thread of its own.
#[derive(Debug)]
pub(super) struct LaneThread {
    thread: Option<JoinHandle<()>>,
    counters: Arc<Mutex<[PortCounters; 2]>>,
}

impl LaneThread {
    /// Starts a lane, which ends when `stop` is dropped; an error of it goes to `errors`.
    pub(super) fn start(
        make: impl FnOnce() -> io::Result<Lane> + Send + 'static,
        shared: Arc<Shared>,
        stop: watch::Receiver<()>,
        errors: mpsc::UnboundedSender<io::Error>,
    ) -> io::Result<Self> {
        let counters = Arc::new(Mutex::default());
        let shown = Arc::clone(&counters);
        let thread = std::thread::Builder::new()
            .name("nat-lane".into())
            .spawn(move || {
                if let Err(error) = run(make, &shared, stop, &shown) {
                    // The receiver is gone when the router has ended.
                    let _ended = errors.send(error);
                }
            })?;
        Ok(Self {
            thread: Some(thread),
            counters,
        })
    }

    pub(super) fn counters(&self) -> [PortCounters; 2] {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the thread's end; the caller has dropped the sender that keeps it going.
    pub(super) fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("A lane of the router panicked");
        }
    }
}

fn run(
    make: impl FnOnce() -> io::Result<Lane>,
    shared: &Shared,
    mut stop: watch::Receiver<()>,
    shown: &Mutex<[PortCounters; 2]>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        // A descriptor is registered with the runtime of its own thread.
        let mut lane = make()?;
        loop {
            tokio::select! {
                // As in the router: packets are asked last.
                biased;
                _ = stop.changed() => return Ok(()),
                ready = lane.readable() => ready?,
            }
            lane.pump(shared, false)?;
            *shown.lock().unwrap_or_else(PoisonError::into_inner) = lane.counters();
        }
    })
}

fn sooner(due: Option<Instant>, awaited: Option<Instant>) -> bool {
    due.is_some_and(|due| awaited.is_none_or(|awaited| due < awaited))
}

/// The longest IPv4 packet, and the longest train that a kernel makes without being asked for
/// longer ones.
const LONGEST_PACKET: usize = 65_535 + 40;

/// Room for a few trains, or a batch of packets and a train.
const BUFFER: usize = 8 * (Packet::HEADROOM + LONGEST_PACKET);

/// The lane rests between batches while packets are this far apart on average, or less.
const GAP: Duration = Duration::from_micros(4);
/// A longer gap is counted as this one: after a pause, the rate from before it says nothing.
const LONG_GAP: Duration = Duration::from_micros(100);
