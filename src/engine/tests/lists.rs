//! Lists of events, as a crowd asks for them.

use futures::future::join_all;
use tokio::time::Instant;

use super::*;
use crate::engine::lists::FRESH;
use crate::engine::{Consistency, VIEW_LIFE};

async fn listed(engine: &Engine, after: Option<&EventId>, consistency: Consistency) -> Vec<String> {
    let piece = engine.events(after, 2, consistency).await.unwrap();
    piece.items.iter().map(|view| view.event.id.to_string()).collect()
}

#[tokio::test]
async fn a_crowd_that_lists_events_costs_a_few_reads() {
    let world = World::new().await;
    for id in ["a", "b", "c"] {
        world.event(id, 10, None).await;
    }
    let begun = Instant::now();
    let crowd = async || {
        let lists = join_all((0..500).map(|_| listed(&world.engine, None, Consistency::Cached))).await;
        assert!(lists.iter().all(|list| list == &["a", "b", "c"]), "whatever somebody's page takes of it");
    };
    crowd().await;
    crowd().await;
    let reads = u128::try_from(world.faults.take_lists()).unwrap();
    assert!((1..=1 + begun.elapsed().as_micros() / FRESH.as_micros()).contains(&reads), "{reads}");
    // What comes after another event is another piece.
    let a = EventId::new("a").unwrap();
    assert_eq!(listed(&world.engine, Some(&a), Consistency::Cached).await, ["b", "c"]);
    assert_eq!(world.faults.take_lists(), 1);
}

#[tokio::test]
async fn a_new_event_is_listed_at_once_where_that_is_asked_for_and_soon_where_not() {
    let world = World::new().await;
    assert_eq!(listed(&world.engine, None, Consistency::Cached).await, [""; 0]);
    world.event("a", 10, None).await;
    let begun = Instant::now();
    assert_eq!(listed(&world.engine, None, Consistency::Strong).await, ["a"]);
    while listed(&world.engine, None, Consistency::Cached).await.is_empty() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "it is never listed");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    world.faults.take_lists();
    for id in ["b", "c"] {
        world.event(id, 10, None).await;
        assert_eq!(listed(&world.engine, None, Consistency::Strong).await, ["a", "b"], "no more than was asked for");
    }
    assert_eq!(world.faults.take_lists(), 2);
}

#[tokio::test]
async fn a_list_that_took_long_to_read_is_not_shown_to_those_who_came_late_to_it() {
    let world = World::new().await;
    world.event("a", 10, None).await;
    world.faults.take_lists();
    world.faults.readings_gate.shut();
    let first = listed(&world.engine, None, Consistency::Cached);
    let late = async {
        world.faults.readings_gate.is_met().await;
        tokio::time::sleep(VIEW_LIFE).await;
        let late = listed(&world.engine, None, Consistency::Cached);
        let open = async { world.faults.readings_gate.open() };
        tokio::join!(late, open).0
    };
    assert_eq!(tokio::join!(first, late), (vec!["a".to_owned()], vec!["a".to_owned()]));
    assert_eq!(world.faults.take_lists(), 2);
}
