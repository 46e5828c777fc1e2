//! The certificate and settings of TLS listeners.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Certificate;

/// Returns what TLS listeners offer: TLS 1.2 and 1.3, `h2` and `http/1.1` for HTTP, `stun.turn` for
/// TURN ([RFC 7443]).
///
/// A client that names no protocol is served as well: browsers send none for `turns:`.
///
/// # Errors
///
/// Fails when a file cannot be read, is no PEM, or when the key does not fit the certificate.
///
/// [RFC 7443]: https://www.rfc-editor.org/rfc/rfc7443
pub(super) fn server_config(certificate: &Certificate) -> Result<Arc<ServerConfig>> {
    let (chain, key) = match certificate {
        Certificate::SelfSigned => self_signed()?,
        Certificate::Files { cert, key } => from_files(cert, key)?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("the TLS library offers no version")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the certificate and its key do not fit")?;
    config.alpn_protocols = [b"h2".as_slice(), b"http/1.1", b"stun.turn"]
        .map(<[u8]>::to_vec)
        .into();
    Ok(Arc::new(config))
}

fn from_files(
    cert: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read the certificate {}", cert.display()))?;
    if chain.is_empty() {
        bail!("{} holds no certificate", cert.display());
    }
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read the private key {}", key.display()))?;
    Ok((chain, key))
}

fn self_signed() -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let mut names = vec!["localhost".to_owned()];
    names.extend(addresses().iter().map(ToString::to_string));
    let made = rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    Ok((vec![made.cert.der().clone()], key))
}

/// Returns the addresses that a browser on this machine or network might use.
fn addresses() -> Vec<IpAddr> {
    let mut addresses = vec![
        IpAddr::from([127, 0, 0, 1]),
        IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]),
    ];
    addresses.extend(super::addresses::local());
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_signed_certificate_is_made() {
        let config = server_config(&Certificate::SelfSigned).unwrap();
        assert_eq!(config.alpn_protocols.len(), 3);
    }

    #[test]
    fn files_are_read_and_wrong_ones_named() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let files = |cert: &Path, key: &Path| Certificate::Files {
            cert: cert.to_owned(),
            key: key.to_owned(),
        };
        assert!(server_config(&files(&cert, &key)).is_ok());
        let error = server_config(&files(&key, &key)).unwrap_err().to_string();
        assert!(error.contains("k.pem"), "{error}");
        let error = server_config(&files(&cert, &dir.path().join("none"))).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
    }
}
