//! The certificates that a TLS client trusts: those of a file, or the system's.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

/// Why a file cannot say which certificates to trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read, or is not PEM.
    #[error("cannot read the certificates in {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: pem::Error,
    },
    /// It holds no certificate that can be used.
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
}

/// Returns the certificates of a PEM file; without a file, the authorities that the system trusts,
/// which may be none.
///
/// ```no_run
/// use std::path::Path;
///
/// let system = jackfield_driver::tls::root_certificates(None)?;
/// let own = jackfield_driver::tls::root_certificates(Some(Path::new("authority.pem")))?;
/// assert!(!own.is_empty());
/// # Ok::<(), jackfield_driver::tls::TrustError>(())
/// ```
///
/// # Errors
/// Fails when the named file cannot be read or holds no certificate.
pub fn root_certificates(file: Option<&Path>) -> Result<RootCertStore, TrustError> {
    match file {
        Some(path) => of_file(path),
        None => Ok(of_system()),
    }
}

fn of_file(path: &Path) -> Result<RootCertStore, TrustError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = read.map_err(|source| TrustError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(all);
    if added == 0 {
        return Err(TrustError::Empty(path.to_owned()));
    }
    Ok(roots)
}

/// Returns the authorities that the system trusts.
pub(super) fn of_system() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    // One broken file among the system's hundred must not cost the others.
    for error in &found.errors {
        tracing::debug!(%error, "Some of the system's certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_how_many_certificates_are_trusted_or_why_none() {
        let folder = std::env::temp_dir().join(format!("jackfield-roots-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let with = |name: &str, content: &str| {
            let path = folder.join(name);
            std::fs::write(&path, content).unwrap();
            root_certificates(Some(&path))
        };
        let made = ["one.example", "two.example"].map(|name| {
            let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            made.cert.pem()
        });
        assert_eq!(with("two.pem", &made.concat()).unwrap().len(), 2);
        assert!(matches!(with("empty.pem", ""), Err(TrustError::Empty(_))));
        let missing = root_certificates(Some(&folder.join("missing.pem")));
        assert!(matches!(missing, Err(TrustError::Unreadable { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
