//! Configurations of TLS clients: which certificates of a server they accept.
//!
//! A lab's server and a test's have certificates that no authority signed, for which
//! [`accept_any_certificate`] is. Nothing else should use it: without proof of who the server is, a
//! third party on the path can pose as it.

mod roots;

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

pub use roots::{TrustError, root_certificates};

/// Returns the configuration of a TLS 1.2 and 1.3 client that trusts the authorities that the
/// system trusts. It reads files: some milliseconds, up to a tenth of a second.
#[must_use]
pub fn with_system_roots() -> ClientConfig {
    with_roots(roots::of_system())
}

/// Returns the configuration of a TLS 1.2 and 1.3 client that trusts these authorities.
///
/// ```
/// let config = jackfield_driver::tls::with_roots(rustls::RootCertStore::empty());
/// assert!(!config.client_auth_cert_resolver.has_certs());
/// ```
#[must_use]
pub fn with_roots(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Returns the configuration of a TLS 1.2 and 1.3 client that accepts any certificate, by
/// [`AcceptAnyCertificate`]. It offers no certificate of its own.
///
/// ```
/// let config = jackfield_driver::tls::accept_any_certificate();
/// assert!(!config.client_auth_cert_resolver.has_certs());
/// ```
#[must_use]
pub fn accept_any_certificate() -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(AcceptAnyCertificate::new(Arc::clone(&provider)));
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth()
}

/// A certificate verifier for rustls that accepts any certificate, whatever its name, its dates
/// and its issuer.
///
/// Signatures of the handshake are verified all the same: the server has to own the key of the
/// certificate that it shows. So a passive eavesdropper learns nothing, but an active third party
/// can show a certificate of its own.
#[derive(Debug, Clone)]
pub struct AcceptAnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl AcceptAnyCertificate {
    /// Returns a verifier that knows the signature algorithms of `provider`.
    #[must_use]
    pub fn new(provider: Arc<CryptoProvider>) -> Self {
        Self { provider }
    }
}

impl ServerCertVerifier for AcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
