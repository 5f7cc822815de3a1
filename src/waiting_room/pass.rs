//! Admission passes: signed, short-lived, for one owner and one event. Nothing remembers them, so any server that has the key
//! can check them, and none can take one back.
//!
//! A pass is `1.` and base64url of 8 bytes (until when, milliseconds since the epoch, big-endian) and 32 bytes: HMAC-SHA-256
//! over "boxoffice pass 1", the event, the owner and these 8 bytes, with a zero byte between (no name has one).

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::rand::SystemRandom;

use super::Millis;
use crate::domain::{EventId, OwnerId};
use crate::files::{self, FileError, FileSet, Reload};

/// What every pass of this form begins with.
const VERSION: &str = "1.";
/// Least length of a key: as many bits as the hash has (RFC 2104, section 3).
const KEY_BYTES_MIN: usize = 32;
/// Most keys of a file: the one in use, one before and one after it, and no more to try for each forgery than that.
const KEYS_MAX: usize = 4;
/// Bytes of the time.
const UNTIL_BYTES: usize = 8;

/// Why a pass lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassError {
    /// It is no pass, or not of this owner, this event or these servers.
    Invalid,
    /// It was one.
    Expired,
}

/// Why a file is not one of keys.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error("it must hold 1 to {KEYS_MAX} secrets in base64, one a line (openssl rand -base64 48 | tr -d '\\n')")]
    NotBase64,
    #[error("a secret must have at least {KEY_BYTES_MIN} bytes")]
    Short,
    #[error("this machine gives no random numbers")]
    NoRandom,
}

/// The keys of passes. The first signs; all of them are tried, so that keys can be changed while people are inside.
pub struct PassKeys {
    file: Option<PathBuf>,
    files: FileSet,
    keys: RwLock<Arc<Vec<hmac::Key>>>,
}

impl PassKeys {
    /// A key of this process alone: no other server takes its passes, nor does this one after a restart.
    ///
    /// # Errors
    /// Where the machine gives no random numbers.
    pub fn random() -> Result<Self, FileError> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| FileError { path: "the key of passes".to_owned(), source: KeyError::NoRandom.into() })?;
        let keys = RwLock::new(Arc::new(vec![key]));
        Ok(Self { file: None, files: FileSet::new(Vec::new()), keys })
    }

    /// Those of a file, which is read again when it changes.
    ///
    /// # Errors
    /// Where it holds none.
    pub fn load(file: PathBuf) -> Result<Self, FileError> {
        let files = FileSet::new(vec![file.clone()]);
        let keys = RwLock::new(Arc::new(read(&file)?));
        Ok(Self { file: Some(file), files, keys })
    }

    /// Whether other servers may have the same.
    pub const fn are_shared(&self) -> bool {
        self.file.is_some()
    }

    /// A pass.
    pub fn sign(&self, event: &EventId, owner: &OwnerId, until: Millis) -> String {
        let until = until.to_be_bytes();
        let keys = self.keys();
        let mut bytes = until.to_vec();
        if let Some(key) = keys.first() {
            bytes.extend(hmac::sign(key, &signed(event, owner, until)).as_ref());
        }
        format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Whether a pass lets `owner` in to `event` at `now`.
    ///
    /// # Errors
    /// Where it does not.
    pub fn check(&self, pass: &str, event: &EventId, owner: &OwnerId, now: Millis) -> Result<(), PassError> {
        let encoded = pass.strip_prefix(VERSION).ok_or(PassError::Invalid)?;
        // A longer one is none, and not worth decoding.
        if encoded.len() > 64 {
            return Err(PassError::Invalid);
        }
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| PassError::Invalid)?;
        let (until, tag) = bytes.split_first_chunk::<UNTIL_BYTES>().ok_or(PassError::Invalid)?;
        let signed = signed(event, owner, *until);
        if !self.keys().iter().any(|key| hmac::verify(key, &signed, tag).is_ok()) {
            return Err(PassError::Invalid);
        }
        if now < Millis::from_be_bytes(*until) { Ok(()) } else { Err(PassError::Expired) }
    }

    fn keys(&self) -> Arc<Vec<hmac::Key>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn signed(event: &EventId, owner: &OwnerId, until: [u8; UNTIL_BYTES]) -> Vec<u8> {
    [b"boxoffice pass 1", event.as_str().as_bytes(), owner.as_str().as_bytes(), &until].join(&0)
}

impl Reload for PassKeys {
    fn files(&self) -> &FileSet {
        &self.files
    }

