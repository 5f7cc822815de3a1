//! `boxoffice::client`: the same ids at each attempt, however the answer gets lost, and no second try for a refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use boxoffice::client::{Caller, Client, Config, Error, Refusal};
use boxoffice::rate::{Quota, RateLimits};
use boxoffice::server::ServerConfig;
use boxoffice_proto::v1;
use boxoffice_proto::v1::reservation::State;
use rustix::process::Signal;
use tokio::net::TcpListener;
use tonic::codegen::http;

use crate::cli::{boxoffice, stderr};
use crate::in_process::{self, EVENT, StuckStore, config, start};
use crate::proxy::lose_the_first_answer;
use crate::support::{
    Server, assert_audit_is_clean, by, confirm, create_event, event, get, name, new_id, nowhere, server_with_event,
    until, wants,
};

/// Buyers at the same time.
const BUYERS: usize = 8;
/// How often the server is killed under them.
const KILLS: usize = 5;
/// Calls that are answered between two kills, and after the last.
const CALLS_BETWEEN_KILLS: usize = 60;

fn client(url: &str) -> Client {
    client_with(&[url], Config::default())
}

fn client_with(urls: &[&str], config: Config) -> Client {
    Client::connect(urls, Caller::owner("ann").expect("a name"), config).expect("a URL")
}

/// Returns when a client has repeated so many attempts.
async fn retried(client: &Client, count: u64) {
    until("it asks again", async || client.retries() >= count).await;
}

/// Buys until it is told to stop. Returns the names of what was sold.
async fn buy(client: Client, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Vec<String> {
    let mut sold = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        // No id: the client chooses one, and has to stay with it.
        let hold = client.create_reservation(wants("", &[("floor", 1)])).await.expect("a hold");
        let order_ref = format!("order of {}", hold.name);
        let request = v1::ConfirmReservationRequest { name: hold.name, order_ref, on_expired: 0 };
        let confirmed = client.confirm_reservation(request).await.expect("sold");
        assert_eq!(confirmed.state(), State::Confirmed);
        sold.push(confirmed.name);
        answered.fetch_add(2, Ordering::SeqCst);
    }
    sold
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_survive_servers_that_are_killed_and_restarted_and_happen_once() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(data.path());
    create_event(&server, v1::Event::default(), &[("floor", 1_000_000)]).await;
    let client = client(server.url());
    let (stop, answered) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
    let buyer = || tokio::spawn(buy(client.clone(), Arc::clone(&stop), Arc::clone(&answered)));
    let buyers: Vec<_> = (0..BUYERS).map(|_| buyer()).collect();
    for kill in 0..=KILLS {
        let enough = answered.load(Ordering::SeqCst) + CALLS_BETWEEN_KILLS;
        until("the clients find the server again", async || answered.load(Ordering::SeqCst) >= enough).await;
        if kill < KILLS {
            let address = server.address().to_owned();
            server.kill();
            server = Server::start_at(&address, data.path());
        }
    }
    stop.store(true, Ordering::SeqCst);
    let mut sold = 0;
    for buyer in buyers {
        for name in buyer.await.expect("every call was answered") {
            let found = client.get_reservation(&name).await.expect("it is there");
            assert_eq!((found.state(), found.order_ref), (State::Confirmed, format!("order of {name}")));
            sold += 1;
        }
    }
    assert!(client.retries() > 0, "the kills were noticed");
    let floor = &event(&server).await.allocations[0];
    assert_eq!((floor.held, floor.sold), (0, sold), "a retry took nothing a second time");
    assert_eq!(assert_audit_is_clean(&server).await.reservations, i64::from(sold));
}

