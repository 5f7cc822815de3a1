//! TLS between clients and server, and keys and certificates that change while it runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use boxoffice::engine::{Engine, EngineConfig};
use boxoffice::identity::Minter;
use boxoffice::server::{ServeError, Server, ServerConfig, Tls, TlsFiles};
use boxoffice_proto::v1;
use prost::Message as _;
use tonic::transport::{Channel, ClientTlsConfig};
use tonic::{Code, Status};

use crate::authority::{Authority, encrypted, replace};
use crate::in_process::{StuckStore, config};
use crate::recorded;
use crate::support::{Inventory, name, new_id, reason, wants};
use crate::tokens::{Guarded, authentication, bearer, call, claims, sent_by, test_key, token};

/// How long a change of a file may take to be seen: it is looked for every second.
const SEEN_MAX: Duration = Duration::from_secs(20);

/// A call that any valid token is enough for.
async fn lists_events(channel: &Channel, token: &str) -> Result<(), Status> {
    call(channel, "InventoryService/ListEvents", Vec::new(), &[bearer(token)]).await.map(drop)
}

/// A server with TLS whose log goes to a file.
struct Secured {
    guarded: Guarded,
    dir: tempfile::TempDir,
    authority: Authority,
}

impl Secured {
    fn start(adapt: impl FnOnce(&mut Command, &Path)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let authority = Authority::new("first");
        let (cert, key) = authority.server().write(dir.path());
        let log = std::fs::File::create(dir.path().join("log")).expect("a file");
        let guarded = Guarded::start_with(|command| {
            command.arg("--tls-cert").arg(cert).arg("--tls-key").arg(key).stderr(Stdio::from(log));
            adapt(command, dir.path());
        });
        Self { guarded, dir, authority }
    }

    fn connect(&self, tls: ClientTlsConfig) -> Channel {
        encrypted(&self.guarded.server.url().replace("127.0.0.1", "localhost"), tls)
    }

    /// The log so far.
    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).expect("the log")
    }

    /// Waits until the log has `text` `times`.
    async fn logged(&self, text: &str, times: usize) {
        let seen = async {
            while self.log().matches(text).count() < times {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SEEN_MAX, seen).await.expect(text);
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        recorded::keep("serve", self.log().as_bytes());
    }
}

#[tokio::test]
async fn clients_must_encrypt_and_trust_the_servers_authority() {
    let secured = Secured::start(|_, _| {});
    assert!(secured.guarded.server.url().starts_with("https://127.0.0.1:"));
    let token = token("buyer", "ann");
    lists_events(&secured.connect(secured.authority.trusted()), &token).await.expect("an answer");
    let stranger = Authority::new("another");
    let status = lists_events(&secured.connect(stranger.trusted()), &token).await.expect_err("another authority");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let plain = secured.guarded.server.url().replace("https", "http");
    let plain = Channel::from_shared(plain).expect("a URL").connect_lazy();
    lists_events(&plain, &token).await.expect_err("not encrypted");
}

#[tokio::test]
async fn with_an_authority_of_clients_only_its_clients_get_a_connection() {
    let theirs = Authority::new("clients");
    let secured = Secured::start(|command, dir| {
        command.arg("--tls-client-ca").arg(replace(dir, "clients.pem", &theirs.certificate));
    });
    let token = token("buyer", "ann");
    let trusted = || secured.authority.trusted();
    lists_events(&secured.connect(trusted().identity(theirs.client().identity())), &token).await.expect("an answer");
    let others = Authority::new("clients");
    let wrong = [
        ("no certificate", trusted()),
        ("of another authority", trusted().identity(others.client().identity())),
        ("of the server's authority", trusted().identity(secured.authority.client().identity())),
        ("of a server", trusted().identity(theirs.server().identity())),
    ];
    for (kind, tls) in wrong {
        let status = lists_events(&secured.connect(tls), &token).await.expect_err(kind);
        // What the status says was made up by the client: the server has answered nothing.
        assert_eq!(reason(&status), "", "{kind}: {status:?}");
    }
    // A certificate is no token.
    let client = secured.connect(trusted().identity(theirs.client().identity()));
    let status = lists_events(&client, "none").await.expect_err("no token");
    assert_eq!(status.code(), Code::Unauthenticated);
}

