//! SIGKILL at random moments: what was acknowledged is there, and nothing is there twice.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use boxoffice_proto::v1;
use boxoffice_proto::v1::reservation::State;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::rush::PATIENCE;
use crate::support::{Inventory, Server, assert_audit_is_clean, by, confirm, create_event, event, get, new_id, wants};

/// Kills in one run. `BOXOFFICE_TEST_KILLS` sets another number.
const KILLS: usize = 50;

/// Buyers who buy at the same time.
const BUYERS: usize = 8;

/// What a buyer was told of one of his reservations. He asks to buy it once he is told that it is reserved.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    reserved: bool,
    confirmed: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_being_killed_again_and_again() {
    let kills = std::env::var("BOXOFFICE_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(data.path());
    create_event(&server, v1::Event::default(), &[("floor", 1_000_000)]).await;
    let mut told: HashMap<String, Told> = HashMap::new();
    for _ in 0..kills {
        let stop = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(Semaphore::new(0));
        let buy = |_| tokio::spawn(buy_until_it_dies(server.inventory(), Arc::clone(&stop), Arc::clone(&answers)));
        let buyers: Vec<_> = (0..BUYERS).map(buy).collect();
        // Another moment each time: after 1 to 64 answers, however long they take, and up to 5 ms.
        let random = RandomState::new().hash_one(0);
        let some = answers.acquire_many(1 + (random % 64) as u32);
        let _permit = timeout(PATIENCE, some).await.expect("the buyers get on").expect("it is open");
        tokio::time::sleep(Duration::from_micros(random / 64 % 5_000)).await;
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for buyer in buyers {
            told.extend(buyer.await.expect("a buyer does not panic"));
        }
        server = Server::start(data.path());
    }

    let acknowledged = told.values().filter(|told| told.reserved).count();
    assert!(acknowledged >= kills, "each time at least one was granted before it was confirmed: {acknowledged}");
    let mut client = server.inventory();
    let (mut held, mut sold) = (0, 0);
    for (id, told) in &told {
        let state = match client.get_reservation(by("alice", get(id))).await {
            Ok(reservation) => reservation.into_inner().state(),
            Err(error) => {
                assert!(!told.reserved, "{id} was acknowledged and is lost: {error}");
                continue;
            }
        };
        assert!(!told.confirmed || state == State::Confirmed, "{id} was acknowledged as sold and is {state:?}");
        assert!(told.reserved || state == State::Held, "nobody asked to buy {id}, and it is {state:?}");
        match state {
            State::Held => held += 1,
            State::Confirmed => sold += 1,
            other => panic!("{id} is {other:?}"),
        }
    }
    // Each reservation is of one unit: no more units are out than there are reservations that a buyer asked for.
    let floor = &event(&server).await.allocations[0];
    assert_eq!((floor.held, floor.sold), (held, sold));
    let report = assert_audit_is_clean(&server).await;
    assert_eq!(report.reservations, i64::from(held + sold));
}

/// Reserves and confirms, one after the other, until the server is gone.
async fn buy_until_it_dies(
    mut client: Inventory,
    stop: Arc<AtomicBool>,
    answers: Arc<Semaphore>,
) -> HashMap<String, Told> {
    let mut told = HashMap::new();
    while !stop.load(Ordering::Relaxed) {
        let id = new_id();
        told.insert(id.clone(), Told::default());
        if client.create_reservation(by("alice", wants(&id, &[("floor", 1)]))).await.is_err() {
            break;
        }
        told.insert(id.clone(), Told { reserved: true, confirmed: false });
        answers.add_permits(1);
        if client.confirm_reservation(by("alice", confirm(&id, "order"))).await.is_err() {
            break;
        }
        told.insert(id, Told { reserved: true, confirmed: true });
        answers.add_permits(1);
    }
    told
}
