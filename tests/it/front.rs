//! What every request passes before and after its service: admission, deadlines, health, reflection, shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use boxoffice::engine::{Engine, EngineConfig};
use boxoffice::grpc::Authentication;
use boxoffice::server::{ServeError, Server, ServerConfig};
use boxoffice_proto::v1;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;
use tonic::codegen::http;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_types::StatusExt as _;

use crate::in_process::{Running, StuckStore, config, start};
use crate::support::{by, reason, until};

/// Longest wait for something that must come soon.
const SOON: Duration = Duration::from_secs(20);

fn reservation() -> v1::CreateReservationRequest {
    let line = v1::reservation::Line {
        allocation: "events/gala/allocations/stalls".to_owned(),
        quantity: 1,
        ..Default::default()
    };
    v1::CreateReservationRequest {
        parent: "events/gala".to_owned(),
        reservation_id: "0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71".to_owned(),
        reservation: Some(v1::Reservation { lines: vec![line], ..Default::default() }),
        ..Default::default()
    }
}

async fn health(server: &Running, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(server.channel.clone()).check(request).await.expect("health answers").into_inner().status()
}

/// Speaks HTTP/2 by hand: tonic's client has a timer of its own, which would answer for the server, and sends only what is right.
async fn call_by_hand(address: SocketAddr, rpc: &str, timeout: &str, body: Vec<u8>) -> Status {
    let tcp = TcpStream::connect(address).await.expect("a connection");
    let (send, connection) = h2::client::handshake(tcp).await.expect("HTTP/2");
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://{address}/{rpc}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("boxoffice-owner", "ann")
        .header("grpc-timeout", timeout)
        .body(())
        .expect("a request");
    let (response, mut stream) = send.ready().await.expect("ready").send_request(request, false).expect("sent");
    stream.send_data(body.into(), true).expect("sent");
    let response = response.await.expect("an answer");
    Status::from_header_map(response.headers()).expect("a status")
}

/// A message as it is sent: a byte for "not compressed", its length in four, and itself.
fn framed(message: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, u8::try_from(message.len()).expect("short")], message].concat()
}

#[tokio::test]
async fn a_passed_deadline_is_answered_as_such() {
    let server = start(Arc::new(StuckStore::default()), config()).await;
    for timeout in ["1n", "1m", "50m", "120000u"] {
        let message = framed(&reservation().encode_to_vec());
        let rpc = "boxoffice.v1.InventoryService/CreateReservation";
        let status = call_by_hand(server.address, rpc, timeout, message).await;
        let told = (status.code(), reason(&status));
        assert_eq!(told, (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned()), "{timeout}: {status:?}");
    }
}

#[tokio::test]
async fn the_longest_timeout_is_taken() {
    let server = start(Arc::new(StuckStore::default()), config()).await;
    let mut request = by("ann", v1::GetEventRequest { name: "events/gala".to_owned(), consistency: 0 });
    request.metadata_mut().insert("grpc-timeout", "99999999H".parse().expect("a header"));
    server.inventory().get_event(request).await.expect("the event");
}

#[tokio::test]
async fn connections_beyond_the_bound_wait() {
    let mut server = start(Arc::new(StuckStore::default()), ServerConfig { connections_max: 1, ..config() }).await;
    let waiting = Endpoint::from_shared(format!("http://{}", server.address)).expect("an address").connect_lazy();
    let first = std::mem::replace(&mut server.channel, waiting.clone());
    let second = tokio::spawn(async move { HealthClient::new(waiting).check(HealthCheckRequest::default()).await });
    for _ in 0..100 {
        HealthClient::new(first.clone()).check(HealthCheckRequest::default()).await.expect("it was there first");
    }
    assert!(!second.is_finished());
    drop(first);
    second.await.expect("no panic").expect("its turn");
}

