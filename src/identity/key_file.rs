//! Files of keys (`--auth-key`): PEM with public keys, or a shared secret in base64. What it is shows in its first bytes,
//! and there is no third form: a file that might be taken for either would be taken for the wrong one.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio_rustls::rustls::pki_types::SubjectPublicKeyInfoDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::key::{Key, KeyError};
use crate::files::{self, FileError};

/// How every PEM section begins.
const PEM: &[u8] = b"-----BEGIN ";

/// Why a file is not one of keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyFileError {
    #[error("it holds a private key: give the server the public one (openssl pkey -in FILE -pubout)")]
    Private,
    #[error("it has no section PUBLIC KEY")]
    NoPublicKey,
    #[error("it is not valid PEM")]
    Pem,
    #[error("it is neither PEM with a PUBLIC KEY nor a secret in base64 (openssl rand -base64 48)")]
    NotBase64,
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Reads the keys of a file: one secret, or one or more public keys.
pub(super) fn read(path: &Path) -> Result<Vec<Key>, FileError> {
    let content = files::read(path)?;
    parse(&content).map_err(|error| FileError::new(path, error))
}

/// What a file holds.
pub(super) fn parse(content: &[u8]) -> Result<Vec<Key>, KeyFileError> {
    if content.windows(PEM.len()).any(|window| window == PEM) {
        return public_keys(content);
    }
    Ok(vec![Key::secret(None, &secret(content).ok_or(KeyFileError::NotBase64)?)?])
}

/// The secret of a file, if it holds base64 and nothing else. Line breaks do not count, but spaces do: words are a password
/// of people, which can be guessed.
pub(super) fn secret(content: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = content.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    STANDARD.decode(text).ok()
}

fn public_keys(content: &[u8]) -> Result<Vec<Key>, KeyFileError> {
    let private = b"PRIVATE KEY-----";
    if content.windows(private.len()).any(|window| window == private) {
        return Err(KeyFileError::Private);
    }
    let mut keys = Vec::new();
    for section in SubjectPublicKeyInfoDer::pem_slice_iter(content) {
        let spki = section.map_err(|_| KeyFileError::Pem)?;
        keys.push(Key::public(None, spki.as_ref())?);
    }
    if keys.is_empty() { Err(KeyFileError::NoPublicKey) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Algorithm;
    use crate::identity::tests::{ED25519_PUBLIC, P256_PUBLIC, RSA_PRIVATE, RSA_PUBLIC};

    fn told(content: impl AsRef<[u8]>) -> String {
        parse(content.as_ref()).unwrap_err().to_string()
    }

    #[test]
    fn public_keys_are_read_and_know_their_algorithm() {
        let both = [RSA_PUBLIC, P256_PUBLIC, ED25519_PUBLIC].concat();
        let algorithms: Vec<_> = parse(both.as_bytes()).unwrap().iter().map(Key::algorithm).collect();
        assert_eq!(algorithms, [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa]);
    }

    #[test]
    fn a_secret_is_base64_of_any_line_length() {
        let text = STANDARD.encode([0xfe; 96]);
        let keys = parse(format!("{}\n{}\n", &text[..64], &text[64..]).as_bytes()).unwrap();
        assert_eq!(keys.iter().map(Key::algorithm).collect::<Vec<_>>(), [Algorithm::Hs256]);
        assert!(told(STANDARD.encode([0xfe; 31])).contains("at least 32 bytes"));
        assert!(told([0xfe; 64]).contains("neither PEM"));
        // Without its spaces it would be base64, and of 33 bytes.
        assert!(told("the name of my cat and also the one of my other cat or dog").contains("neither PEM"));
        assert!(told("").contains("at least 32 bytes"));
    }

    #[test]
    fn what_everybody_may_know_is_no_secret() {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(RSA_PUBLIC.as_bytes()).unwrap();
        assert!(told(&der).contains("neither PEM"), "raw DER is not a secret");
        assert!(told(STANDARD.encode(&der)).contains("cannot be a secret"), "nor is it in base64");
        assert!(told(STANDARD.encode(RSA_PUBLIC)).contains("cannot be a secret"), "nor is PEM in base64");
        let without_armour: String = RSA_PUBLIC.lines().filter(|line| !line.starts_with('-')).collect();
        assert!(told(without_armour).contains("cannot be a secret"));
    }

    #[test]
    fn a_private_key_is_refused_by_name() {
        assert!(told(RSA_PRIVATE).contains("private key"));
        assert!(told("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").contains("no section"));
    }
}