/// Makes `events/sale` and begins to follow it.
async fn watched(channel: &Channel) -> tonic::Streaming<v1::WatchEventResponse> {
    let admin = [bearer(&token("admin", "root"))];
    let event = v1::Event { sales_state: v1::SalesState::OnSale.into(), ..Default::default() };
    let request = v1::CreateEventRequest { event_id: "sale".to_owned(), event: Some(event) };
    call(channel, "AdminService/CreateEvent", request.encode_to_vec(), &admin).await.expect("an event");
    let request = v1::CreateAllocationRequest {
        parent: "events/sale".to_owned(),
        allocation_id: "floor".to_owned(),
        allocation: Some(v1::Allocation { capacity: 10, ..Default::default() }),
    };
    call(channel, "AdminService/CreateAllocation", request.encode_to_vec(), &admin).await.expect("an allocation");
    let mut client = Inventory::new(channel.clone());
    let request = v1::WatchEventRequest { name: "events/sale".to_owned(), from_seq: 0 };
    let request = sent_by(&token("buyer", "ann"), request);
    let mut stream = client.watch_event(request).await.expect("a stream").into_inner();
    stream.message().await.expect("a state").expect("a state");
    stream
}

#[tokio::test]
async fn new_certificates_are_used_while_streams_go_on_and_broken_ones_are_not() {
    let mut secured = Secured::start(|_, _| {});
    let old = secured.connect(secured.authority.trusted());
    let mut stream = watched(&old).await;
    let ann = token("buyer", "ann");

    replace(secured.dir.path(), "cert.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    secured.logged("the new files cannot be used", 1).await;
    lists_events(&secured.connect(secured.authority.trusted()), &ann).await.expect("the old one is still used");

    let before = std::mem::replace(&mut secured.authority, Authority::new("second"));
    secured.authority.server().write(secured.dir.path());
    secured.logged("read again, and in use", 1).await;
    lists_events(&secured.connect(secured.authority.trusted()), &ann).await.expect("the new certificate");
    lists_events(&secured.connect(before.trusted()), &ann).await.expect_err("the old certificate is gone");

    // The connections that there were are still there.
    let id = new_id();
    let request = wants(&id, &[("floor", 1)]).encode_to_vec();
    call(&old, "InventoryService/CreateReservation", request, &[bearer(&ann)]).await.expect("a hold");
    stream.message().await.expect("a change").expect("a change");
    let request = v1::ReleaseReservationRequest { name: name(&id) }.encode_to_vec();
    call(&old, "InventoryService/ReleaseReservation", request, &[bearer(&ann)]).await.expect("given back");
}

#[tokio::test]
async fn new_keys_refuse_the_tokens_of_the_old_at_once_and_broken_ones_change_nothing() {
    let key: std::cell::OnceCell<PathBuf> = std::cell::OnceCell::new();
    let first = std::fs::read_to_string(test_key("p256.public.pem")).expect("a key");
    let secured = Secured::start(|command, dir| {
        let path = key.get_or_init(|| replace(dir, "auth.pem", &first));
        command.arg("--auth-key").arg(path);
    });
    let minter = Minter::load(&test_key("p256.private.pem")).expect("a key");
    let old = minter.mint(&claims("buyer", "ann"), None).expect("a token");
    let channel = secured.connect(secured.authority.trusted());
    let mut stream = watched(&channel).await;
    for _ in 0..3 {
        lists_events(&channel, &old).await.expect("a valid token");
    }
    replace(secured.dir.path(), "auth.pem", "c29tZXRoaW5nIHNob3J0");
    secured.logged("the new files cannot be used", 1).await;
    lists_events(&channel, &old).await.expect("the old keys are still used");

    std::fs::remove_file(secured.dir.path().join("auth.pem")).expect("it was there");
    secured.logged("the new files cannot be used", 2).await;
    lists_events(&channel, &old).await.expect("the old keys are still used");

    let other = std::fs::read_to_string(test_key("ed25519.public.pem")).expect("a key");
    replace(secured.dir.path(), "auth.pem", &other);
    secured.logged("read again, and in use", 1).await;
    let status = lists_events(&channel, &old).await.expect_err("the key is gone");
    assert_eq!(status.code(), Code::Unauthenticated);
    let ann = token("buyer", "ann");
    let request = wants(&new_id(), &[("floor", 1)]).encode_to_vec();
    call(&channel, "InventoryService/CreateReservation", request, &[bearer(&ann)]).await.expect("a hold");
    stream.message().await.expect("a change").expect("a change");
}

#[tokio::test]
async fn clients_that_never_finish_their_handshake_keep_nobody_out() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let authority = Authority::new("first");
    let (certificate, key) = authority.server().write(dir.path());
    let tls = Tls::load(TlsFiles { certificate, key, client_ca: None }).expect("certificates");
    let engine =
        Engine::start(Arc::new(StuckStore::default()), EngineConfig::default(), None).await.expect("an engine");
    let config =
        ServerConfig { tls: Some(Arc::new(tls)), connections_max: 8, authentication: authentication(), ..config() };
    let server = Server::bind(config, engine).await.expect("a free port");
    let address = server.local_addr();
    let served = tokio::spawn(server.serve(std::future::pending()));

    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(tokio::net::TcpStream::connect(address).await.expect("a connection"));
    }
    let url = format!("https://localhost:{}", address.port());
    let channel = encrypted(&url, authority.trusted());
    let token = token("buyer", "ann");
    let answer = tokio::time::timeout(Duration::from_secs(5), lists_events(&channel, &token)).await;
    answer.expect("nobody is kept out").expect("an answer");
    drop(idle);
    served.abort();
}