#[tokio::test]
async fn a_lost_answer_is_given_again_and_nothing_happens_twice() {
    let (_data, server) = server_with_event(v1::Event::default(), &[("floor", 10)]).await;

    let (url, lost) = lose_the_first_answer(&server).await;
    let unlucky = client(&url);
    let hold = unlucky.create_reservation(wants("", &[("floor", 2)])).await.expect("a hold");
    assert_eq!((lost.load(Ordering::SeqCst), unlucky.retries()), (1, 1));
    let id = hold.name.rsplit('/').next().expect("an id");
    assert_eq!(uuid::Uuid::parse_str(id).expect("a UUID").get_version_num(), 7);
    let stored = server.inventory().get_reservation(by("ann", get(id))).await.expect("it is there").into_inner();
    assert_eq!(stored, hold);
    assert_eq!(event(&server).await.allocations[0].held, 2);

    let (url, lost) = lose_the_first_answer(&server).await;
    let unlucky = client(&url);
    let sold = unlucky.confirm_reservation(confirm(id, "order-1")).await.expect("sold");
    assert_eq!((sold.state(), sold.order_ref.as_str()), (State::Confirmed, "order-1"));
    assert_eq!((lost.load(Ordering::SeqCst), unlucky.retries()), (1, 1));
    assert_eq!(event(&server).await.allocations[0].sold, 2);
    assert_eq!(assert_audit_is_clean(&server).await.reservations, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_asks_again_with_the_same_id_where_the_answer_is_lost() {
    let (_data, server) = server_with_event(v1::Event::default(), &[("floor", 10)]).await;
    let run = async |line: String| {
        let (url, lost) = lose_the_first_answer(&server).await;
        let line = format!("{line} --owner ann --server {url}");
        let run = move || boxoffice(&line.split(' ').collect::<Vec<_>>());
        let output = tokio::task::spawn_blocking(run).await.expect("it runs");
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(lost.load(Ordering::SeqCst), 1, "an answer was lost");
    };
    let id = new_id();
    run(format!("buy sale floor 2 --id {id}")).await;
    run(format!("confirm {} --order-ref order-1", name(&id))).await;
    let floor = &event(&server).await.allocations[0];
    assert_eq!((floor.held, floor.sold), (0, 2));
}

#[tokio::test]
async fn an_attempt_that_hangs_is_given_up_and_the_next_one_gets_its_answer() {
    let (_data, server) = server_with_event(v1::Event::default(), &[("floor", 10)]).await;
    let client = client_with(
        &[server.url()],
        Config { attempt_timeout: Duration::from_millis(100), attempts_max: 1_000, ..Config::default() },
    );
    client.create_reservation(wants("", &[("floor", 1)])).await.expect("a connection");
    server.pause();
    let go_on = async {
        retried(&client, 2).await;
        server.signal(Signal::CONT);
    };
    // The server reads all attempts when it goes on: those whose time is over, too.
    let (hold, ()) = tokio::join!(client.create_reservation(wants("", &[("floor", 2)])), go_on);
    assert_eq!(hold.expect("a hold").state(), State::Held);
    assert_eq!(event(&server).await.allocations[0].held, 3, "once");
    assert_eq!(assert_audit_is_clean(&server).await.reservations, 2);
}

#[tokio::test]
async fn an_overloaded_server_is_asked_again_when_it_wants_to_be() {
    let store = StuckStore::default();
    let batches = Arc::clone(&store.batches);
    let server = start(Arc::new(store), ServerConfig { requests_in_flight_max: 1, ..config() }).await;
    let mut inventory = server.inventory();
    let stuck = tokio::spawn(async move {
        let lines = vec![v1::reservation::Line {
            allocation: format!("events/{EVENT}/allocations/floor"),
            quantity: 1,
            ..Default::default()
        }];
        let request = v1::CreateReservationRequest {
            parent: format!("events/{EVENT}"),
            reservation_id: new_id(),
            reservation: Some(v1::Reservation { lines, ..Default::default() }),
            ..Default::default()
        };
        inventory.create_reservation(by("ann", request)).await
    });
    while batches.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // The one place is taken. The server asks for 100 ms; without that, the client would come back at once.
    let client = client_with(&[&format!("http://{}", server.address)], Config { chance: || 0.0, ..Config::default() });
    let begin = Instant::now();
    let name = format!("events/{EVENT}");
    let call = client.get_event(v1::GetEventRequest { name: name.clone(), consistency: 0 });
    let free = async {
        retried(&client, 1).await;
        let asked_again_after = begin.elapsed();
        stuck.abort();
        asked_again_after
    };
    let (seen, asked_again_after) = tokio::join!(call, free);
    assert_eq!(seen.expect("its turn").name, name);
    assert!(asked_again_after >= Duration::from_millis(100), "{asked_again_after:?}");
}

#[tokio::test]
async fn refusals_are_told_by_their_reason_and_not_repeated() {
    let (_data, server) = server_with_event(v1::Event::default(), &[("floor", 3), ("balcony", 1)]).await;
    let client = client(server.url());
    let refused = async |request| match client.create_reservation(request).await {
        Err(Error::Refused(refused)) => *refused,
        other => panic!("not refused: {other:?}"),
    };
    let few = refused(wants("", &[("floor", 4)])).await;
    assert_eq!((few.refusal, few.metadata["available"].as_str()), (Refusal::InsufficientAvailability, "3"));
    client.create_reservation(wants("", &[("balcony", 1)])).await.expect("a hold");
    let held = refused(wants("", &[("balcony", 1)])).await;
    assert_eq!(held.refusal, Refusal::AllHeld);
    assert!(held.metadata.contains_key("next_expire_time"));
    let wrong = refused(wants("no-uuid", &[("floor", 1)])).await;
    assert_eq!(wrong.refusal, Refusal::Invalid("INVALID_RESERVATION_ID".to_owned()));
    assert_eq!(wrong.fields()[0].0, "reservation_id");
    let absent = client.release_reservation("events/sale/reservations/00000000-0000-0000-0000-000000000000").await;
    assert!(matches!(absent, Err(Error::Refused(refused)) if refused.refusal == Refusal::ReservationNotFound));
    assert_eq!(client.retries(), 0);
}

/// A server that does not answer calls of gRPC at all, as a proxy that fails.
#[tokio::test]
async fn what_a_failed_proxy_says_is_no_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let proxy = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let response = http::Response::builder().status(500).body(()).expect("a response");
            respond.send_response(response, true).expect("sent");
        }
    });
    let client = client(&url);
    let error = client.create_reservation(wants("", &[("floor", 1)])).await.expect_err("no answer of the server");
    assert!(matches!(error, Error::Unanswered { attempts: 1, .. }), "{error:?}");
    drop(client);
    proxy.await.expect("no panic");
}

