//! Tokens of every kind, right and wrong, against the verifier.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use tempfile::TempDir;

use super::*;
use crate::files::Reload as _;

pub(super) const RSA_PUBLIC: &str = include_str!("test_keys/rsa.public.pem");
pub(super) const RSA_PRIVATE: &str = include_str!("test_keys/rsa.private.pem");
pub(super) const P256_PUBLIC: &str = include_str!("test_keys/p256.public.pem");
pub(super) const P256_PRIVATE: &str = include_str!("test_keys/p256.private.pem");
pub(super) const ED25519_PUBLIC: &str = include_str!("test_keys/ed25519.public.pem");
pub(super) const ED25519_PRIVATE: &str = include_str!("test_keys/ed25519.private.pem");

/// The time of these tests, in seconds.
const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn write(dir: &Path, name: &str, content: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn verifier(keys: &[&str], expected: Expected) -> (TempDir, Verifier) {
    let dir = tempfile::tempdir().unwrap();
    let write = |(index, key): (usize, &&str)| write(dir.path(), &format!("key{index}"), key);
    let sources = KeyFiles { keys: keys.iter().enumerate().map(write).collect(), jwks: Vec::new() };
    let verifier = Verifier::load(sources, expected).unwrap();
    (dir, verifier)
}

fn minter(key: &str) -> Minter {
    let dir = tempfile::tempdir().unwrap();
    Minter::load(&write(dir.path(), "key", key)).unwrap()
}

fn secret() -> String {
    STANDARD.encode([0xa5; 48])
}

fn ann() -> Minted {
    Minted { sub: Some("ann".to_owned()), role: Some("buyer".to_owned()), exp: Some(NOW + 60), ..Minted::default() }
}

/// A token of any header and payload, signed with HMAC by `secret`.
fn raw(header: &str, payload: &str, secret: &[u8]) -> String {
    let signed = [URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload)].join(".");
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    [signed, URL_SAFE_NO_PAD.encode(signature)].join(".")
}

#[test]
fn every_algorithm_proves_who_somebody_is() {
    let shared = secret();
    let pairs = [
        (shared.as_str(), shared.as_str(), Algorithm::Hs256),
        (RSA_PRIVATE, RSA_PUBLIC, Algorithm::Rs256),
        (P256_PRIVATE, P256_PUBLIC, Algorithm::Es256),
        (ED25519_PRIVATE, ED25519_PUBLIC, Algorithm::EdDsa),
    ];
    for (private, public, algorithm) in pairs {
        let minter = minter(private);
        assert_eq!(minter.algorithm(), algorithm);
        let token = minter.mint(&ann(), None).unwrap();
        let (_dir, verifier) = verifier(&[public], Expected::default());
        for _ in 0..2 {
            // The second time it is remembered.
            let identity = verifier.verify(&token, at(NOW)).unwrap();
            assert_eq!((identity.subject.as_str(), identity.role), ("ann", Role::Buyer));
        }
        // One letter less, or another payload under the same signature.
        assert!(verifier.verify(&token[..token.len() - 1], at(NOW)).is_err());
        let forged = Minted { sub: Some("eve".to_owned()), ..ann() };
        let other = minter.mint(&forged, None).unwrap();
        let (signed, _) = other.rsplit_once('.').unwrap();
        let (_, signature) = token.rsplit_once('.').unwrap();
        assert_eq!(verifier.verify(&[signed, signature].join("."), at(NOW)), Err(TokenError::Signature));
    }
}

