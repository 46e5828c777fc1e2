//! Which certificates of a server are trusted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jackfield_driver::tls;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Which certificates of a server are trusted.
#[derive(Debug, Clone)]
pub struct Trust(pub(crate) Arc<ClientConfig>);

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
    /// Fails when the named file cannot be read or holds no certificate.
    pub fn new(file: Option<&Path>) -> Result<Self, TrustError> {
        let Some(path) = file else {
            return Ok(Self(Arc::new(tls::with_system_roots())));
        };
        let read =
            CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let all = read.map_err(|source| TrustError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(all);
        if added == 0 {
            return Err(TrustError::Empty(path.to_owned()));
        }
        Ok(Self(Arc::new(tls::with_roots(roots))))
    }
}
