//! The forms of Redis: behind a password and TLS, several servers, a cluster.

use private_cluster::RedisCluster;

use super::*;
use crate::engine::{Board as _, Keeper};
use crate::rate::{Cost, Key, Quota, Scope, SharedRates as _};
use crate::redis::view::tests::view;

fn certificate() -> (String, String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, key);
    let own = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (certificate.signed_by(&own, &issuer).unwrap().pem(), own.serialize_pem(), authority_pem)
}

#[tokio::test]
async fn a_user_with_few_rights_comes_in_with_the_password_of_a_file_and_over_tls() {
    let (certificate, key, authority) = certificate();
    let documented = include_str!("../../../docs/redis.md").lines().find_map(|line| line.strip_prefix("    user "));
    let rights = documented.unwrap().replace("PASSWORD", "secret").replace("boxoffice:", "test:");
    let options = RedisOptions::default().tls(&certificate, &key).setting("user", &rights);
    let private = PrivateRedis::start(&options).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (password, ca) = (dir.path().join("password"), dir.path().join("ca.pem"));
    std::fs::write(&password, "wrong\n").unwrap();
    std::fs::write(&ca, authority).unwrap();
    let url = format!("rediss://tickets@localhost:{}", private.tls_port().unwrap());
    let address = RedisAddress::parse(&url).unwrap().with_password_file(password.clone()).unwrap();
    let address = address.with_ca_file(ca).unwrap();
    let redis = Redis::start(RedisConfig { address, timeout: TIMEOUT, prefix: "test".to_owned() });
    sleep(RECONNECT_MIN).await;
    assert!(matches!(get(&redis, "test:{any}").await, Err(RedisFailure::Away)));
    // The file was wrong, and is mended while the server runs.
    std::fs::write(&password, "secret\n").unwrap();
    let begun = Instant::now();
    while get(&redis, "test:{any}").await.is_err() {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(5)).await;
    }
    let error = get(&redis, "other:{any}").await.unwrap_err();
    assert!(matches!(error, RedisFailure::Failed(_)), "{error:?}");
    let mut heard = redis.hear("test:{gala}:news").unwrap();
    tell(&redis, &mut heard, "new").await;
    // These rights are enough for all that is done.
    let redis = Arc::new(redis);
    let shared = RedisRates::new(Arc::clone(&redis));
    let (key, quota) = (Key { scope: Scope::Owner, name: "ann" }, Quota::new(0.001, 1).unwrap());
    let until = Instant::now() + PATIENCE;
    shared.admit(key, quota, Cost::of(1), until).await.unwrap();
    shared.admit(key, quota, Cost::of(1), until).await.unwrap_err();
    let board = RedisBoard::new(redis, "one".to_owned());
    assert!(board.post(&view(7, 1, 7), Instant::now(), true).await.unwrap().keeps);
    let look = board.look(&event(), true).await.unwrap();
    assert!(look.keeper == Keeper::Oneself && look.hung.is_some_and(|hung| *hung.view == view(7, 1, 7)));
    assert!(board.post(&view(8, 1, 8), Instant::now(), true).await.unwrap().asked);
    let begun = Instant::now();
    while *heard.borrow_and_update() != b"8" {
        assert!(begun.elapsed() < PATIENCE);
        let _ = timeout(Duration::from_millis(20), heard.changed()).await;
    }
}

#[tokio::test]
async fn of_several_servers_the_primary_is_used_also_after_a_failover() {
    let primary = private();
    let replica = primary.replica(&RedisOptions::default()).unwrap();
    let redis = connected(&format!("redis://127.0.0.1:{},127.0.0.1:{}", replica.port(), primary.port())).await;
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    assert_eq!(redis.run::<i64>(&script, &["{gala}"], 1).await.unwrap(), 1);
    // As a failover does: the old primary is still there, and follows the new one.
    replica.promote().unwrap();
    primary.tell(&format!("REPLICAOF 127.0.0.1 {}", replica.port())).unwrap();
    let begun = Instant::now();
    while redis.run::<i64>(&script, &["{gala}"], 1).await.is_err() {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(5)).await;
    }
    assert_ne!(replica.tell("GET {gala}").unwrap(), "");
}

#[tokio::test]
async fn of_a_cluster_a_node_that_is_away_keeps_nobody_from_the_others() {
    let cluster = RedisCluster::start(3, &RedisOptions::default()).unwrap();
    let redis = connected(&format!("redis+cluster://127.0.0.1:{}", cluster.nodes()[0].port())).await;
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    // One key on each node.
    let port = |number: usize| cluster.node_of(&format!("{{{number}}}")).unwrap().port();
    let mut keys: Vec<usize> = Vec::new();
    for number in 0..100 {
        if keys.iter().all(|other| port(*other) != port(number)) {
            keys.push(number);
        }
    }
    let keys: Vec<_> = keys.into_iter().map(|number| format!("{{{number}}}")).collect();
    assert_eq!(keys.len(), 3);
    for key in &keys {
        assert_eq!(redis.run::<i64>(&script, &[key], 1).await.unwrap(), 1);
    }
    let channel = format!("{}:news", keys[0]);
    let mut heard = redis.hear(&channel).unwrap();
    let begun = Instant::now();
    while *heard.borrow_and_update() != b"new" {
        assert!(begun.elapsed() < PATIENCE);
        redis.ask::<i64>(&channel, redis::cmd("SPUBLISH").arg(&channel).arg("new")).await.unwrap();
        let _ = timeout(Duration::from_millis(20), heard.changed()).await;
    }
    let away = cluster.node_of(&keys[0]).unwrap();
    away.pause().unwrap();
    let begun = Instant::now();
    while !matches!(redis.run::<i64>(&script, &[&keys[0]], 1).await, Err(RedisFailure::Away)) {
        assert!(begun.elapsed() < PATIENCE);
    }
    let noticed = begun.elapsed();
    for key in &keys[1..] {
        let begun = Instant::now();
        redis.run::<i64>(&script, &[key], 1).await.unwrap_or_else(|error| panic!("{key}: {error:?}"));
        println!("noticed after {noticed:?}; another node answered in {:?}", begun.elapsed());
    }
    away.resume().unwrap();
    let begun = Instant::now();
    while redis.run::<i64>(&script, &[&keys[0]], 1).await.is_err() {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_cluster_that_was_down_as_a_whole_is_used_again() {
    let cluster = RedisCluster::start(3, &RedisOptions::default()).unwrap();
    let redis = connected(&format!("redis+cluster://127.0.0.1:{}", cluster.nodes()[0].port())).await;
    let mut heard = redis.hear("test:{gala}:news").unwrap();
    tell(&redis, &mut heard, "one").await;
    cluster.nodes().iter().for_each(|node| node.kill().unwrap());
    let begun = Instant::now();
    while get(&redis, "{any}").await.is_ok() {
        assert!(begun.elapsed() < PATIENCE);
    }
    cluster.nodes().iter().for_each(|node| node.start_again().unwrap());
    until_answered(&redis).await;
    let begun = Instant::now();
    while redis.ask::<i64>("test:{gala}:x", redis::cmd("INCR").arg("test:{gala}:x")).await.is_err() {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(20)).await;
    }
    tell(&redis, &mut heard, "two").await;
}
