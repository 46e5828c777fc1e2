//! One side of a router: reads and writes of packets and trains, and their counters.

#![expect(
    unsafe_code,
    reason = "what the runtime waits for has to stay open meanwhile"
)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::AddAssign;

use jackfield_nat::packet::Offload;
use jackfield_nat::packet::trains::{Support, Trains};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Tun;
use super::device::set_trains;

/// What went through one side of a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortCounters {
    /// Packets read, each packet of a train counted.
    pub packets_in: u64,
    /// Reads that gave a packet or a train.
    pub reads: u64,
    /// Bytes read, IP headers included.
    pub bytes_in: u64,
    /// Packets written, each packet of a train counted.
    pub packets_out: u64,
    /// Writes of a packet or a train.
    pub writes: u64,
    /// Bytes written, IP headers included.
    pub bytes_out: u64,
    /// Packets and trains that the interface did not take, as when it is down.
    pub refused: u64,
}

impl AddAssign for PortCounters {
    fn add_assign(&mut self, more: Self) {
        self.packets_in += more.packets_in;
        self.reads += more.reads;
        self.bytes_in += more.bytes_in;
        self.packets_out += more.packets_out;
        self.writes += more.writes;
        self.bytes_out += more.bytes_out;
        self.refused += more.refused;
    }
}

/// One side of a router: a queue of an interface, waited for by the runtime.
#[derive(Debug)]
pub(super) struct Port {
    file: AsyncFd<File>,
    /// Packets that are held back while more of their flows may follow.
    trains: Trains,
    pub(super) counters: PortCounters,
}

impl Port {
    /// Takes an interface; `trains` says whether packets may be written as trains.
    pub(super) fn new(tun: Tun, trains: bool) -> io::Result<Self> {
        // SAFETY: the file owns its descriptor and is never changed for another one while it is
        // registered.
        let file = unsafe { AsyncFd::register_with_interest(tun.into_file(), Interest::READABLE)? };
        let support = if trains {
            // A socket in the place of an interface, as in tests, takes no trains.
            set_trains(file.get_ref(), true).unwrap_or(Support::None)
        } else {
            Support::None
        };
        Ok(Self {
            file,
            trains: Trains::new(support),
            counters: PortCounters::default(),
        })
    }

    /// Waits until there may be something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.file.readable().await.map(drop)
    }

    /// Reads a packet, if there is one, to `at` in `buffer`. Returns its length and what is left
    /// to do on it.
    ///
    /// There has to be room of [`Offload::LENGTH`] before `at`.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        at: usize,
    ) -> io::Result<Option<(usize, Offload)>> {
        let room = buffer.get_mut(at - Offload::LENGTH..).unwrap_or_default();
        let read = self
            .file
            .try_io(Interest::READABLE, |mut file| file.read(room));
        let length = match read {
            // A TUN interface has no end of file; a socket in its place does when its other end
            // closes.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => length.saturating_sub(Offload::LENGTH),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        let offload = Offload::read(*room.first_chunk().unwrap_or(&[0; Offload::LENGTH]));
        self.counters.reads += 1;
        self.counters.packets_in += offload.packets(length);
        self.counters.bytes_in += length as u64;
        Ok(Some((length, offload)))
    }

    /// Writes a packet that has room for the bytes of its [`Offload`] in front, at the latest with
    /// the next [`Port::flush`]; one that the interface does not take is counted.
    pub(super) fn write(&mut self, offload: Offload, framed: &mut [u8]) {
        if let Some(header) = framed.first_chunk_mut() {
            *header = offload.bytes();
        }
        let (file, counters) = (self.file.get_ref(), &mut self.counters);
        self.trains.push(offload, framed, &mut |offload, framed| {
            write(file, counters, offload, framed);
        });
    }

    /// Writes what is held back.
    pub(super) fn flush(&mut self) {
        let (file, counters) = (self.file.get_ref(), &mut self.counters);
        self.trains.flush(&mut |offload, framed| {
            write(file, counters, offload, framed);
        });
    }

    /// Sets whether the kernel hands packets over as trains or one by one.
    pub(super) fn set_trains(&self, trains: bool) {
        if let Err(error) = set_trains(self.file.get_ref(), trains) {
            // The router works all the same, one packet at a time.
            tracing::debug!(%error, trains, "Offload cannot be changed");
        }
    }
}

fn write(mut file: &File, counters: &mut PortCounters, offload: Offload, framed: &[u8]) {
    let length = framed.len().saturating_sub(Offload::LENGTH);
    counters.writes += 1;
    match file.write(framed) {
        // An interface takes a packet whole or not at all.
        Ok(written) if written > Offload::LENGTH => {
            counters.packets_out += offload.packets(length);
            counters.bytes_out += length as u64;
        }
        refused => {
            counters.refused += 1;
            tracing::trace!(?refused, length, "Interface refused packet");
        }
    }
}