    fn reload(&self) -> Result<(), FileError> {
        if let Some(file) = &self.file {
            let keys = Arc::new(read(file)?);
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        }
        Ok(())
    }
}

fn read(file: &Path) -> Result<Vec<hmac::Key>, FileError> {
    parse(&files::read(file)?).map_err(|error| FileError::new(file, error))
}

fn parse(content: &[u8]) -> Result<Vec<hmac::Key>, KeyError> {
    let lines = content.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty());
    let mut keys = Vec::new();
    for line in lines {
        let secret = STANDARD.decode(line).map_err(|_| KeyError::NotBase64)?;
        if secret.len() < KEY_BYTES_MIN {
            return Err(KeyError::Short);
        }
        keys.push(hmac::Key::new(hmac::HMAC_SHA256, &secret));
    }
    if (1..=KEYS_MAX).contains(&keys.len()) { Ok(keys) } else { Err(KeyError::NotBase64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_700_000_000_000;

    fn event(id: &str) -> EventId {
        EventId::new(id).unwrap()
    }

    fn owner(name: &str) -> OwnerId {
        OwnerId::new(name).unwrap()
    }

    fn keys_of(secrets: &[u8]) -> PassKeys {
        let lines: Vec<_> = secrets.iter().map(|byte| STANDARD.encode([*byte; 32])).collect();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys");
        std::fs::write(&file, lines.join("\n")).unwrap();
        PassKeys::load(file).unwrap()
    }

    #[test]
    fn a_pass_is_good_for_its_owner_its_event_and_its_time_alone() {
        let keys = PassKeys::random().unwrap();
        let pass = keys.sign(&event("gala"), &owner("ann"), NOW);
        assert!(pass.len() <= 64 && pass.is_ascii(), "{pass}");
        let check = |name: &str, id: &str, now| keys.check(&pass, &event(id), &owner(name), now);
        assert_eq!(check("ann", "gala", NOW - 1), Ok(()));
        assert_eq!(check("ann", "gala", NOW), Err(PassError::Expired));
        assert_eq!(check("bob", "gala", NOW - 1), Err(PassError::Invalid));
        assert_eq!(check("bob", "gala", NOW), Err(PassError::Invalid), "nothing is told of others' passes");
        assert_eq!(check("ann", "ball", NOW - 1), Err(PassError::Invalid));
        let other = PassKeys::random().unwrap();
        assert_eq!(other.check(&pass, &event("gala"), &owner("ann"), NOW - 1), Err(PassError::Invalid));
    }

    #[test]
    fn no_bit_of_a_pass_can_be_changed() {
        let keys = PassKeys::random().unwrap();
        let pass = keys.sign(&event("gala"), &owner("ann"), NOW);
        let bytes = URL_SAFE_NO_PAD.decode(&pass[2..]).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let forged = format!("1.{}", URL_SAFE_NO_PAD.encode(forged));
            assert_eq!(keys.check(&forged, &event("gala"), &owner("ann"), 0), Err(PassError::Invalid), "bit {bit}");
        }
        let long = format!("1.{}", "A".repeat(1_000_000));
        for forged in ["", "1.", "1.AAAA", "1", "2.AAAA", "no pass", &pass[2..], &format!("{pass}A"), &long] {
            let checked = keys.check(forged, &event("gala"), &owner("ann"), 0);
            assert_eq!(checked, Err(PassError::Invalid), "{}", forged.len());
        }
    }

    #[test]
    fn keys_are_changed_in_steps_without_a_pass_being_lost() {
        let (gala, ann) = (event("gala"), owner("ann"));
        let (old, between, new) = (keys_of(b"a"), keys_of(b"ba"), keys_of(b"b"));
        let pass = old.sign(&gala, &ann, NOW);
        assert_eq!(between.check(&pass, &gala, &ann, 0), Ok(()));
        assert_eq!(new.check(&pass, &gala, &ann, 0), Err(PassError::Invalid));
        assert_eq!(new.check(&between.sign(&gala, &ann, NOW), &gala, &ann, 0), Ok(()), "the first key signs");
    }

    #[test]
    fn a_file_without_good_keys_is_refused() {
        let secret = STANDARD.encode([7; 48]);
        assert_eq!(parse(format!("{secret}\r\n{secret}\n").as_bytes()).ok().unwrap().len(), 2);
        for content in ["", "\n", "my secret", &format!("{secret}\n").repeat(5)] {
            assert!(matches!(parse(content.as_bytes()), Err(KeyError::NotBase64)), "{content:?}");
        }
        assert!(matches!(parse(STANDARD.encode([7; 31]).as_bytes()), Err(KeyError::Short)));
    }
}