#[tokio::test]
async fn too_many_requests_are_refused_while_health_still_answers() {
    let store = StuckStore::default();
    let batches = Arc::clone(&store.batches);
    let server = start(Arc::new(store), ServerConfig { requests_in_flight_max: 1, ..config() }).await;
    let mut inventory = server.inventory();
    let stuck = tokio::spawn(async move { inventory.create_reservation(by("ann", reservation())).await });
    while batches.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let status = server.inventory().get_event(v1::GetEventRequest::default()).await.expect_err("no place is free");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "OVERLOADED"));
    assert!(status.get_details_retry_info().expect("when to try again").retry_delay.is_some());
    assert_eq!(health(&server, "boxoffice.v1.InventoryService").await, ServingStatus::Serving);
    stuck.abort();
}

#[tokio::test]
async fn too_many_streams_are_refused() {
    let server = start(Arc::new(StuckStore::default()), ServerConfig { watchers_max: 1, ..config() }).await;
    let request = || v1::WatchEventRequest { name: "events/gala".to_owned(), from_seq: 0 };
    let first = server.inventory().watch_event(request()).await.expect("a place");
    let status = server.inventory().watch_event(request()).await.expect_err("no place");
    assert_eq!(reason(&status), "OVERLOADED");
    drop(first);
    // The server hears of the cancelled stream a moment later.
    while server.inventory().watch_event(request()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_watch_begins_with_the_present_state_and_ends_at_its_deadline() {
    let server = start(Arc::new(StuckStore::default()), config()).await;
    let request = |name: &str, from_seq| v1::WatchEventRequest { name: name.to_owned(), from_seq };
    let status = server.inventory().watch_event(request("events/other", 0)).await.expect_err("no such event");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "EVENT_NOT_FOUND"));

    let mut limited = by("ann", request("events/gala", 0));
    limited.metadata_mut().insert("grpc-timeout", "300m".parse().expect("a header"));
    let mut stream = server.inventory().watch_event(limited).await.expect("a stream").into_inner();
    let first = stream.message().await.expect("a message").expect("the state");
    assert_eq!(first.event.expect("an event").seq, 1);
    let status = stream.message().await.expect_err("nothing changes");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
}

#[tokio::test]
async fn a_shutdown_ends_streams_and_is_not_held_up_by_them() {
    let mut server = start(Arc::new(StuckStore::default()), config()).await;
    let request = v1::WatchEventRequest { name: "events/gala".to_owned(), from_seq: 1 };
    let mut event = server.inventory().watch_event(request).await.expect("a stream").into_inner();
    let request = v1::WatchChangesRequest { parent: "events/gala".to_owned(), from_seq: 0 };
    let mut changes = server.admin().watch_changes(request).await.expect("a stream").into_inner();
    server.begin_to_stop();
    let ends = [
        event.next().await.expect("an end").expect_err("nothing changes"),
        changes.next().await.expect("an end").expect_err("nothing changes"),
    ];
    for status in ends {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    }
    server.stopped().await;
}

/// Clients look after their connections by a stream of health, which says the last word and then ends.
#[tokio::test]
async fn a_shutdown_is_not_held_up_by_streams_of_health() {
    let config = ServerConfig { drain_max: SOON * 2, ..config() };
    let mut server = start(Arc::new(StuckStore::default()), config).await;
    let mut client = HealthClient::new(server.channel.clone());
    let mut health = client.watch(HealthCheckRequest::default()).await.expect("a stream").into_inner();
    let told = health.message().await.expect("no error").expect("a status");
    assert_eq!(told.status(), ServingStatus::Serving);
    server.begin_to_stop();
    let ends = async {
        let told = health.message().await.expect("no error").expect("a status");
        assert_eq!(told.status(), ServingStatus::NotServing);
        let status = health.message().await.expect_err("the end");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
        server.stopped().await;
    };
    tokio::time::timeout(SOON, ends).await.expect("it does not wait for it");
}

