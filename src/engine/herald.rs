//! Posts on the board what this server sold, and reads the database for all where that is on it.
//!
//! A lane only says which event has a new change; it waits for nothing. What is posted is read from the database, as without
//! a board, rather than put together from batches: a batch knows only the allocations that it touched, and not which holds
//! have lapsed. Before a server reads it looks at what hangs there: however many servers sell an event, one reading shows what all
//! of them sold. So in the long run one of them reads and the others look.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::board::{Board, Keeper, Look, Posted};
use super::feed::Feed;
use super::views::{LOOKED, SHOWN_WITHIN, Views};
use crate::domain::{EventId, EventView, Seq, Timestamp};

/// Shortest time between two readings of an event that sells, on all servers: however many batches there are, they are posted
/// together.
const PACE: Duration = Duration::from_millis(40);
// What was sold is posted after that time at most, and found by whoever looks once what he found before is over.
const _: () = assert!(PACE.saturating_add(LOOKED.over).as_millis() < SHOWN_WITHIN.as_millis());

/// How often it is read though nothing was sold: holds lapse, and servers die before they post. With the time of the reading it
/// must stay well below the life of a view.
const KEEP_INTERVAL: Duration = Duration::from_millis(100);

/// How much later than the server that posted last the others read: then it has done so again, unless it is gone.
const PRECEDENCE: Duration = Duration::from_millis(10);

/// How often a server that sells looks whether somebody wants to be shown it, while nobody does.
const UNASKED_INTERVAL: Duration = Duration::from_millis(250);

/// Most events of which something is to be posted; of more, nobody hears at once.
const EVENTS_MAX: usize = 10_000;

/// Most events that are read and posted at the same time.
const POSTS_AT_ONCE_MAX: usize = 4;

/// What is to be posted.
#[derive(Default)]
pub(super) struct Herald {
    due: Mutex<HashMap<EventId, Due>>,
    wake: Notify,
    /// Whether there is a board at all.
    has_board: bool,
}

#[derive(Clone)]
struct Due {
    /// The newest change made here that has not been seen on the board.
    sold: Option<Seq>,
    /// Whether this server sells units of it.
    sells: bool,
    /// A reading that was made for another reason, and when it began.
    read: Option<(Arc<EventView>, Instant)>,
    /// Whether this server reads for all.
    keeps: bool,
    /// What was posted last, as far as is known.
    last: Option<Last>,
    /// When it is this server's turn.
    next: Instant,
}

/// What was posted last.
#[derive(Clone, Copy)]
struct Last {
    seq: Seq,
    read_at: Timestamp,
    at: Instant,
    /// Whether by this server.
    is_ours: bool,
    /// Whether anybody had looked lately.
    is_asked: bool,
}

/// What a server's turn came to.
struct Done {
    last: Last,
    keeps: bool,
    /// The newest change that whoever looks can see.
    shown: Seq,
}

impl Herald {
    pub(super) fn new(has_board: bool) -> Self {
        Self { has_board, ..Self::default() }
    }

    /// There is a new change, made by this server.
    pub(super) fn sold(&self, event: &EventId, seq: Seq) {
        self.note(event, |due| (due.sold, due.sells) = (due.sold.max(Some(seq)), true));
    }

    /// Somebody here read an event for himself, since nothing hung on the board.
    pub(super) fn read(&self, view: &Arc<EventView>, begun: Instant) {
        self.note(&view.event.id, |due| due.read = Some((Arc::clone(view), begun)));
    }

    fn note(&self, event: &EventId, change: impl FnOnce(&mut Due)) {
        if !self.has_board {
            return;
        }
        let mut all = self.lock();
        if let Some(known) = all.get_mut(event) {
            change(known);
            known.next = known.last.map_or(known.next, |last| known.turn_after(&last).min(known.next));
        } else if all.len() < EVENTS_MAX {
            let next = Instant::now();
            let mut new = Due { sold: None, sells: false, read: None, keeps: false, last: None, next };
            change(&mut new);
            all.insert(event.clone(), new);
        }
        drop(all);
        self.wake.notify_one();
    }

