//! The door when the house is full: for each who leaves, the next one is let in. Meanwhile people near the front watch their
//! places as they are told to, some of them give up, and others still come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use boxoffice_proto::v1;
use boxoffice_proto::v1::place::State;
use futures::future::{join_all, try_join_all};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::history::{Ask, Leave, Told, Who, name};
use super::passes::Passes;
use super::stage::{self, Stage};
use crate::cli::WaitingRoomArgs;
use crate::client::{owned_by, owner_value};
use crate::clock::now;

/// One in so many watches his place by a stream.
const STREAM_ONE_IN: usize = 10;
/// One in so many gives up.
const GIVES_UP_ONE_IN: usize = 50;
/// And one in so many, counted from those who are expected to come in, comes late.
const LATE_ONE_IN: usize = 5;
/// How long after the last one has left it may take until the one for whom there is room has come.
const LINGER_MAX: Duration = Duration::from_secs(15);
/// The same while a stream has told somebody that his position is not known: where its server did not know one before, it looks
/// again only after ten seconds, and says nothing where it finds the room away once more.
const LINGER_IN_THE_DARK_MAX: Duration = Duration::from_secs(60);
/// When to ask again where that is not told.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How many do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Those who leave, and so those who are let in.
    pub(super) leave: usize,
    /// Those who watch their places.
    pub(super) watch: usize,
    /// Those who come late.
    pub(super) late: usize,
}

impl Numbers {
    /// Half of the rate, so that it is the house that holds people up.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both factors are positive and small")]
    pub(super) fn of(args: &WaitingRoomArgs) -> Self {
        let leave = ((f64::from(args.rate) / 2.0 * args.seconds) as usize).clamp(1, args.admitted as usize);
        // More than can be let in, even when some give up.
        let watch = leave + leave / 5 + 10;
        Self { leave, watch, late: leave / LATE_ONE_IN }
    }
}

/// What it came to.
pub(super) struct Flow {
    pub(super) asks: Vec<Ask>,
    pub(super) leaves: Vec<Leave>,
    pub(super) admitted: usize,
}

/// See the module. `inside` are those who are, `watching` the next of the line, `late` those who come only now.
///
/// # Errors
/// Where a call fails for good.
pub(super) async fn run(
    stage: &mut Stage,
    args: &WaitingRoomArgs,
    inside: &[Who],
    watching: &[Who],
    late: &[Who],
    passes: &mut Passes,
) -> Result<Flow> {
    stage.set(args.rate, args.admitted).await?;
    let stage = &*stage;
    let mut random = SmallRng::seed_from_u64(args.common.seed);
    let begun = Instant::now();
    let mut moments = |count: usize| {
        let mut at: Vec<_> =
            (0..count).map(|_| begun + Duration::from_secs_f64(args.seconds).mul_f64(random.random())).collect();
        at.sort_unstable();
        at
    };
    let (over, _) = watch::channel(false);
    let admitted = AtomicUsize::new(0);
    // Who is, has a copy.
    let in_the_dark = Arc::new(());
    let leaving = moments(inside.len()).into_iter().zip(inside).enumerate().map(|(number, (at, who))| async move {
        sleep_until(at).await;
        stage.leave(number, *who).await
    });
    let coming = moments(late.len()).into_iter().zip(late).enumerate().map(|(number, (at, who))| async move {
        sleep_until(at).await;
        anyhow::Ok(stage.ask_until_told(number, *who).await?.0)
    });
    let giving_up = moments(watching.len());
    let watchers = watching.iter().enumerate().map(|(number, who)| {
        let until = giving_up.get(number).copied().filter(|_| number % GIVES_UP_ONE_IN == 1);
        let over = over.subscribe();
        let watcher = Watcher { stage, number, who: *who, over, admitted: &admitted, in_the_dark: &in_the_dark };
        watcher.run(until)
    });
    let ending = async {
        let left = try_join_all(leaving).await;
        let waited = Instant::now();
        let lingers = || waited.elapsed() < linger_max(Arc::strong_count(&in_the_dark) > 1);
        while left.is_ok() && admitted.load(Ordering::Relaxed) < inside.len() && lingers() {
            sleep(Duration::from_millis(20)).await;
        }
        over.send_replace(true);
        left
    };
    let (left, came, watched) = tokio::join!(ending, try_join_all(coming), join_all(watchers));
    let (mut leaves, mut asks) = (left?, came?.concat());
    for one in watched {
        let one = one?;
        asks.extend(one.asks);
        leaves.extend(one.left);
        if let Some(place) = one.place {
            passes.note(one.who, place);
        }
    }
    Ok(Flow { asks, leaves, admitted: admitted.load(Ordering::Relaxed) })
}

