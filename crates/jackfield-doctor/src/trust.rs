//! Which certificates are trusted.

mod verifier;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use verifier::Explaining;
pub(crate) use verifier::certificate_ends;

/// Which certificates are trusted.
#[derive(Debug, Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
}

/// Why a file cannot say which certificates to trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read, or is not PEM.
    #[error("cannot read the certificates in {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: rustls_pki_types::pem::Error,
    },
    /// It holds no certificate that can be used.
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
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
        let mut roots = RootCertStore::empty();
        match file {
            Some(path) => {
                let read = CertificateDer::pem_file_iter(path)
                    .and_then(Iterator::collect::<Result<Vec<_>, _>>);
                let all = read.map_err(|source| TrustError::Unreadable {
                    path: path.to_owned(),
                    source,
                })?;
                let (added, _) = roots.add_parsable_certificates(all);
                if added == 0 {
                    return Err(TrustError::Empty(path.to_owned()));
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                for error in &found.errors {
                    tracing::debug!(%error, "Some of the system's certificates cannot be read");
                }
                roots.add_parsable_certificates(found.certs);
            }
        }
        Ok(Self::of(roots))
    }

    /// Trusts every certificate, as a first look at a server with a self-signed one may want.
    #[must_use]
    pub fn anyone() -> Self {
        Self {
            config: Arc::new(jackfield_driver::tls::accept_any_certificate()),
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
