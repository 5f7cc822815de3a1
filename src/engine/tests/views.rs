//! What is shown of an event, from whatever source it comes.

use std::sync::Mutex;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::domain::{EventPatch, EventView};
use crate::engine::{Away, Board, Consistency, Hung, Keeper, Look, Posted, VIEW_LIFE};
use crate::storage::StoreError;

/// A board that comes back after it was away, with what hung there before.
#[derive(Default)]
struct OldBoard(Mutex<Option<Arc<EventView>>>);

#[async_trait]
impl Board for OldBoard {
    fn is_up(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }

    async fn look(&self, _: &EventId, _: bool) -> Result<Look, Away> {
        let view = self.0.lock().unwrap().clone().ok_or(Away)?;
        let hung = Hung { view, life: VIEW_LIFE, age: std::time::Duration::ZERO };
        Ok(Look { hung: Some(hung), keeper: Keeper::Nobody, is_asked: true })
    }

    async fn post(&self, _: &EventView, _: Instant, _: bool) -> Result<Posted, Away> {
        Err(Away)
    }

    fn hear(&self, _: &EventId) -> Option<watch::Receiver<Vec<u8>>> {
        None
    }
}

#[tokio::test]
async fn a_board_that_comes_back_shows_nothing_older_than_what_was_shown_meanwhile() {
    let world = World::new().await;
    let event = world.event("gala", 10, None).await;
    let board = Arc::new(OldBoard::default());
    let shared = Some(Arc::clone(&board) as Arc<dyn Board>);
    let engine = Engine::start(Arc::clone(&world.engine.store), quiet(), shared).await.unwrap();
    let look = async || engine.view(&event, Consistency::Cached).await.unwrap().unwrap();
    let before = look().await;
    let patch = EventPatch { sales_state: Some(SalesState::Paused), ..EventPatch::default() };
    let pause = Action::UpdateEvent { expected: None, patch };
    world.run(&event, by_admin(pause)).await.unwrap();
    let begun = Instant::now();
    while look().await.event.last_seq == before.event.last_seq {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "the change is never shown");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    *board.0.lock().unwrap() = Some(before);
    let begun = Instant::now();
    while begun.elapsed() < VIEW_LIFE {
        assert_eq!(look().await.event.last_seq, world.last_seq(&event).await);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    // Nor is it in the way of what is newer still.
    let patch = EventPatch { sales_state: Some(SalesState::OnSale), ..EventPatch::default() };
    world.run(&event, by_admin(Action::UpdateEvent { expected: None, patch })).await.unwrap();
    let begun = Instant::now();
    while look().await.event.last_seq < world.last_seq(&event).await {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "the next change is never shown");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// A board that always says the same, and takes its time for it.
struct Unmoved {
    look: Look,
    takes: std::time::Duration,
}

#[async_trait]
impl Board for Unmoved {
    fn is_up(&self) -> bool {
        true
    }

    async fn look(&self, _: &EventId, _: bool) -> Result<Look, Away> {
        tokio::time::sleep(self.takes).await;
        Ok(self.look.clone())
    }

    async fn post(&self, _: &EventView, _: Instant, _: bool) -> Result<Posted, Away> {
        Err(Away)
    }

    fn hear(&self, _: &EventId) -> Option<watch::Receiver<Vec<u8>>> {
        None
    }
}

/// What is shown of an event that has just changed, beside a board that knows the state before, or nothing.
async fn shown_beside(board: impl FnOnce(Arc<EventView>) -> Unmoved) -> (Seq, Seq) {
    let world = World::new().await;
    let event = world.event("gala", 10, None).await;
    let before = world.engine.store().event(&event).await.unwrap().unwrap();
    reservation(world.run(&event, reserve("ann", 1, 1)).await);
    let shared = Some(Arc::new(board(Arc::new(before))) as Arc<dyn Board>);
    let engine = Engine::start(Arc::clone(&world.engine.store), quiet(), shared).await.unwrap();
    let shown = engine.view(&event, Consistency::Cached);
    let shown = tokio::time::timeout(std::time::Duration::from_secs(20), shown).await.expect("nothing is ever shown");
    (shown.unwrap().unwrap().event.last_seq, world.last_seq(&event).await)
}

#[tokio::test]
async fn what_was_too_long_on_its_way_from_the_board_is_not_shown() {
    let takes = std::time::Duration::from_millis(50);
    let (shown, newest) = shown_beside(|view| {
        let hung = Hung { view, life: takes / 5, age: std::time::Duration::ZERO };
        Unmoved { look: Look { hung: Some(hung), keeper: Keeper::Other, is_asked: true }, takes }
    })
    .await;
    assert_eq!(shown, newest);
}

#[tokio::test]
async fn whoever_reads_for_all_and_posts_nothing_is_not_waited_for_long() {
    let (shown, newest) = shown_beside(|_| {
        let look = Look { hung: None, keeper: Keeper::Other, is_asked: true };
        Unmoved { look, takes: std::time::Duration::ZERO }
    })
    .await;
    assert_eq!(shown, newest);
}

#[tokio::test]
async fn whoever_watches_after_all_others_have_gone_sees_what_is_sold() {
    let world = World::new().await;
    let event = world.event("gala", 10, None).await;
    drop(world.engine.watch(&event).await);
    // Until nobody looks for the event any more. (Where that takes longer he only joins the one who does.)
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let mut newest = world.engine.watch(&event).await;
    reservation(world.run(&event, reserve("ann", 1, 1)).await);
    let seq = world.last_seq(&event).await;
    let sees = newest.wait_for(|newest| matches!(newest, Ok(Some(view)) if view.event.last_seq == seq));
    let sees = tokio::time::timeout(std::time::Duration::from_secs(20), sees).await;
    assert!(sees.is_ok_and(|seen| seen.is_ok()), "he sees the state of before for ever");
}

#[tokio::test]
async fn whoever_begins_to_watch_sees_a_reading_of_now_though_nothing_was_sold() {
    let world = World::new().await;
    let event = world.event("gala", 10, None).await;
    let first = world.engine.watch(&event).await;
    let read_at =
        |newest: &watch::Receiver<crate::engine::Newest>| newest.borrow().as_ref().unwrap().as_ref().unwrap().read_at;
    let before = read_at(&first);
    world.advance(Duration::from_secs(1));
    let begun = Instant::now();
    while read_at(&world.engine.watch(&event).await) == before {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "it stays as old as the first");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(!first.has_changed().unwrap(), "for those who watch there is nothing new");
}

/// What so many callers who ask at once come to, when the database has taken longer to answer than any view is shown.
async fn crowd_at_a_slow_database(world: &World, event: &EventId) -> Vec<bool> {
    world.faults.take_readings();
    world.faults.readings_gate.shut();
    let crowd = join_all((0..100).map(|_| world.engine.view(event, Consistency::Cached)));
    let open = async {
        world.faults.readings_gate.is_met().await;
        tokio::time::sleep(VIEW_LIFE).await;
        world.faults.readings_gate.open();
    };
    let (views, ()) = tokio::join!(crowd, open);
    views.into_iter().map(|view| matches!(view, Ok(Some(_)))).collect()
}

#[tokio::test]
async fn a_crowd_waits_for_one_reading_however_long_that_takes() {
    let world = World::new().await;
    let event = world.event("gala", 10, None).await;
    assert_eq!(crowd_at_a_slow_database(&world, &event).await, [true; 100]);
    assert_eq!(world.faults.take_readings(), 1);
}

#[tokio::test]
async fn a_crowd_is_told_of_one_failure_and_the_next_caller_reads_again() {
    let world = World::new().await;
    let event = world.event("gala", 10, None).await;
    world.faults.script(|call| {
        let fails = matches!(call, faulty::Call::Event);
        fails.then(|| faulty::Fault::Fail(StoreError::Unavailable("it is away".into())))
    });
    assert_eq!(crowd_at_a_slow_database(&world, &event).await, [false; 100]);
    assert_eq!(world.faults.take_readings(), 1);
    world.faults.heal();
    assert!(world.engine.view(&event, Consistency::Cached).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_a_search_that_ended_as_he_came() {
    let world = World::new().await;
    let event = world.event("gala", 10, None).await;
    world.faults.script(|call| {
        let fails = matches!(call, faulty::Call::Event);
        fails.then(|| faulty::Fault::Fail(StoreError::Unavailable("it is away".into())))
    });
    for round in 0..30_000 {
        let looks = (0..3).map(|_| {
            let (engine, event) = (Arc::clone(&world.engine), event.clone());
            tokio::spawn(async move { engine.view(&event, Consistency::Cached).await.is_err() })
        });
        let all = tokio::time::timeout(std::time::Duration::from_secs(20), join_all(looks)).await;
        assert!(all.is_ok(), "somebody waits in round {round}");
    }
}
