//! Who may wait for a lane: counted where callers come, decided by what the lane learns from its batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::pace::{BURST_MAX, CALM_AFTER, Pace};

/// So many callers may always wait, whatever the queue: as many as a healthy crowd in which each waits for his answer before he
/// comes again. (Each may bring a whole batch of commands.)
const CALLERS_MIN: usize = 256;

/// The callers' side.
#[derive(Debug)]
pub(super) struct Door {
    /// Commands that wait or are in a batch, and their callers.
    waiting: Arc<AtomicUsize>,
    callers: AtomicUsize,
    /// How many commands may, whatever is worth it.
    most: usize,
    /// How many may now. The lane sets it.
    max: AtomicUsize,
    /// Whether any were refused since the lane last looked.
    refused: AtomicBool,
}

impl Door {
    pub(super) fn new(most: usize) -> Self {
        let (waiting, callers, refused) = Default::default();
        Self { waiting, callers, most, max: AtomicUsize::new(most), refused }
    }

    /// Where it counts commands.
    pub(super) const fn waiting(&self) -> &Arc<AtomicUsize> {
        &self.waiting
    }

    /// Lets a caller with so many commands in, if he may.
    pub(super) fn enter(&self, commands: usize) -> bool {
        let waiting = self.waiting.fetch_add(commands, Ordering::Relaxed).saturating_add(commands);
        let callers = self.callers.fetch_add(1, Ordering::Relaxed) + 1;
        let worth_it = waiting <= self.max.load(Ordering::Relaxed) || callers <= CALLERS_MIN;
        if waiting <= self.most && worth_it {
            return true;
        }
        self.leave(1, commands);
        self.refused.store(true, Ordering::Relaxed);
        false
    }

    /// So many are done, or were never begun. Answers how many commands there were.
    pub(super) fn leave(&self, callers: usize, commands: usize) -> usize {
        self.callers.fetch_sub(callers, Ordering::Relaxed);
        self.waiting.fetch_sub(commands, Ordering::Relaxed)
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    pub(super) commands: usize,
    /// Of these, commands that were begun. The others' callers had gone, or their deadlines had passed.
    pub(super) done: usize,
    pub(super) took: Duration,
}

/// The lane's side: sets how many may wait.
#[derive(Debug)]
pub(super) struct Keeper {
    door: Arc<Door>,
    pace: Pace,
    /// Since when more wait than is worth it.
    too_many_since: Option<Instant>,
    /// Until when no more than that is let in.
    strict_until: Option<Instant>,
}

impl Keeper {
    pub(super) fn new(door: Arc<Door>) -> Self {
        Self { door, pace: Pace::default(), too_many_since: None, strict_until: None }
    }

    /// The first of a batch was taken `now`. Where there was none for so long that crowds may come again, they may from here on:
    /// those who make this batch are the first of one, perhaps.
    pub(super) fn begun(&mut self, now: Instant) {
        if self.strict_until.is_some_and(|until| until <= now) {
            self.strict_until = None;
            self.door.max.store(self.door.most, Ordering::Relaxed);
        }
    }

    /// A batch of so many callers ended `now`. Answers how many commands waited or were in it.
    pub(super) fn done(&mut self, callers: usize, batch: Batch, now: Instant) -> usize {
        let waiting = self.door.leave(callers, batch.commands);
        if batch.done > 0 {
            self.pace.observe(batch.done, batch.took);
        }
        let worth = self.pace.waiting_max(self.door.most);
        let refused = self.door.refused.swap(false, Ordering::Relaxed);
        let too_many = waiting > worth && self.door.callers.load(Ordering::Relaxed) + callers > CALLERS_MIN;
        self.too_many_since = if too_many { self.too_many_since.or(Some(now)) } else { None };
        let stands = self.too_many_since.is_some_and(|since| now - since >= BURST_MAX);
        if stands || (refused && self.strict_until.is_some()) {
            self.strict_until = Some(now + CALM_AFTER);
        } else if self.strict_until.is_some_and(|until| until <= now) {
            self.strict_until = None;
        }
        let max = if self.strict_until.is_some() { worth } else { self.door.most };
        self.door.max.store(max, Ordering::Relaxed);
        waiting
    }

    /// Most commands of one batch: when a queue has just been found to stand, all of it would make one batch that takes as long
    /// as the queue is.
    pub(super) fn batch_max(&self) -> usize {
        self.door.max.load(Ordering::Relaxed).max(CALLERS_MIN)
    }

    /// Whether one of those who wait must be turned away, because they came when the queue had not been found to stand yet.
    pub(super) fn is_crowded(&self) -> bool {
        let callers = self.door.callers.load(Ordering::Relaxed);
        callers > CALLERS_MIN && self.door.waiting.load(Ordering::Relaxed) > self.door.max.load(Ordering::Relaxed)
    }

