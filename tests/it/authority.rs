//! An authority that signs certificates, for tests of TLS.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::recorded;

pub(crate) struct Authority {
    pub(crate) certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A certificate of the server `localhost`.
    pub(crate) fn server(&self) -> Signed {
        self.sign("localhost", ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate of a client.
    pub(crate) fn client(&self) -> Signed {
        self.sign("shop", ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> Signed {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages.push(purpose);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = key.serialize_pem();
        recorded::secret(&key);
        Signed { certificate: certificate.pem(), key }
    }

    /// How a client encrypts that trusts this authority.
    pub(crate) fn trusted(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.certificate)).domain_name("localhost")
    }
}

impl Signed {
    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key)
    }

    /// Writes `cert.pem` and `key.pem`, each in one step, and tells where.
    pub(crate) fn write(&self, dir: &Path) -> (PathBuf, PathBuf) {
        (replace(dir, "cert.pem", &self.certificate), replace(dir, "key.pem", &self.key))
    }
}

/// Puts a file in the place of another, so that nobody ever reads half of it.
pub(crate) fn replace(dir: &Path, name: &str, content: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(dir.join("new"), content).expect("a file");
    std::fs::rename(dir.join("new"), &path).expect("a file");
    path
}

/// A new connection for each call that finds none.
pub(crate) fn encrypted(url: &str, tls: ClientTlsConfig) -> Channel {
    Endpoint::from_shared(url.to_owned()).expect("a URL").tls_config(tls).expect("TLS").connect_lazy()
}
