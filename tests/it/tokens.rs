//! Servers that ask for tokens, the tokens, and calls of any kind with any metadata.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use boxoffice::grpc::Authentication;
use boxoffice::identity::{Expected, KeyFiles, Minted, Minter, Verifier};
use bytes::{Buf, BufMut, Bytes};
use tempfile::TempDir;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::recorded;
use crate::support::Server;

pub(crate) const AUDIENCE: &str = "tickets";
pub(crate) const ISSUER: &str = "shop";
/// The name of the key of RSA in the server's JWK set. Its key of Ed25519 has none.
pub(crate) const RSA_KID: &str = "rsa";

/// A file of keys for tests.
pub(crate) fn test_key(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/identity/test_keys").join(name)
}

/// A server that knows two public keys and expects [`AUDIENCE`] and [`ISSUER`].
pub(crate) struct Guarded {
    pub(crate) server: Server,
    _data: TempDir,
}

impl Guarded {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// Starts it with a command line that `adapt` has completed.
    pub(crate) fn start_with(adapt: impl FnOnce(&mut Command)) -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let jwks = data.path().join("jwks.json");
        std::fs::write(&jwks, rsa_jwks()).expect("a file");
        let mut command = Server::command();
        command.arg("--data").arg(data.path().join("data"));
        command.arg("--auth-key").arg(test_key("ed25519.public.pem")).arg("--auth-jwks").arg(jwks);
        command.args(["--auth-audience", AUDIENCE, "--auth-issuer", ISSUER]);
        adapt(&mut command);
        Self { server: Server::spawn(command), _data: data }
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(self) {
        self.server.stop();
    }
}

/// How a server in this process asks for the same tokens.
pub(crate) fn authentication() -> Authentication {
    let keys = KeyFiles { keys: vec![test_key("ed25519.public.pem")], jwks: Vec::new() };
    let expected = Expected { audience: Some(AUDIENCE.to_owned()), issuer: Some(ISSUER.to_owned()) };
    Authentication::Tokens(Arc::new(Verifier::load(keys, expected).expect("keys")))
}

/// The public key of RSA as a JWK set.
fn rsa_jwks() -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let pem = std::fs::read_to_string(test_key("rsa.public.pem")).expect("a key");
    let der = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).expect("base64");
    // The last members of the key are the modulus of 256 bytes and the exponent 65537.
    let (modulus, exponent) = (&der[der.len() - 5 - 256..der.len() - 5], &der[der.len() - 3..]);
    assert_eq!(exponent, [1, 0, 1]);
    serde_json::json!({ "keys": [
        { "kty": "RSA", "kid": RSA_KID, "use": "sig", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB" },
    ] })
    .to_string()
}

/// The time on the wall, in seconds since the epoch.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_secs()
}

/// The claims of a token that a [`Guarded`] server accepts for an hour.
pub(crate) fn claims(role: &str, owner: &str) -> Minted {
    Minted {
        sub: Some(owner.to_owned()),
        role: Some(role.to_owned()),
        exp: Some(now() + 3_600),
        aud: Some(AUDIENCE.to_owned()),
        iss: Some(ISSUER.to_owned()),
        ..Minted::default()
    }
}

/// A token that a [`Guarded`] server accepts.
pub(crate) fn token(role: &str, owner: &str) -> String {
    signed(&claims(role, owner))
}

/// A token signed with a key that a [`Guarded`] server knows.
pub(crate) fn signed(claims: &Minted) -> String {
    let minter = Minter::load(&test_key("ed25519.private.pem")).expect("a key");
    let token = minter.mint(claims, None).expect("a token");
    recorded::token(&token);
    token
}

pub(crate) fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

/// `message` with metadata.
pub(crate) fn with<T>(metadata: &[(&'static str, String)], message: T) -> Request<T> {
    let mut request = Request::new(message);
    for (key, value) in metadata {
        let value = AsciiMetadataValue::try_from(value).expect("ASCII");
        request.metadata_mut().append(AsciiMetadataKey::from_static(key), value);
    }
    request
}

/// `message` with a token.
pub(crate) fn sent_by<T>(token: &str, message: T) -> Request<T> {
    with(&[bearer(token)], message)
}

/// Makes any call, like `InventoryService/GetEvent`, and returns the first message of its answer. (On the wire a single
/// answer is a stream of one.)
pub(crate) async fn call(
    channel: &Channel,
    rpc: &str,
    message: Vec<u8>,
    metadata: &[(&'static str, String)],
) -> Result<Vec<u8>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.expect("a connection");
    let path = format!("/boxoffice.v1.{rpc}").parse().expect("a path");
    let mut stream = client.server_streaming(with(metadata, message), path, Raw).await?.into_inner();
    Ok(stream.message().await?.expect("a message"))
}

/// Messages as they are on the wire.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(Bytes::from(item));
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}
