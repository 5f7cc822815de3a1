//! What hangs on the board is right, whatever becomes of Redis.

use super::*;
use crate::engine::{Board as _, Hung, Keeper, Posted, VIEW_LIFE};
use crate::redis::view::tests::view;

/// A board of a server of this name.
async fn board(url: &str, name: &str) -> RedisBoard {
    RedisBoard::new(Arc::new(connected(url).await), name.to_owned())
}

/// Seq, units held and time of the reading of what hangs there.
async fn seen(board: &RedisBoard) -> Option<(i64, i64, i64)> {
    let look = board.look(&event(), true).await.unwrap();
    look.hung.map(|Hung { view, life, age }| {
        assert!(life <= VIEW_LIFE && age <= VIEW_LIFE);
        (view.event.last_seq, view.allocations[0].held, view.read_at.as_micros())
    })
}

async fn post(board: &RedisBoard, (seq, held, read_at): (i64, i64, i64), sells: bool) -> Posted {
    board.post(&view(seq, held, read_at), Instant::now(), sells).await.unwrap()
}

#[tokio::test]
async fn an_older_view_never_takes_the_place_of_a_newer_one() {
    let private = private();
    let (one, other) = (board(&private.url(), "one").await, board(&private.url(), "other").await);
    assert_eq!(seen(&other).await, None);
    let newest = (7, 3, 700);
    for (posted, hangs) in [
        ((5, 1, 500), (5, 1, 500)),
        (newest, newest),
        // An older change; the same one, read before; and read later, when a hold had lapsed.
        ((6, 9, 900), newest),
        ((7, 3, 699), newest),
        ((7, 3, 701), (7, 3, 701)),
        ((7, 2, 702), (7, 2, 702)),
        ((7, 3, 700), (7, 2, 702)),
    ] {
        post(&one, posted, true).await;
        assert_eq!(seen(&other).await, Some(hangs), "{posted:?}");
    }
}

#[tokio::test]
async fn a_view_hangs_no_longer_than_it_may_be_shown() {
    let private = private();
    let board = board(&private.url(), "one").await;
    post(&board, (1, 1, 1), true).await;
    assert!(seen(&board).await.is_some());
    sleep(VIEW_LIFE).await;
    assert_eq!(seen(&board).await, None);
    // Whoever else writes there makes it live no longer.
    post(&board, (1, 1, 1), true).await;
    private.tell("PEXPIRE test:{gala}:view 60000").unwrap();
    assert_eq!(board.look(&event(), true).await.unwrap().hung.unwrap().life, VIEW_LIFE);
    private.tell("DEL test:{gala}:view").unwrap();
    // What was read long ago is not posted at all, nor shown long.
    let read = Instant::now() - VIEW_LIFE;
    board.post(&view(2, 2, 2), read, true).await.expect_err("nobody may be shown it");
    // A database that was set back to an older state shows what it has as soon as the newer state has lapsed.
    post(&board, (1, 0, 3), true).await;
    assert_eq!(private.tell("HGET test:{gala}:view seq").unwrap(), "1");
}

#[tokio::test]
async fn what_a_redis_that_hung_posts_late_is_shown_no_longer_than_it_would_have_been() {
    let private = private();
    let redis = Arc::new(connected(&private.url()).await);
    let board = RedisBoard::new(Arc::clone(&redis), "one".to_owned());
    // The time there is known, so that the next one is sent at once.
    post(&board, (1, 1, 1), true).await;
    private.pause().unwrap();
    board.post(&view(2, 2, 2), Instant::now(), true).await.expect_err("it hangs");
    sleep(VIEW_LIFE).await;
    private.resume().unwrap();
    until_answered(&redis).await;
    assert_eq!(private.tell("EXISTS test:{gala}:view").unwrap(), "0");
    post(&board, (3, 3, 3), true).await;
    assert_eq!(seen(&board).await, Some((3, 3, 3)));
}

#[tokio::test]
async fn one_server_reads_for_all_and_rather_one_that_sells() {
    let private = private();
    let (one, other) = (board(&private.url(), "one").await, board(&private.url(), "other").await);
    let keeps = async |board: &RedisBoard, seq, sells| post(board, (seq, 1, seq), sells).await.keeps;
    assert!(keeps(&one, 1, false).await && !keeps(&other, 2, false).await && keeps(&one, 3, false).await);
    assert!(keeps(&other, 4, true).await && !keeps(&one, 5, false).await && !keeps(&one, 6, true).await);
    // Servers that look for themselves ask nothing.
    let kept_by = async |board: &RedisBoard, asks| {
        let look = board.look(&event(), asks).await.unwrap();
        (look.keeper, look.is_asked)
    };
    assert_eq!(kept_by(&one, false).await, (Keeper::Other, false));
    assert!(!post(&one, (7, 1, 7), true).await.asked);
    assert_eq!(kept_by(&other, true).await, (Keeper::Oneself, true));
    assert!(post(&one, (8, 1, 8), true).await.asked);
    assert_eq!(kept_by(&one, false).await, (Keeper::Other, true));
    private.tell("DEL test:{gala}:keeper").unwrap();
    assert_eq!(kept_by(&one, false).await, (Keeper::Nobody, true));
}

