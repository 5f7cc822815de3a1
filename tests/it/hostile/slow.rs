//! Those who begin and never end. The server has little patience here, so that the test need not have more; each of these would
//! keep its place for ever without it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use boxoffice::server::{Patience, ServerConfig};
use boxoffice_proto::v1;
use bytes::Bytes;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};

use super::frames::*;
use super::victim::SOON;
use crate::in_process::{Running, StuckStore, config, start};
use crate::support::by;

const SHORT: Duration = Duration::from_millis(300);
/// Between two bytes of those who are slow: less than any patience.
const TRICKLE: Duration = Duration::from_millis(30);

/// A server that is impatient and has few places.
async fn impatient() -> Running {
    let patience = Patience { greeting: SHORT, request: SHORT, keepalive_interval: SHORT, keepalive_timeout: SHORT };
    // One connection is that of the honest.
    let config = ServerConfig { connections_max: 9, requests_in_flight_max: 8, watchers_max: 1, patience, ..config() };
    start(Arc::new(StuckStore::default()), config).await
}

/// Takes all other places for connections, and waits until the server has hung up on each.
async fn occupy<F: Future<Output = ()>>(server: &Running, behave: impl Fn(TcpStream) -> F) {
    let places = (0..8).map(|_| async {
        let stream = TcpStream::connect(server.address).await.expect("a connection");
        tokio::time::timeout(SOON, behave(stream)).await.expect("the server hangs up");
    });
    futures::future::join_all(places).await;
    // Somebody new gets a place.
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address)).expect("an address");
    let channel = tokio::time::timeout(SOON, channel.connect()).await.expect("a place").expect("a connection");
    looks(&mut v1::inventory_service_client::InventoryServiceClient::new(channel)).await.expect("an answer");
}

async fn looks(client: &mut crate::support::Inventory) -> Result<(), Status> {
    let request = by("ann", v1::GetEventRequest { name: "events/gala".to_owned(), consistency: 0 });
    tokio::time::timeout(SOON, client.get_event(request)).await.expect("an answer in time").map(drop)
}

/// Waits until the other side has hung up.
async fn hung_up(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    while let Ok(1..) = stream.read(&mut [0; 16 * 1024]).await {}
}

/// Says something, and then the same byte again and again until nobody listens.
async fn trickle(stream: TcpStream, first: Vec<u8>, rest: Vec<u8>) {
    let (mut from, mut to) = stream.into_split();
    let saying = async {
        let mut said = to.write_all(&first).await;
        for byte in rest.iter().cycle() {
            if said.is_err() {
                return;
            }
            tokio::time::sleep(TRICKLE).await;
            said = to.write_all(&[*byte]).await;
        }
    };
    tokio::select! {
        () = saying => {}
        () = hung_up(&mut from) => {}
    }
}

#[tokio::test]
async fn those_who_never_begin_to_speak_lose_their_connection() {
    let server = impatient().await;
    occupy(&server, |mut stream| async move { hung_up(&mut stream).await }).await;
}

#[tokio::test]
async fn those_who_greet_byte_by_byte_lose_their_connection() {
    let server = impatient().await;
    occupy(&server, |mut stream| async move {
        // Nothing of it is wrong, and its last bytes never come.
        for byte in &PREFACE[..20] {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(TRICKLE).await;
        }
        hung_up(&mut stream).await;
    })
    .await;
}

#[tokio::test]
async fn those_who_send_headers_byte_by_byte_lose_their_connection() {
    let server = impatient().await;
    // The frame says that it has 16 KiB, and they come one by one.
    let begun = [greeting(), vec![0, 0x40, 0, HEADERS, END_HEADERS, 0, 0, 0, 1]].concat();
    occupy(&server, |stream| trickle(stream, begun.clone(), vec![0])).await;
}

#[tokio::test]
async fn those_who_never_answer_lose_their_connection_and_their_stream() {
    let server = impatient().await;
    let watch = v1::WatchEventRequest { name: "events/gala".to_owned(), from_seq: 0 }.encode_to_vec();
    let begun = [greeting(), call(1, WATCH_EVENT, &watch)].concat();
    occupy(&server, |mut stream| {
        let begun = begun.clone();
        async move {
            stream.write_all(&begun).await.expect("it listens");
            hung_up(&mut stream).await;
        }
    })
    .await;
    // The only place for a stream is free again.
    let request = by("ann", v1::WatchEventRequest { name: "events/gala".to_owned(), from_seq: 0 });
    let mut stream = server.inventory().watch_event(request).await.expect("a place").into_inner();
    stream.next().await.expect("a state").expect("a state");
}

#[tokio::test]
async fn those_who_ask_and_never_read_lose_their_connection() {
    let server = impatient().await;
    let pings = frame(PING, 0, 0, &[1; 8]).repeat(20_000);
    occupy(&server, |mut stream| {
        let pings = pings.clone();
        async move {
            stream.write_all(&greeting()).await.expect("it listens");
            // Until the answers have filled everything in between, and longer: then writing fails.
            while stream.write_all(&pings).await.is_ok() {}
        }
    })
    .await;
}

/// Calls with a body that never ends, on one connection whose client answers all that HTTP/2 asks.
async fn endless(server: &Running, calls: usize, each: Option<Bytes>) -> Vec<Status> {
    let tcp = TcpStream::connect(server.address).await.expect("a connection");
    let (send, connection) = h2::client::handshake(tcp).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let mut send = send.ready().await.expect("ready");
    let mut waiting = Vec::new();
    for _ in 0..calls {
        let request = tonic::codegen::http::Request::post(format!("http://{}{GET_EVENT}", server.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("boxoffice-owner", "mallory")
            .body(())
            .expect("a request");
        let (response, mut stream) = send.send_request(request, false).expect("sent");
        // Four bytes are promised.
        stream.send_data(message(0, 4 << 20, &[]).into(), false).expect("sent");
        let each = each.clone();
        waiting.push(async move {
            let trickling = async {
                while let Some(bytes) = each.clone() {
                    tokio::time::sleep(TRICKLE).await;
                    if stream.send_data(bytes, false).is_err() {
                        break;
                    }
                }
                std::future::pending().await
            };
            tokio::select! {
                response = response => Status::from_header_map(response.expect("an answer").headers()).expect("a status"),
                never = trickling => never,
            }
        });
    }
    let answers = futures::future::join_all(waiting);
    let answers = tokio::time::timeout(SOON, answers).await.expect("the server loses patience");
    connection.abort();
    answers
}

#[tokio::test]
async fn requests_that_never_end_give_back_their_places() {
    let server = impatient().await;
    for each in [None, Some(Bytes::from_static(&[0]))] {
        let answers = endless(&server, 8, each).await;
        for status in answers {
            assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        }
        looks(&mut server.inventory()).await.expect("a place");
    }
}
