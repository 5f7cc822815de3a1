//! Files of keys in JSON (`--auth-jwks`): a JWK Set (RFC 7517).

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::key::{Algorithm, Key, KeyError};
use crate::files::{self, FileError};

/// Longest name of a key that is shown in a log.
const KID_SHOWN_MAX: usize = 64;

/// A set; its keys are looked at one by one, so that one of a new kind does not spoil the others.
#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// The members that matter here. Others are ignored (RFC 7517, section 4).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
    d: Option<serde::de::IgnoredAny>,
}

/// Why a file is not one of keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum JwksError {
    #[error("it is not a JWK set: an object with a list \"keys\" is wanted")]
    Form,
    #[error("none of its {0} keys can be used")]
    NoneUsable(usize),
    #[error("two of its keys have the kid {0:?}: a token could not choose between them")]
    DuplicateKid(String),
}

/// Why one key is left out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Skipped {
    #[error("it is not a key in JSON")]
    Form,
    #[error("its kind is not supported: RSA, EC with P-256, OKP with Ed25519 and oct are")]
    Kind,
    #[error("it is not for signatures that are checked (use, key_ops)")]
    Use,
    #[error("its alg is not the one that such keys are for: RS256, ES256, EdDSA, HS256")]
    Algorithm,
    #[error("it is a private key: the server needs the public one")]
    Private,
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Reads the usable keys of a file, and tells which are left out.
pub(super) fn read(path: &Path) -> Result<(Vec<Key>, Vec<LeftOut>), FileError> {
    let content = files::read(path)?;
    parse(&content).map_err(|error| FileError::new(path, error))
}

/// Writes to the log which keys of a file are left out. Done once the file is in use.
pub(super) fn log(path: &Path, left_out: &[LeftOut]) {
    for (index, kid, why) in left_out {
        tracing::warn!(file = %path.display(), index, kid, %why, "a key is left out");
    }
}

/// A key that was left out: its index, its name, and why.
pub(super) type LeftOut = (usize, String, Skipped);

/// What a file holds.
pub(super) fn parse(content: &[u8]) -> Result<(Vec<Key>, Vec<LeftOut>), JwksError> {
    // What is wrong with the JSON is not repeated: the message would quote a part of it, which may be a secret.
    let set: Set = serde_json::from_slice(content).map_err(|_| JwksError::Form)?;
    let count = set.keys.len();
    let (mut keys, mut skipped, mut kids) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, value) in set.keys.into_iter().enumerate() {
        let kid = value.get("kid").and_then(|kid| kid.as_str()).unwrap_or_default();
        let kid: String = kid.chars().take(KID_SHOWN_MAX).collect();
        let read = serde_json::from_value::<Jwk>(value).map_err(|_| Skipped::Form).and_then(key);
        match read {
            Ok(key) => {
                if key.kid.as_ref().is_some_and(|kid| !kids.insert(kid.clone())) {
                    return Err(JwksError::DuplicateKid(kid));
                }
                keys.push(key);
            }
            Err(why) => skipped.push((index, kid, why)),
        }
    }
    if keys.is_empty() { Err(JwksError::NoneUsable(count)) } else { Ok((keys, skipped)) }
}

fn key(jwk: Jwk) -> Result<Key, Skipped> {
    let verifies = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
    if jwk.usage.as_ref().is_some_and(|usage| usage != "sig") || jwk.key_ops.as_ref().is_some_and(|ops| !verifies(ops))
    {
        return Err(Skipped::Use);
    }
    if jwk.d.is_some() {
        return Err(Skipped::Private);
    }
    let Jwk { kty, kid, alg, crv, n, e, x, y, k, .. } = jwk;
    let bytes = |member: Option<String>| {
        member.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(Skipped::Key(KeyError::NotPublic))
    };
    let key = match (kty.as_str(), crv.as_deref()) {
        ("RSA", _) => Key::rsa(kid, bytes(n)?, bytes(e)?)?,
        ("EC", Some("P-256")) => Key::p256(kid, [vec![4], bytes(x)?, bytes(y)?].concat())?,
        ("OKP", Some("Ed25519")) => Key::ed25519(kid, bytes(x)?)?,
        ("oct", _) => Key::secret(kid, &bytes(k)?)?,
        _ => return Err(Skipped::Kind),
    };
    match alg {
        Some(alg) if Algorithm::of_name(&alg) != Some(key.algorithm()) => Err(Skipped::Algorithm),
        _ => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn okp(kid: &str) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": URL_SAFE_NO_PAD.encode([9; 32]) })
    }

    fn parsed(keys: &[Value]) -> Result<(Vec<Key>, Vec<LeftOut>), JwksError> {
        parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn keys_of_all_kinds_are_read_and_others_left_out() {
        let long = URL_SAFE_NO_PAD.encode([0xab; 256]);
        let coordinate = URL_SAFE_NO_PAD.encode([3; 32]);
        let mut private = okp("private");
        private["d"] = json!("AAAA");
        let keys = [
            json!({ "kty": "RSA", "kid": "r", "n": long, "e": "AQAB", "use": "sig", "alg": "RS256" }),
            json!({ "kty": "EC", "crv": "P-256", "kid": "e", "x": coordinate, "y": coordinate }),
            okp("o"),
            json!({ "kty": "oct", "kid": "s", "k": URL_SAFE_NO_PAD.encode([1; 32]), "key_ops": ["sign", "verify"] }),
            json!({ "kty": "AKP", "kid": "from the future" }),
            json!({ "kty": "EC", "crv": "P-521", "x": "", "y": "" }),
            json!({ "kty": "RSA", "kid": "encrypts", "n": long, "e": "AQAB", "use": "enc" }),
            json!({ "kty": "RSA", "kid": "pss", "n": long, "e": "AQAB", "alg": "PS256" }),
            json!({ "kty": "RSA", "kid": "as a secret", "n": long, "e": "AQAB", "alg": "HS256" }),
            json!({ "kty": "oct", "kid": "short", "k": URL_SAFE_NO_PAD.encode([1; 31]) }),
            private,
            json!("not even an object"),
        ];
        let (keys, skipped) = parsed(&keys).unwrap();
        let read: Vec<_> = keys.iter().map(|key| (key.kid.as_deref().unwrap(), key.algorithm())).collect();
        use Algorithm::{EdDsa, Es256, Hs256, Rs256};
        assert_eq!(read, [("r", Rs256), ("e", Es256), ("o", EdDsa), ("s", Hs256)]);
        assert_eq!(skipped.iter().map(|(index, ..)| *index).collect::<Vec<_>>(), [4, 5, 6, 7, 8, 9, 10, 11]);
    }

    #[test]
    fn a_set_without_a_usable_key_or_with_a_kid_twice_is_refused() {
        assert!(matches!(parse(b"{}"), Err(JwksError::Form)));
        assert!(matches!(parse(b"not json"), Err(JwksError::Form)));
        assert!(matches!(parsed(&[]), Err(JwksError::NoneUsable(0))));
        assert!(matches!(parsed(&[json!({ "kty": "AKP" })]), Err(JwksError::NoneUsable(1))));
        assert!(matches!(parsed(&[okp("a"), okp("a")]), Err(JwksError::DuplicateKid(kid)) if kid == "a"));
    }
}