#[tokio::test]
async fn tokens_are_not_taken_in_the_clear_from_other_machines() {
    let engine =
        Engine::start(Arc::new(StuckStore::default()), EngineConfig::default(), None).await.expect("it starts");
    for address in ["0.0.0.0:0", "[::]:0", "[::ffff:127.0.0.1]:0"] {
        let config = ServerConfig::new(address.parse().expect("an address"), authentication());
        let refused = Server::bind(config.clone(), Arc::clone(&engine)).await.err().expect("refused");
        assert!(matches!(refused, ServeError::NotEncrypted(_)), "{refused}");
        let behind = ServerConfig { tls_terminated_elsewhere: true, ..config };
        let bound = Server::bind(behind, Arc::clone(&engine)).await;
        assert!(!matches!(bound, Err(ServeError::NotEncrypted(_))));
    }
}

#[tokio::test]
async fn no_log_shows_a_token_or_a_key() {
    let secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldCBzZWNyZXQ=";
    recorded::secret(secret);
    let secured = Secured::start(|command, dir| {
        command.arg("--auth-key").arg(replace(dir, "secret", secret)).env("RUST_LOG", "trace");
    });
    let channel = secured.connect(secured.authority.trusted());
    let by_secret = Minter::load(&secured.dir.path().join("secret")).expect("a key");
    let by_secret = by_secret.mint(&claims("buyer", "ann"), None).expect("a token");
    let mut tokens =
        vec![token("buyer", "ann"), token("admin", "root"), by_secret, "garbage-that-is-no-token".to_owned()];
    tokens.push(format!("{}forged", tokens[0]));
    for token in &tokens {
        let _ = lists_events(&channel, token).await;
        let request = wants("not an id", &[]).encode_to_vec();
        let _ = call(&channel, "InventoryService/CreateReservation", request, &[bearer(token)]).await;
        // A call that there is not, and services that need no token.
        let _ = call(&channel, "InventoryService/None", Vec::new(), &[bearer(token)]).await;
        let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
        let request = sent_by(token, tonic_health::pb::HealthCheckRequest::default());
        health.check(request).await.expect("health");
    }
    replace(secured.dir.path(), "secret", &secret[4..]);
    secured.logged("read again, and in use", 1).await;
    let log = secured.log();
    assert!(log.contains("TRACE"), "the log says all it can");
    let key = std::fs::read_to_string(secured.dir.path().join("key.pem")).expect("a key");
    let secrets = tokens.iter().flat_map(|token| token.split('.')).chain([secret, "secret secret"]).chain(key.lines());
    for each in secrets.filter(|each| each.len() > 12 && !each.starts_with("---")) {
        for part in [each, &each[..12], &each[each.len() - 12..]] {
            // The header of a token is the same in all of them, and tells nothing.
            if !part.is_empty() && !tokens[0].starts_with(part) {
                assert!(!log.contains(part), "{part} is in the log");
            }
        }
    }
}
