#![expect(
    unsafe_code,
    reason = "what the runtime waits for has to stay open meanwhile"
)]

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Tun;
use super::device::set_trains;
use super::offload::Offload;

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
    /// Bytes written, IP headers included.
    pub bytes_out: u64,
    /// Packets and trains that the interface did not take, as when it is down.
    pub refused: u64,
}

/// One side of a router: an interface's cable, waited for by the runtime.
#[derive(Debug)]
pub(super) struct Port {
    file: AsyncFd<File>,
    pub(super) counters: PortCounters,
}

impl Port {
    pub(super) fn new(tun: Tun) -> io::Result<Self> {
        // SAFETY: the file owns its descriptor and is never changed for another one while it is registered.
        let file = unsafe { AsyncFd::register_with_interest(tun.into_file(), Interest::READABLE)? };
        Ok(Self {
            file,
            counters: PortCounters::default(),
        })
    }

    /// Waits until there may be something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.file.readable().await.map(drop)
    }

    /// Reads a packet, if there is one, to `at` in `buffer`, and returns its length and what is left to do on it.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        at: usize,
    ) -> io::Result<Option<(usize, Offload)>> {
        let mut header = [0; Offload::LENGTH];
        let room = buffer.get_mut(at..).unwrap_or_default();
        let slices = &mut [IoSliceMut::new(&mut header), IoSliceMut::new(room)];
        let read = self.file.try_io(Interest::READABLE, |mut file| {
            file.read_vectored(&mut *slices)
        });
        let length = match read {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => length.saturating_sub(Offload::LENGTH),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        let offload = Offload::read(header);
        self.counters.reads += 1;
        self.counters.packets_in += offload.packets(length);
        self.counters.bytes_in += length as u64;
        Ok(Some((length, offload)))
    }

    /// Writes a packet; one that the interface does not take is counted.
    pub(super) fn write(&mut self, offload: Offload, packet: &[u8]) {
        let header = offload.bytes();
        let slices = &[IoSlice::new(&header), IoSlice::new(packet)];
        match self.file.get_ref().write_vectored(slices) {
            // An interface takes a packet whole or not at all.
            Ok(written) if written > Offload::LENGTH => {
                self.counters.packets_out += offload.packets(packet.len());
                self.counters.bytes_out += packet.len() as u64;
            }
            refused => {
                self.counters.refused += 1;
                tracing::trace!(?refused, length = packet.len(), "Interface refused packet");
            }
        }
    }

    /// Has packets come as trains, or one by one.
    pub(super) fn set_trains(&self, trains: bool) {
        if let Err(error) = set_trains(self.file.get_ref(), trains) {
            tracing::debug!(%error, trains, "Offload cannot be changed");
        }
    }
}
