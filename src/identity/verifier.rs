//! Checks tokens against the keys of the files that the operator named.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use moka::sync::Cache;
use ring::digest;

use super::claims::{Expected, Identity};
use super::key::Key;
use super::token::{Parts, TOKEN_BYTES_MAX, TokenError};
use super::{jwks, key_file};
use crate::files::{FileError, FileSet, Reload};

/// Most keys. A token that names none is checked against each of its algorithm.
pub const KEYS_MAX: usize = 64;
/// Most tokens that are remembered as valid.
pub const TOKENS_REMEMBERED_MAX: u64 = 100_000;

/// Where keys come from.
#[derive(Debug, Clone, Default)]
pub struct KeyFiles {
    /// Files of public keys in PEM, or of one secret in base64.
    pub keys: Vec<PathBuf>,
    /// Files of JWK sets.
    pub jwks: Vec<PathBuf>,
}

/// Checks tokens. Shared by all requests.
pub struct Verifier {
    sources: KeyFiles,
    expected: Expected,
    files: FileSet,
    current: RwLock<Arc<Current>>,
}

/// One version of the keys, and the tokens that they have proved. They go together, so that no token outlives its key: also
/// not one that was being checked while the keys were replaced.
struct Current {
    keys: Vec<Key>,
    /// By SHA-256 of the token: the cache holds nothing that would open a door.
    proved: Cache<[u8; digest::SHA256_OUTPUT_LEN], Arc<Identity>>,
}

/// More than [`KEYS_MAX`], or none at all.
#[derive(Debug, thiserror::Error)]
#[error("1 to {KEYS_MAX} keys can be used, but there are {0}")]
struct KeyCount(usize);

impl Verifier {
    /// Reads the keys.
    ///
    /// # Errors
    /// Where a file cannot be read, has no usable key, or there are more than [`KEYS_MAX`].
    pub fn load(sources: KeyFiles, expected: Expected) -> Result<Self, FileError> {
        let paths = sources.keys.iter().chain(&sources.jwks).cloned().collect();
        // Before they are read: see there.
        let files = FileSet::new(paths);
        let current = RwLock::new(Arc::new(Current::read(&sources)?));
        Ok(Self { sources, expected, files, current })
    }

    /// Who sent `token`, at `now` since the epoch.
    ///
    /// # Errors
    /// Where it proves nothing.
    pub fn verify(&self, token: &str, now: Duration) -> Result<Arc<Identity>, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let mut key = [0; digest::SHA256_OUTPUT_LEN];
        key.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        if let Some(identity) = current.proved.get(&key) {
            if now < identity.valid_until {
                return Ok(identity);
            }
            current.proved.invalidate(&key);
            return Err(TokenError::Expired);
        }
        let parts = Parts::of(token)?;
        current.prove(&parts)?;
        let identity = Arc::new(parts.claims()?.check(&self.expected, now)?);
        current.proved.insert(key, Arc::clone(&identity));
        Ok(identity)
    }
}

impl Reload for Verifier {
    fn files(&self) -> &FileSet {
        &self.files
    }

    fn reload(&self) -> Result<(), FileError> {
        let new = Arc::new(Current::read(&self.sources)?);
        // What was is dropped after the lock is given back: to forget many tokens takes longer than requests should wait.
        let _old = std::mem::replace(&mut *self.current.write().unwrap_or_else(PoisonError::into_inner), new);
        Ok(())
    }
}

impl Current {
    fn read(sources: &KeyFiles) -> Result<Self, FileError> {
        let (mut keys, mut left_out) = (Vec::new(), Vec::new());
        for path in &sources.keys {
            keys.extend(key_file::read(path)?);
        }
        for path in &sources.jwks {
            let (usable, others) = jwks::read(path)?;
            keys.extend(usable);
            left_out.push((path, others));
        }
        if !(1..=KEYS_MAX).contains(&keys.len()) {
            let last = sources.jwks.last().or(sources.keys.last()).cloned().unwrap_or_default();
            return Err(FileError::new(&last, KeyCount(keys.len())));
        }
        left_out.iter().for_each(|(path, others)| jwks::log(path, others));
        Ok(Self { keys, proved: Cache::new(TOKENS_REMEMBERED_MAX) })
    }

    /// Whether a key proves the token. Where it names a key that is here, only that one counts; else all that have no name,
    /// and, where it names none, all. In any case only keys of the algorithm that the token claims.
    fn prove(&self, parts: &Parts<'_>) -> Result<(), TokenError> {
        let named = |key: &&Key| key.kid.is_some() && key.kid == parts.kid;
        let is_candidate = |key: &&Key| match &parts.kid {
            None => true,
            Some(_) if self.keys.iter().any(|key| named(&key)) => named(key),
            Some(_) => key.kid.is_none(),
        };
        let mut candidates = self.keys.iter().filter(is_candidate).peekable();
        if candidates.peek().is_none() {
            return Err(TokenError::UnknownKey);
        }
        let mut candidates = candidates.filter(|key| key.algorithm() == parts.algorithm).peekable();
        if candidates.peek().is_none() {
            return Err(TokenError::Algorithm);
        }
        let proved = candidates.any(|key| key.proves(parts.signed, &parts.signature));
        if proved { Ok(()) } else { Err(TokenError::Signature) }
    }
}
