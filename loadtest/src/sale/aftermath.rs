//! After the rush: waits until everything has drained, sells what is left, and gathers the evidence.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::Sale;
use super::caller::Caller;
use super::viewer::Views;
use crate::audit::evidence::{Entry, Evidence};
use crate::clock::time_ordered_id;
use crate::fetch;
use crate::history::{Action, Ask, Call, OperatorCall, Told, Units};

/// How often to look whether the holds have drained.
const POLL: Duration = Duration::from_millis(250);
/// Late buyers at work at the same time.
const LATE_BUYERS: u32 = 16;
/// Late buyers' numbers begin here: after those of the rush, before the intruders'.
const LATE_FROM: u32 = 1 << 30;
/// Numbers of each late buyer's names: he buys under a new one each time, because of the limit.
const NAMES_EACH: u32 = 1 << 24;
/// Units in one late purchase, where no limit makes it less.
const LATE_UNITS_MAX: i32 = 1_000;

/// Waits until neither the counters nor the journals show anything held. Answers how many units still are when `patience`
/// is at its end, of each event, and how long it took. Where no server looks for lapsed holds (`swept` is false), the journal
/// tells of their end only when their units are needed, and only the counters count.
///
/// # Errors
/// Where the server does not answer.
pub(super) async fn drain(sale: &Sale, swept: bool, patience: Duration) -> Result<(Vec<i32>, Duration)> {
    let (mut admin, mut inventory) = (sale.connections.admin(0), sale.connections.inventory(0));
    let begun = Instant::now();
    let mut held = Vec::with_capacity(sale.events.len());
    for event in sale.events.iter() {
        let mut journal = Vec::new();
        held.push(loop {
            fetch::extend_journal(&mut admin, event, &mut journal).await?;
            let in_journal = if swept { journal.iter().map(Entry::held).sum() } else { 0 };
            let counters = fetch::counters(&mut inventory, event).await?;
            let counted: i32 = counters.allocations.iter().map(|counter| counter.held).sum();
            let held = in_journal.max(counted);
            if held == 0 || begun.elapsed() > patience {
                break held;
            }
            sleep(POLL).await;
        });
    }
    Ok((held, begun.elapsed()))
}

/// Lets late buyers buy of each allocation until each of them is told that nothing is left: whatever is for sale must be to
/// be had.
///
/// # Errors
/// Where the server does not answer.
pub(super) async fn sell_the_rest(sale: &Sale) -> Result<Vec<Call>> {
    let mut buyers = JoinSet::new();
    for number in 0..LATE_BUYERS {
        buyers.spawn(buy_all(sale.clone(), number));
    }
    let mut calls = Vec::new();
    while let Some(done) = buyers.join_next().await {
        calls.extend(done??);
    }
    Ok(calls)
}

async fn buy_all(sale: Sale, number: u32) -> Result<Vec<Call>> {
    let mut random = SmallRng::seed_from_u64(sale.seed ^ u64::from(LATE_FROM | number));
    let mut caller = sale.caller(number as usize, &mut random);
    let mut owners = (LATE_FROM + number * NAMES_EACH..).take(NAMES_EACH as usize);
    for (event, names) in sale.events.iter().enumerate() {
        for allocation in 0..names.allocations.len() {
            buy_until_refused(&sale, &mut caller, event, allocation, &mut owners, &mut random).await?;
        }
    }
    Ok(caller.into_calls())
}

async fn buy_until_refused(
    sale: &Sale,
    caller: &mut Caller,
    event: usize,
    allocation: usize,
    owners: &mut impl Iterator<Item = u32>,
    random: &mut SmallRng,
) -> Result<()> {
    let limits = [sale.limits.per_owner, sale.limits.per_allocation];
    let count = limits.into_iter().filter(|limit| *limit != 0).min().unwrap_or(LATE_UNITS_MAX);
    for owner in owners {
        let told =
            caller.ask(event, &late_ask(owner, time_ordered_id(random), Units { allocation, count }), None).await;
        match told {
            Some(Told::Shown(_)) => {}
            told => {
                ensure!(told.is_some(), "the server no longer answers");
                break;
            }
        }
    }
    Ok(())
}

/// Whatever is to be had, up to so many units, sold at once.
fn late_ask(owner: u32, reservation: Uuid, units: Units) -> Ask {
    let sell_as = Some(format!("late-{reservation}"));
    let action = Action::Reserve { lines: vec![units], up_to: true, replaces: None, sell_as };
    Ask { owner, intruder: false, reservation, action }
}

/// Reads all that the server has written down; the evidence of each event.
///
/// # Errors
/// Where the server does not answer, or with what cannot be read.
pub(super) async fn gather(
    sale: &Sale,
    calls: Vec<Call>,
    operators: Vec<OperatorCall>,
    held_after_drain: &[i32],
    views: &mut Views,
) -> Result<Vec<Evidence>> {
    let (mut admin, mut inventory) = (sale.connections.admin(0), sale.connections.inventory(0));
    let mut all = Vec::with_capacity(sale.events.len());
    let mut calls = by_event(calls, sale.events.len(), |call| call.event).into_iter();
    let mut operators = by_event(operators, sale.events.len(), |call| call.event).into_iter();
    let (mut shown, mut disorder) = (std::mem::take(&mut views.shown), std::mem::take(&mut views.disorder));
    for (number, (event, held)) in sale.events.iter().zip(held_after_drain).enumerate() {
        let mut journal = Vec::new();
        fetch::extend_journal(&mut admin, event, &mut journal).await?;
        let server_audit = fetch::server_audit(&mut admin, event).await?;
        all.push(Evidence {
            calls: calls.next().unwrap_or_default(),
            operators: operators.next().unwrap_or_default(),
            journal,
            counters: fetch::counters(&mut inventory, event).await?,
            reservations: fetch::reservations(&mut admin, event).await?,
            server_audit: fetch::differences(&server_audit),
            limits: sale.limits,
            held_after_drain: *held,
            must_be_sold_out: true,
            shown: shown.get_mut(number).map(std::mem::take).unwrap_or_default(),
            disorder: disorder.get_mut(number).map(std::mem::take).unwrap_or_default(),
        });
    }
    Ok(all)
}

fn by_event<T>(all: Vec<T>, events: usize, event_of: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = std::iter::repeat_with(Vec::new).take(events).collect();
    for item in all {
        if let Some(part) = parts.get_mut(event_of(&item)) {
            part.push(item);
        }
    }
    parts
}
