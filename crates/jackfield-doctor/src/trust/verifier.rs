//! Verifies certificates as rustls does, and says more exactly why one is not trusted.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jackfield_driver::tls::AcceptAnyCertificate;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, OtherError, SignatureScheme};
use webpki::EndEntityCert;

use crate::facts::CertificateError;

/// rustls's own verifier, with more kinds of refusals.
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

/// Returns the last moment of a certificate.
///
/// webpki looks at a certificate's time before it looks for who signed it, and says of one that has
/// expired since when: so it is asked about a time when every certificate has.
pub(crate) fn certificate_ends(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let judged = certificate.verify_for_usage(
        &[],
        &[],
        &[],
        UnixTime::since_unix_epoch(FAR_FUTURE),
        webpki::KeyUsage::server_auth(),
        None,
        None,
    );
    match judged {
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(not_after.as_secs()))
        }
        _ => None,
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

/// After the year 9999, the last one that a certificate can name.
const FAR_FUTURE: Duration = Duration::from_secs(300_000_000_000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_moment_of_a_certificate_is_read_whatever_its_issuer() {
        for (year, seconds) in [
            (2030, 1_893_456_000),
            (2049, 2_493_072_000),
            (2090, 3_786_912_000),
        ] {
            let mut params = rcgen::CertificateParams::new(["call.example".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            let key = rcgen::KeyPair::generate().unwrap();
            let signed = params.self_signed(&key).unwrap();
            let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(certificate_ends(signed.der()), Some(ends));
        }
        assert_eq!(certificate_ends(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