#[test]
fn a_token_cannot_choose_how_a_key_is_used() {
    let (_dir, verifier) = verifier(&[RSA_PUBLIC], Expected::default());
    let payload = serde_json::to_string(&ann()).unwrap();
    let der = STANDARD.decode(RSA_PUBLIC.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    for secret in [RSA_PUBLIC.as_bytes(), RSA_PUBLIC.trim_end().as_bytes(), &der] {
        let forged = raw(r#"{"alg":"HS256"}"#, &payload, secret);
        assert_eq!(verifier.verify(&forged, at(NOW)), Err(TokenError::Algorithm));
    }
    for none in ["none", "None", "NONE", "", "hs256", "RS512", "PS256"] {
        let unsigned = raw(&format!(r#"{{"alg":"{none}"}}"#), &payload, b"");
        assert_eq!(verifier.verify(&unsigned, at(NOW)), Err(TokenError::Algorithm), "{none:?}");
        let (signed, _) = unsigned.rsplit_once('.').unwrap();
        assert_eq!(verifier.verify(&format!("{signed}."), at(NOW)), Err(TokenError::Algorithm), "{none:?}");
    }
    // The other way round: a signature by RSA that claims to be another.
    let signed = minter(RSA_PRIVATE).mint(&ann(), None).unwrap();
    let (_, rest) = signed.split_once('.').unwrap();
    let relabelled = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#));
    assert_eq!(verifier.verify(&relabelled, at(NOW)), Err(TokenError::Algorithm));
}

#[test]
fn what_is_not_quite_a_token_is_refused() {
    let shared = secret();
    let bytes = [0xa5; 48];
    let (_dir, verifier) = verifier(&[&shared], Expected::default());
    let payload = serde_json::to_string(&ann()).unwrap();
    let good = raw(r#"{"alg":"HS256"}"#, &payload, &bytes);
    assert!(verifier.verify(&good, at(NOW)).is_ok());
    let exp = NOW + 60;
    let malformed = [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        good.replace('.', ""),
        format!("{good}."),
        format!("{good}.{good}"),
        format!("{good}="),
        format!(" {good}"),
        raw(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, &payload, &bytes),
        raw(r#"{"alg":"HS256","alg":"none"}"#, &payload, &bytes),
        raw(r#"{"kid":"a"}"#, &payload, &bytes),
        raw(r#"{"alg":"HS256"}"#, "not json", &bytes),
        raw(r#"{"alg":"HS256"}"#, &format!(r#"{{"sub":"ann","sub":"eve","role":"buyer","exp":{exp}}}"#), &bytes),
        raw(r#"{"alg":"HS256"}"#, r#"{"sub":"ann","role":"buyer","exp":"never"}"#, &bytes),
        raw(r#"{"alg":"HS256"}"#, r#"{"sub":"ann","role":"buyer","exp":1e300}"#, &bytes),
        raw(r#"{"alg":"HS256"}"#, r#"{"sub":"ann","role":"buyer","exp":-1}"#, &bytes),
        raw(r#"{"alg":"HS256"}"#, &format!(r#"{{"sub":"ann","role":["buyer"],"exp":{exp}}}"#), &bytes),
    ];
    for token in malformed {
        assert_eq!(verifier.verify(&token, at(NOW)), Err(TokenError::Malformed), "{token}");
    }
    let long = "a".repeat(TOKEN_BYTES_MAX + 1);
    assert_eq!(verifier.verify(&long, at(NOW)), Err(TokenError::TooLong));
}

#[test]
fn claims_must_hold_now_and_here() {
    let expected = Expected { audience: Some("tickets".to_owned()), issuer: Some("shop".to_owned()) };
    let shared = secret();
    let minter = minter(&shared);
    let (_dir, strict) = verifier(&[&shared], expected);
    let good = Minted { aud: Some("tickets".to_owned()), iss: Some("shop".to_owned()), ..ann() };
    let check = |claims: &Minted| strict.verify(&minter.mint(claims, None).unwrap(), at(NOW)).map(|_| ());
    let leeway = CLOCK_LEEWAY.as_secs();
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        (good.clone(), Ok(())),
        (Minted { exp: None, ..good.clone() }, Err(TokenError::NoExpiry)),
        (Minted { exp: Some(NOW - leeway), ..good.clone() }, Err(TokenError::Expired)),
        (Minted { exp: Some(NOW - leeway + 1), ..good.clone() }, Ok(())),
        (Minted { nbf: Some(NOW + leeway + 1), ..good.clone() }, Err(TokenError::NotYetValid)),
        (Minted { nbf: Some(NOW + leeway), ..good.clone() }, Ok(())),
        (Minted { aud: None, ..good.clone() }, Err(TokenError::WrongAudience)),
        (Minted { aud: text("Tickets"), ..good.clone() }, Err(TokenError::WrongAudience)),
        (Minted { iss: None, ..good.clone() }, Err(TokenError::WrongIssuer)),
        (Minted { iss: text("shop2"), ..good.clone() }, Err(TokenError::WrongIssuer)),
        (Minted { role: None, ..good.clone() }, Err(TokenError::UnknownRole)),
        (Minted { role: text("Admin"), ..good.clone() }, Err(TokenError::UnknownRole)),
        (Minted { sub: None, ..good.clone() }, Err(TokenError::BadSubject)),
        (Minted { sub: text(""), ..good.clone() }, Err(TokenError::BadSubject)),
        (Minted { sub: text("an n"), ..good.clone() }, Err(TokenError::BadSubject)),
        (Minted { sub: text(&"x".repeat(129)), ..good.clone() }, Err(TokenError::BadSubject)),
    ];
    for (claims, answer) in cases {
        assert_eq!(check(&claims), answer, "{claims:?}");
    }

    // Several audiences; and a server that expects none takes no token that is meant for somebody.
    let payload = |aud: &str| format!(r#"{{"sub":"a","role":"admin","exp":{}.5,"iss":"shop","aud":{aud}}}"#, NOW + 60);
    let token = |aud: &str| raw(r#"{"alg":"HS256"}"#, &payload(aud), &[0xa5; 48]);
    assert!(strict.verify(&token(r#"["other","tickets"]"#), at(NOW)).is_ok());
    assert_eq!(strict.verify(&token("[]"), at(NOW)), Err(TokenError::WrongAudience));
    let (_dir, lax) = verifier(&[&shared], Expected::default());
    assert_eq!(lax.verify(&token(r#""tickets""#), at(NOW)), Err(TokenError::WrongAudience));
}

#[test]
fn a_remembered_token_still_expires() {
    let shared = secret();
    let (_dir, verifier) = verifier(&[&shared], Expected::default());
    let token = minter(&shared).mint(&ann(), None).unwrap();
    let end = NOW + 60 + CLOCK_LEEWAY.as_secs();
    assert!(verifier.verify(&token, at(end - 1)).is_ok());
    for now in [end, end + 1, end] {
        assert_eq!(verifier.verify(&token, at(now)), Err(TokenError::Expired));
    }
}

#[test]
fn a_kid_picks_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let oct =
        |kid: &str, byte: u8| format!(r#"{{"kty":"oct","kid":"{kid}","k":"{}"}}"#, URL_SAFE_NO_PAD.encode([byte; 32]));
    let set = format!(r#"{{"keys":[{},{}]}}"#, oct("old", 1), oct("new", 2));
    let jwks = vec![write(dir.path(), "jwks", &set)];
    let nameless = write(dir.path(), "key", ED25519_PUBLIC);
    let verifier = Verifier::load(KeyFiles { keys: vec![nameless], jwks }, Expected::default()).unwrap();
    let of = |byte: u8| minter(&STANDARD.encode([byte; 32]));
    let check =
        |minter: &Minter, kid: Option<&str>| verifier.verify(&minter.mint(&ann(), kid).unwrap(), at(NOW)).map(|_| ());
    assert_eq!(check(&of(1), Some("old")), Ok(()));
    assert_eq!(check(&of(2), Some("new")), Ok(()));
    assert_eq!(check(&of(1), Some("new")), Err(TokenError::Signature), "the named key alone counts");
    assert_eq!(check(&of(2), None), Ok(()), "without a name all are tried");
    assert_eq!(check(&of(3), None), Err(TokenError::Signature));
    // A name that no key has leaves the keys without a name.
    assert_eq!(check(&minter(ED25519_PRIVATE), Some("whatever")), Ok(()));
    assert_eq!(check(&of(1), Some("whatever")), Err(TokenError::Algorithm));
    assert_eq!(check(&minter(ED25519_PRIVATE), Some("old")), Err(TokenError::Algorithm));
}

#[test]
fn new_keys_forget_the_tokens_of_the_old_and_broken_ones_are_not_used() {
    let shared = secret();
    let (dir, verifier) = verifier(&[&shared], Expected::default());
    let old = minter(&shared).mint(&ann(), None).unwrap();
    assert!(verifier.verify(&old, at(NOW)).is_ok());
    for broken in ["", "garbage!", RSA_PRIVATE] {
        write(dir.path(), "key0", broken);
        assert!(verifier.reload().is_err());
        assert!(verifier.verify(&old, at(NOW)).is_ok(), "the old keys stay");
    }
    write(dir.path(), "key0", ED25519_PUBLIC);
    assert!(verifier.files().changed());
    verifier.reload().unwrap();
    assert_eq!(verifier.verify(&old, at(NOW)), Err(TokenError::Algorithm));
    assert!(verifier.verify(&minter(ED25519_PRIVATE).mint(&ann(), None).unwrap(), at(NOW)).is_ok());
}
