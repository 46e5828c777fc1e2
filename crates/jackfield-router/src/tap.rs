//! A capture file of what a router's NAT sees and says.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::SystemTime;

use jackfield_nat::Side;
use jackfield_nat::pcapng;

/// A capture file of what a router's NAT sees and says.
///
/// Each packet is in it as it came, on the side it came from and with the verdict as its comment,
/// and once more as it left. What the link lost or blocked before the NAT is not. Trains are
/// captured whole, and checksums that are left to others are not there, as in any capture with
/// offload.
#[derive(Debug)]
pub struct Tap {
    file: Option<BufWriter<File>>,
}

impl Tap {
    /// Makes a capture file, or empties the one that is there.
    ///
    /// # Errors
    /// Fails when the file cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&pcapng::file_header(["inside", "outside"]))?;
        file.flush()?;
        Ok(Self { file: Some(file) })
    }

    /// Adds a packet.
    pub(super) fn record(&mut self, side: Side, packet: &[u8], comment: Option<&str>) {
        let interface = match side {
            Side::Inside => 0,
            Side::Outside => 1,
        };
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let block = pcapng::packet_block(interface, now, packet, comment);
        self.write(|file| file.write_all(&block));
    }

    /// Writes what was recorded to the file, so that a reader can follow it.
    pub(super) fn flush(&mut self) {
        self.write(BufWriter::flush);
    }

    /// Writes by `write`. A capture that cannot be written ends, and the router goes on.
    fn write(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        let result = self.file.as_mut().map_or(Ok(()), write);
        if let Err(error) = result {
            tracing::warn!(%error, "Capture ended");
            self.file = None;
        }
    }
}
