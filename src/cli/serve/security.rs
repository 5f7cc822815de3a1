//! Options that say who may call, and how connections are encrypted.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use boxoffice::causes::in_one_line;
use boxoffice::grpc::Authentication;
use boxoffice::identity::{Expected, KeyFiles, Verifier};
use boxoffice::server::{ServerConfig, Tls, TlsFiles};

use super::Failure;
use crate::cli::output::program;

/// Options of `serve`. `docs/security.md` tells of them.
#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// A key that proves tokens: PUBLIC KEY in PEM (RS256, ES256, EdDSA), or a secret of at least 32 bytes in base64
    /// (HS256). May be given several times. Read again when it changes
    #[arg(long, value_name = "FILE")]
    auth_key: Vec<PathBuf>,
    /// Keys that prove tokens, as a JWK set (RFC 7517). May be given several times. Read again when it changes
    #[arg(long, value_name = "FILE")]
    auth_jwks: Vec<PathBuf>,
    /// What tokens must have in aud [default: tokens with an aud are refused]
    #[arg(long, value_name = "TEXT")]
    auth_audience: Option<String>,
    /// What tokens must have as iss [default: anything]
    #[arg(long, value_name = "TEXT")]
    auth_issuer: Option<String>,
    /// The server's certificate, and those between it and its authority (PEM). Read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate (PEM). Read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Accept only clients with a certificate of these authorities (PEM). Read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// Something in front of the server encrypts: serve other machines without TLS
    #[arg(long, conflicts_with = "tls_cert")]
    tls_terminated_elsewhere: bool,
}

impl Args {
    /// Whether any of them was given.
    pub(super) const fn is_given(&self) -> bool {
        !self.auth_key.is_empty()
            || !self.auth_jwks.is_empty()
            || self.auth_audience.is_some()
            || self.auth_issuer.is_some()
            || self.tls_cert.is_some()
            || self.tls_terminated_elsewhere
    }

    /// Whether they are enough to serve `listen` without --dev.
    pub(super) fn check(&self, listen: SocketAddr) -> Result<(), Failure> {
        if self.auth_key.is_empty() && self.auth_jwks.is_empty() {
            let message = "a key that proves tokens is needed, --auth-key or --auth-jwks; to try it out without: --dev";
            return Err(Failure::Usage(message.to_owned()));
        }
        if !listen.ip().is_loopback() && self.tls_cert.is_none() && !self.tls_terminated_elsewhere {
            return Err(Failure::Usage(format!(
                "--listen {listen}: without TLS whoever is on the way reads the tokens: give --tls-cert and --tls-key, or \
                 --tls-terminated-elsewhere if something in front of the server encrypts"
            )));
        }
        Ok(())
    }

    /// Reads the files.
    pub(super) fn server_config(&self, listen: SocketAddr) -> Result<ServerConfig, Failure> {
        let keys = KeyFiles { keys: self.auth_key.clone(), jwks: self.auth_jwks.clone() };
        let expected = Expected { audience: self.auth_audience.clone(), issuer: self.auth_issuer.clone() };
        let wrong = |option: &str, error| Failure::Failed(format!("{option} {}", in_one_line(&error)));
        let verifier = Verifier::load(keys, expected).map_err(|error| wrong("keys of tokens:", error))?;
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                let files = TlsFiles {
                    certificate: certificate.clone(),
                    key: key.clone(),
                    client_ca: self.tls_client_ca.clone(),
                };
                Some(Arc::new(Tls::load(files).map_err(|error| wrong("TLS:", error))?))
            }
            _ => None,
        };
        Ok(ServerConfig {
            tls,
            tls_terminated_elsewhere: self.tls_terminated_elsewhere,
            ..ServerConfig::new(listen, Authentication::Tokens(Arc::new(verifier)))
        })
    }
}

/// What to type next.
pub(super) fn hint(scheme: &str, address: SocketAddr) -> String {
    let program = program();
    format!(
        "Callers need a token, and its role says what they may do. For operators:

  {program} token mint --key FILE --role admin --owner NAME > admin.token
  {program} admin list --token-file admin.token --server {scheme}://{address}
"
    )
}
