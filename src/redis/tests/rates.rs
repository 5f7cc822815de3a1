//! Rate limits that servers share.

use private_cluster::RedisCluster;

use super::*;
use crate::rate::{Cost, Exceeded, Key, Quota, RateLimits, Scope};
use crate::redis::breaker::REST;

const ANN: Key<'static> = Key { scope: Scope::Owner, name: "ann" };
const ANNS_KEY: &str = "test:rate:owner:ann";

/// So many calls, and then none for a quarter of an hour.
fn calls(burst: u32) -> Quota {
    Quota::new(0.001, burst).unwrap()
}

/// The limits of one more server. Its calls wait until Redis answers, so that each is surely counted there.
async fn server(url: &str, quota: Quota) -> RateLimits {
    let redis = Arc::new(connected_within(url, PATIENCE).await);
    limits(redis, quota).with_wait(PATIENCE)
}

fn limits(redis: Arc<Redis>, quota: Quota) -> RateLimits {
    RateLimits::new(Some(quota), Some(quota)).with_shared(Arc::new(RedisRates::new(redis)))
}

async fn admit(server: &RateLimits, key: Key<'_>, cost: u32) -> Result<(), Exceeded> {
    server.admit(key, Cost::of(cost), server.wait().until()).await
}

async fn admitted(servers: &[RateLimits], key: Key<'_>, tries: usize) -> usize {
    let mut admitted = 0;
    for index in 0..tries {
        admitted += usize::from(admit(&servers[index % servers.len()], key, 1).await.is_ok());
    }
    admitted
}

/// A server whose calls are as impatient as in production, and whose own limits are far.
struct Impatient {
    redis: Arc<Redis>,
    limits: RateLimits,
}