    /// Posts whatever is due, until the engine is gone.
    pub(super) async fn serve(self: Arc<Self>, board: Arc<dyn Board>, views: Weak<Views>, posted: Arc<Feed>) {
        loop {
            match self.next() {
                Some(next) => {
                    let _ = timeout_at(next, self.wake.notified()).await;
                }
                None => self.wake.notified().await,
            }
            let Some(views) = views.upgrade() else { return };
            let work = Work { board: &*board, views: &views, posted: &posted };
            let due = futures::stream::iter(self.due(Instant::now()));
            due.for_each_concurrent(POSTS_AT_ONCE_MAX, |(event, due)| self.run(event, due, &work)).await;
            // A wake-up for each batch is not worth the while: what comes meanwhile waits for its turn.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// When there is something to do next. `None`: nothing is due.
    fn next(&self) -> Option<Instant> {
        self.lock().values().filter(|due| due.wants()).map(|due| due.next).min()
    }

    /// What is due. Forgets events of which nothing is wanted any more.
    fn due(&self, now: Instant) -> Vec<(EventId, Due)> {
        let mut all = self.lock();
        all.retain(|_, due| due.wants() || due.next > now);
        let due = all.iter_mut().filter(|(_, due)| due.wants() && due.next <= now);
        due.map(|(event, due)| (event.clone(), Due { read: due.read.take(), ..due.clone() })).collect()
    }

    async fn run(&self, event: EventId, due: Due, work: &Work<'_>) {
        let done = work.turn(&event, &due).await;
        let mut all = self.lock();
        let Some(known) = all.get_mut(&event) else { return };
        known.turned(done.as_ref(), Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EventId, Due>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Due {
    const fn wants(&self) -> bool {
        self.sold.is_some() || self.keeps || self.read.is_some()
    }

    /// Takes note of what its turn came to. `None`: it could not be done.
    fn turned(&mut self, done: Option<&Done>, now: Instant) {
        if let Some(&Done { last, keeps, shown }) = done {
            self.sold = self.sold.filter(|sold| last.is_asked && *sold > shown);
            self.keeps = last.is_asked && keeps;
            self.last = Some(last);
        } else {
            // Nobody waits for it: whoever looks finds out for himself.
            (self.sold, self.keeps) = (None, false);
            self.last = self.last.map(|last| Last { at: now, ..last });
        }
        self.next = self.last.map_or(now + PACE, |last| self.turn_after(&last));
    }

    /// When it is this server's turn, after what was posted last.
    fn turn_after(&self, last: &Last) -> Instant {
        let wait = if self.read.is_some() {
            PACE
        } else if !last.is_asked {
            UNASKED_INTERVAL
        } else {
            let interval = if self.sold > Some(last.seq) { PACE } else { KEEP_INTERVAL };
            if last.is_ours { interval } else { interval + PRECEDENCE }
        };
        last.at + wait
    }
}

/// What a turn needs.
struct Work<'a> {
    board: &'a dyn Board,
    views: &'a Views,
    posted: &'a Feed,
}

impl Work<'_> {
    /// Posts what is due, unless another server did or soon will. `None`: it cannot be done.
    async fn turn(&self, event: &EventId, due: &Due) -> Option<Done> {
        if !self.board.is_up() {
            return None;
        }
        // What was sold since the reading began is not in it.
        if let Some((view, begun)) = due.read.as_ref().filter(|(view, _)| due.sold <= Some(view.event.last_seq)) {
            return self.post(view, *begun, due).await;
        }
        let begun = Instant::now();
        let look = self.board.look(event, false).await.ok()?;
        let last = self.seen(&look, begun, due);
        let keeps = due.keeps && look.keeper != Keeper::Other;
        let is_wanted = last.is_asked && (keeps || due.sold > Some(last.seq));
        if !is_wanted || look.hung.is_some() && Instant::now() < due.turn_after(&last) {
            return Some(Done { last, keeps, shown: last.seq });
        }
        // Where the database does not answer there is nothing to post. And whoever looks next is shown this, too.
        let (view, begun) = self.views.renew(event).await.ok()??;
        self.post(&view, begun, due).await
    }

    /// Spreads what hangs on the board here.
    fn seen(&self, look: &Look, begun: Instant, due: &Due) -> Last {
        let (at, is_asked) = (Instant::now(), look.is_asked);
        let Some(hung) = &look.hung else {
            return Last { seq: 0, read_at: Timestamp::from_micros(0), at, is_ours: false, is_asked };
        };
        self.views.seen(hung, begun);
        let (seq, read_at) = (hung.view.event.last_seq, hung.view.read_at);
        self.posted.publish(&hung.view.event.id, seq);
        let is_ours = due.last.is_some_and(|last| last.is_ours && (last.seq, last.read_at) == (seq, read_at));
        Last { seq, read_at, at: at.checked_sub(hung.age).unwrap_or(at), is_ours, is_asked }
    }

    async fn post(&self, view: &EventView, begun: Instant, due: &Due) -> Option<Done> {
        let answer = self.board.post(view, begun, due.sells).await;
        let (seq, read_at) = (view.event.last_seq, view.read_at);
        self.posted.publish(&view.event.id, seq);
        let Posted { keeps, asked: is_asked } = answer.ok()?;
        let last = Last { seq, read_at, at: Instant::now(), is_ours: true, is_asked };
        // A database that was set back never shows what was sold before.
        Some(Done { last, keeps, shown: due.sold.map_or(seq, |sold| sold.max(seq)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::some_view;

    /// What this server posted at that moment, its newest change 5.
    fn posted(at: Instant) -> Last {
        Last { seq: 5, read_at: Timestamp::from_micros(0), at, is_ours: true, is_asked: true }
    }

    fn due(at: Instant, sold: Option<Seq>) -> Due {
        let next = at + KEEP_INTERVAL;
        Due { sold, sells: true, read: None, keeps: false, last: Some(posted(at)), next }
    }

    #[test]
    fn when_it_is_a_servers_turn_follows_from_what_was_posted_last() {
        let now = Instant::now();
        let last = posted(now);
        let (others, unasked) = (Last { is_ours: false, ..last }, Last { is_asked: false, ..last });
        let read = |sold| Due { read: Some((Arc::new(some_view(5, 1, 1)), now)), ..due(now, sold) };
        let cases = [
            (due(now, None), last, KEEP_INTERVAL),
            (due(now, Some(5)), last, KEEP_INTERVAL),
            (due(now, Some(6)), last, PACE),
            (due(now, None), others, KEEP_INTERVAL + PRECEDENCE),
            (due(now, Some(6)), others, PACE + PRECEDENCE),
            (due(now, Some(6)), unasked, UNASKED_INTERVAL),
            (read(None), unasked, PACE),
        ];
        for (number, (due, last, wait)) in cases.into_iter().enumerate() {
            assert_eq!(due.turn_after(&last) - now, wait, "{number}");
        }
    }

    #[test]
    fn after_its_turn_a_server_wants_what_it_could_not_show_and_nothing_that_nobody_asks_for() {
        let now = Instant::now();
        let after = |sold, done: Option<Done>| {
            let mut due = Due { keeps: true, ..due(now, Some(sold)) };
            due.turned(done.as_ref(), now + PACE);
            (due.sold, due.keeps, due.next - now)
        };
        let done = |last| Some(Done { last, keeps: true, shown: 5 });
        assert_eq!(after(5, done(posted(now))), (None, true, KEEP_INTERVAL));
        assert_eq!(after(6, done(posted(now))), (Some(6), true, PACE));
        let unasked = Last { is_asked: false, ..posted(now) };
        assert_eq!(after(6, done(unasked)), (None, false, UNASKED_INTERVAL));
        assert_eq!(after(6, None), (None, false, PACE + KEEP_INTERVAL), "it is not tried again at once");
    }

    #[test]
    fn what_is_sold_is_not_posted_later_than_its_pace() {
        let (herald, gala, now) = (Herald::new(true), EventId::new("gala").unwrap(), Instant::now());
        herald.lock().insert(gala.clone(), due(now, None));
        herald.sold(&gala, 6);
        assert_eq!(herald.next(), Some(now + PACE));
    }

    #[test]
    fn a_reading_is_posted_once_and_then_its_event_is_forgotten() {
        let herald = Herald::new(true);
        herald.read(&Arc::new(some_view(5, 1, 1)), Instant::now());
        let due = herald.due(Instant::now());
        assert!(due.len() == 1 && due[0].1.read.is_some());
        assert_eq!((herald.due(Instant::now()).len(), herald.lock().len()), (0, 0));
    }

    #[test]
    fn of_more_events_than_that_nothing_is_noted() {
        let herald = Herald::new(true);
        (0..=EVENTS_MAX).for_each(|number| herald.sold(&EventId::new(&format!("event-{number}")).unwrap(), 1));
        assert_eq!(herald.lock().len(), EVENTS_MAX);
    }
}
