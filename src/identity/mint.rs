//! Makes tokens: for operators, trials and tests. Servers that serve buyers get theirs from whoever knows the buyers.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use ring::{hmac, signature};
use serde::Serialize;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::Algorithm;
use super::key::SECRET_BYTES_MIN;
use super::key_file;
use crate::files::{self, FileError};

/// Why no token can be made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// It is not a key that signs.
    #[error("it is neither a private key in PEM (RSA, P-256 or Ed25519, PKCS #8) nor a secret in base64")]
    NotAKey,
    /// Too short to be safe.
    #[error("a secret must have at least 32 bytes")]
    ShortSecret,
    /// The cryptography refused.
    #[error("it cannot be signed with this key")]
    Signing,
}

/// A key that signs.
pub struct Minter {
    material: Material,
    random: SystemRandom,
}

enum Material {
    Secret(hmac::Key),
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The claims of a new token. Times are seconds since the epoch.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Minted {
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// As what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Made when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
    /// From when on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// For whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

impl Minter {
    /// Reads a private key (PEM), or a secret (base64).
    ///
    /// # Errors
    /// Where the file cannot be read, or holds neither.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let content = files::read(path)?;
        let material = Material::parse(&content).map_err(|error| FileError::new(path, error))?;
        Ok(Self { material, random: SystemRandom::new() })
    }

    /// The algorithm that the key is for.
    pub const fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Secret(_) => Algorithm::Hs256,
            Material::Rsa(_) => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// A token of `claims`, which names the key `kid` if that is given.
    ///
    /// # Errors
    /// Where the key cannot sign.
    pub fn mint(&self, claims: &Minted, kid: Option<&str>) -> Result<String, MintError> {
        let encode = |json: serde_json::Result<Vec<u8>>| {
            json.map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| MintError::Signing)
        };
        let header = encode(serde_json::to_vec(&Header { alg: self.algorithm().name(), typ: "JWT", kid }))?;
        let signed = [header, encode(serde_json::to_vec(claims))?].join(".");
        let signature = self.sign(signed.as_bytes())?;
        Ok([signed, URL_SAFE_NO_PAD.encode(signature)].join("."))
    }

    fn sign(&self, signed: &[u8]) -> Result<Vec<u8>, MintError> {
        let whole = |signature: signature::Signature| signature.as_ref().to_vec();
        match &self.material {
            Material::Secret(key) => Ok(hmac::sign(key, signed).as_ref().to_vec()),
            Material::Ed25519(key) => Ok(whole(key.sign(signed))),
            Material::P256(key) => key.sign(&self.random, signed).map(whole).map_err(|_| MintError::Signing),
            Material::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                let done = key.sign(&RSA_PKCS1_SHA256, &self.random, signed, &mut signature);
                done.map(|()| signature).map_err(|_| MintError::Signing)
            }
        }
    }
}

impl Material {
    fn parse(content: &[u8]) -> Result<Self, MintError> {
        if let Some(secret) = key_file::secret(content) {
            if secret.len() < SECRET_BYTES_MIN {
                return Err(MintError::ShortSecret);
            }
            return Ok(Self::Secret(hmac::Key::new(hmac::HMAC_SHA256, &secret)));
        }
        match PrivateKeyDer::from_pem_slice(content).map_err(|_| MintError::NotAKey)? {
            PrivateKeyDer::Pkcs1(der) => {
                RsaKeyPair::from_der(der.secret_pkcs1_der()).map(Self::Rsa).map_err(|_| MintError::NotAKey)
            }
            PrivateKeyDer::Pkcs8(der) => Self::of_pkcs8(der.secret_pkcs8_der()).ok_or(MintError::NotAKey),
            _ => Err(MintError::NotAKey),
        }
    }

    /// Each algorithm takes only its own keys, so the first that takes it is the right one.
    fn of_pkcs8(der: &[u8]) -> Option<Self> {
        // OpenSSL leaves the public half of such a key out, which is the "maybe unchecked".
        let ed25519 = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519);
        let p256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new());
        let rsa = || RsaKeyPair::from_pkcs8(der).map(Self::Rsa);
        ed25519.ok().or_else(|| p256().map(Self::P256).ok()).or_else(|| rsa().ok())
    }
}
