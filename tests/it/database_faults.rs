//! The database fails, in every way that we know of: nothing acknowledged is lost, callers hear in bounded time that they
//! should try again, and service resumes by itself.

use std::process::Stdio;
use std::time::{Duration, Instant};

use boxoffice_proto::v1;
use private_cluster::{Cluster, Options, fresh_database, shared};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::migrate::Migrate as _;
use sqlx::{Connection as _, PgConnection};
use tonic::Code;

use crate::proxy::{Cut, Proxy};
use crate::rush::{Front, PATIENCE, Rush};
use crate::support::{
    DATABASE_TIMEOUT, Server, assert_audit_is_clean, by, create_event, event, get, new_id, reason, until, wants,
};

/// Far more than any rush sells.
const PLENTY: i32 = 1_000_000;
const BUYERS: usize = 8;

/// How long a caller may wait for an answer while the database is away: what the server waits for it, twice, what it needs to
/// find out that it cannot connect, and a second for a busy machine.
const ANSWER_MAX: Duration = DATABASE_TIMEOUT.saturating_mul(3).saturating_add(Duration::from_secs(1));

/// How long service may take to resume once the database is back, on a busy machine.
const RESUME_MAX: Duration = Duration::from_secs(5);

/// A server on a database of a cluster, with an event on sale.
async fn serve(url: &str) -> Server {
    let server = Server::start_on(url, &[]);
    create_event(&server, v1::Event::default(), &[("floor", PLENTY)]).await;
    server
}

fn own_cluster(options: &Options) -> (Cluster, String) {
    let cluster = Cluster::start(options).expect("a PostgreSQL server");
    let url = fresh_database(&cluster).expect("a database");
    (cluster, url)
}

/// The name of the database in a URL.
fn name_of(url: &str) -> &str {
    url.rsplit_once('/').expect("a path").1
}

async fn session(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("a session")
}

async fn run(session: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(session).await.expect("it runs");
}

/// What must be true while the database is away.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Reads {
    Fail,
    GoOn,
}

/// Takes the database away in mid-sale and brings it back.
pub(crate) async fn outage(
    server: &Server,
    what: &str,
    reads: Reads,
    away: impl AsyncFnOnce(),
    back: impl AsyncFnOnce(),
) {
    let rush = Rush::begin(&Front::of(&[server]), BUYERS);
    rush.granted(100).await;
    away().await;
    rush.refused(2 * BUYERS).await;
    let read_took = read(server, reads).await;
    back().await;
    let resumed = rush.granted(1).await;
    rush.granted(100).await;
    let account = rush.end().await;
    account.only_store_unavailable();
    let acknowledged = account.check(server).await;
    println!(
        "{what}: {acknowledged} acknowledged, none lost; longest wait for an answer {:?}, for a read {read_took:?}; \
         {:?}; served again after {resumed:?}",
        account.longest_wait, account.refused
    );
    assert!(account.longest_wait < ANSWER_MAX, "{:?}", account.longest_wait);
    assert!(resumed < RESUME_MAX, "{resumed:?}");
}

