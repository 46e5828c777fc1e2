//! What an association is configured with, and what it learns of the other side.

use std::time::Duration;

use crate::{Certificate, Fingerprint};

/// How an association behaves, and what it takes at most.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AssociationConfig {
    /// Our certificate.
    pub certificate: Certificate,
    /// The longest message that we accept and announce, in bytes. Default: 262,144, as browsers.
    pub max_message_size: usize,
    /// The receive window, in bytes, over all channels; at least one message fits.
    /// Default: 4 MiB.
    pub receive_buffer: usize,
    /// How much a channel buffers before [`write`](crate::Association::write) refuses more, in
    /// bytes. One message is always taken. Default: 16 MiB, as Chromium.
    pub max_buffered: usize,
    /// How many channels there may be at a time. Default: 1,024.
    pub max_channels: usize,
    /// The largest datagram that we send, in bytes. Default: 1,200, which passes IPv6 and TURN.
    pub datagram_size: usize,
    /// Our SCTP port. Default: 5000.
    pub sctp_port: u16,
    /// How long the DTLS handshake may take. Default: 30 s.
    pub handshake_timeout: Duration,
    /// How long the other side may send nothing while messages wait for its acknowledgement.
    /// Default: none, because ICE notices a dead path; give one where there is no ICE.
    pub silence_timeout: Option<Duration>,
    /// How long an association without a channel lasts. Default: none, for ever.
    pub idle_timeout: Option<Duration>,
    /// Whether our INIT chunk is offered in the signaling, which saves two round trips where the
    /// other side does the same. Default: on.
    pub snap: bool,
}

impl AssociationConfig {
    /// Returns the default configuration for a certificate.
    #[must_use]
    pub fn new(certificate: Certificate) -> Self {
        Self {
            certificate,
            max_message_size: 262_144,
            receive_buffer: 4 << 20,
            max_buffered: 16 << 20,
            max_channels: 1024,
            datagram_size: 1200,
            sctp_port: 5000,
            handshake_timeout: Duration::from_secs(30),
            silence_timeout: None,
            idle_timeout: None,
            snap: true,
        }
    }

    /// Returns the receive window: a message that is almost whole must leave room for the rest.
    pub(super) fn receive_window(&self) -> usize {
        self.receive_buffer
            .max(self.max_message_size.saturating_mul(2))
            .min(u32::MAX as usize)
    }
}

/// What the signaling says of the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteParameters {
    /// Its certificate has one of these.
    pub fingerprints: Vec<Fingerprint>,
    /// Its SCTP port.
    pub sctp_port: u16,
    /// The longest message that it accepts, in bytes; 0 is any ([RFC 8841 §6]).
    ///
    /// [RFC 8841 §6]: https://www.rfc-editor.org/rfc/rfc8841#section-6
    pub max_message_size: u64,
    /// Its INIT chunk.
    pub init_chunk: Option<Vec<u8>>,
}

impl RemoteParameters {
    /// Returns the parameters that a peer has without saying more than its fingerprint.
    #[must_use]
    pub fn new(fingerprint: Fingerprint) -> Self {
        Self {
            fingerprints: vec![fingerprint],
            sctp_port: 5000,
            max_message_size: 262_144,
            init_chunk: None,
        }
    }

    /// Returns the longest message to send. Past 1 GiB no sender of ours goes.
    pub(super) fn send_limit(&self) -> usize {
        match usize::try_from(self.max_message_size) {
            Ok(1..=LARGEST) => self.max_message_size as usize,
            _ => LARGEST,
        }
    }
}

const LARGEST: usize = 1 << 30;
