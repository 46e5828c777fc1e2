//! What the fuzz targets reach and no other crate should.

use std::time::Instant;

use crate::channel::Reliability;
use crate::sctp::{Library, Ppid, Sctp, SctpConfig};

/// SCTP without DTLS around it, so that a fuzz target's packets get past the encryption.
#[derive(Debug)]
pub struct BareSctp(Library);

impl BareSctp {
    /// Makes one side of an association; the client sends the INIT.
    #[must_use]
    pub fn new(client: bool) -> Self {
        Self(Library::new(SctpConfig {
            dtls_client: client,
            local_port: 5000,
            remote_port: 5000,
            packet_size: 1160,
            receive_limit: 65_536,
            send_limit: 65_536,
            receive_buffer: 131_072,
            snap: None,
        }))
    }

    /// Begins.
    pub fn start(&mut self, now: Instant) {
        self.0.start(now);
    }

    /// Takes a packet, and reads everything that it completes.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        self.0.handle_packet(now, packet);
        self.settle();
    }

    /// Lets timers expire.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
        self.settle();
    }

    /// Returns a packet to send.
    pub fn poll_packet(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.0.poll_packet(now)
    }

    /// Opens a stream and sends a message on it, as far as that is possible.
    pub fn send(&mut self, stream: u16, ordered: bool, length: usize) {
        if self.0.open(stream).is_ok() {
            self.0
                .configure(stream, ordered, Reliability::MaxRetransmits(2));
            let _ = self.0.write(stream, Ppid::Binary, &vec![7; length]);
        }
    }

    /// Resets a stream.
    pub fn reset(&mut self, stream: u16) {
        self.0.reset(stream);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(event) = self.0.poll_event() {
            if let crate::sctp::SctpEvent::Readable(stream) = event {
                while self.0.read(stream).is_some() {}
            }
        }
    }
}