#[tokio::test]
async fn whoever_waits_in_a_room_waits_on_where_he_has_called_too_often() {
    let rates = Arc::new(RateLimits::new(Quota::new(2.0, 1), None));
    let waiting_room = Some(in_process::room());
    let store = StuckStore { waiting_room, ..StuckStore::default() };
    let server = start(Arc::new(store), ServerConfig { rates, ..config() }).await;
    let client = client(&format!("http://{}", server.address));
    let event = format!("events/{EVENT}");
    // It uses up what he may for half a second.
    client.join_waiting_room(&event).await.expect("a place");
    let place = client.wait_in_room(&event).next().await.expect("it goes on").expect("his place");
    assert_eq!(place.position, 1);
}

#[tokio::test]
async fn whoever_waits_in_a_room_asks_no_sooner_than_the_server_wants() {
    let rates = Arc::new(RateLimits::new(Quota::new(0.001, 3), None));
    let waiting_room = Some(in_process::room());
    let store = StuckStore { waiting_room, ..StuckStore::default() };
    let server = start(Arc::new(store), ServerConfig { rates, ..config() }).await;
    let client = client(&format!("http://{}", server.address));
    let event = format!("events/{EVENT}");
    let mut waiting = client.wait_in_room(&event);
    let place = waiting.next().await.expect("his place").expect("it goes on");
    let wanted = Duration::try_from(place.poll_after.expect("a pause")).expect("a duration");
    assert!(wanted >= Duration::from_secs(1), "{wanted:?}");
    let next = tokio::time::timeout(wanted / 10, waiting.next()).await;
    assert!(next.is_err(), "nothing has changed: {next:?}");
    client.join_waiting_room(&event).await.expect("he may still ask");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_given_up_in_time_with_the_name_to_ask_for_later() {
    let deadline = Duration::from_millis(400);
    let patient = client_with(&[&nowhere()], Config { deadline, attempts_max: 1_000, ..Config::default() });
    let begin = Instant::now();
    let error = patient.create_reservation(wants("", &[("floor", 1)])).await.expect_err("nobody is there");
    assert!(begin.elapsed() < deadline + Duration::from_secs(2), "{:?}", begin.elapsed());
    let Error::Unanswered { name, attempts, .. } = error else { panic!("{error:?}") };
    assert!(name.starts_with("events/sale/reservations/") && name.len() == 25 + 36, "{name}");
    assert!(attempts > 1);
    let hasty = client_with(&[&nowhere()], Config { attempts_max: 3, ..Config::default() });
    let error = hasty.create_reservation(wants("", &[("floor", 1)])).await.expect_err("nobody is there");
    assert!(matches!(error, Error::Unanswered { attempts: 3, .. }), "{error:?}");
}

#[tokio::test]
async fn the_next_server_is_asked_where_one_is_away_and_then_kept() {
    let (_data, server) = server_with_event(v1::Event::default(), &[("floor", 10)]).await;
    let client = client_with(&[&nowhere(), server.url()], Config::default());
    for _ in 0..3 {
        client.create_reservation(wants("", &[("floor", 1)])).await.expect("a hold");
    }
    assert_eq!(client.retries(), 1);
    // Those who fail together move on by one server, not each by one.
    let client = client_with(&[&nowhere(), server.url()], Config::default());
    let calls = (0..4).map(|_| client.create_reservation(wants("", &[("floor", 1)])));
    assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(client.retries(), 4);
}

/// Answers every call with UNAVAILABLE, and tells the headers and the messages of `count` calls.
async fn record(listener: TcpListener, count: usize) -> Vec<(http::HeaderMap, Vec<u8>)> {
    let (stream, _) = listener.accept().await.expect("a connection");
    let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
    let mut recorded = Vec::new();
    while let Some(call) = connection.accept().await {
        let (request, mut respond) = call.expect("a call");
        let (head, mut body) = request.into_parts();
        let response = http::Response::builder().header("content-type", "application/grpc").header("grpc-status", "14");
        let mut message = Vec::new();
        // The connection must be driven while the message comes.
        while !body.is_end_stream() {
            tokio::select! {
                data = body.data() => message.extend(data.expect("data").expect("data")),
                _ = std::future::poll_fn(|context| connection.poll_closed(context)) => break,
            }
        }
        respond.send_response(response.body(()).expect("a response"), true).expect("sent");
        recorded.push((head.headers, message));
        if recorded.len() == count {
            connection.graceful_shutdown();
        }
    }
    recorded
}

#[tokio::test]
async fn every_attempt_sends_the_same_message_and_how_long_the_caller_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let recorder = tokio::spawn(record(listener, 3));
    let config = Config { attempts_max: 3, attempt_timeout: Duration::from_secs(4), ..Config::default() };
    let caller = Caller::token("a.b.c").expect("a token").on_behalf_of("bob").expect("a name");
    let client = Client::connect(&[url], caller, config).expect("a URL");
    let error = client.create_reservation(wants("", &[("floor", 1)])).await.expect_err("never answered");
    assert!(matches!(error, Error::Unanswered { attempts: 3, .. }), "{error:?}");
    drop(client);
    let recorded = recorder.await.expect("no panic");
    assert_eq!(recorded.len(), 3);
    for (headers, message) in &recorded {
        assert_eq!(headers["authorization"], "Bearer a.b.c");
        assert_eq!(headers["boxoffice-owner"], "bob");
        assert_eq!(headers["grpc-timeout"], "4000000u");
        assert_eq!(message, &recorded[0].1, "the same id, and all else");
    }
}

#[tokio::test]
async fn the_server_is_told_no_more_than_what_is_left_of_the_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let recorder = tokio::spawn(record(listener, 1));
    let client =
        client_with(&[&url], Config { deadline: Duration::from_secs(3), attempts_max: 1, ..Config::default() });
    client.create_reservation(wants("", &[("floor", 1)])).await.expect_err("never answered");
    drop(client);
    let recorded = recorder.await.expect("no panic");
    let told = recorded[0].0["grpc-timeout"].to_str().expect("ASCII");
    let micros: u64 = told.strip_suffix('u').expect("microseconds").parse().expect("a number");
    assert!(micros <= 3_000_000, "{told}");
}
