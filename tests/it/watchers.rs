//! A crowd that watches, beside a hot sale on the same server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use boxoffice_proto::v1;
use tokio::task::JoinSet;

use crate::rush::PATIENCE;
use crate::support::{Inventory, Server, by, create_event, new_id, wants};

/// Streams of one connection.
const STREAMS_PER_CONNECTION: usize = 500;

/// Buyers at the same time.
const BUYERS: usize = 64;

/// How many states all watchers together must be sent while there is something to see. At the pace that they should
/// have, 200 get there within a few seconds; at a hundredth of [`WATCH_MESSAGES_PER_SECOND`](src/grpc/watch.rs) nobody does
/// within [`PATIENCE`].
const STATES_MIN: usize = 10_000;

/// Opens streams, and counts what all of them get.
async fn crowd(server: &Server, count: usize) -> (JoinSet<()>, Arc<AtomicUsize>) {
    let (mut streams, messages) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    let mut client = server.inventory();
    for number in 0..count {
        if number % STREAMS_PER_CONNECTION == 0 {
            client = server.inventory();
        }
        let request = v1::WatchEventRequest { name: "events/sale".to_owned(), from_seq: 0 };
        let mut stream = client.watch_event(request).await.expect("a stream").into_inner();
        let messages = Arc::clone(&messages);
        streams.spawn(async move {
            let mut seen = 0;
            while let Some(message) = stream.message().await.expect("no error") {
                let seq = message.event.expect("an event").seq;
                assert!(seq > seen, "{seq} after {seen}");
                seen = seq;
                messages.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    (streams, messages)
}

/// Sells for a while. Returns sales in a second.
async fn rate(server: &Server, time: Duration) -> f64 {
    let stop = Arc::new(AtomicBool::new(false));
    let mut buyers = JoinSet::new();
    let begun = Instant::now();
    for number in 0..BUYERS {
        let (mut client, stop): (Inventory, _) = (server.inventory(), Arc::clone(&stop));
        buyers.spawn(async move {
            let mut sold = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let request = by(&format!("buyer-{number}"), wants(&new_id(), &[("floor", 1)]));
                client.create_reservation(request).await.expect("granted");
                sold += 1;
            }
            sold
        });
    }
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let sold: u32 = buyers.join_all().await.into_iter().sum();
    f64::from(sold) / begun.elapsed().as_secs_f64()
}

/// Memory of the server, in MiB.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

async fn compare(watchers: usize, rounds: usize, time: Duration) -> f64 {
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(data.path());
    create_event(&server, v1::Event::default(), &[("floor", 100_000_000)]).await;
    rate(&server, time / 2).await;
    let (mut without, mut with) = (0.0, 0.0);
    for _ in 0..rounds {
        let alone = rate(&server, time).await;
        let (mut streams, messages) = crowd(&server, watchers).await;
        let (before, begun, got) = (resident(&server), Instant::now(), messages.load(Ordering::Relaxed));
        let watched = rate(&server, time).await;
        let told = (messages.load(Ordering::Relaxed) - got) as f64 / begun.elapsed().as_secs_f64();
        println!(
            "{alone:.0}/s without watchers, {watched:.0}/s with {watchers}, who were told {told:.0} states a second; memory \
             {before} MiB, then {} MiB",
            resident(&server)
        );
        while messages.load(Ordering::Relaxed) - got < STATES_MIN.max(watchers) {
            assert!(begun.elapsed() < PATIENCE, "watchers are told too little");
            rate(&server, time).await;
        }
        // A stream that has ended, or that showed something else than newer and newer states, has ended its task.
        let ended = streams.try_join_next();
        assert!(ended.is_none(), "somebody was cut off: {ended:?}");
        drop(streams);
        (without, with) = (without + alone, with + watched);
    }
    println!("with {watchers} watchers: {:.2} of the sales without", with / without);
    with / without
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute, and wants a release build and an idle machine; see CONTRIBUTING.md"]
async fn ten_thousand_watchers_leave_a_hot_sale_its_speed() {
    assert!(compare(10_000, 3, Duration::from_secs(6)).await > 0.8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_of_a_hot_sale_see_newer_and_newer_states() {
    compare(200, 1, Duration::from_millis(300)).await;
}
