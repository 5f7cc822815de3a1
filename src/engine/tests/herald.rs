//! Who reads an event for all servers that share a board, and when nobody does.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::*;
use crate::domain::EventView;
use crate::engine::{Away, Board, Hung, Keeper, Look, Posted, VIEW_LIFE};

/// What the test says hangs there, and what was done.
struct Script {
    look: Look,
    looks: usize,
    /// The newest change of what was posted.
    posts: Vec<Seq>,
}

/// A board on which another server posts what the test says.
struct Scripted(Mutex<Script>);

impl Scripted {
    fn new(look: Look) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Script { look, looks: 0, posts: Vec::new() })))
    }

    /// Waits until so many looks were made, and answers what has been posted.
    async fn after_looks(&self, count: usize) -> Vec<Seq> {
        let begun = Instant::now();
        while self.0.lock().unwrap().looks < count {
            assert!(begun.elapsed() < Duration::from_secs(20), "nobody looks");
            sleep(Duration::from_millis(5)).await;
        }
        self.0.lock().unwrap().posts.clone()
    }
}

#[async_trait]
impl Board for Scripted {
    fn is_up(&self) -> bool {
        true
    }

    async fn look(&self, _: &EventId, asks: bool) -> Result<Look, Away> {
        assert!(!asks, "nobody asks here");
        let mut script = self.0.lock().unwrap();
        script.looks += 1;
        Ok(script.look.clone())
    }

    async fn post(&self, view: &EventView, _: Instant, sells: bool) -> Result<Posted, Away> {
        assert!(sells);
        let mut script = self.0.lock().unwrap();
        script.posts.push(view.event.last_seq);
        Ok(Posted { keeps: false, asked: script.look.is_asked })
    }

    fn hear(&self, _: &EventId) -> Option<watch::Receiver<Vec<u8>>> {
        None
    }
}

/// A server that has just sold something, and the board that it shares: on that hangs a view of which the newest change is
/// so much later than the sale, posted so long ago.
async fn sold(later: Seq, age: Duration) -> (World, Arc<Scripted>, Seq) {
    let world = World::new().await;
    let event = world.event("gala", 10, None).await;
    let mut view = world.engine.store().event(&event).await.unwrap().unwrap();
    let seq = view.event.last_seq + 1;
    view.event.last_seq = seq + later;
    world.faults.take_readings();
    let hung = Hung { view: Arc::new(view), life: VIEW_LIFE, age };
    let board = Scripted::new(Look { hung: Some(hung), keeper: Keeper::Other, is_asked: true });
    (world, board, seq)
}

async fn sell(world: &World, board: &Arc<Scripted>) -> Arc<Engine> {
    let shared = Some(Arc::clone(board) as Arc<dyn Board>);
    let engine = Engine::start(Arc::clone(&world.engine.store), quiet(), shared).await.unwrap();
    engine.run(EventId::new("gala").unwrap(), reserve("ann", 1, 1), None).await.unwrap();
    engine
}

#[tokio::test]
async fn what_another_server_has_posted_is_not_read_again() {
    let (world, board, _) = sold(0, Duration::from_secs(1)).await;
    let engine = sell(&world, &board).await;
    assert_eq!(board.after_looks(1).await, [0_i64; 0]);
    sleep(VIEW_LIFE).await;
    assert_eq!(board.after_looks(1).await, [0_i64; 0]);
    assert_eq!(world.faults.take_readings(), 0);
    drop(engine);
}

#[tokio::test]
async fn a_server_that_posts_all_the_time_is_left_to_it() {
    let (world, board, seq) = sold(-1, Duration::ZERO).await;
    let engine = sell(&world, &board).await;
    assert_eq!(board.after_looks(3).await, [0_i64; 0], "it has only just posted");
    board.0.lock().unwrap().look.hung.as_mut().unwrap().age = VIEW_LIFE;
    let begun = Instant::now();
    while board.after_looks(0).await != [seq] {
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody posts in its place");
        sleep(Duration::from_millis(5)).await;
    }
    drop(engine);
}

#[tokio::test]
async fn while_nobody_asks_nothing_is_read() {
    let (world, board, seq) = sold(0, Duration::ZERO).await;
    board.0.lock().unwrap().look = Look { hung: None, keeper: Keeper::Nobody, is_asked: false };
    let engine = sell(&world, &board).await;
    assert_eq!(board.after_looks(1).await, [0_i64; 0]);
    assert_eq!(world.faults.take_readings(), 0);
    board.0.lock().unwrap().look.is_asked = true;
    engine.run(EventId::new("gala").unwrap(), reserve("ann", 2, 1), None).await.unwrap();
    let begun = Instant::now();
    while board.after_looks(0).await != [seq + 1] {
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody posts what is asked for");
        sleep(Duration::from_millis(5)).await;
    }
}
