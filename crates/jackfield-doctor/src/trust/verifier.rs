//! Verifies certificates as rustls does, and says more exactly why one is not trusted.

use std::sync::Arc;

use jackfield_driver::tls::AcceptAnyCertificate;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, OtherError, SignatureScheme};
use webpki::EndEntityCert;

use crate::facts::CertificateError;

/// rustls's own verifier, with its refusals told apart.
#[derive(Debug)]
pub(super) struct Explaining {
    /// Absent when there is no authority to trust.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    /// Verifies signatures, which does not depend on whether the certificate is trusted.
    signatures: AcceptAnyCertificate,
}

impl Explaining {
    pub(super) fn new(
        verifier: Option<Arc<WebPkiServerVerifier>>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self {
            verifier,
            signatures: AcceptAnyCertificate::new(provider),
        }
    }
}

impl ServerCertVerifier for Explaining {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(verifier) = &self.verifier else {
            return Err(refusal(CertificateError::NoAuthorities));
        };
        let verified =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.map_err(|error| explain(error, end_entity, intermediates))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.supported_verify_schemes()
    }
}

fn explain(error: Error, end_entity: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Error {
    let Error::InvalidCertificate(error) = error else {
        return error;
    };
    refusal(match CertificateError::of(&error) {
        // rustls calls both an unknown issuer; and a self-signed certificate that may also sign
        // others, as openssl makes them, is unfit in its eyes.
        CertificateError::UnknownAuthority { .. } | CertificateError::Unfit
            if is_self_issued(end_entity) =>
        {
            CertificateError::SelfSigned
        }
        CertificateError::UnknownAuthority { .. } => CertificateError::UnknownAuthority {
            is_alone: others.is_empty(),
        },
        error => error,
    })
}

fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate)
        .is_ok_and(|certificate| certificate.issuer() == certificate.subject())
}

fn refusal(error: CertificateError) -> Error {
    Error::InvalidCertificate(rustls::CertificateError::Other(OtherError(Arc::new(error))))
}
