//! What one server sells shows on the others: through Redis, and without.

use std::time::{Duration, Instant};

use boxoffice_proto::v1;
use private_cluster::{Redis, RedisCluster, RedisOptions, fresh_database, shared};
use tonic::{Code, Streaming};

use crate::rush::PATIENCE;
use crate::support::{Inventory, Server, by, create_event, new_id, reason, wants};

/// The promise to whoever looks at a cached view or a stream.
const SEEN_WITHIN: Duration = Duration::from_millis(100);

/// How much later than promised the test still accepts it, on a machine that does much else at the same time.
const GRACE: Duration = Duration::from_millis(1_900);

/// An event as a cached view shows it.
pub(crate) async fn cached(client: &mut Inventory) -> Result<v1::Event, tonic::Status> {
    let request = v1::GetEventRequest { name: "events/sale".to_owned(), consistency: v1::Consistency::Cached.into() };
    client.get_event(request).await.map(tonic::Response::into_inner)
}

async fn watch(client: &mut Inventory) -> Streaming<v1::WatchEventResponse> {
    let request = v1::WatchEventRequest { name: "events/sale".to_owned(), from_seq: 0 };
    client.watch_event(request).await.expect("a stream").into_inner()
}

async fn next(stream: &mut Streaming<v1::WatchEventResponse>) -> v1::Event {
    let message = tokio::time::timeout(SEEN_WITHIN + GRACE, stream.message()).await.expect("it comes in time");
    message.expect("a message").expect("the state").event.expect("an event")
}

/// Sells units on one server, and sees them on another, in a cached view and in a stream. Prints how long each took to be seen.
async fn seen(here: &Server, there: &Server, sales: i32) {
    let (mut here, mut there) = (here.inventory(), there.inventory());
    let mut stream = watch(&mut here).await;
    let mut watched = next(&mut stream).await;
    while watched.allocations.is_empty() {
        watched = next(&mut stream).await;
    }
    let before = watched.allocations[0].held;
    let mut seen = Vec::new();
    for held in before + 1..=before + sales {
        // Read just before the sale, so that the view that is kept is as wrong as it can be.
        assert_eq!(cached(&mut here).await.expect("the event").allocations[0].held, held - 1);
        there.create_reservation(by("ann", wants(&new_id(), &[("floor", 1)]))).await.expect("granted");
        let sold = Instant::now();
        let (mut by_view, mut by_stream) = (None, None);
        while by_view.is_none() || by_stream.is_none() {
            assert!(sold.elapsed() < SEEN_WITHIN + GRACE, "not seen: {by_view:?} {by_stream:?}");
            if by_view.is_none() && cached(&mut here).await.expect("the event").allocations[0].held == held {
                by_view = Some(sold.elapsed());
            }
            if by_stream.is_none()
                && let Ok(message) = tokio::time::timeout(Duration::from_millis(2), stream.message()).await
            {
                watched = message.expect("a message").expect("the state").event.expect("an event");
                by_stream = (watched.allocations[0].held == held).then(|| sold.elapsed());
            }
        }
        seen.extend(by_view.zip(by_stream));
    }
    let late = seen.iter().filter(|(view, stream)| *view.max(stream) > SEEN_WITHIN).count();
    println!("seen in a cached view and by a watcher after {seen:?}; later than promised: {late} of {sales}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sold_shows_within_a_tenth_of_a_second_on_the_same_server_without_redis() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(data.path());
    create_event(&server, v1::Event::default(), &[("floor", 100)]).await;
    seen(&server, &server, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sold_shows_within_a_tenth_of_a_second_on_other_servers_through_a_redis_cluster() {
    let cluster = RedisCluster::start(3, &RedisOptions::default()).expect("it starts");
    let redis = format!("redis+cluster://127.0.0.1:{}", cluster.nodes()[0].port());
    let url = fresh_database(shared()).expect("a database");
    let servers = [(); 2].map(|()| Server::start_on(&url, &["--redis-url", &redis]));
    create_event(&servers[0], v1::Event::default(), &[("floor", 100)]).await;
    seen(&servers[0], &servers[1], 5).await;
    seen(&servers[1], &servers[0], 5).await;
    let keys: usize = cluster.nodes().iter().map(keys).sum();
    assert!(keys > 0, "the servers use it");
}

fn keys(redis: &Redis) -> usize {
    redis.tell("DBSIZE").expect("it answers").parse().expect("a number")
}

/// What a user of his own of the database runs: then he can be locked out of it.
struct Lockable {
    url: String,
    user: String,
}

impl Lockable {
    fn new(url: &str) -> Self {
        let user = format!("user_{}", new_id().replace('-', ""));
        shared().psql("postgres", &format!("CREATE ROLE {user} LOGIN SUPERUSER")).expect("a role");
        let (scheme, rest) = url.split_once("://").expect("a url");
        let place = rest.split_once('@').map_or(rest, |(_, place)| place);
        Self { url: format!("{scheme}://{user}@{place}"), user }
    }

    fn lock_out(&self) {
        let user = &self.user;
        shared().psql("postgres", &format!("ALTER ROLE {user} NOLOGIN")).expect("locked");
        let end = format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{user}'");
        shared().psql("postgres", &end).expect("ended");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_sells_nothing_needs_no_database_to_show_what_others_sell() {
    let redis = Redis::start(&RedisOptions::default()).expect("it starts");
    let options = ["--redis-url", &redis.url()];
    let url = fresh_database(shared()).expect("a database");
    let seller = Server::start_on(&url, &options);
    create_event(&seller, v1::Event::default(), &[("floor", 100)]).await;
    let lockable = Lockable::new(&url);
    let shower = Server::start_on(&lockable.url, &options);
    // Once it is asked for, the one who sells reads for all.
    seen(&shower, &seller, 2).await;
    lockable.lock_out();
    seen(&shower, &seller, 5).await;
    let mut client = shower.inventory();
    let strong = v1::GetEventRequest { name: "events/sale".to_owned(), consistency: v1::Consistency::Strong.into() };
    let refused = client.get_event(strong).await.expect_err("it is locked out");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
    // Without both it shows nothing rather than something old.
    redis.kill().expect("it runs");
    let begun = Instant::now();
    while let Ok(event) = cached(&mut client).await {
        assert_eq!(event.allocations[0].held, 7);
        assert!(begun.elapsed() < PATIENCE, "something old is shown");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("without Redis and database nothing was shown after {:?}", begun.elapsed());
}