/// The first look at the waiting rooms comes before all requests, and is a question to the database.
#[tokio::test]
async fn a_server_that_does_not_serve_yet_ends_when_it_is_told_to() {
    let store = StuckStore { waiting_rooms_hang: true, ..StuckStore::default() };
    let mut server = start(Arc::new(store), config()).await;
    server.begin_to_stop();
    tokio::time::timeout(SOON, server.stopped()).await.expect("it does not wait for the database");
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_at_shutdown() {
    let store = StuckStore::default();
    let batches = Arc::clone(&store.batches);
    let mut server = start(Arc::new(store), ServerConfig { drain_max: Duration::from_millis(100), ..config() }).await;
    let mut inventory = server.inventory();
    let stuck = tokio::spawn(async move { inventory.create_reservation(by("ann", reservation())).await });
    while batches.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    server.begin_to_stop();
    server.stopped().await;
    stuck.abort();
}

#[tokio::test]
async fn what_is_no_message_is_the_callers_fault() {
    let server = start(Arc::new(StuckStore::default()), config()).await;
    let bodies = [
        ("no message", Vec::new(), "Missing request message"),
        ("no protobuf", framed(&[0xff, 0xff]), "failed to decode"),
        ("a name that is not UTF-8", framed(&[0x0a, 1, 0xff]), "UTF-8"),
        ("a part of a message", framed(&[0x0a, 4, b'g', b'a', b'l', b'a'])[..8].to_vec(), "EOF"),
        ("another framing", vec![9, 0, 0, 0, 0], "compression flag"),
    ];
    for rpc in [
        "boxoffice.v1.InventoryService/GetEvent",
        "boxoffice.v1.AdminService/CreateEvent",
        "grpc.health.v1.Health/Check",
    ] {
        for (what, body, message) in &bodies {
            let status = call_by_hand(server.address, rpc, "10S", body.clone()).await;
            let told = (status.code(), reason(&status));
            assert_eq!(told, (Code::InvalidArgument, "INVALID_REQUEST".to_owned()), "{rpc}, {what}: {status:?}");
            assert!(status.message().contains(message), "{rpc}, {what}: {status:?}");
        }
    }
    // It says that it has a byte more than may be sent.
    let status =
        call_by_hand(server.address, "boxoffice.v1.InventoryService/GetEvent", "10S", vec![0, 0, 0x40, 0, 1]).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_REQUEST"), "{status:?}");
}

#[tokio::test]
async fn health_is_told_of_each_service_and_a_store_that_hangs_is_noticed() {
    let store = StuckStore::default();
    let checks = Arc::clone(&store.checks);
    let server = start(Arc::new(store), config()).await;
    let services =
        ["", "boxoffice.v1.InventoryService", "boxoffice.v1.AdminService", "boxoffice.v1.WaitingRoomService"];
    for (hangs, status) in
        [(false, ServingStatus::Serving), (true, ServingStatus::NotServing), (false, ServingStatus::Serving)]
    {
        checks.hang.send_replace(hangs);
        for service in services {
            until("health is told", async || health(&server, service).await == status).await;
        }
    }
    let counts = [&checks.begun, &checks.answered].map(|count| count.load(Ordering::SeqCst));
    assert_eq!(counts[0], counts[1], "a question is not given up, though its answer is late");
}

#[tokio::test]
async fn reflection_lists_the_services() {
    let server = start(Arc::new(StuckStore::default()), config()).await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(server.channel.clone());
    let stream = client.server_reflection_info(tokio_stream::once(request)).await.expect("reflection answers");
    let ServerReflectionResponse { message_response, .. } =
        stream.into_inner().message().await.expect("an answer").expect("an answer");
    let Some(MessageResponse::ListServicesResponse(list)) = message_response else {
        panic!("{message_response:?}");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for service in ["boxoffice.v1.InventoryService", "boxoffice.v1.AdminService", "grpc.health.v1.Health"] {
        assert!(names.contains(&service), "{names:?}");
    }
}

#[tokio::test]
async fn development_mode_stays_on_this_machine() {
    let engine =
        Engine::start(Arc::new(StuckStore::default()), EngineConfig::default(), None).await.expect("it starts");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let config = ServerConfig::new(address.parse().expect("an address"), Authentication::Dev);
        let refused = Server::bind(config, Arc::clone(&engine)).await.err().expect("refused");
        assert!(matches!(refused, ServeError::NotLoopback(_)), "{refused}");
    }
}
