//! Which certificates are trusted.

mod verifier;

use std::path::Path;
use std::sync::Arc;

pub use jackfield_driver::tls::TrustError;
use jackfield_driver::tls::{accept_any_certificate, root_certificates};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};

use verifier::Explaining;
pub(crate) use verifier::certificate_ends;

/// Which certificates are trusted.
#[derive(Debug, Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
}

impl Trust {
    /// Trusts the certificates in a PEM file and those that they have signed; without a file, the
    /// authorities that the system trusts.
    ///
    /// # Errors
    ///
    /// Fails when the named file cannot be read or holds no certificate. With a system that has no
    /// certificates, every connection fails with
    /// [`NoAuthorities`](crate::facts::CertificateError::NoAuthorities).
    pub fn new(file: Option<&Path>) -> Result<Self, TrustError> {
        Ok(Self::of(root_certificates(file)?))
    }

    /// Trusts every certificate, as a first look at a server with a self-signed one may want.
    #[must_use]
    pub fn anyone() -> Self {
        Self {
            config: Arc::new(accept_any_certificate()),
        }
    }

    /// Returns the configuration of TLS connections.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    fn of(roots: RootCertStore) -> Self {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let builder =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        // It cannot be built without roots; the connection then says so, and not this.
        let verifier = Explaining::new(builder.build().ok(), Arc::clone(&provider));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the cipher suites of TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Self {
            config: Arc::new(config),
        }
    }
}
