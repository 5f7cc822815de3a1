//! Who reads an event for all servers that share a board, and when nobody does.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::domain::EventView;
use crate::engine::feed::Feed;
use crate::engine::herald::Herald;
use crate::engine::views::Views;
use crate::engine::{Away, Board, Hung, Keeper, Look, Posted, VIEW_LIFE};

/// What the test says hangs there, and what was done.
struct Script {
    look: Look,
    looks: usize,
    /// The newest change of what was posted.
    posts: Vec<Seq>,
    /// Whether whoever posts is to read for all from then on.
    keeps: bool,
}

/// A board on which another server posts what the test says.
struct Scripted(Mutex<Script>);

impl Scripted {
    fn new(look: Look) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Script { look, looks: 0, posts: Vec::new(), keeps: false })))
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

    /// Waits until so many views were posted.
    async fn after_posts(&self, count: usize) {
        let begun = Instant::now();
        while self.0.lock().unwrap().posts.len() < count {
            assert!(begun.elapsed() < Duration::from_secs(20), "nobody posts");
            sleep(Duration::from_millis(5)).await;
        }
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
        Ok(Posted { keeps: script.keeps, asked: script.look.is_asked })
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

#[tokio::test]
async fn a_server_reads_for_all_until_another_one_does() {
    let (world, board, _) = sold(0, Duration::ZERO).await;
    {
        let mut script = board.0.lock().unwrap();
        script.look = Look { hung: None, keeper: Keeper::Nobody, is_asked: true };
        script.keeps = true;
    }
    let engine = sell(&world, &board).await;
    // Though nothing more is sold.
    board.after_posts(3).await;
    let looks = {
        let mut script = board.0.lock().unwrap();
        script.look.keeper = Keeper::Other;
        script.looks
    };
    let posts = board.after_looks(looks + 1).await;
    sleep(VIEW_LIFE).await;
    assert_eq!(board.after_looks(0).await, posts);
    drop(engine);
}

/// A herald that shares `board`, with the views that it renews and the feed that it tells of what is posted.
fn herald(world: &World, board: &Arc<Scripted>) -> (Arc<Herald>, Arc<Views>, Arc<Feed>) {
    let (herald, feed) = (Arc::new(Herald::new(true)), Arc::new(Feed::default()));
    let views = Arc::new(Views::new(Arc::clone(&world.engine.store), None, Arc::clone(&herald)));
    let board = Arc::clone(board) as Arc<dyn Board>;
    tokio::spawn(Arc::clone(&herald).serve(board, Arc::downgrade(&views), Arc::clone(&feed)));
    (herald, views, feed)
}

async fn told(feed: &Feed, event: &EventId, wanted: Seq) {
    let mut posted = feed.subscribe(event);
    let told = timeout(Duration::from_secs(20), posted.wait_for(|seq| *seq == wanted)).await;
    assert!(told.is_ok_and(|told| told.is_ok()), "nobody is told of {wanted}");
}

#[tokio::test]
async fn a_reading_that_lacks_what_was_sold_since_is_not_posted_in_its_place() {
    let (world, board, seq) = sold(0, Duration::ZERO).await;
    board.0.lock().unwrap().look = Look { hung: None, keeper: Keeper::Nobody, is_asked: true };
    let event = EventId::new("gala").unwrap();
    let (before, read) = (world.engine.store().event(&event).await.unwrap().unwrap(), Instant::now());
    reservation(world.run(&event, reserve("ann", 1, 1)).await);
    let (herald, _views, feed) = herald(&world, &board);
    herald.read(&Arc::new(before), read);
    herald.sold(&event, seq);
    told(&feed, &event, seq).await;
    assert_eq!(board.after_looks(0).await, [seq]);
}

#[tokio::test]
async fn what_another_server_has_posted_is_shown_and_told_of_here() {
    let (world, board, seq) = sold(0, Duration::ZERO).await;
    let event = EventId::new("gala").unwrap();
    let (herald, views, feed) = herald(&world, &board);
    herald.sold(&event, seq);
    told(&feed, &event, seq).await;
    assert_eq!(views.get(&event).await.unwrap().unwrap().event.last_seq, seq);
    assert_eq!(world.faults.take_readings(), 0);
}
