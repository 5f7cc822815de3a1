//! What is told of a call whose first attempt got no answer, where the next is refused before anybody looks what became of it.

use std::sync::Arc;
use std::time::Duration;

use boxoffice::client::{Caller, Client, Config, Error, Refusal};
use boxoffice::rate::{Quota, RateLimits};
use boxoffice::server::ServerConfig;
use boxoffice_proto::v1;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::net::TcpListener;
use tonic::Code;

use crate::cli::{boxoffice, stderr};
use crate::in_process::{self, EVENT, StuckStore, config, start};
use crate::proxy::lose_the_first_answer;
use crate::support::{Server, create_event, event, name, new_id, nowhere, reason, wants};
use crate::tokens::Guarded;

fn client(urls: &[&str], config: Config) -> Client {
    Client::connect(urls, Caller::owner("ann").expect("a name"), config).expect("a URL")
}

/// A server that takes so many calls of each owner, and another one after so many seconds.
pub(crate) async fn server_with_rate(burst: &str, seconds: u32) -> (tempfile::TempDir, Server) {
    let data = tempfile::tempdir().expect("a temporary directory");
    let rate = (1.0 / f64::from(seconds)).to_string();
    let server = Server::start_with(data.path(), &["--owner-rate", &rate, "--owner-burst", burst]);
    create_event(&server, v1::Event::default(), &[("floor", 10)]).await;
    (data, server)
}

#[tokio::test]
async fn who_calls_too_often_after_a_lost_answer_waits_and_is_told_the_truth() {
    let (_data, server) = server_with_rate("1", 1).await;
    let (url, _lost) = lose_the_first_answer(&server).await;
    let id = new_id();
    let hold = client(&[&url], Config::default()).create_reservation(wants(&id, &[("floor", 2)])).await;
    assert_eq!(hold.expect("a hold").name, name(&id));
    assert_eq!(event(&server).await.allocations[0].held, 2);
}

#[tokio::test]
async fn who_may_not_call_again_in_time_is_not_told_that_nothing_was_done() {
    let (_data, server) = server_with_rate("1", 1_000).await;
    let (url, _lost) = lose_the_first_answer(&server).await;
    let id = new_id();
    let error = client(&[&url], Config::default()).create_reservation(wants(&id, &[("floor", 2)])).await;
    let Err(Error::Unanswered { name: about, attempts: 2, last }) = error else { panic!("{error:?}") };
    assert_eq!((about, reason(&last).as_str()), (name(&id), "RATE_LIMITED"));
    assert_eq!(event(&server).await.allocations[0].held, 2, "it was done");
    // Whoever was answered knows.
    let error = client(&[server.url()], Config::default()).get_reservation(&name(&id)).await;
    assert!(matches!(&error, Err(Error::Refused(refused)) if refused.reason == "RATE_LIMITED"), "{error:?}");
}