    /// One of them was.
    pub(super) fn turned_away(&self, commands: usize) {
        self.door.leave(1, commands);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 16_384;

    /// A lane that takes 10 ms for a batch and 200 us for each command, and its callers.
    struct Lane {
        door: Arc<Door>,
        keeper: Keeper,
        now: Instant,
    }

    impl Lane {
        fn new() -> Self {
            let door = Arc::new(Door::new(MOST));
            let mut lane = Self { keeper: Keeper::new(Arc::clone(&door)), door, now: Instant::now() };
            for size in [1, 20, 3, 40, 5] {
                (0..size).for_each(|_| assert!(lane.door.enter(1)));
                lane.batch(size);
            }
            lane
        }

        /// So many callers with one command each.
        fn batch(&mut self, size: usize) {
            let begun = self.now;
            self.keeper.begun(begun);
            self.now += Duration::from_millis(10) + Duration::from_micros(200) * u32::try_from(size).unwrap();
            let batch = Batch { commands: size, done: size, took: self.now - begun };
            self.keeper.done(size, batch, self.now);
            while self.keeper.is_crowded() {
                self.keeper.turned_away(1);
            }
        }

        fn waiting(&self) -> usize {
            self.door.waiting.load(Ordering::Relaxed)
        }

        /// One that refused, and has had nothing to do for long enough since.
        fn calm_again() -> Self {
            let mut lane = Self::new();
            lane.pressed(200);
            while lane.waiting() > 0 {
                lane.batch(lane.waiting().min(300));
            }
            lane.now += CALM_AFTER;
            lane
        }

        /// Twice as many come as batches of 300 can do.
        fn pressed(&mut self, batches: usize) {
            for _ in 0..batches {
                (0..600).for_each(|_| {
                    let _ = self.door.enter(1);
                });
                self.batch(300);
            }
        }
    }

    #[test]
    fn a_crowd_is_let_in_and_a_standing_queue_is_not() {
        let mut lane = Lane::new();
        lane.pressed(6);
        assert_eq!(lane.waiting(), 6 * 300, "a crowd");
        lane.pressed(10);
        for _ in 0..200 {
            lane.pressed(1);
            // 2 · 7 · 10 ms / 200 µs
            assert!(lane.waiting() <= 720, "{}: it stays strict while it refuses", lane.waiting());
        }
        lane.keeper.pace = Pace::default();
        lane.keeper.pace.observe(1, Duration::from_secs(1));
        lane.batch(1);
        assert_eq!((lane.waiting(), lane.keeper.batch_max()), (CALLERS_MIN, CALLERS_MIN), "whatever is worth it");
    }

    #[test]
    fn when_it_is_calm_again_crowds_may_come() {
        let mut lane = Lane::calm_again();
        assert!(lane.door.enter(1));
        lane.batch(1);
        assert!((0..4_000).all(|_| lane.door.enter(1)));
    }

    #[test]
    fn when_it_is_calm_again_crowds_may_come_though_there_was_no_pause() {
        let mut lane = Lane::new();
        lane.pressed(20);
        while lane.waiting() > 0 {
            lane.batch(lane.waiting().min(300));
        }
        let until = lane.keeper.strict_until.unwrap();
        while lane.now < until {
            assert!(lane.door.enter(1));
            lane.batch(1);
        }
        assert!((0..4_000).all(|_| lane.door.enter(1)));
    }

    #[test]
    fn a_crowd_that_comes_after_a_pause_is_let_in_from_the_first_on() {
        let mut lane = Lane::calm_again();
        assert!(lane.door.enter(1));
        lane.keeper.begun(lane.now);
        assert!((0..4_000).all(|_| lane.door.enter(1)));
    }

    /// A closed loop of callers, or of a few who bring many commands each, is no overload, however slow the store; nor is it strict
    /// for them where it is for others.
    #[test]
    fn a_bounded_number_of_callers_is_never_turned_away() {
        let mut strict = Lane::new();
        strict.pressed(20);
        strict.batch(strict.waiting());
        for mut lane in [Lane::new(), strict] {
            let was_strict = lane.keeper.strict_until.is_some();
            for _ in 0..100 {
                while lane.door.callers.load(Ordering::Relaxed) < 16 {
                    assert!(lane.door.enter(1_000));
                }
                // All of that is work, so a queue is worth nothing.
                let (commands, took) = (8_000, Duration::from_millis(1_600));
                lane.now += took;
                lane.keeper.done(8, Batch { commands, done: commands, took }, lane.now);
                assert!(!lane.keeper.is_crowded());
                assert!(was_strict || lane.keeper.strict_until.is_none());
            }
        }
    }

    /// Those who were answered just now come again.
    #[test]
    fn a_closed_loop_of_more_callers_than_that_is_an_overload_where_it_is_worth_nothing() {
        let mut lane = Lane::new();
        lane.keeper.pace = Pace::default();
        (0..300).for_each(|_| assert!(lane.door.enter(1)));
        for stands in [false, true] {
            lane.now += BURST_MAX;
            let batch = Batch { commands: 200, done: 200, took: Duration::from_millis(40) };
            lane.keeper.done(200, batch, lane.now);
            assert_eq!((lane.waiting(), lane.keeper.strict_until.is_some()), (100, stands));
            (0..200).for_each(|_| assert!(stands || lane.door.enter(1)));
        }
    }

    #[test]
    fn what_was_not_begun_says_nothing_of_what_is_worth_it() {
        let mut lane = Lane::new();
        let worth = |lane: &Lane| lane.keeper.pace.waiting_max(MOST);
        let before = worth(&lane);
        for _ in 0..100 {
            assert!(lane.door.enter(1));
            lane.keeper.done(1, Batch { commands: 1, done: 0, took: Duration::ZERO }, lane.now);
        }
        assert_eq!(worth(&lane), before);
    }

    #[test]
    fn no_more_than_the_most_is_let_in() {
        let door = Door::new(4);
        assert!(!door.enter(5));
        assert!(door.enter(4));
        assert!(!door.enter(1));
        door.leave(1, 4);
        assert!(door.enter(1));
    }
}
