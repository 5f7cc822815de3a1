//! Rate limits and caps, over the wire.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use boxoffice::domain::EventId;
use boxoffice::rate::{Cost, Key, Quota, RateLimits, SharedRates};
use boxoffice::server::{HEADER_BYTES_MAX, Patience, REQUEST_BYTES_MAX, STREAMS_PER_CONNECTION_MAX, ServerConfig};
use boxoffice_proto::v1;
use boxoffice_proto::v1::batch_create_reservations_response::outcome::Outcome;
use private_cluster::{Redis, RedisOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::codegen::http;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::in_process::{EVENT, StuckStore, config, event, start};
use crate::rush::PATIENCE;
use crate::support::{Server, by, create_event, new_id, reason, until, wants};
use crate::tokens::{Guarded, authentication, bearer, sent_by, token, with};

/// Two calls, and then none for a quarter of an hour.
fn two_calls() -> Option<Quota> {
    Quota::new(0.001, 2)
}

fn gala() -> v1::GetEventRequest {
    v1::GetEventRequest { name: "events/gala".to_owned(), consistency: 0 }
}

fn assert_rate_limited(status: &Status, scope: &str) {
    assert_eq!((status.code(), reason(status).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"), "{status:?}");
    let details = status.get_error_details();
    let wait = details.retry_info().and_then(|info| info.retry_delay).expect("when to try again");
    assert!(wait > Duration::from_secs(60), "{wait:?}");
    assert_eq!(details.quota_failure().expect("which limit").violations[0].subject, scope);
    assert_eq!(details.error_info().expect("a reason").metadata["scope"], scope);
}

/// One unit for each of these.
fn batch(owners: &[&str]) -> v1::BatchCreateReservationsRequest {
    let request = || v1::CreateReservationRequest { parent: String::new(), ..wants(&new_id(), &[("floor", 1)]) };
    v1::BatchCreateReservationsRequest {
        parent: "events/sale".to_owned(),
        requests: owners.iter().map(|_| request()).collect(),
        owners: owners.iter().map(|owner| (*owner).to_owned()).collect(),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_owner_who_calls_too_often_is_refused_and_nobody_else() {
    let rates = Arc::new(RateLimits::new(two_calls(), None));
    let server = start(Arc::new(StuckStore::default()), ServerConfig { rates, ..config() }).await;
    let mut inventory = server.inventory();
    for _ in 0..2 {
        inventory.get_event(by("ann", gala())).await.expect("within the limit");
    }
    assert_rate_limited(&inventory.get_event(by("ann", gala())).await.expect_err("too often"), "owner");
    let watch = v1::WatchEventRequest { name: "events/gala".to_owned(), from_seq: 0 };
    assert_rate_limited(&inventory.watch_event(by("ann", watch)).await.expect_err("too often"), "owner");
    inventory.get_event(by("bob", gala())).await.expect("he has his own");
    let list = v1::ListChangesRequest { parent: "events/gala".to_owned(), ..Default::default() };
    server.admin().list_changes(by("ann", list)).await.expect("operators are not limited");
}

#[tokio::test]
async fn a_gateways_limit_and_those_of_its_buyers_both_hold_and_batches_cost_their_items() {
    let guarded = Guarded::start_with(|command| {
        command.args([
            "--owner-rate",
            "0.001",
            "--owner-burst",
            "3",
            "--gateway-rate",
            "0.001",
            "--gateway-burst",
            "7",
        ]);
    });
    let server = &guarded.server;
    let mut admin = server.admin();
    let admins = token("admin", "root");
    let event = v1::Event { sales_state: v1::SalesState::OnSale.into(), ..v1::Event::default() };
    let request = v1::CreateEventRequest { event_id: "sale".to_owned(), event: Some(event) };
    admin.create_event(sent_by(&admins, request)).await.expect("the event is created");
    let request = v1::CreateAllocationRequest {
        parent: "events/sale".to_owned(),
        allocation_id: "floor".to_owned(),
        allocation: Some(v1::Allocation { capacity: 100, ..v1::Allocation::default() }),
    };
    admin.create_allocation(sent_by(&admins, request)).await.expect("the allocation is created");

    let mut inventory = server.inventory();
    let shop = token("gateway", "shop");
    let outcomes =
        inventory.batch_create_reservations(sent_by(&shop, batch(&["ann", "ann", "ann", "ann", "bob"]))).await;
    let outcomes = outcomes.expect("five of the gateway's seven").into_inner().outcomes;
    let granted: Vec<_> = outcomes.iter().map(|each| matches!(each.outcome, Some(Outcome::Reservation(_)))).collect();
    assert_eq!(granted, [true, true, true, false, true], "{outcomes:?}");
    let Some(Outcome::Error(error)) = &outcomes[3].outcome else { panic!("{outcomes:?}") };
    assert_eq!(error.code, i32::from(Code::ResourceExhausted));

    let sold = || v1::GetEventRequest { name: "events/sale".to_owned(), consistency: v1::Consistency::Strong.into() };
    let for_ann = with(&[bearer(&shop), ("boxoffice-owner", "ann".to_owned())], sold());
    assert_rate_limited(&inventory.get_event(for_ann).await.expect_err("ann is at her limit"), "owner");
    assert_rate_limited(
        &inventory.batch_create_reservations(sent_by(&shop, batch(&["cat", "dan", "eve"]))).await.expect_err("no room"),
        "gateway",
    );
    // What he calls for one buyer counts, too: it is his seventh, and no eighth.
    let for_one = |owner: &str| with(&[bearer(&shop), ("boxoffice-owner", owner.to_owned())], sold());
    inventory.get_event(for_one("fay")).await.expect("his last");
    assert_rate_limited(&inventory.get_event(for_one("gil")).await.expect_err("he has none left"), "gateway");
    let buyer = token("buyer", "eve");
    let event = inventory.get_event(sent_by(&buyer, sold())).await.expect("eve's own limit").into_inner();
    assert_eq!(event.allocations[0].held, 4, "what was refused had no effect");
}

/// A batch that is larger than the burst, after which its caller is at his limit for as long as it costs.
async fn assert_admitted_and_paid_off(server: &Server, owner: &str) {
    let mut inventory = server.inventory();
    let items = [owner; 7];
    let request = v1::BatchCreateReservationsRequest { owners: Vec::new(), ..batch(&items) };
    let answer = inventory.batch_create_reservations(by(owner, request)).await.expect("no batch is too large for ever");
    assert_eq!(answer.into_inner().outcomes.len(), items.len());
    assert_rate_limited(&inventory.get_event(by(owner, gala())).await.expect_err("it is paid off first"), "owner");
}

#[tokio::test]
async fn a_batch_that_is_larger_than_the_burst_is_admitted_with_a_full_budget_and_paid_off() {
    let redis = Redis::start(&RedisOptions::default()).expect("a Redis");
    let url = redis.url();
    for burst in ["5", "1"] {
        let options = ["--owner-rate", "0.001", "--owner-burst", burst];
        for shared in [&[][..], &["--redis-url", &url]] {
            let data = tempfile::tempdir().expect("a directory");
            let server = Server::start_with(data.path(), &[&options, shared].concat());
            create_event(&server, v1::Event::default(), &[("floor", 100)]).await;
            assert_admitted_and_paid_off(&server, &format!("ann-{burst}")).await;
        }
    }
}

#[tokio::test]
async fn an_owner_has_a_bounded_number_of_streams() {
    let config = ServerConfig { watchers_per_owner_max: 1, ..config() };
    let server = start(Arc::new(StuckStore::default()), config).await;
    let watch = |owner| by(owner, v1::WatchEventRequest { name: "events/gala".to_owned(), from_seq: 0 });
    let first = server.inventory().watch_event(watch("ann")).await.expect("a place");
    let status = server.inventory().watch_event(watch("ann")).await.expect_err("no place");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "TOO_MANY_WATCHERS"));
    server.inventory().watch_event(watch("bob")).await.expect("he has his own");
    drop(first);
    // The server hears of the cancelled stream a moment later.
    until("the place is given back", async || server.inventory().watch_event(watch("ann")).await.is_ok()).await;
}

#[tokio::test]
async fn messages_and_headers_are_bounded() {
    let server = start(Arc::new(StuckStore::default()), config()).await;
    let large = v1::GetEventRequest { name: "x".repeat(REQUEST_BYTES_MAX + 1), consistency: 0 };
    let status = server.inventory().get_event(by("ann", large)).await.expect_err("too large");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_REQUEST"));
    assert!(status.message().contains(&REQUEST_BYTES_MAX.to_string()), "{status:?}");

    let mut request = by("ann", gala());
    let value = "x".repeat(HEADER_BYTES_MAX as usize).parse().expect("ASCII");
    request.metadata_mut().insert("x-large", value);
    server.inventory().get_event(request).await.expect_err("too large");
    server.inventory().get_event(by("ann", gala())).await.expect("others go on, on the same connection");
}

/// A client that says how many bytes it takes, and then takes none.
struct Silent(h2::client::SendRequest<bytes::Bytes>);

impl Silent {
    async fn connect(address: std::net::SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.expect("a connection");
        let handshake = h2::client::Builder::new().initial_window_size(1).handshake(tcp);
        let (send, connection) = handshake.await.expect("HTTP/2");
        tokio::spawn(connection);
        Self(send)
    }

    /// Calls, and waits for the head of the answer.
    async fn call(&mut self, rpc: &str, message: &impl prost::Message) -> http::Response<h2::RecvStream> {
        self.call_for(Duration::from_secs(60), rpc, message).await
    }

    /// The same with a deadline, for ann. (tonic's client has a timer of its own, which would answer for the server.)
    async fn call_for(
        &mut self,
        timeout: Duration,
        rpc: &str,
        message: &impl prost::Message,
    ) -> http::Response<h2::RecvStream> {
        let request = http::Request::post(format!("http://localhost/boxoffice.v1.{rpc}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("boxoffice-owner", "ann")
            .header("grpc-timeout", format!("{}m", timeout.as_millis()))
            .body(())
            .expect("a request");
        let message = message.encode_to_vec();
        let mut body = vec![0, 0, 0, 0, u8::try_from(message.len()).expect("short")];
        body.extend(message);
        let mut send = self.0.clone().ready().await.expect("ready");
        let (response, mut stream) = send.send_request(request, false).expect("sent");
        stream.send_data(body.into(), true).expect("sent");
        response.await.expect("an answer")
    }
}

#[tokio::test]
async fn a_connection_has_a_bounded_number_of_requests() {
    let server = start(Arc::new(StuckStore::default()), config()).await;
    let mut client = Silent::connect(server.address).await;
    client.call("InventoryService/GetEvent", &gala()).await;
    assert_eq!(client.0.current_max_send_streams(), STREAMS_PER_CONNECTION_MAX as usize);
}

#[tokio::test]
async fn a_peer_that_is_gone_loses_its_connection() {
    let (keepalive_interval, keepalive_timeout) = (Duration::from_millis(50), Duration::from_millis(50));
    let patience = Patience { keepalive_interval, keepalive_timeout, ..Patience::USUAL };
    let config = ServerConfig { patience, connections_max: 2, ..config() };
    let server = start(Arc::new(StuckStore::default()), config).await;
    let mut peer = TcpStream::connect(server.address).await.expect("a connection");
    // An orderly beginning with no settings, and then nothing, not even answers to pings.
    peer.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("it reads");
    let mut said = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), peer.read_to_end(&mut said)).await;
    assert!(closed.is_ok(), "the server keeps the connection");
    server.inventory().get_event(by("ann", gala())).await.expect("who answers pings stays");
}

/// Answers that nobody reads are counted, refused beyond the bound, and forgotten with their callers.
#[tokio::test]
async fn answers_that_are_not_read_take_bounded_memory() {
    let mut wide = event(&EventId::new("wide").expect("an id"));
    wide.event.config.display_name = "x".repeat(100_000);
    let store = StuckStore { events: vec![wide], ..StuckStore::default() };
    let server = start(Arc::new(store), ServerConfig { unread_bytes_max: 350_000, ..config() }).await;
    let mut silent = Silent::connect(server.address).await;
    let mut answers = Vec::new();
    let list = v1::ListEventsRequest::default();
    let refused = loop {
        let answer = silent.call("InventoryService/ListEvents", &list).await;
        if let Some(status) = Status::from_header_map(answer.headers()) {
            break status;
        }
        answers.push(answer);
        assert!(answers.len() < 10, "it holds them all");
    };
    assert_eq!((reason(&refused).as_str(), answers.len()), ("OVERLOADED", 3));
    server.inventory().get_event(gala()).await.expect("small answers pass");
    drop((answers, silent));
    let is_answered = async || server.inventory().list_events(list.clone()).await.is_ok();
    until("what nobody waits for is forgotten", is_answered).await;
}

/// A call whose deadline passes while it waits for its turn is answered so, and is not begun afterwards.
#[tokio::test]
async fn what_waited_beyond_its_deadline_is_not_begun() {
    let store = StuckStore::default();
    let (batches, wanted, released) =
        (Arc::clone(&store.batches), Arc::clone(&store.wanted), Arc::clone(&store.released));
    let begun = async |count| until("a batch is begun", async || batches.load(Ordering::SeqCst) >= count).await;
    let server = start(Arc::new(store), config()).await;
    let reserve = |id: &str| {
        let (mut inventory, request) = (server.inventory(), by("ann", wants(id, &[("floor", 1)])));
        async move { inventory.create_reservation(request).await }
    };
    let [first, late, last] = [new_id(), new_id(), new_id()];
    let running = tokio::spawn(reserve(&first));
    begun(1).await;
    let request = wants(&late, &[("floor", 1)]);
    let mut by_hand = Silent::connect(server.address).await;
    let answer = by_hand.call_for(Duration::from_millis(30), "InventoryService/CreateReservation", &request).await;
    let status = Status::from_header_map(answer.headers()).expect("no message");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    let waiting = tokio::spawn(reserve(&last));
    released.notify_one();
    let status = running.await.expect("no panic").expect_err("its batch fails");
    assert_eq!(reason(&status), "STORE_UNAVAILABLE");
    begun(2).await;
    let wanted: Vec<_> = wanted.lock().expect("no panic").iter().map(ToString::to_string).collect();
    assert_eq!(wanted, [first, last], "what is late is not begun");
    waiting.abort();
}

/// Other servers that never answer: each question is waited for as long as a call may.
#[derive(Default)]
struct NoAnswer {
    /// Whose limit, and how many calls.
    asked: Mutex<Vec<(String, u32)>>,
    waited: AtomicUsize,
}

impl NoAnswer {
    fn take_asked(&self) -> Vec<(String, u32)> {
        std::mem::take(&mut self.asked.lock().expect("no panic"))
    }
}

#[async_trait]
impl SharedRates for NoAnswer {
    async fn admit(&self, key: Key<'_>, _: Quota, cost: Cost, until: tokio::time::Instant) -> Result<(), Duration> {
        self.asked.lock().expect("no panic").push((format!("{} {}", key.scope.as_str(), key.name), cost.calls));
        if until > tokio::time::Instant::now() {
            self.waited.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep_until(until).await;
        }
        Ok(())
    }
}

/// Of whoever calls, before the call is begun and for the further items of a batch; or else of each buyer whom he names.
#[tokio::test]
async fn a_call_waits_for_other_servers_once_whatever_it_must_ask_them() {
    let others = Arc::new(NoAnswer::default());
    let quota = Quota::new(1.0, 100);
    let rates = Arc::new(RateLimits::new(quota, quota).with_shared(others.clone()));
    let store = StuckStore::default();
    let wanted = Arc::clone(&store.wanted);
    let server = start(Arc::new(store), ServerConfig { rates, authentication: authentication(), ..config() }).await;
    let shop = token("gateway", "shop");
    let for_ann = ("boxoffice-owner", "ann".to_owned());
    let cases = [
        (vec![bearer(&token("buyer", "ann"))], vec![], vec![("owner ann", 1), ("owner ann", 2)]),
        (
            vec![bearer(&shop), for_ann],
            vec![],
            vec![("owner ann", 1), ("gateway shop", 1), ("owner ann", 2), ("gateway shop", 2)],
        ),
        (
            vec![bearer(&shop)],
            vec!["bob", "cat", "dan"],
            vec![("gateway shop", 1), ("gateway shop", 2), ("owner bob", 1), ("owner cat", 1), ("owner dan", 1)],
        ),
    ];
    for (caller, owners, asked) in cases {
        let mut request = v1::BatchCreateReservationsRequest { parent: format!("events/{EVENT}"), ..batch(&[""; 3]) };
        request.owners = owners.into_iter().map(str::to_owned).collect();
        for line in request.requests.iter_mut().flat_map(|each| &mut each.reservation.as_mut().expect("one").lines) {
            line.allocation = format!("events/{EVENT}/allocations/floor");
        }
        let mut inventory = server.inventory();
        let request = with(&caller, request);
        let call = tokio::spawn(async move { inventory.batch_create_reservations(request).await });
        until("the batch waits for its turn", async || others.asked.lock().expect("no panic").len() >= asked.len())
            .await;
        let asked: Vec<_> = asked.into_iter().map(|(key, calls)| (key.to_owned(), calls)).collect();
        assert_eq!((others.take_asked(), others.waited.swap(0, Ordering::Relaxed)), (asked, 1));
        call.abort();
    }
    until("a batch is on its way to the database", async || !wanted.lock().expect("no panic").is_empty()).await;
    let list = v1::ListChangesRequest { parent: format!("events/{EVENT}"), ..Default::default() };
    let metadata = [bearer(&shop), ("boxoffice-owner", "ann".to_owned())];
    server.admin().list_changes(with(&metadata, list)).await.expect_err("it is for operators");
    assert_eq!(others.take_asked(), [], "what operators do is not limited");
}

#[tokio::test]
async fn servers_that_share_a_redis_hold_one_limit_together() {
    let redis = Redis::start(&RedisOptions::default()).expect("a Redis");
    let data = [tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory")];
    let options = ["--redis-url", &redis.url(), "--owner-rate", "0.001", "--owner-burst", "5"];
    let servers = data.each_ref().map(|data| Server::start_with(data.path(), &options));
    for server in &servers {
        create_event(server, v1::Event::default(), &[("floor", 1_000_000)]).await;
    }
    // A server that has just begun may not have found Redis yet; then it holds its own limit.
    let begun = Instant::now();
    for number in 0.. {
        let name = format!("ann-{number}");
        let mut admitted = 0;
        for index in 0..12 {
            let mut inventory = servers[index % 2].inventory();
            match inventory.create_reservation(by(&name, wants(&new_id(), &[("floor", 1)]))).await {
                Ok(_) => admitted += 1,
                Err(status) => assert_rate_limited(&status, "owner"),
            }
        }
        assert!((5..=10).contains(&admitted), "{admitted}");
        if admitted == 5 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "each holds its own limit: {admitted}");
    }
    // So do batches, whose items are charged to their buyers. (Who cannot be asked about in time passes.)
    for number in 0.. {
        let name = format!("bea-{number}");
        let mut granted = [0, 0];
        for (server, granted) in servers.iter().zip(&mut granted) {
            let answer = server.inventory().batch_create_reservations(batch(&[name.as_str(); 6])).await;
            let outcomes = answer.expect("a gateway calls").into_inner().outcomes;
            *granted = outcomes.iter().filter(|each| matches!(each.outcome, Some(Outcome::Reservation(_)))).count();
        }
        if granted == [5, 0] {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "each holds its own limit: {granted:?}");
    }
}
