//! The long form: a crowd of a million, in Redis and in the process. CONTRIBUTING.md says how to run it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::*;
use crate::redis::{Redis, RedisAddress, RedisConfig};
use crate::storage::system_clock;

const CROWD: usize = 1_000_000;
const LET_IN: usize = 10_000;
/// Callers at a time, and the heartbeats that are measured.
const CALLERS: usize = 1_500;
const HEARTBEATS: usize = 200_000;

/// Nobody is let in, and nobody vanishes while this takes.
const SHUT: Rules =
    Rules { rate: 0, inside_max: 1 << 40, pass_millis: 3_600_000, grace_millis: 3_600_000, places_max: PLACES_MAX };

fn nth(n: usize) -> Who {
    Who::of(&OwnerId::new(&format!("somebody-{n}@example.com")).unwrap())
}

/// Everybody asks once, so many at a time. Answers come in the order of the people.
async fn everybody_asks(rooms: &Arc<dyn Rooms>, event: &EventId, people: usize, rules: Rules) -> Vec<Standing> {
    let next = Arc::new(AtomicUsize::new(0));
    let caller = |_| {
        let (rooms, event, next) = (Arc::clone(rooms), event.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            let mut answers = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= people {
                    return answers;
                }
                answers.push((n, rooms.ask(&event, nth(n), Ask::Join, &rules).await.unwrap()));
            }
        })
    };
    let callers: Vec<_> = (0..CALLERS).map(caller).collect();
    let mut answers = Vec::with_capacity(people);
    for caller in callers {
        answers.extend(caller.await.unwrap());
    }
    answers.sort_unstable_by_key(|(n, _)| *n);
    answers.into_iter().map(|(_, standing)| standing).collect()
}

/// Joins, asks again, and is let in, in the order of the tickets and no other.
async fn a_crowd(rooms: Arc<dyn Rooms>, memory: impl AsyncFn() -> u64) {
    let event = EventId::new("crowd").unwrap();
    let empty = memory().await;
    let begun = Instant::now();
    let joined = everybody_asks(&rooms, &event, CROWD, SHUT).await;
    let took = begun.elapsed().as_secs_f64();
    let positions: Vec<_> = joined.into_iter().map(position).collect();
    let full = memory().await;
    let bytes = full.saturating_sub(empty) / CROWD as u64;
    eprintln!("{CROWD} joined in {took:.1} s: {:.0}/s; {bytes} bytes each, {} MiB", CROWD as f64 / took, full >> 20);

    let distinct: BTreeSet<_> = positions.iter().copied().collect();
    assert_eq!((distinct.len(), distinct.last()), (CROWD, Some(&(CROWD as u64))), "each position once");

    let begun = Instant::now();
    let again = everybody_asks(&rooms, &event, HEARTBEATS, SHUT).await;
    eprintln!("asked again: {:.0}/s", HEARTBEATS as f64 / begun.elapsed().as_secs_f64());
    assert!(again.into_iter().map(position).eq(positions[..HEARTBEATS].iter().copied()), "everybody kept his place");

    // The first ten thousand ask as they would, and others as well, until all of the former are inside.
    let open = Rules { rate: 100_000, inside_max: LET_IN as i64, ..SHUT };
    let mut front: Vec<_> = (0..CROWD).filter(|n| positions[*n] <= LET_IN as u64).collect();
    assert_eq!(front.len(), LET_IN);
    let begun = Instant::now();
    while !front.is_empty() {
        let mut waiting = Vec::new();
        for chunk in front.chunks(CALLERS) {
            let asked = chunk.iter().map(|n| rooms.ask(&event, nth(*n), Ask::Join, &open));
            for (n, standing) in chunk.iter().zip(futures::future::join_all(asked).await) {
                if !is_inside(standing.unwrap()) {
                    waiting.push(*n);
                }
            }
        }
        front = waiting;
    }
    eprintln!("{LET_IN} let in, each with his pass, in {:.2} s", begun.elapsed().as_secs_f64());
    // None of the others is inside, and the line is theirs, in their order.
    for n in (0..CROWD).filter(|n| positions[*n] > LET_IN as u64).take(2_000) {
        let standing = rooms.ask(&event, nth(n), Ask::Join, &open).await.unwrap();
        assert_eq!(position(standing), positions[n] - LET_IN as u64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute or two: see CONTRIBUTING.md"]
async fn a_million_wait_in_redis() {
    let server =
        tokio::task::spawn_blocking(|| private_cluster::Redis::start(&private_cluster::RedisOptions::default()));
    let server = server.await.unwrap().unwrap();
    let config = RedisConfig {
        address: RedisAddress::parse(&server.url()).unwrap(),
        timeout: std::time::Duration::from_secs(5),
        prefix: "boxoffice".to_owned(),
    };
    let redis = Arc::new(Redis::start(config));
    let used = async || {
        let asked = redis.ask::<String>("boxoffice", ::redis::cmd("INFO").arg("memory")).await;
        let told = asked.unwrap();
        let line = told.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        line.trim().parse().unwrap()
    };
    let begun = Instant::now();
    while redis.ask::<String>("boxoffice", &::redis::cmd("PING")).await.is_err() {
        assert!(begun.elapsed().as_secs() < 20);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    a_crowd(Arc::new(RedisRooms::new(Arc::clone(&redis))), used).await;
    let asked = redis.ask::<String>("boxoffice", ::redis::cmd("INFO").arg("commandstats")).await;
    eprintln!("{}", asked.unwrap().lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute or two: see CONTRIBUTING.md"]
async fn a_million_wait_in_the_process() {
    let resident = async || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
    };
    a_crowd(Arc::new(LocalRooms::new(system_clock())), resident).await;
}
