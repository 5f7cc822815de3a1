//! Rate limits that servers share.

use private_cluster::RedisCluster;

use super::*;
use crate::rate::{Key, Quota, RateLimits, Scope};

const ANN: Key<'static> = Key { scope: Scope::Owner, name: "ann" };
const ANNS_KEY: &str = "test:rate:owner:ann";

/// So many calls, and then none for a quarter of an hour.
fn calls(burst: u32) -> Quota {
    Quota::new(0.001, burst).unwrap()
}

/// The limits of one more server.
async fn server(url: &str, quota: Quota) -> RateLimits {
    let redis = Arc::new(connected(url).await);
    RateLimits::new(Some(quota), Some(quota)).with_shared(Arc::new(RedisRates::new(redis)))
}

async fn admitted(servers: &[RateLimits], key: Key<'_>, tries: usize) -> usize {
    let mut admitted = 0;
    for index in 0..tries {
        admitted += usize::from(servers[index % servers.len()].admit(key, 1).await.is_ok());
    }
    admitted
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
        let refused = servers[0].admit(ANN, 1).await.unwrap_err();
        assert!(refused.retry_after > Duration::from_secs(900), "{refused:?}");
    }
    let life: i64 = private.tell(&format!("PTTL {ANNS_KEY}")).unwrap().trim().parse().unwrap();
    assert!((4_900_000..=5_000_000).contains(&life), "gone when the budget is full again: {life} ms");
}

#[tokio::test]
async fn a_large_call_costs_as_much_as_it_is() {
    let private = private();
    let servers = [server(&private.url(), calls(5)).await, server(&private.url(), calls(5)).await];
    servers[0].admit(ANN, 4).await.unwrap();
    servers[1].admit(ANN, 2).await.unwrap_err();
    let bob = Key { name: "bob", ..ANN };
    // More than a burst is admitted by those who are owed nothing, and paid off before anything else.
    servers[0].admit(bob, 7).await.unwrap();
    let refused = servers[1].admit(bob, 1).await.unwrap_err();
    assert!(refused.retry_after.as_secs().abs_diff(3_000) < 60, "{refused:?}");
}

#[tokio::test]
async fn whoever_waits_as_long_as_he_is_told_is_admitted() {
    let private = private();
    let quota = Quota::new(2.0, 1).unwrap();
    let (here, there) = (server(&private.url(), quota).await, server(&private.url(), quota).await);
    there.admit(ANN, 1).await.unwrap();
    let refused = here.admit(ANN, 1).await.unwrap_err();
    assert!(refused.retry_after <= Duration::from_millis(500), "{refused:?}");
    // What was refused by the others was charged here, so it waits for the longer of the two.
    sleep(Duration::from_millis(510)).await;
    here.admit(ANN, 1).await.unwrap();
}

#[tokio::test]
async fn what_others_put_under_our_keys_stops_nobody_and_is_replaced() {
    let private = private();
    for garbage in ["RPUSH {} x", "SET {} nan", "SET {} 99999999999999999", "HSET {} a b"] {
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
    // A pause is not noticed at once, and costs a call a bounded time all the same.
    private.start_again().unwrap();
    let paused = [server(&private.url(), calls(3)).await];
    private.pause().unwrap();
    let mut fastest = PATIENCE;
    for admitted in [true, true, true, false] {
        let begun = Instant::now();
        assert_eq!(paused[0].admit(Key { name: "cat", ..ANN }, 1).await.is_ok(), admitted);
        // Who is refused here waits for nobody.
        fastest = if admitted { fastest.min(begun.elapsed()) } else { fastest };
    }
    assert!(fastest < TIMEOUT, "{fastest:?}");
    private.resume().unwrap();
}
