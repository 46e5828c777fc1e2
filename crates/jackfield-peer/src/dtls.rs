//! The DTLS connection under SCTP ([RFC 8261], [RFC 8827 §6.5]), by `dimpl`.
//!
//! [RFC 8261]: https://www.rfc-editor.org/rfc/rfc8261
//! [RFC 8827 §6.5]: https://www.rfc-editor.org/rfc/rfc8827#section-6.5

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Certificate, Fingerprint};

/// Which side sends the ClientHello ([RFC 8842 §5]).
///
/// [RFC 8842 §5]: https://www.rfc-editor.org/rfc/rfc8842#section-5
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DtlsRole {
    /// We do: `a=setup:active`. Our channels have even stream numbers.
    Client,
    /// The other side does: `a=setup:passive`. Our channels have odd stream numbers.
    Server,
}

/// One DTLS connection: version 1.2 or 1.3, the later one that both sides have.
pub(crate) struct Dtls {
    /// None once the connection failed or was closed: the library must then be thrown away.
    library: Option<dimpl::Dtls>,
    /// What the other side's certificate must match; any of them will do.
    fingerprints: Vec<Fingerprint>,
    verified: bool,
    connected: bool,
    timeout: Option<Instant>,
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DtlsOutput {
    /// A datagram to send.
    Transmit(Vec<u8>),
    /// The handshake is over, and the certificate is the right one.
    Connected,
    /// An SCTP packet came.
    Packet(Vec<u8>),
    /// The other side closed the connection.
    Closed,
    Failed(DtlsError),
}

/// Why a DTLS connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DtlsError {
    /// The other side showed a certificate that the signaling did not announce.
    #[error("the other side's certificate does not have the fingerprint that was signaled")]
    FingerprintMismatch,
    /// The handshake took too long.
    #[error("the DTLS handshake did not end in time")]
    Timeout,
    /// The other side sent what DTLS does not allow, or nothing that both sides support.
    #[error("the DTLS handshake or connection failed")]
    Protocol,
}

impl Dtls {
    pub(crate) fn new(
        now: Instant,
        role: DtlsRole,
        certificate: &Certificate,
        fingerprints: Vec<Fingerprint>,
        datagram_size: usize,
        handshake_timeout: Duration,
    ) -> Self {
        let config = dimpl::Config::builder()
            .mtu(datagram_size)
            // ICE has shown that the other side is at its address: a cookie would show it again,
            // for a round trip.
            .use_server_cookie(false)
            .flight_start_rto(FLIGHT_RTO)
            .flight_retries(FLIGHT_RETRIES)
            .handshake_timeout(handshake_timeout)
            .build();
        let library = config.map(|config| {
            let mut dtls = dimpl::Dtls::new_auto(Arc::new(config), certificate.to_dtls(), now);
            dtls.set_active(role == DtlsRole::Client);
            dtls
        });
        Self {
            library: library
                .inspect_err(|error| tracing::error!(?error, "The DTLS library refuses its limits"))
                .ok(),
            fingerprints,
            verified: false,
            connected: false,
            timeout: None,
            buffer: vec![0; BUFFER],
        }
    }

    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
    ) -> Result<(), DtlsError> {
        self.with(|library| {
            library.handle_timeout(now)?;
            library.handle_packet(datagram)
        })
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsError> {
        self.with(|library| library.handle_timeout(now))
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.library.as_ref().and(self.timeout)
    }

    /// Encrypts an SCTP packet. Drain [`poll_output`](Dtls::poll_output) before the next one: the
    /// library keeps few packets, and gives the connection up when there are more.
    pub(crate) fn send(&mut self, packet: &[u8]) -> Result<(), DtlsError> {
        self.with(|library| library.send_application_data(packet).map(|_| ()))
    }

    /// Tells the other side that the connection ends.
    pub(crate) fn close(&mut self) -> Result<(), DtlsError> {
        self.with(|library| library.close())
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Returns the version, once it is known: `DTLSv1.2` or `DTLSv1.3`.
    pub(crate) fn version(&self) -> Option<&'static str> {
        match self.library.as_ref()?.protocol_version()? {
            dimpl::ProtocolVersion::DTLS1_2 => Some("DTLSv1.2"),
            dimpl::ProtocolVersion::DTLS1_3 => Some("DTLSv1.3"),
            _ => None,
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<DtlsOutput> {
        loop {
            let output = self.library.as_mut()?.poll_output(&mut self.buffer);
            let failed = match output {
                dimpl::Output::Packet(bytes) => return Some(DtlsOutput::Transmit(bytes.to_vec())),
                dimpl::Output::ApplicationData(bytes) if self.connected => {
                    return Some(DtlsOutput::Packet(bytes.to_vec()));
                }
                // Before the certificate is checked, anyone may have sent it.
                dimpl::Output::ApplicationData(_) => continue,
                dimpl::Output::PeerCert(der) => {
                    self.verified = self.fingerprints.iter().any(|one| one.matches(der));
                    !self.verified
                }
                dimpl::Output::Connected if self.verified => {
                    self.connected = true;
                    return Some(DtlsOutput::Connected);
                }
                dimpl::Output::Connected => true,
                dimpl::Output::CloseNotify => {
                    self.library = None;
                    return Some(DtlsOutput::Closed);
                }
                dimpl::Output::BufferTooSmall { needed } => {
                    self.buffer.resize(needed, 0);
                    continue;
                }
                dimpl::Output::Timeout(at) => {
                    self.timeout = Some(at);
                    return None;
                }
                _ => continue,
            };
            if failed {
                self.library = None;
                return Some(DtlsOutput::Failed(DtlsError::FingerprintMismatch));
            }
        }
    }

    /// Calls the library, and throws it away with its first error, as it asks for.
    fn with(
        &mut self,
        call: impl FnOnce(&mut dimpl::Dtls) -> Result<(), dimpl::Error>,
    ) -> Result<(), DtlsError> {
        let Some(library) = &mut self.library else {
            return Ok(());
        };
        call(library).map_err(|error| {
            tracing::debug!(%error, "DTLS failed");
            self.library = None;
            match error {
                dimpl::Error::Timeout(_) => DtlsError::Timeout,
                _ => DtlsError::Protocol,
            }
        })
    }
}

impl fmt::Debug for Dtls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dtls")
            .field("version", &self.version())
            .field("connected", &self.connected)
            .finish_non_exhaustive()
    }
}

/// Enough for any record that is not larger than the path.
const BUFFER: usize = 2048;

/// Browsers send a flight again after 50 ms to 1 s. Most paths have less than a quarter second.
const FLIGHT_RTO: Duration = Duration::from_millis(250);
/// The last of them comes after half a minute, about when ICE gives up, too.
const FLIGHT_RETRIES: usize = 7;