#[tokio::test]
async fn whatever_lies_under_our_keys_is_neither_shown_nor_in_the_way() {
    let private = private();
    let board = board(&private.url(), "one").await;
    let garbage = [
        "SET test:{gala}:view garbage",
        "RPUSH test:{gala}:view 1 2",
        // One who has no end, or one too far away, would keep newer ones out for ever.
        "HSET test:{gala}:view seq 999999 read_at 9 stamp x view {}",
        "HSET test:{gala}:view seq x read_at y stamp z view {}",
        "RPUSH test:{gala}:keeper 1",
        "SET test:{gala}:keeper r:nobody",
        "RPUSH test:{gala}:asked 1",
    ];
    for (number, garbage) in (1..).zip(garbage) {
        private.tell("FLUSHALL").unwrap();
        private.tell(garbage).unwrap();
        assert_eq!(seen(&board).await, None, "{garbage}");
        let posted = post(&board, (number, 1, number), true).await;
        assert!(posted.keeps, "{garbage}");
        assert_eq!(seen(&board).await, Some((number, 1, number)), "{garbage}");
    }
    // And what looks like ours, but is none.
    private.tell("FLUSHALL").unwrap();
    private.tell("HSET test:{gala}:view seq 99 read_at 9 stamp x view {}").unwrap();
    private.tell("PEXPIRE test:{gala}:view 200").unwrap();
    assert_eq!(seen(&board).await, None);
    private.tell("FLUSHALL").unwrap();
    post(&board, (100, 1, 100), true).await;
    private.tell("HSET test:{gala}:view seq 101").unwrap();
    assert_eq!(seen(&board).await, None, "the text is of another state");
}

#[tokio::test]
async fn a_look_tells_when_the_view_was_posted_last_and_takes_its_text_once() {
    let private = private();
    let (one, other) = (board(&private.url(), "one").await, board(&private.url(), "other").await);
    post(&one, (1, 1, 1), true).await;
    assert_eq!(seen(&other).await, Some((1, 1, 1)));
    private.tell("HSET test:{gala}:view posted 1").unwrap();
    let age = async || other.look(&event(), false).await.unwrap().hung.unwrap().age;
    assert!(age().await > Duration::from_secs(3_600));
    post(&one, (1, 1, 2), true).await;
    assert!(age().await <= VIEW_LIFE, "it is the same state, but was posted now");
    private.tell("HSET test:{gala}:view view garbage").unwrap();
    assert_eq!(seen(&other).await, Some((1, 1, 2)), "it has that text already");
}

#[tokio::test]
async fn whoever_reads_for_all_or_has_asked_is_not_counted_on_for_long() {
    let private = private();
    let board = board(&private.url(), "one").await;
    post(&board, (1, 1, 1), true).await;
    assert!(seen(&board).await.is_some());
    for (what, most) in [("keeper", 1_000), ("asked", 2_000)] {
        let life: i64 = private.tell(&format!("PTTL test:{{gala}}:{what}")).unwrap().trim().parse().unwrap();
        assert!((1..=most).contains(&life), "{what}: {life} ms");
    }
}

#[tokio::test]
async fn an_emptied_and_a_full_redis_show_nothing_old() {
    let private = private();
    let board = board(&private.url(), "one").await;
    post(&board, (5, 1, 5), true).await;
    private.tell("FLUSHALL").unwrap();
    assert_eq!(seen(&board).await, None);
    // Of what it saw it takes nothing older, wherever that comes from: as after a failover to a replica that lagged.
    post(&board, (4, 1, 4), true).await;
    assert_eq!(seen(&board).await, Some((4, 1, 4)));
    post(&board, (6, 1, 6), true).await;
    assert_eq!(seen(&board).await, Some((6, 1, 6)));
    private.tell("FLUSHALL").unwrap();
    post(&board, (5, 1, 5), true).await;
    assert_eq!(seen(&board).await, None);
    private.tell("CONFIG SET maxmemory 1").unwrap();
    board.post(&view(8, 1, 8), Instant::now(), true).await.expect_err("there is no room");
    assert_eq!(seen(&board).await, None);
    assert!(board.is_up(), "it answers");
    private.tell("CONFIG SET maxmemory 0").unwrap();
    post(&board, (9, 1, 9), true).await;
    assert_eq!(seen(&board).await, Some((9, 1, 9)));
}

#[tokio::test]
async fn news_are_heard_once_for_each_new_state() {
    let private = private();
    let (one, other) = (board(&private.url(), "one").await, board(&private.url(), "other").await);
    let mut heard = other.hear(&event()).unwrap();
    let begun = Instant::now();
    let mut seq = 0;
    while str::from_utf8(&heard.borrow_and_update()).ok().and_then(|text| text.parse().ok()) != Some(seq) || seq == 0 {
        assert!(begun.elapsed() < PATIENCE);
        seq += 1;
        post(&one, (seq, 1, seq), true).await;
        let _ = timeout(Duration::from_millis(20), heard.changed()).await;
    }
    post(&one, (seq, 1, seq + 1), true).await;
    timeout(Duration::from_millis(20), heard.changed()).await.expect_err("nothing is new");
}
