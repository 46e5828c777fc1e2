//! Which certificates of a server are trusted.

use std::path::Path;
use std::sync::Arc;

pub use jackfield_driver::tls::TrustError;
use jackfield_driver::tls::{root_certificates, with_roots};
use rustls::ClientConfig;

/// Which certificates of a server are trusted.
#[derive(Debug, Clone)]
pub struct Trust(pub(crate) Arc<ClientConfig>);

impl Trust {
    /// Trusts the certificates in a PEM file and those that they have signed; without a file, the
    /// authorities that the system trusts.
    ///
    /// # Errors
    /// Fails when the named file cannot be read or holds no certificate.
    pub fn new(file: Option<&Path>) -> Result<Self, TrustError> {
        Ok(Self(Arc::new(with_roots(root_certificates(file)?))))
    }

    /// Trusts what a configuration of rustls does.
    #[must_use]
    pub fn of_config(config: Arc<ClientConfig>) -> Self {
        Self(config)
    }
}