#[tokio::test]
async fn who_is_turned_away_after_a_lost_answer_is_not_told_that_nothing_was_done() {
    let (_data, server) = server_with_rate("1", 1_000).await;
    let (url, _lost) = lose_the_first_answer(&server).await;
    let stranger = Guarded::start();
    let servers = [&url, stranger.server.url()];
    let error = client(&servers, Config::default()).create_reservation(wants("", &[("floor", 2)])).await;
    let Err(Error::Unanswered { attempts: 2, last, .. }) = error else { panic!("{error:?}") };
    assert_eq!(last.code(), Code::Unauthenticated);
    assert_eq!(event(&server).await.allocations[0].held, 2, "it was done");
    // Where nobody was reached before, nothing can have been done.
    let servers = [&nowhere(), stranger.server.url()];
    let error = client(&servers, Config::default()).create_reservation(wants("", &[("floor", 2)])).await;
    assert!(matches!(&error, Err(Error::Refused(refused)) if refused.refusal == Refusal::Unauthenticated), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_names_the_id_where_the_last_of_several_attempts_is_turned_away() {
    let (_data, server) = server_with_rate("1", 1_000).await;
    let (url, _lost) = lose_the_first_answer(&server).await;
    let id = new_id();
    let line = format!("buy sale floor 2 --owner ann --id {id} --server {url}");
    let run = move || boxoffice(&line.split(' ').collect::<Vec<_>>());
    let output = tokio::task::spawn_blocking(run).await.expect("it runs");
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.starts_with("error: RATE_LIMITED: ") && told.contains(&format!("--id {id}")), "{told}");
    assert_eq!(event(&server).await.allocations[0].held, 2, "it was done");
}

/// A server that fails at whatever it is to write to the event `demo`.
pub(crate) async fn failing_server() -> (tempfile::TempDir, Server) {
    let data = tempfile::tempdir().expect("a temporary directory");
    Server::start(data.path()).stop();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.path().join("boxoffice.db"));
    let mut database = options.connect().await.expect("a database");
    let broken = "CREATE TRIGGER broken BEFORE INSERT ON journal_chunks BEGIN SELECT RAISE(ABORT, 'broken'); END";
    sqlx::query(broken).execute(&mut database).await.expect("a trigger");
    database.close().await.expect("closed");
    let server = Server::start(data.path());
    (data, server)
}

/// A server's own fault may show itself in the commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_does_not_know_what_became_of_a_call_at_which_the_server_failed() {
    let (data, server) = failing_server().await;
    let file = data.path().join("demo.toml");
    std::fs::write(&file, "[event]\nid = \"demo\"\ndisplay_name = \"Ball\"\n").expect("a file");
    let file = file.to_str().expect("a path in UTF-8");
    let held = "events/demo/reservations/0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71";
    for (arguments, hint) in [
        (&["buy", "demo", "floor", "1", "--owner", "ann"][..], "repeat it with --id "),
        (&["admin", "transfer", "demo", "floor", "balcony", "1"], "look with `boxoffice admin show`"),
        (&["admin", "apply", file, "--yes"], "wholly or not at all: repeating it is safe"),
        (&["admin", "set-capacity", "demo", "floor", "90"], ""),
    ] {
        let output = boxoffice(&[arguments, &["--server", server.url()]].concat());
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {told}");
        assert!(told.starts_with("error: INTERNAL: ") && told.contains(hint), "{arguments:?}: {told}");
    }
    // What looks what became of it is answered.
    let output = boxoffice(&["release", held, "--owner", "ann", "--server", server.url()]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
}

/// Somebody on the way who resets every call at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_cancelled_at_once_is_not_told_as_one_that_took_too_long() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            respond.send_reset(h2::Reason::CANCEL);
        }
    });
    let run = move || boxoffice(&["admin", "show", "demo", "--server", &url]);
    let output = tokio::task::spawn_blocking(run).await.expect("it runs");
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.starts_with("error: the connection to the server broke: "), "{told}");
}

/// Takes connections, and ends them without a word.
async fn hanging_up() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    url
}

#[tokio::test]
async fn whoever_waits_in_a_room_waits_on_where_he_may_not_ask_again_in_time() {
    let rates = Arc::new(RateLimits::new(Quota::new(0.25, 1), None));
    let store = StuckStore { waiting_room: Some(in_process::room()), ..StuckStore::default() };
    let server = start(Arc::new(store), ServerConfig { rates, ..config() }).await;
    let (url, event) = (format!("http://{}", server.address), format!("events/{EVENT}"));
    // It uses up what he may for four seconds.
    client(&[&url], Config::default()).join_waiting_room(&event).await.expect("a place");
    let hasty = Config { deadline: Duration::from_secs(3), ..Config::default() };
    let place = client(&[&hanging_up().await, &url], hasty).wait_in_room(&event).next().await;
    assert_eq!(place.expect("it goes on").expect("his place").position, 1);
}
