//! What the fuzz targets reach and no other crate should.

use std::time::{Duration, Instant};

use crate::channel::Reliability;
use crate::dtls::{Dtls, DtlsOutput};
use crate::sctp::{Library, Ppid, Sctp, SctpConfig};
use crate::{Certificate, DtlsRole, Fingerprint};

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

/// DTLS without SCTP in it, so that a fuzz target says anything to a peer that trusts it.
#[derive(Debug)]
pub struct BareDtls(Dtls);

/// What [`BareDtls`] has to say.
#[derive(Debug)]
pub enum Decrypted {
    /// Send a datagram.
    Transmit(Vec<u8>),
    /// The handshake is over.
    Connected,
    /// The other side sent this in it.
    Packet(Vec<u8>),
}

impl BareDtls {
    /// Makes one side of a connection, and begins.
    #[must_use]
    pub fn new(
        now: Instant,
        role: DtlsRole,
        certificate: &Certificate,
        theirs: Fingerprint,
    ) -> Self {
        let timeout = Duration::from_secs(30);
        let mut dtls = Dtls::new(now, role, certificate, vec![theirs], 1200, timeout);
        let _ = dtls.handle_timeout(now);
        Self(dtls)
    }

    /// Takes a datagram.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        let _ = self.0.handle_datagram(now, datagram);
    }

    /// Lets timers expire.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = self.0.handle_timeout(now);
    }

    /// Sends bytes in a record; drain [`poll_output`](Self::poll_output) before the next ones.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.send(bytes);
    }

    /// Returns the next thing to do, until there is none.
    pub fn poll_output(&mut self) -> Option<Decrypted> {
        loop {
            return match self.0.poll_output()? {
                DtlsOutput::Transmit(datagram) => Some(Decrypted::Transmit(datagram)),
                DtlsOutput::Connected => Some(Decrypted::Connected),
                DtlsOutput::Packet(packet) => Some(Decrypted::Packet(packet)),
                DtlsOutput::Closed | DtlsOutput::Failed(_) => continue,
            };
        }
    }
}
