//! Redis fails in the midst of a sale: sales go on, and what is shown stays right.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use boxoffice_proto::v1;
use private_cluster::{AppendSync, Redis, RedisOptions, fresh_database, shared};
use tokio::task::JoinHandle;

use crate::fanout::cached;
use crate::rush::{Front, PATIENCE, Rush};
use crate::support::{Server, create_event, event};

/// How old a cached view may be, and how much older the test still accepts it on a machine that does much else.
const AGE_MAX: Duration = Duration::from_millis(250);
const GRACE: Duration = Duration::from_millis(1_750);

const PLENTY: i32 = 1_000_000;

/// Somebody who looks at one server all the time.
struct Looker {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicUsize>,
    task: JoinHandle<(Duration, usize)>,
}

impl Looker {
    fn begin(server: &Server) -> Self {
        let (stop, looks) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
        let mut client = server.inventory();
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&looks));
        let task = tokio::spawn(async move {
            let (mut newest, mut oldest) = (0, Duration::ZERO);
            let mut counts = HashMap::new();
            while !stopped.load(Ordering::SeqCst) {
                let event = cached(&mut client).await.expect("what fails is not the database");
                assert!(event.seq >= newest, "{} after {newest}", event.seq);
                newest = event.seq;
                oldest = oldest.max(age(&event));
                // Just made, the event has none yet.
                let Some(floor) = event.allocations.first() else { continue };
                let told = (floor.held, floor.sold, floor.available);
                assert_eq!(told.0 + told.1 + told.2, PLENTY);
                assert_eq!(*counts.entry(event.seq).or_insert(told), told, "two truths of one moment");
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (oldest, counts.len())
        });
        Self { stop, looks, task }
    }

    async fn looked(&self, more: usize) {
        let enough = self.looks.load(Ordering::SeqCst) + more;
        let begun = std::time::Instant::now();
        while self.looks.load(Ordering::SeqCst) < enough && !self.task.is_finished() {
            assert!(begun.elapsed() < PATIENCE, "nobody looks any more");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn end(self) -> (Duration, usize) {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.expect("he saw nothing wrong")
    }
}

/// By the clock of the database, which is this machine's.
#[expect(clippy::disallowed_methods, reason = "compared with the clock of the database")]
fn age(event: &v1::Event) -> Duration {
    let read = event.read_time.expect("a time");
    let read = Duration::new(read.seconds.unsigned_abs(), read.nanos.unsigned_abs());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    now.saturating_sub(read)
}

/// What goes wrong, how, and whether Redis is of use with it.
type Fault = (&'static str, fn(&Redis), bool);

const FAULTS: &[Fault] = &[
    ("FLUSHALL", |redis| drop(redis.tell("FLUSHALL").expect("it answers")), true),
    ("slow answers", |redis| drop(redis.tell("CLIENT PAUSE 300 ALL").expect("it answers")), true),
    ("a full memory", |redis| drop(redis.tell("CONFIG SET maxmemory 1").expect("it answers")), false),
    ("memory again", |redis| drop(redis.tell("CONFIG SET maxmemory 0").expect("it answers")), true),
    ("garbage", |redis| drop(redis.tell("SET boxoffice:{sale}:view garbage").expect("it answers")), true),
    (
        "a false future",
        |redis| {
            redis.tell("DEL boxoffice:{sale}:view").expect("it answers");
            redis
                .tell(&format!("HSET boxoffice:{{sale}}:view seq {FALSE_FUTURE} read_at 1 stamp x view {{}}"))
                .expect("it answers");
        },
        true,
    ),
    ("SIGSTOP", |redis| redis.pause().expect("it runs"), false),
    ("SIGCONT", |redis| redis.resume().expect("it runs"), true),
    ("SIGKILL", |redis| redis.kill().expect("it runs"), false),
    ("a new start", |redis| redis.start_again().expect("it starts"), true),
];

/// A number beyond any that the sale comes to.
const FALSE_FUTURE: i64 = 999_999_999;

/// Returns once something hangs on the board that has been sold since now.
async fn used(redis: &Redis, server: &Server, looker: &Looker) {
    let now = event(server).await.seq;
    let begun = std::time::Instant::now();
    // What hangs there lapses when nobody posts, and may be no view of ours.
    let hung = || redis.tell("HGET boxoffice:{sale}:view seq").ok().and_then(|seq| seq.parse().ok());
    while !hung().is_some_and(|seq: i64| seq > now && seq < FALSE_FUTURE) {
        assert!(begun.elapsed() < PATIENCE, "Redis is not used again");
        looker.looked(1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_redis_sales_go_on_and_what_is_shown_is_right_and_new() {
    let redis = Redis::start(&RedisOptions::default().append_only(AppendSync::EverySecond)).expect("it starts");
    let replica = redis.replica(&RedisOptions::default()).expect("it follows");
    let both = format!("redis://127.0.0.1:{},127.0.0.1:{}", redis.port(), replica.port());
    let options = ["--redis-url", &both];
    let url = fresh_database(shared()).expect("a database");
    let servers = [(); 2].map(|()| Server::start_on(&url, &options));
    create_event(&servers[0], v1::Event::default(), &[("floor", PLENTY)]).await;
    let rush = Rush::begin(&Front::of(&[&servers[0]]), 4);
    let looker = Looker::begin(&servers[1]);
    looker.looked(20).await;
    for (name, fault, is_of_use) in FAULTS {
        tokio::task::block_in_place(|| fault(&redis));
        let resumed = rush.granted(20).await;
        looker.looked(20).await;
        if *is_of_use {
            used(&redis, &servers[1], &looker).await;
        }
        println!("{name}: 20 more sales within {resumed:?}");
    }
    // A failover to a replica that lags.
    replica.pause().expect("it runs");
    rush.granted(20).await;
    redis.kill().expect("it runs");
    replica.resume().expect("it runs");
    tokio::task::block_in_place(|| replica.promote().expect("it answers"));
    let resumed = rush.granted(20).await;
    used(&replica, &servers[1], &looker).await;
    looker.looked(20).await;
    let (oldest, states) = looker.end().await;
    let account = rush.end().await;
    assert!(account.refused.is_empty(), "sales do not feel it: {:?}", account.refused);
    let acknowledged = account.check(&servers[1]).await;
    println!(
        "failover: 20 more sales within {resumed:?}; {acknowledged} sold, longest wait {:?}; {states} states were shown, \
         the oldest {oldest:?} old (promised: {AGE_MAX:?})",
        account.longest_wait
    );
    assert!(oldest < AGE_MAX + GRACE, "{oldest:?}");
}
