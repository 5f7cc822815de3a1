//! The door: opened a little, then for many at once, and shut again.

use std::time::Duration;

use anyhow::Result;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::{Instant, sleep};

use super::history::{Ask, SEEN_WITHIN, Told, Who};
use super::passes::Passes;
use super::stage::Stage;
use crate::cli::WaitingRoomArgs;
use crate::clock::now;

/// How long the door stands open at a rate while there is room inside, so that nothing but the rate keeps people out.
const TRICKLE: Duration = Duration::from_secs(3);
/// For so many seconds as many as come in at that rate must be fewer than may be inside: the trickle and the answers that come after
/// it, and the second's worth that may come in at once.
const TRICKLE_SECONDS_MAX: u32 = 5;
/// How often those at the front ask meanwhile.
const TRICKLE_POLL: Duration = Duration::from_millis(20);
/// The highest rate that there is.
const RATE_MAX: u32 = 100_000;
/// The longest that those who must be let in may take.
const RUSH_WAIT_MAX: Duration = Duration::from_secs(60);
/// Of those far back, how many are asked for their positions in the end.
const BACK_SAMPLE: usize = 500;
/// Of those who cannot come in yet, how many ask when the door is opened.
const ONLOOKERS: usize = 500;

/// How the opening went.
pub(super) struct Rush {
    pub(super) asks: Vec<Ask>,
    /// How many were let in of those who were to be, the trickle included.
    pub(super) admitted: usize,
    /// From the edit until the last of them had his pass.
    pub(super) seconds: f64,
}

/// Lets the first ones in at the rate, before anything else was earned that could let them in, and has twice as many ask as come in
/// in a second, all the time.
///
/// # Errors
/// Where somebody gets no answer in a while.
pub(super) async fn trickle(
    stage: &mut Stage,
    args: &WaitingRoomArgs,
    line: &[Who],
    passes: &mut Passes,
) -> Result<Vec<Ask>> {
    let (rate, mut asks) = (trickle_rate(args), Vec::new());
    let begun = Instant::now();
    stage.set(rate, args.admitted).await?;
    while begun.elapsed() < TRICKLE {
        let waiting = line.iter().copied().filter(|who| !passes.has(*who));
        let front: Vec<_> = waiting.take(2 * rate as usize).collect();
        asks.extend(everybody(stage, args, &front, passes).await?);
        sleep(TRICKLE_POLL).await;
    }
    Ok(asks)
}

/// `--rate`, or less where so many would fill the house.
fn trickle_rate(args: &WaitingRoomArgs) -> u32 {
    args.rate.min(args.admitted / TRICKLE_SECONDS_MAX).max(1)
}

/// Lets those of the first ones in at once who are not yet inside. `line` is the crowd in its order; a few more ask than may come in.
///
/// # Errors
/// Where somebody gets no answer in a while.
pub(super) async fn rush(stage: &mut Stage, args: &WaitingRoomArgs, line: &[Who], passes: &mut Passes) -> Result<Rush> {
    let begun = Instant::now();
    stage.set(RATE_MAX, args.admitted).await?;
    let (first, others) = line.split_at(args.admitted as usize);
    let onlookers = others.get(..ONLOOKERS).unwrap_or(others);
    let mut waiting: Vec<_> = first.iter().copied().filter(|who| !passes.has(*who)).collect();
    let mut asks = Vec::new();
    let mut seconds = 0.0;
    while !waiting.is_empty() && begun.elapsed() < RUSH_WAIT_MAX {
        let round = everybody(stage, args, &waiting, passes).await?;
        waiting = round.iter().filter(|ask| ask.told != Told::Admitted).map(|ask| ask.who).collect();
        asks.extend(round);
        seconds = begun.elapsed().as_secs_f64();
        // Those behind them look on, and gain nothing by it.
        asks.extend(everybody(stage, args, onlookers, passes).await?);
    }
    Ok(Rush { asks, admitted: first.len() - waiting.len(), seconds })
}

/// Shuts the door, and asks all who may have been called in, and then where the others stand. Answers from when on it stood still.
///
/// # Errors
/// Where somebody gets no answer in a while.
pub(super) async fn shut(
    stage: &mut Stage,
    args: &WaitingRoomArgs,
    front: &[Who],
    back: &[Who],
    passes: &mut Passes,
) -> Result<(Vec<Ask>, i64)> {
    stage.set(0, args.admitted).await?;
    // There is nothing to ask for: within this time, it is promised, all servers go by it.
    sleep(Duration::from_micros(SEEN_WITHIN.unsigned_abs())).await;
    let front: Vec<_> = front.iter().copied().filter(|who| !passes.has(*who)).collect();
    let mut asks = everybody(stage, args, &front, passes).await?;
    let settled = now();
    let step = (back.len() / BACK_SAMPLE).max(1);
    let sample: Vec<_> = front.into_iter().chain(back.iter().copied().step_by(step)).collect();
    asks.extend(everybody(stage, args, &sample, passes).await?);
    Ok((asks, settled))
}

/// Each of these asks until he is told where he stands, so many at a time.
async fn everybody(stage: &Stage, args: &WaitingRoomArgs, all: &[Who], passes: &mut Passes) -> Result<Vec<Ask>> {
    let told = stream::iter(all.iter().copied().enumerate())
        .map(|(number, who)| async move { anyhow::Ok((who, stage.ask_until_told(number, who).await?)) })
        .buffer_unordered(args.in_flight as usize)
        .try_collect::<Vec<_>>()
        .await?;
    let mut asks = Vec::with_capacity(told.len());
    for (who, (of_one, place)) in told {
        passes.note(who, place);
        // Those without an answer are of no use here: whoever was let in is told so again.
        asks.extend(of_one.last().copied());
    }
    Ok(asks)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::{self, Scenario};

    #[test]
    fn it_is_the_rate_that_keeps_the_front_out_and_not_the_cap() {
        for (line, expected) in [("", 400), (" --rate 9000", 2_000), (" --admitted 20", 4), (" --admitted 3", 1)] {
            let line = format!("loadtest waiting-room{line}");
            let Scenario::WaitingRoom(args) = cli::parse(line.split(' ').map(OsString::from)).scenario else {
                panic!()
            };
            assert_eq!(trickle_rate(&args), expected, "{line}");
        }
    }
}
