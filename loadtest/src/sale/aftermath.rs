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
use crate::audit::evidence::{Entry, Evidence, Limits};
use crate::clock::time_ordered_id;
use crate::fetch;
use crate::history::{Action, Ask, Call, Told, Units};

/// How often to look whether the holds have drained.
const POLL: Duration = Duration::from_millis(250);
/// Late buyers at work at the same time.
const LATE_BUYERS: u32 = 16;
/// Late buyers' numbers begin here: after those of the rush, before the intruders'.
const LATE_FROM: u32 = 1 << 30;
/// Numbers of each late buyer's names: he buys under a new one each time, because of the limit.
const NAMES_EACH: u32 = 1 << 24;

/// Waits until neither the counters nor the journal show anything held. Answers how many units still are when `patience`
/// is at its end, and how long it took.
///
/// # Errors
/// Where the server does not answer.
pub(super) async fn drain(sale: &Sale, patience: Duration) -> Result<(i32, Duration)> {
    let (mut admin, mut inventory) = (sale.connections.admin(0), sale.connections.inventory(0));
    let begun = Instant::now();
    let mut journal = Vec::new();
    loop {
        fetch::extend_journal(&mut admin, &sale.event, &mut journal).await?;
        let in_journal: i32 = journal.iter().map(Entry::held).sum();
        let counters = fetch::counters(&mut inventory, &sale.event).await?;
        let counted: i32 = counters.allocations.iter().map(|counter| counter.held).sum();
        let held = in_journal.max(counted);
        if held == 0 || begun.elapsed() > patience {
            return Ok((held, begun.elapsed()));
        }
        sleep(POLL).await;
    }
}

/// Lets late buyers buy until each of them is told that nothing is left: whatever is for sale must be to be had.
///
/// # Errors
/// Where the server does not answer.
pub(super) async fn sell_the_rest(sale: &Sale) -> Result<Vec<Call>> {
    let mut buyers = JoinSet::new();
    for number in 0..LATE_BUYERS {
        buyers.spawn(buy_until_refused(sale.clone(), number));
    }
    let mut calls = Vec::new();
    while let Some(done) = buyers.join_next().await {
        calls.extend(done??);
    }
    Ok(calls)
}

async fn buy_until_refused(sale: Sale, number: u32) -> Result<Vec<Call>> {
    let mut random = SmallRng::seed_from_u64(sale.seed ^ u64::from(LATE_FROM | number));
    let mut caller = sale.caller(number as usize, &mut random);
    for name in 0..NAMES_EACH {
        let reservation = time_ordered_id(&mut random);
        let ask = late_ask(LATE_FROM + number * NAMES_EACH + name, reservation, sale.limit);
        match caller.ask(&ask).await {
            Some(Told::Shown(_)) => {}
            told => {
                ensure!(told.is_some(), "the server no longer answers");
                break;
            }
        }
    }
    Ok(Caller::into_calls(caller))
}

/// Whatever is to be had, up to the limit, sold at once.
fn late_ask(owner: u32, reservation: Uuid, quantity: i32) -> Ask {
    let sell_as = Some(format!("late-{reservation}"));
    let lines = vec![Units { allocation: 0, count: quantity }];
    let action = Action::Reserve { lines, up_to: true, replaces: None, sell_as };
    Ask { owner, intruder: false, reservation, action }
}

/// Reads all that the server has written down.
///
/// # Errors
/// Where the server does not answer, or with what cannot be read.
pub(super) async fn gather(sale: &Sale, calls: Vec<Call>, held_after_drain: i32) -> Result<Evidence> {
    let (mut admin, mut inventory) = (sale.connections.admin(0), sale.connections.inventory(0));
    let mut journal = Vec::new();
    fetch::extend_journal(&mut admin, &sale.event, &mut journal).await?;
    let server_audit = fetch::server_audit(&mut admin, &sale.event).await?;
    Ok(Evidence {
        calls,
        operators: Vec::new(),
        journal,
        counters: fetch::counters(&mut inventory, &sale.event).await?,
        reservations: fetch::reservations(&mut admin, &sale.event).await?,
        server_audit: fetch::differences(&server_audit),
        limits: Limits { per_owner: sale.limit, per_allocation: 0 },
        held_after_drain,
        must_be_sold_out: true,
    })
}