/// How long to wait for the last ones, where the streams of some do not know where they stand, or of none.
const fn linger_max(some_in_the_dark: bool) -> Duration {
    if some_in_the_dark { LINGER_IN_THE_DARK_MAX } else { LINGER_MAX }
}

/// Somebody who follows his place.
struct Watcher<'a> {
    stage: &'a Stage,
    number: usize,
    who: Who,
    over: watch::Receiver<bool>,
    admitted: &'a AtomicUsize,
    in_the_dark: &'a Arc<()>,
}

/// What he was told.
struct Watched {
    who: Who,
    asks: Vec<Ask>,
    left: Option<Leave>,
    /// The last one, with the pass.
    place: Option<v1::Place>,
}

impl Watcher<'_> {
    /// Until he is let in, it is over, or he gives up.
    async fn run(mut self, gives_up: Option<Instant>) -> Result<Watched> {
        let mut watched = Watched { who: self.who, asks: Vec::new(), left: None, place: None };
        let mut over = self.over.clone();
        let by_stream = self.number.is_multiple_of(STREAM_ONE_IN);
        let followed =
            async { if by_stream { self.follow(&mut watched).await } else { self.poll(&mut watched).await } };
        let end = gives_up.unwrap_or_else(|| Instant::now() + Duration::from_secs(24 * 3600));
        tokio::select! {
            done = timeout_at(end, followed) => if let Ok(done) = done { done? },
            // It is false until the end; without a sender it is over, too.
            _ = over.wait_for(|over| *over) => {}
        }
        if gives_up.is_some() && watched.place.is_none() {
            watched.left = Some(self.stage.leave(self.number, self.who).await?);
        }
        Ok(watched)
    }

    async fn poll(&mut self, watched: &mut Watched) -> Result<()> {
        loop {
            let (asks, place) = self.stage.ask_until_told(self.number, self.who).await?;
            watched.asks.extend(asks);
            if self.is_in(&place, watched) {
                return Ok(());
            }
            let after = place.poll_after.and_then(|after| Duration::try_from(after).ok());
            sleep(after.unwrap_or(ASK_AGAIN)).await;
        }
    }

    async fn follow(&mut self, watched: &mut Watched) -> Result<()> {
        let mut _in_the_dark = None;
        loop {
            let request = v1::WatchPlaceRequest { parent: self.stage.event.name.clone() };
            let mut rooms = self.stage.connections.waiting_rooms(self.number);
            let mut sent = now();
            let opened = rooms.watch_place(owned_by(owner_value(&name(self.who)), request)).await;
            let mut places = match opened {
                Ok(places) => places.into_inner(),
                Err(status) if stage::is_passing(&status) => {
                    sleep(ASK_AGAIN).await;
                    continue;
                }
                Err(status) => return Err(status.into()),
            };
            while let Ok(Some(answer)) = places.message().await {
                let place = answer.place.unwrap_or_default();
                let answered = now();
                let told = stage::told(&place);
                watched.asks.push(Ask { who: self.who, sent, answered, told });
                sent = answered;
                _in_the_dark = (told == Told::Nothing).then(|| Arc::clone(self.in_the_dark));
                if self.is_in(&place, watched) {
                    return Ok(());
                }
            }
        }
    }

    fn is_in(&self, place: &v1::Place, watched: &mut Watched) -> bool {
        let is_in = place.state() == State::Admitted;
        if is_in {
            self.admitted.fetch_add(1, Ordering::Relaxed);
            watched.place = Some(place.clone());
        }
        is_in || stage::told(place) == Told::NotNeeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_whom_a_stream_told_nothing_is_waited_for_until_its_server_has_looked_again_more_than_once() {
        // What servers wait when their Redis did not answer.
        let blind = Duration::from_secs(10);
        assert!(linger_max(true) > blind * 5);
        assert!(linger_max(false) < blind * 2, "a server that answers gets no more time");
    }
}
