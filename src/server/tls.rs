//! TLS on the listener. Certificates are replaced while the server runs: each connection is made with what is current.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::files::{self, FileError, FileSet, Reload};

/// What gRPC over TLS speaks (RFC 9113, section 3.2).
const ALPN: &[u8] = b"h2";

/// Files of TLS, all PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of clients' certificates. Where set, a client without one of theirs gets no connection.
    pub client_ca: Option<PathBuf>,
}

/// TLS as it is now configured.
pub struct Tls {
    sources: TlsFiles,
    files: FileSet,
    current: RwLock<Arc<ServerConfig>>,
}

#[derive(Debug, thiserror::Error)]
enum TlsError {
    #[error("it has no certificate")]
    NoCertificate,
    #[error("it has no private key")]
    NoKey,
    #[error("it is not valid PEM")]
    Pem,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Where one cannot be read, or they do not fit each other.
    pub fn load(sources: TlsFiles) -> Result<Self, FileError> {
        let paths = [Some(&sources.certificate), Some(&sources.key), sources.client_ca.as_ref()];
        // Before they are read: see there.
        let files = FileSet::new(paths.into_iter().flatten().cloned().collect());
        let current = RwLock::new(Arc::new(read(&sources)?));
        Ok(Self { sources, files, current })
    }

    /// For one connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Reload for Tls {
    fn files(&self) -> &FileSet {
        &self.files
    }

    /// The new configuration remembers no sessions of the old one. So none is resumed that an authority vouched for which is
    /// trusted no more.
    fn reload(&self) -> Result<(), FileError> {
        let new = Arc::new(read(&self.sources)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

fn read(sources: &TlsFiles) -> Result<ServerConfig, FileError> {
    let provider = Arc::new(ring::default_provider());
    let certificates = certificates(&sources.certificate)?;
    let key = files::read(&sources.key)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| FileError::new(&sources.key, TlsError::NoKey))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| FileError::new(&sources.certificate, error))?;
    let builder = match &sources.client_ca {
        Some(path) => builder.with_client_cert_verifier(client_verifier(path, provider)?),
        None => builder.with_no_client_auth(),
    };
    // It also says where the key is not that of the certificate.
    let config = builder.with_single_cert(certificates, key);
    let mut config = config.map_err(|error| FileError::new(&sources.key, error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let content = files::read(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let certificates = read.map_err(|_| FileError::new(path, TlsError::Pem))?;
    if certificates.is_empty() {
        return Err(FileError::new(path, TlsError::NoCertificate));
    }
    Ok(certificates)
}

fn client_verifier(path: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, FileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| FileError::new(path, error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| FileError::new(path, error))
}
