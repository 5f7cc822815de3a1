//! Tokens and files of keys that nobody honest makes.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hostile_bytes::{Attack, Rng};
use ring::hmac;

use super::tests::{ED25519_PUBLIC, P256_PUBLIC, RSA_PRIVATE, RSA_PUBLIC};
use super::*;

const SECRET: [u8; 48] = [0xa5; 48];
const NOW: Duration = Duration::from_secs(1_800_000_000);

/// A value of JSON: of any kind, extreme, deep.
fn json(rng: &mut Rng, likely: &[&str]) -> String {
    match rng.below(40) {
        0 => rng.number().to_string(),
        1 => format!("{}e{}", rng.number(), rng.number() % 400),
        2 => "[".repeat(rng.below(300)),
        3 => format!("[{},{}]", json(rng, likely), json(rng, likely)),
        4 => (*rng.pick(&["null", "true", "{}", "[]", "-", "1.", "0x1", "\"\\ud800\""])).to_owned(),
        5 => format!("{{\"a\":{}}}", json(rng, likely)),
        _ => quoted(&rng.text(likely)),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An object with some of these members, the one or other twice.
fn object(rng: &mut Rng, members: &[(&str, &[&str])]) -> String {
    let mut parts = Vec::new();
    for (name, likely) in members {
        for _ in 0..*rng.pick(&[0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]) {
            // A likely number stands without quotes.
            let plain = likely.first().is_some_and(|first| first.starts_with(|c: char| c.is_ascii_digit()));
            let value = if plain && !rng.once_in(8) { (*rng.pick(likely)).to_owned() } else { json(rng, likely) };
            parts.push(format!("{}:{value}", quoted(name)));
        }
    }
    format!("{{{}}}", parts.join(","))
}

/// The header and the claims of a token, one a line.
fn token(rng: &mut Rng) -> Vec<u8> {
    let header =
        object(rng, &[("alg", &["HS256", "HS256", "HS256", "none", "RS256"]), ("kid", &["a"]), ("typ", &["JWT"])]);
    let claims = object(
        rng,
        &[
            ("sub", &["ann"]),
            ("role", &["buyer", "gateway", "admin"]),
            ("exp", &["1800000060", "1799999970", "1800000000.5", "1e18", "1e308", "253402300800"]),
            ("nbf", &["0", "1800000030", "1800000031"]),
            ("iat", &["1800000000"]),
        ],
    );
    let header = if rng.once_in(2) { "{\"alg\":\"HS256\"}".to_owned() } else { header };
    format!("{header}\n{claims}").into_bytes()
}

#[test]
fn hostile_tokens_prove_nothing_that_they_do_not_say() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, STANDARD.encode(SECRET)).unwrap();
    let sources = KeyFiles { keys: vec![path], jwks: Vec::new() };
    let verifier = Verifier::load(sources, Expected::default()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
    Attack::on("token").run(token, |bytes| {
        // Not signed at all, taken as it is.
        let raw = verifier.verify(&String::from_utf8_lossy(bytes), NOW);
        assert!(raw.is_err(), "what was never signed proves nothing");
        // Signed by somebody who has the key, but not his senses.
        let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
        let mut part = || URL_SAFE_NO_PAD.encode(parts.next().unwrap_or_default());
        let signed = format!("{}.{}", part(), part());
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
        let token = format!("{signed}.{signature}");
        let first = verifier.verify(&token, NOW);
        assert_eq!(first, verifier.verify(&token, NOW), "a token that is remembered says the same");
        match first {
            Ok(identity) => {
                assert!(identity.valid_until > NOW);
                let over = identity.valid_until;
                assert_eq!(verifier.verify(&token, over), Err(TokenError::Expired), "it ends when it says");
                identity.role.as_str().to_owned()
            }
            Err(error) => error.to_string(),
        }
    });
}

/// PEM, base64, and what is nearly one of them.
fn key_file(rng: &mut Rng) -> Vec<u8> {
    let secret = STANDARD.encode(rng.bytes(80));
    let (wide, der) = (STANDARD.encode([0x30; 64]), STANDARD.encode(rng.bytes(40)));
    let section = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
    let all = [RSA_PUBLIC, P256_PUBLIC, ED25519_PUBLIC, RSA_PRIVATE, &secret, &wide, &section];
    let mut file = Vec::new();
    for _ in 0..=rng.below(3) {
        file.extend(rng.pick(&all).bytes());
    }
    file
}

#[test]
fn hostile_key_files_are_keys_or_none() {
    Attack::on("key-file").run(key_file, |bytes| match key_file::parse(bytes) {
        Ok(keys) => prove_nothing(&keys),
        Err(error) => error.to_string(),
    });
}

/// Keys that were read prove nothing that was not signed with them.
fn prove_nothing(keys: &[key::Key]) -> String {
    let told = keys.iter().map(|key| {
        for length in [0, 32, 64, 256] {
            assert!(!key.proves(b"signed by nobody", &vec![1; length]));
        }
        key.algorithm().name()
    });
    told.collect::<Vec<_>>().join(" ")
}

/// A key in DER: changed where it counts, its lengths.
#[test]
fn hostile_der_is_a_public_key_or_none() {
    let der =
        |pem: &str| STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    let keys = [der(RSA_PUBLIC), der(P256_PUBLIC), der(ED25519_PUBLIC)];
    Attack::on("der").run(
        |rng| {
            let mut bytes = rng.pick(&keys).clone();
            let at = rng.below(bytes.len().min(40));
            bytes[at] = *rng.pick(&[0, 0x7f, 0x80, 0x81, 0x82, 0x83, 0xff]);
            bytes
        },
        |bytes| match key::Key::public(None, bytes) {
            Ok(key) => prove_nothing(&[key]),
            Err(error) => error.to_string(),
        },
    );
}

/// A set of keys in JSON.
fn key_set(rng: &mut Rng) -> Vec<u8> {
    let (long, short) = (URL_SAFE_NO_PAD.encode([0xab; 256]), URL_SAFE_NO_PAD.encode([3; 32]));
    let likely: [&str; 3] = [&long, &short, "AQAB"];
    let mut keys = Vec::new();
    for _ in 0..rng.below(4) {
        keys.push(object(
            rng,
            &[
                ("kty", &["RSA", "EC", "OKP", "oct"]),
                ("crv", &["P-256", "Ed25519"]),
                ("kid", &["a", "b", "c"]),
                ("n", &likely),
                ("e", &likely),
                ("x", &likely),
                ("y", &likely),
                ("k", &likely),
            ],
        ));
    }
    format!("{{\"keys\":[{}]}}", keys.join(",")).into_bytes()
}

#[test]
fn hostile_key_sets_are_keys_or_none() {
    Attack::on("key-set").run(key_set, |bytes| match jwks::parse(bytes) {
        Ok((keys, left_out)) => {
            let why = left_out.iter().map(|(_, _, why)| why.to_string()).collect::<Vec<_>>();
            format!("{} but {}", prove_nothing(&keys), why.join(", "))
        }
        Err(error) => error.to_string(),
    });
}