/// Reads the event. Returns how long that took.
async fn read(server: &Server, reads: Reads) -> Duration {
    let begin = Instant::now();
    let request = v1::GetEventRequest { name: "events/sale".to_owned(), consistency: v1::Consistency::Strong.into() };
    let answer = server.inventory().get_event(request).await;
    assert_eq!(answer.is_ok(), reads == Reads::GoOn, "{answer:?}");
    if let Err(status) = answer {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
    }
    assert!(begin.elapsed() < ANSWER_MAX, "{:?}", begin.elapsed());
    begin.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_killed_and_started_again() {
    let (cluster, url) = own_cluster(&Options::default());
    let server = serve(&url).await;
    let away = async || cluster.kill().expect("killed");
    let back = async || cluster.start_again().expect("it starts");
    outage(&server, "database killed (SIGKILL) and restarted", Reads::Fail, away, back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_shut_down_in_an_orderly_way_and_started_again() {
    let (cluster, url) = own_cluster(&Options::default());
    let server = serve(&url).await;
    let away = async || cluster.stop().expect("stopped");
    let back = async || cluster.start_again().expect("it starts");
    outage(&server, "database stopped and restarted", Reads::Fail, away, back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_hangs_and_goes_on() {
    let (cluster, url) = own_cluster(&Options::default());
    let server = serve(&url).await;
    let away = async || {
        cluster.pause().expect("paused");
        crowd_is_answered(&server).await;
    };
    let back = async || cluster.resume().expect("resumed");
    outage(&server, "database hung (SIGSTOP) and went on", Reads::Fail, away, back).await;
}

/// Many callers at once: each is answered, in the time that one is. Those whom a busy machine brings late may find the queue too long.
async fn crowd_is_answered(server: &Server) {
    const CROWD: usize = 2_000;
    let begin = Instant::now();
    let client = server.inventory();
    let calls = (0..CROWD).map(|number| {
        let mut client = client.clone();
        tokio::spawn(async move {
            let status = if number % 2 == 0 {
                client.create_reservation(by("crowd", wants(&new_id(), &[("floor", 1)]))).await.map(drop)
            } else {
                client.get_reservation(by("crowd", get(&new_id()))).await.map(drop)
            };
            status.expect_err("the database is away")
        })
    });
    for call in calls.collect::<Vec<_>>() {
        let status = call.await.expect("no panic");
        let reason = reason(&status);
        assert!(matches!(reason.as_str(), "STORE_UNAVAILABLE" | "OVERLOADED"), "{status}");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
    }
    println!("while the database hung, {CROWD} callers at once were answered within {:?}", begin.elapsed());
    assert!(begin.elapsed() < 2 * ANSWER_MAX, "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_becomes_read_only_for_a_while() {
    let (cluster, url) = own_cluster(&Options::default());
    let server = serve(&url).await;
    let away = async || cluster.set("default_transaction_read_only", "on").expect("set");
    let back = async || cluster.set("default_transaction_read_only", "off").expect("set");
    outage(&server, "database read-only", Reads::GoOn, away, back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_its_connections_are_taken() {
    const CONNECTIONS: usize = 15;
    let (_cluster, url) = own_cluster(&Options::default().setting("max_connections", "15"));
    let server = serve(&url).await;
    let others = tokio::sync::Mutex::new(Vec::new());
    let away = async || {
        let mut others = others.lock().await;
        others.push(session(&url).await);
        let begin = Instant::now();
        while others.len() < CONNECTIONS {
            assert!(begin.elapsed() < PATIENCE, "what the server had is free again");
            // The server takes some of them again before the others have all.
            run(
                &mut others[0],
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'boxoffice'",
            )
            .await;
            while let Ok(other) = PgConnection::connect(&url).await {
                others.push(other);
            }
        }
    };
    let back = async || others.lock().await.clear();
    outage(&server, "all connections of the database taken by others", Reads::Fail, away, back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_sessions_are_terminated_while_nobody_calls() {
    let url = fresh_database(shared()).expect("a database");
    // Its patience must not end, on a slow machine.
    let server = Server::start_on_waiting(&url, PATIENCE, &[]);
    create_event(&server, v1::Event::default(), &[("floor", PLENTY)]).await;
    let mut client = server.inventory();
    for _ in 0..10 {
        client.create_reservation(by("ann", wants(&new_id(), &[("floor", 1)]))).await.expect("nobody notices");
        assert!(shared().terminate_backends(name_of(&url)).expect("terminated") > 0);
    }
    client.create_reservation(by("ann", wants(&new_id(), &[("floor", 1)]))).await.expect("nobody notices");
    assert_audit_is_clean(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_forgotten_on_the_way_to_it() {
    let url = fresh_database(shared()).expect("a database");
    let proxy = Proxy::start(shared().port()).await;
    // Its patience must not end, on a slow machine; a quarter of it is waited for here.
    let url = url.replace(&shared().port().to_string(), &proxy.port().to_string());
    let server = Server::start_on_waiting(&url, Duration::from_secs(8), &[]);
    create_event(&server, v1::Event::default(), &[("floor", 1)]).await;
    // Not a wait for anything: an idle connection is what this is about.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    proxy.fall_silent();
    let mut client = server.inventory();
    client.create_reservation(by("ann", wants(&new_id(), &[("floor", 1)]))).await.expect("nobody is told");
    assert_audit_is_clean(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_sessions_are_terminated_again_and_again() {
    let url = fresh_database(shared()).expect("a database");
    let server = serve(&url).await;
    let rush = Rush::begin(&Front::of(&[&server]), BUYERS);
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        rush.granted(20).await;
        assert!(shared().terminate_backends(name_of(&url)).expect("terminated") > 0);
        slowest = slowest.max(rush.granted(1).await);
    }
    let account = rush.end().await;
    account.only_store_unavailable();
    let acknowledged = account.check(&server).await;
    println!(
        "sessions terminated 10 times: {acknowledged} acknowledged; {:?}; served again after at most {slowest:?}",
        account.refused
    );
    assert!(slowest < RESUME_MAX);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_a_commit_is_lost() {
    let url = fresh_database(shared()).expect("a database");
    let proxy = Proxy::start(shared().port()).await;
    let server = serve(&url.replace(&shared().port().to_string(), &proxy.port().to_string())).await;
    let mut client = server.inventory();
    for (number, cut) in [Cut::AnswerLost, Cut::CommitLost, Cut::AnswerLost].into_iter().enumerate() {
        let id = new_id();
        let cuts = proxy.cut_next(cut);
        let lost = client.create_reservation(by("ann", wants(&id, &[("floor", 1)]))).await.expect_err("lost");
        assert_eq!((lost.code(), reason(&lost).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
        assert_eq!(proxy.cuts(), cuts + 1, "the connection was cut at its commit");
        let found = client.get_reservation(by("ann", get(&id))).await.map(tonic::Response::into_inner);
        assert_eq!(found.is_ok(), cut == Cut::AnswerLost, "{found:?}");

        let begin = Instant::now();
        let again = client.create_reservation(by("ann", wants(&id, &[("floor", 1)]))).await.expect("the truth");
        println!("answer to the commit lost ({cut:?}): a retry got the truth after {:?}", begin.elapsed());
        let again = again.into_inner();
        if let Ok(found) = found {
            assert_eq!(found, again);
        }
        let held = i32::try_from(number).expect("few") + 1;
        assert_eq!(event(&server).await.allocations[0].held, held, "one effect, once");
        assert_eq!(assert_audit_is_clean(&server).await.reservations, i64::from(held));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_it_rolls_back_to_resolve_a_conflict_is_run_again() {
    for state in ["40001", "40P01"] {
        let url = fresh_database(shared()).expect("a database");
        let server = serve(&url).await;
        // A sequence does not go back with a transaction, so it counts the failures.
        let sql = format!(
            "CREATE SEQUENCE faults; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               IF nextval('faults') <= 2 THEN RAISE EXCEPTION 'made to fail' USING ERRCODE = '{state}'; END IF;
               RETURN NEW; END $$;
             CREATE TRIGGER fail BEFORE INSERT ON journal_chunks FOR EACH ROW EXECUTE FUNCTION fail();"
        );
        shared().psql(name_of(&url), &sql).expect("a trigger");
        let mut client = server.inventory();
        client.create_reservation(by("ann", wants(&new_id(), &[("floor", 1)]))).await.expect("granted");
        assert_eq!(shared().psql(name_of(&url), "SELECT last_value FROM faults").expect("a row"), "3");
        assert_eq!(assert_audit_is_clean(&server).await.reservations, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_with_another_program_is_resolved_without_the_caller_noticing() {
    let url = fresh_database(shared()).expect("a database");
    // The server's transaction notices the deadlock first, and so is the one that is rolled back.
    shared()
        .psql("postgres", &format!("ALTER DATABASE {} SET deadlock_timeout = '200ms'", name_of(&url)))
        .expect("set");
    // Its own patience must not end first, on a slow machine.
    let server = Server::start_on_waiting(&url, PATIENCE, &[]);
    create_event(&server, v1::Event::default(), &[("floor", PLENTY)]).await;
    let mut other = session(&url).await;
    run(&mut other, "SET deadlock_timeout = '2s'").await;
    let begin = Instant::now();
    loop {
        run(&mut other, "BEGIN; SELECT 1 FROM allocations FOR UPDATE").await;
        let mut client = server.inventory();
        let buyer =
            tokio::spawn(async move { client.create_reservation(by("ann", wants(&new_id(), &[("floor", 1)]))).await });
        until_somebody_waits_for_a_lock(&url).await;
        // The event is locked by the server, which waits for the allocation.
        let locked = sqlx::raw_sql("SELECT 1 FROM events WHERE id = 'sale' FOR UPDATE").execute(&mut other).await;
        run(&mut other, "COMMIT").await;
        buyer.await.expect("no panic").expect("granted");
        // PostgreSQL looks for a deadlock once in each wait. On a slow machine the server's is older than that by now, so that
        // the other program is the one that notices.
        if locked.is_ok() {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "the server never notices first");
    }
    let log = shared().log();
    let noticed = log.lines().any(|line| line.contains(name_of(&url)) && line.contains("deadlock detected"));
    assert!(noticed, "it was a deadlock:\n{log}");
    assert_audit_is_clean(&server).await;
}

async fn until_somebody_waits_for_a_lock(url: &str) {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let begin = Instant::now();
    while shared().psql(name_of(url), waiting).expect("a row") == "0" {
        assert!(begin.elapsed() < PATIENCE, "nobody waits for a lock");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_program_keeps_the_event_locked() {
    let url = fresh_database(shared()).expect("a database");
    let server = serve(&url).await;
    let other = tokio::sync::Mutex::new(session(&url).await);
    let lock = "BEGIN; SELECT 1 FROM events WHERE id = 'sale' FOR UPDATE";
    let away = async || run(&mut *other.lock().await, lock).await;
    let back = async || run(&mut *other.lock().await, "ROLLBACK").await;
    outage(&server, "event's row locked by another program", Reads::GoOn, away, back).await;
}

/// Another server's migration may take long, and one that waits for it must not have to be killed.
#[tokio::test]
async fn a_server_that_waits_for_anothers_migration_ends_when_it_is_told_to() {
    let (_cluster, url) = own_cluster(&Options::default());
    let mut other = session(&url).await;
    other.lock().await.expect("the lock of migrations");
    for signal in [Signal::TERM, Signal::INT] {
        let mut command = Server::command();
        let mut child =
            command.args(["--dev", "--database-url", &url]).stdout(Stdio::null()).spawn().expect("it starts");
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        until("it asks for the lock", async || {
            sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut other).await.expect("a count") > 0
        })
        .await;
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        let ended = tokio::time::timeout(ANSWER_MAX, async {
            loop {
                match child.try_wait().expect("it can be waited for") {
                    Some(ended) => return ended,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        });
        let Ok(ended) = ended.await else {
            child.kill().expect("it runs");
            panic!("{signal:?} does not end it");
        };
        assert!(ended.success(), "{ended}");
        // The database notices by and by that nobody waits any more.
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut other).await.expect("a count") > 0 {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
            sqlx::query(end).execute(&mut other).await.expect("it is ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
