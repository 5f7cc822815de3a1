//! Those who have no token, and take what is for everybody: health and reflection.

use std::net::SocketAddr;
use std::sync::Arc;

use boxoffice::server::{HEALTH_WATCHES_MAX, REFLECTIONS_MAX};
use bytes::Bytes;
use futures::future::join_all;
use h2::RecvStream;
use h2::client::SendRequest;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic::codegen::http::Request;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use super::frames::message;
use super::victim::{SOON, Victim};
use crate::in_process::{Running, StuckStore, config, start};
use crate::support::reason;

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";

/// A connection whose client makes no room for answers.
struct Unwilling {
    send: SendRequest<Bytes>,
    address: SocketAddr,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Unwilling {
    /// With room for so many bytes of each answer.
    async fn connect(address: SocketAddr, room: u32) -> Self {
        let tcp = TcpStream::connect(address).await.expect("a connection");
        let (send, connection) =
            h2::client::Builder::new().initial_window_size(room).handshake(tcp).await.expect("HTTP/2");
        Self { send, address, connection: tokio::spawn(connection) }
    }

    /// Makes a call, and returns how its answer begins and the rest of it, which keeps it open.
    async fn call(&mut self, path: &str, bytes: &[u8]) -> (Status, RecvStream) {
        let request = Request::post(format!("http://{}{path}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("a request");
        let mut send = self.send.clone().ready().await.expect("ready");
        let (response, mut stream) = send.send_request(request, false).expect("sent");
        stream.send_data(message(0, bytes.len(), bytes).into(), true).expect("sent");
        let response = tokio::time::timeout(SOON, response).await.expect("an answer in time").expect("an answer");
        let status = Status::from_header_map(response.headers()).unwrap_or_else(|| Status::ok(""));
        (status, response.into_body())
    }

    /// Hangs up.
    async fn leave(self) {
        self.connection.abort();
        let _ = self.connection.await;
    }
}

fn asked(host: String) -> Vec<u8> {
    let message_request = Some(MessageRequest::ListServices(String::new()));
    ServerReflectionRequest { host, message_request }.encode_to_vec()
}

async fn health(server: &Running) -> ServingStatus {
    let checked = HealthClient::new(server.channel.clone()).check(HealthCheckRequest::default()).await;
    checked.expect("health answers").into_inner().status()
}

#[tokio::test]
async fn reflection_repeats_nothing_long() {
    let victim = Victim::start().await;
    let address = victim.server.address().parse().expect("an address");
    let long = asked("h".repeat(4_000_000));
    let strangers = (0..40).map(|_| async {
        let mut stranger = Unwilling::connect(address, 1).await;
        let (_, mut answer) = stranger.call(REFLECTION, &long).await;
        // Once its first byte is here, the server has the others.
        let _ = tokio::time::timeout(SOON, answer.data()).await.expect("an answer in time");
        (stranger, answer)
    });
    let open = join_all(strangers).await;
    victim.serves().await;
    let peak = victim.peak_bytes();
    assert!(peak < 256 * 1024 * 1024, "at its largest: {peak} bytes");
    drop(open);
    victim.is_whole("reflection of something long").await;
}

/// Takes all places of a kind, and is refused one more; gets one again when somebody else has left.
async fn fills(path: &str, bytes: &[u8], places: usize) {
    let server = start(Arc::new(StuckStore::default()), config()).await;
    let mut first = Unwilling::connect(server.address, 0).await;
    let mut second = Unwilling::connect(server.address, 0).await;
    let mut open = Vec::new();
    for _ in 0..places {
        let (status, stream) = first.call(path, bytes).await;
        assert_eq!(status.code(), Code::Ok, "{status:?}");
        open.push(stream);
    }
    let (status, _) = second.call(path, bytes).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "OVERLOADED"), "{status:?}");
    assert_eq!(health(&server).await, ServingStatus::Serving, "whoever asks once is always answered");
    first.leave().await;
    let again = async { while second.call(path, bytes).await.0.code() != Code::Ok {} };
    tokio::time::timeout(SOON, again).await.expect("the places come back");
}

#[tokio::test]
async fn streams_of_reflection_are_bounded_and_come_back() {
    fills(REFLECTION, &asked(String::new()), REFLECTIONS_MAX).await;
}

#[tokio::test]
async fn streams_of_health_are_bounded_and_leave_checks_alone() {
    fills(HEALTH_WATCH, &HealthCheckRequest::default().encode_to_vec(), HEALTH_WATCHES_MAX).await;
}
