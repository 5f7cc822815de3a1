//! How a client proves who it is, and knows who the server is. Never as an argument: other users of a machine can read those.

use std::path::{Path, PathBuf};

use boxoffice::causes::in_one_line;
use boxoffice::client::Caller;
use boxoffice::files;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::failure::Failure;
use super::output::shell_word;

/// Holds a token, for where a file is inconvenient.
const TOKEN_VARIABLE: &str = "BOXOFFICE_TOKEN";

/// Options of all clients.
#[derive(clap::Args)]
pub(crate) struct Credentials {
    /// A file with a token; without it, the environment variable BOXOFFICE_TOKEN may hold one
    #[arg(long, global = true, value_name = "FILE", env = "BOXOFFICE_TOKEN_FILE", hide_env_values = true)]
    token_file: Option<PathBuf>,
    /// For https://: the server's authority (PEM) [default: those that the system trusts]
    #[arg(long, global = true, value_name = "FILE", env = "BOXOFFICE_CA", hide_env_values = true)]
    ca: Option<PathBuf>,
    /// For servers that ask for one: a certificate of this client (PEM)
    #[arg(long, global = true, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// The private key of that certificate (PEM)
    #[arg(long, global = true, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

impl Credentials {
    /// Whether there is a token.
    pub(super) fn has_token(&self) -> bool {
        self.token_file.is_some() || std::env::var_os(TOKEN_VARIABLE).is_some_and(|token| !token.is_empty())
    }

    /// The bearer of the token, if there is one.
    pub(super) fn bearer(&self) -> Result<Option<Caller>, Failure> {
        let (text, place) = match &self.token_file {
            Some(path) => (read_text(path)?, path.display().to_string()),
            None => match std::env::var(TOKEN_VARIABLE) {
                Ok(token) if !token.is_empty() => (token, TOKEN_VARIABLE.to_owned()),
                _ => return Ok(None),
            },
        };
        let caller = Caller::token(text.trim());
        caller.map(Some).map_err(|_| Failure::Usage(format!("{place} does not hold a token")))
    }

    /// How to encrypt.
    pub(super) fn tls(&self) -> Result<ClientTlsConfig, Failure> {
        let tls = match &self.ca {
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read_text(path)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        match (&self.client_cert, &self.client_key) {
            (Some(cert), Some(key)) => Ok(tls.identity(Identity::from_pem(read_text(cert)?, read_text(key)?))),
            _ => Ok(tls),
        }
    }

    /// The options that a printed command needs. (Where a token comes from, but never the token.)
    pub(super) fn to_options(&self) -> impl Iterator<Item = String> {
        let each = [
            ("--token-file", &self.token_file),
            ("--ca", &self.ca),
            ("--client-cert", &self.client_cert),
            ("--client-key", &self.client_key),
        ];
        each.into_iter().filter_map(|(option, path)| {
            Some(format!("{option} {}", shell_word(&path.as_ref()?.display().to_string())))
        })
    }
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let content = files::read(path).map_err(|error| Failure::Usage(format!("cannot read {}", in_one_line(&error))))?;
    String::from_utf8(content).map_err(|_| Failure::Usage(format!("{} is not text", path.display())))
}
