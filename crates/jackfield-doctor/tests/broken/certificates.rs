//! Certificates, good and bad.

use std::io::Write;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::NamedTempFile;

/// An authority, whose own certificate is in a file.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: NamedTempFile,
}

/// A certificate to be.
pub(crate) struct Certificate(CertificateParams);

/// What a TLS server shows, and its key.
pub(crate) type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(own.pem().as_bytes()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            file,
        }
    }

    /// The file with the authority's certificate.
    pub(crate) fn file(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn sign(&self, certificate: Certificate) -> Shown {
        let key = KeyPair::generate().unwrap();
        let signed = certificate.0.signed_by(&key, &self.issuer).unwrap();
        shown(signed.der(), &key)
    }
}

impl Certificate {
    pub(crate) fn of(name: &str) -> Self {
        Self(CertificateParams::new([name.to_owned()]).unwrap())
    }

    pub(crate) fn valid(mut self, from: (i32, u8, u8), to: (i32, u8, u8)) -> Self {
        self.0.not_before = date_time_ymd(from.0, from.1, from.2);
        self.0.not_after = date_time_ymd(to.0, to.1, to.2);
        self
    }

    /// Signs it with its own key; `may_sign` others too, as `openssl req -x509` makes them.
    pub(crate) fn self_signed(mut self, may_sign: bool) -> Shown {
        if may_sign {
            self.0.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().unwrap();
        let signed = self.0.self_signed(&key).unwrap();
        shown(signed.der(), &key)
    }
}

fn shown(certificate: &CertificateDer<'static>, key: &KeyPair) -> Shown {
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    (vec![certificate.clone()], key)
}