impl Impatient {
    async fn on(url: &str) -> Self {
        let redis = Arc::new(connected(url).await);
        let server = Self { limits: limits(Arc::clone(&redis), calls(1_000_000)), redis };
        // No wait that a busy machine made is still felt.
        let begun = Instant::now();
        loop {
            let before = server.counted(RedisOutcome::Answered);
            server.call().await;
            if server.counted(RedisOutcome::Answered) >= before + 2 {
                return server;
            }
            assert!(begun.elapsed() < PATIENCE);
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// A call of ann's through a gateway. (The two names are in different slots of a cluster.)
    async fn call(&self) {
        let until = self.limits.wait().until();
        for key in [ANN, Key { scope: Scope::Gateway, name: "shop" }] {
            self.limits.admit(key, Cost::of(1), until).await.unwrap();
        }
    }

    /// How many have waited in vain.
    fn waits(&self) -> u64 {
        self.counted(RedisOutcome::Silent)
    }

    fn counted(&self, outcome: RedisOutcome) -> u64 {
        self.redis.metrics().counted(outcome)
    }
}

#[tokio::test]
async fn what_several_servers_admit_together_stays_within_the_limit() {
    let (private, cluster) = (private(), RedisCluster::start(3, &RedisOptions::default()).unwrap());
    for url in [private.url(), format!("redis+cluster://127.0.0.1:{}", cluster.nodes()[0].port())] {
        let servers = [server(&url, calls(5)).await, server(&url, calls(5)).await, server(&url, calls(5)).await];
        // On all nodes of a cluster.
        for name in ["ann", "bob", "cat", "dan", "eve", "{}", "a}b{c"] {
            assert_eq!(admitted(&servers, Key { name, ..ANN }, 12).await, 5, "{name} at {url}");
        }
        assert_eq!(admitted(&servers, Key { scope: Scope::Gateway, ..ANN }, 12).await, 5, "a gateway of that name");
        let refused = admit(&servers[0], ANN, 1).await.unwrap_err();
        assert!(refused.retry_after > Duration::from_secs(900), "{refused:?}");
    }
    a_call_waits_for_one_slot_of_all_that_hang(&cluster).await;
    let life: i64 = private.tell(&format!("PTTL {ANNS_KEY}")).unwrap().trim().parse().unwrap();
    assert!((4_900_000..=5_000_000).contains(&life), "gone when the budget is full again: {life} ms");
}

async fn a_call_waits_for_one_slot_of_all_that_hang(cluster: &RedisCluster) {
    let server = Impatient::on(&format!("redis+cluster://127.0.0.1:{}", cluster.nodes()[0].port())).await;
    cluster.nodes().iter().for_each(|node| node.pause().unwrap());
    let mut each = Vec::new();
    for _ in 0..4 {
        let before = server.waits();
        server.call().await;
        each.push(server.waits() - before);
    }
    cluster.nodes().iter().for_each(|node| node.resume().unwrap());
    // The first waited for ann's slot, the second for the gateway's.
    assert!(each[..2] == [1, 1] && each.iter().all(|waits| *waits <= 1), "{each:?}");
}

#[tokio::test]
async fn a_large_call_costs_as_much_as_it_is() {
    let private = private();
    let servers = [server(&private.url(), calls(5)).await, server(&private.url(), calls(5)).await];
    admit(&servers[0], ANN, 4).await.unwrap();
    admit(&servers[1], ANN, 2).await.unwrap_err();
    let bob = Key { name: "bob", ..ANN };
    // More than a burst is admitted by those who are owed nothing, and paid off before anything else.
    admit(&servers[0], bob, 7).await.unwrap();
    let refused = admit(&servers[1], bob, 1).await.unwrap_err();
    assert!(refused.retry_after.as_secs().abs_diff(3_000) < 60, "{refused:?}");
    // So are the items of a request that was charged for itself before; whoever repeats it pays for both again.
    let (cat, items) = (Key { name: "cat", ..ANN }, Cost { calls: 6, paid: 1 });
    admit(&servers[0], cat, 1).await.unwrap();
    servers[0].admit(cat, items, servers[0].wait().until()).await.unwrap();
    let refused = servers[1].admit(cat, items, servers[1].wait().until()).await.unwrap_err();
    assert!(refused.retry_after.as_secs().abs_diff(7_000) < 60, "{refused:?}");
}

#[tokio::test]
async fn whoever_waits_as_long_as_he_is_told_is_admitted() {
    let private = private();
    let quota = Quota::new(2.0, 1).unwrap();
    let (here, there) = (server(&private.url(), quota).await, server(&private.url(), quota).await);
    admit(&there, ANN, 1).await.unwrap();
    let refused = admit(&here, ANN, 1).await.unwrap_err();
    assert!(refused.retry_after <= Duration::from_millis(500), "{refused:?}");
    // What was refused by the others was charged here, so it waits for the longer of the two.
    sleep(Duration::from_millis(510)).await;
    admit(&here, ANN, 1).await.unwrap();
}

#[tokio::test]
async fn what_others_put_under_our_keys_stops_nobody_and_is_replaced() {
    let private = private();
    for garbage in [
        "RPUSH {} x",
        "SET {} nan",
        "SET {} 99999999999999999",
        "SET {} 99999999999999999 PX 1000000000",
        "HSET {} a b",
    ] {
        private.tell(&format!("DEL {ANNS_KEY}")).unwrap();
        private.tell(&garbage.replace("{}", ANNS_KEY)).unwrap();
        let fresh = [server(&private.url(), calls(3)).await, server(&private.url(), calls(3)).await];
        assert_eq!(admitted(&fresh, ANN, 10).await, 3, "{garbage}");
    }
}

#[tokio::test]
async fn without_redis_each_server_holds_its_own_limit() {
    let private = private();
    let servers = [server(&private.url(), calls(3)).await, server(&private.url(), calls(3)).await];
    assert_eq!(admitted(&servers, ANN, 10).await, 3);
    private.kill().unwrap();
    let bob = Key { name: "bob", ..ANN };
    let begun = Instant::now();
    assert_eq!(admitted(&servers, bob, 10).await, 2 * 3, "what cannot be asked is admitted");
    assert!(begun.elapsed() < PATIENCE, "and nobody waits long");
}

#[tokio::test]
async fn all_calls_together_wait_once_for_a_redis_that_hangs() {
    let private = private();
    for crowd in [1_u32, 50] {
        let server = Impatient::on(&private.url()).await;
        let before = server.waits();
        private.pause().unwrap();
        let begun = Instant::now();
        // Whoever is on his way waits for one of the two answers that he needs, and who comes later does not wait at all.
        futures::future::join_all((0..crowd).map(|_| server.call())).await;
        for _ in 0..200 {
            server.call().await;
        }
        let waits = server.waits() - before;
        // Where Redis is not known to be away by then, one call tries again.
        let again = begun.elapsed().as_micros() / REST.as_micros();
        assert!((1..=u128::from(crowd) + again).contains(&waits.into()), "{waits} waits of {crowd} at once and 200");
        private.resume().unwrap();
        until_answered(&server.redis).await;
    }
}

#[tokio::test]
async fn a_redis_that_was_late_once_holds_the_limit_again() {
    let private = private();
    let server = Impatient::on(&private.url()).await;
    private.pause().unwrap();
    let before = server.waits();
    server.call().await;
    assert!(server.waits() > before, "it is late");
    private.resume().unwrap();
    until_answered(&server.redis).await;
    // Once one call has found out that it answers, the others ask, too: more of them than may each try after a rest.
    let begun = Instant::now();
    loop {
        let before = server.counted(RedisOutcome::Answered);
        for _ in 0..10 {
            server.call().await;
        }
        if server.counted(RedisOutcome::Answered) >= before + 20 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "hardly anybody asks");
        sleep(Duration::from_millis(5)).await;
    }
}
