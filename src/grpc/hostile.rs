//! Metadata that nobody honest sends: whatever stands in the headers that are read before a request, a caller is known or refused.

use std::sync::Arc;

use hostile_bytes::{Attack, Rng};
use tonic::Code;
use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue};
use tonic_types::StatusExt as _;

use super::caller::{Authentication, Caller, OWNER_KEY};
use super::deadline;
use crate::identity::{Expected, KeyFiles, Verifier};
use crate::request_id::RequestId;

const NAMES: [&str; 4] = ["authorization", OWNER_KEY, "grpc-timeout", crate::request_id::KEY];

/// Lines like `authorization: Bearer x`, some of them of no header at all.
fn lines(rng: &mut Rng) -> Vec<u8> {
    let likely =
        ["Bearer eyJhbGciOiJFZERTQSJ9.e30.AAAA", "Bearer a.b.c", "Basic eA==", "ann", "1S", "99999999H", "web:7"];
    let mut lines = Vec::new();
    for _ in 0..rng.below(6) {
        lines.extend(rng.pick(&NAMES).as_bytes());
        lines.extend(b": ");
        lines.extend(rng.text(&likely).bytes());
        lines.push(b'\n');
    }
    lines
}

/// As HTTP/2 would have brought them: what is no header is refused before us.
fn headers(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(colon) = line.windows(2).position(|pair| pair == b": ") else { continue };
        let (name, value) = (&line[..colon], &line[colon + 2..]);
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    headers
}

fn told(who: &Authentication, mut headers: HeaderMap) -> String {
    let caller = who.identify(&mut headers);
    assert!(!headers.contains_key("authorization"), "the token is out of the headers, whatever it was");
    match caller {
        Ok(Caller::Dev(None)) => "nobody".to_owned(),
        Ok(Caller::Dev(Some(owner))) => {
            assert!((1..=128).contains(&owner.as_str().len()) && owner.as_str().bytes().all(|b| b.is_ascii_graphic()));
            "somebody".to_owned()
        }
        Ok(Caller::Known { .. }) => unreachable!("nothing here was signed"),
        Err(status) => {
            let info = status.get_details_error_info().expect("a reason");
            match status.code() {
                Code::Unauthenticated => assert_eq!(info.reason, "UNAUTHENTICATED"),
                Code::InvalidArgument => {
                    assert_eq!(info.reason, "INVALID_OWNER");
                    let named = status.get_details_bad_request().expect("a field").field_violations;
                    assert_eq!(named.iter().map(|each| each.field.as_str()).collect::<Vec<_>>(), [OWNER_KEY]);
                }
                other => panic!("{other:?}"),
            }
            format!("{:?} {}", status.code(), status.message())
        }
    }
}

#[test]
fn hostile_metadata_makes_nobody_known() {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/src/identity/test_keys/ed25519.public.pem");
    let sources = KeyFiles { keys: vec![key.into()], jwks: Vec::new() };
    let verifier = Arc::new(Verifier::load(sources, Expected::default()).expect("a key"));
    Attack::on("metadata").run(lines, |bytes| {
        let headers = headers(bytes);
        let timeout = deadline::timeout(&headers);
        let id = headers.get(crate::request_id::KEY).and_then(|value| RequestId::sent(value.as_bytes()));
        if let Some(id) = id {
            assert_eq!(id.to_string().as_bytes(), headers[crate::request_id::KEY].as_bytes());
        }
        let dev = told(&Authentication::Dev, headers.clone());
        let tokens = told(&Authentication::Tokens(Arc::clone(&verifier)), headers);
        format!("{} {} {dev} {tokens}", timeout.is_some(), id.is_some())
    });
}
