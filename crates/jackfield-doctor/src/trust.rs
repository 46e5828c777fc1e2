use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

/// Which certificates are believed.
#[derive(Debug, Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
}

impl Trust {
    /// Believes who the certificates in a PEM file vouch for; without a file, who the system's do.
    ///
    /// # Errors
    ///
    /// Fails when the named file cannot be read or holds no certificate. A system without certificates believes nobody.
    pub fn new(file: Option<&Path>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        match file {
            Some(file) => {
                if read(file, &mut roots)? == 0 {
                    bail!("{} holds no certificate", file.display());
                }
            }
            None => {
                if let Some(file) = system_file() {
                    read(&file, &mut roots)?;
                }
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("the TLS library offers no version")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// Believes everybody, as a first look at a server with a certificate of its own making may want.
    pub fn anyone() -> Self {
        let nobody = ServerName::from(std::net::IpAddr::from([0; 4]));
        Self {
            config: jackfield_driver::turn_client::Tls::any_certificate(nobody).config,
        }
    }

    /// Returns what TLS connections are made with.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }
}

/// Adds the certificates of a PEM file; returns how many there were that can be used.
fn read(file: &Path, roots: &mut RootCertStore) -> Result<usize> {
    let all = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read the certificates in {}", file.display()))?;
    let (added, _) = roots.add_parsable_certificates(all);
    Ok(added)
}

/// Returns the file where this system keeps the certificates that it trusts.
fn system_file() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let known = PLACES.iter().map(PathBuf::from);
    named.into_iter().chain(known).find(|file| file.exists())
}

const PLACES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
