//! The connection and the board, on a real Redis.

mod board;
mod forms;
mod link;
mod rates;

use private_cluster::{Redis as PrivateRedis, RedisOptions};

use super::*;

/// How long the tests wait for what must happen some time.
const PATIENCE: Duration = Duration::from_secs(20);

const TIMEOUT: Duration = Duration::from_millis(100);

fn private() -> PrivateRedis {
    PrivateRedis::start(&RedisOptions::default()).unwrap()
}

async fn connected(url: &str) -> Redis {
    connected_within(url, TIMEOUT).await
}

async fn connected_within(url: &str, timeout: Duration) -> Redis {
    let address = RedisAddress::parse(url).unwrap();
    let redis = Redis::start(RedisConfig { address, timeout, prefix: "test".to_owned() });
    until_answered(&redis).await;
    redis
}

async fn get(redis: &Redis, key: &str) -> Result<Option<i64>, RedisFailure> {
    redis.ask(key, redis::cmd("GET").arg(key)).await
}

/// Asks until there is an answer.
async fn until_answered(redis: &Redis) {
    let begun = Instant::now();
    while let Err(error) = get(redis, "{any}").await {
        assert!(begun.elapsed() < PATIENCE, "{error:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn event() -> EventId {
    EventId::new("gala").unwrap()
}

#[test]
fn what_each_call_may_meet_is_told_once_in_a_while() {
    let told = ToldAt::default();
    assert!(told.is_due() && !told.is_due());
    *told.0.lock().unwrap() = Instant::now().checked_sub(TOLD_FOR);
    assert!(told.is_due() && !told.is_due());
}

#[test]
fn what_refuses_everything_is_away_and_what_refuses_one_command_is_not() {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, NoPerm, NoScript, ReadOnly, ResponseError};
    let is_away = |kind: ErrorKind| is_away(&RedisError::from((kind, "told so")));
    for kind in [BusyLoading, ClusterDown, MasterDown, ReadOnly] {
        assert!(is_away(ErrorKind::Server(kind)), "{kind:?}");
    }
    for kind in [NoPerm, NoScript, ResponseError] {
        assert!(!is_away(ErrorKind::Server(kind)), "{kind:?}");
    }
    for kind in [ErrorKind::Io, ErrorKind::ClusterConnectionNotFound, ErrorKind::AuthenticationFailed] {
        assert!(is_away(kind), "{kind:?}");
    }
    assert!(!is_away(ErrorKind::UnexpectedReturnType));
}

#[tokio::test]
async fn a_script_runs_whether_redis_knows_it_or_not() {
    let private = private();
    let redis = connected(&private.url()).await;
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    let key = redis.key(&event(), "count");
    assert_eq!(key, "test:{gala}:count");
    for expected in [7, 14] {
        assert_eq!(redis.run::<i64>(&script, &[&key], 7).await.unwrap(), expected);
    }
    redis.ask::<()>(&key, redis::cmd("SCRIPT").arg("FLUSH")).await.unwrap();
    assert_eq!(redis.run::<i64>(&script, &[&key], 7).await.unwrap(), 21);
    // What Redis refuses is no reason to do without it.
    let error = redis.run::<i64>(&script, &[&key], "x").await.unwrap_err();
    assert!(matches!(error, RedisFailure::Failed(_)), "{error:?}");
    assert_eq!(get(&redis, &key).await.unwrap(), Some(21));
}

#[tokio::test]
async fn many_ask_at_once_and_none_beyond_the_bound() {
    let private = private();
    let redis = connected(&private.url()).await;
    let asked = futures::future::join_all((0..IN_FLIGHT_MAX + 10).map(|_| get(&redis, "{any}"))).await;
    let busy = asked.iter().filter(|answer| matches!(answer, Err(RedisFailure::Busy))).count();
    // (On a busy machine some of the others may not be answered in time.)
    assert!(busy == 10 && asked.iter().any(Result::is_ok), "{asked:?}");
}

#[tokio::test]
async fn a_redis_that_hangs_costs_a_few_callers_the_time_limit_and_the_others_nothing() {
    let private = private();
    let redis = connected(&private.url()).await;
    private.pause().unwrap();
    let silent = futures::future::join_all((0..10).map(|_| get(&redis, "{any}"))).await;
    assert!(silent.iter().all(|answer| matches!(answer, Err(RedisFailure::Silent))), "{silent:?}");
    let begun = Instant::now();
    for _ in 0..1_000 {
        assert!(matches!(get(&redis, "{any}").await, Err(RedisFailure::Away)));
    }
    assert!(begun.elapsed() < TIMEOUT, "{:?}", begun.elapsed());
    private.resume().unwrap();
    until_answered(&redis).await;
}

#[tokio::test]
async fn a_redis_that_was_killed_is_used_again_when_it_is_back() {
    let private = private();
    let redis = connected(&private.url()).await;
    let mut heard = redis.hear("test:{gala}:news").unwrap();
    private.kill().unwrap();
    let begun = Instant::now();
    while !matches!(get(&redis, "{any}").await, Err(RedisFailure::Away)) {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(1)).await;
    }
    private.start_again().unwrap();
    until_answered(&redis).await;
    // Whoever hears a channel still does.
    tell(&redis, &mut heard, "new").await;
}

#[tokio::test]
async fn the_newest_message_of_a_channel_is_heard() {
    let private = private();
    let redis = connected(&private.url()).await;
    let mut heard = redis.hear("test:{gala}:news").unwrap();
    tell(&redis, &mut heard, "one").await;
    tell(&redis, &mut heard, "two").await;
    assert!(redis.hear("test:{gala}:news").is_some(), "another one may listen, too");
}

/// Tells until it is heard: a subscription takes a moment.
async fn tell(redis: &Redis, heard: &mut watch::Receiver<Vec<u8>>, message: &str) {
    let begun = Instant::now();
    loop {
        let channel = "test:{gala}:news";
        redis.ask::<i64>(channel, redis::cmd("SPUBLISH").arg(channel).arg(message)).await.unwrap();
        let _ = timeout(Duration::from_millis(20), heard.changed()).await;
        if *heard.borrow_and_update() == message.as_bytes() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE);
    }
}
