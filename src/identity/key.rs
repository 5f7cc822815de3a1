//! Keys that prove tokens.

use std::fmt;

use ring::hmac;
use ring::rsa::PublicKeyComponents;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::der::{self, PublicKey};

/// Least length of a shared secret: as many bits as the hash has (RFC 7518, section 3.2).
pub(super) const SECRET_BYTES_MIN: usize = 32;
/// Least and greatest length of an RSA modulus. (RFC 7518, section 3.3; what `ring` takes.)
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// How tokens are signed. A key has exactly one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256 and a shared secret.
    Hs256,
    /// RSA, PKCS #1 v1.5, with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Its name in a token's header (RFC 7518, RFC 8037).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name. `none` is not one.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa].into_iter().find(|each| each.name() == name)
    }
}

/// Why something is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    #[error("a secret must have at least 32 bytes")]
    ShortSecret,
    #[error("it is a public key, which everybody may know: it cannot be a secret")]
    PublicSecret,
    #[error("an RSA key must have 2048 to 8192 bits")]
    RsaLength,
    #[error("it is not a public key")]
    NotPublic,
    #[error("its algorithm is not supported: use RSA, P-256 or Ed25519")]
    Unsupported,
}

/// A key that proves tokens of one algorithm.
#[derive(Clone)]
pub(super) struct Key {
    /// Its name, by which tokens choose it.
    pub(super) kid: Option<String>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Secret(hmac::Key),
    Public(Algorithm, UnparsedPublicKey<Vec<u8>>),
    RsaParts(PublicKeyComponents<Vec<u8>>),
}

impl fmt::Debug for Key {
    /// Nothing of the key itself: a secret would end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

impl Key {
    /// A shared secret, for HS256. A public key is refused, in whatever form: whoever knows it could sign with it.
    pub(super) fn secret(kid: Option<String>, secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(KeyError::ShortSecret);
        }
        let text = [&b"-----BEGIN"[..], b"ssh-", b"ecdsa-sha2-"].iter().any(|start| secret.starts_with(start));
        if text || der::public_key(secret).is_some() || der::rsa_modulus_bits(secret).is_some() {
            return Err(KeyError::PublicSecret);
        }
        Ok(Self { kid, material: Material::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret)) })
    }

    /// A `SubjectPublicKeyInfo`: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.
    pub(super) fn public(kid: Option<String>, spki: &[u8]) -> Result<Self, KeyError> {
        match der::public_key(spki).ok_or(KeyError::NotPublic)? {
            PublicKey::Rsa(pkcs1) => {
                let bits = der::rsa_modulus_bits(pkcs1).ok_or(KeyError::NotPublic)?;
                if !RSA_BITS.contains(&bits) {
                    return Err(KeyError::RsaLength);
                }
                let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pkcs1.to_vec());
                Ok(Self { kid, material: Material::Public(Algorithm::Rs256, key) })
            }
            PublicKey::P256(point) => Self::p256(kid, point.to_vec()),
            PublicKey::Ed25519(key) => Self::ed25519(kid, key.to_vec()),
            PublicKey::Other => Err(KeyError::Unsupported),
        }
    }

    /// An uncompressed point of P-256, for ES256.
    pub(super) fn p256(kid: Option<String>, point: Vec<u8>) -> Result<Self, KeyError> {
        if point.len() != 65 || point.first() != Some(&4) {
            return Err(KeyError::NotPublic);
        }
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        Ok(Self { kid, material: Material::Public(Algorithm::Es256, key) })
    }

    /// A key of Ed25519, for EdDSA.
    pub(super) fn ed25519(kid: Option<String>, key: Vec<u8>) -> Result<Self, KeyError> {
        if key.len() != 32 {
            return Err(KeyError::NotPublic);
        }
        let key = UnparsedPublicKey::new(&ED25519, key);
        Ok(Self { kid, material: Material::Public(Algorithm::EdDsa, key) })
    }

    /// Modulus and exponent, for RS256.
    pub(super) fn rsa(kid: Option<String>, n: Vec<u8>, e: Vec<u8>) -> Result<Self, KeyError> {
        if !RSA_BITS.contains(&der::unsigned_bits(&n)) {
            return Err(KeyError::RsaLength);
        }
        // `ring` wants them without leading zeros.
        let trimmed = |number: Vec<u8>| number.into_iter().skip_while(|byte| *byte == 0).collect();
        Ok(Self { kid, material: Material::RsaParts(PublicKeyComponents { n: trimmed(n), e: trimmed(e) }) })
    }

    /// The one algorithm that it is for.
    pub(super) const fn algorithm(&self) -> Algorithm {
        match &self.material {
            Material::Secret(_) => Algorithm::Hs256,
            Material::Public(algorithm, _) => *algorithm,
            Material::RsaParts(_) => Algorithm::Rs256,
        }
    }

    /// Whether `signature` is one of `signed` by this key.
    pub(super) fn proves(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(key) => hmac::verify(key, signed, signature).is_ok(),
            Material::Public(_, key) => key.verify(signed, signature).is_ok(),
            Material::RsaParts(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok(),
        }
    }
}
