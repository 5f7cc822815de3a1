//! After the rush, when everything has drained: sells what is left, and gathers the evidence.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::caller::Caller;
use super::drain::POLL;
use super::viewer::Views;
use super::{Sale, patience};
use crate::audit::evidence::{Counters, Entry, Evidence, OwnList, Rest, Stored};
use crate::audit::findings::Key;
use crate::client::{Admin, Inventory};
use crate::clock::{Micros, now, time_ordered_id};
use crate::event::SaleEvent;
use crate::fetch;
use crate::history::{Action, Ask, Call, OperatorCall, Reason, Told, Units, owner_name};
use crate::misdeed::Misdeed;

/// Late buyers at work at the same time.
const LATE_BUYERS: u32 = 16;
/// Late buyers' numbers begin here: after those of the rush, before the intruders'.
const LATE_FROM: u32 = 1 << 30;
/// Numbers of each late buyer's names: he buys under a new one each time, because of the limit.
const NAMES_EACH: u32 = 1 << 24;
/// Units in one late purchase, where no limit makes it less.
const LATE_UNITS_MAX: i32 = 1_000;
/// Most owners of an event whose own lists are read.
const OWN_LISTS_MAX: usize = 100;
/// How often to read what the server has written down until nothing changes meanwhile.
const READINGS_MAX: u32 = 40;

/// What late buyers have come to.
pub(super) struct Late {
    /// All attempts of all their calls.
    pub calls: Vec<Call>,
    /// Of each event, when they were last told of each allocation that nothing is left.
    pub told_sold_out: Vec<Vec<Option<Micros>>>,
}

/// Lets late buyers buy of each allocation until each of them is told that nothing is left: whatever is for sale must be to
/// be had. Where all that is left is held, they come again until `patience` is at its end: a request of the rush that was long
/// under way can still have been granted. (So can an operator's pause.)
///
/// # Errors
/// Where one of their tasks breaks off.
pub(super) async fn sell_the_rest(sale: &Sale, patience: Duration) -> Result<Late> {
    let until = Instant::now() + patience;
    let mut buyers = JoinSet::new();
    for number in 0..LATE_BUYERS {
        buyers.spawn(buy_all(sale.clone(), number, until));
    }
    let none = sale.events.iter().map(|names| vec![None; names.allocations.len()]).collect();
    let mut late = Late { calls: Vec::new(), told_sold_out: none };
    while let Some(done) = buyers.join_next().await {
        let one = done?;
        late.calls.extend(one.calls);
        let told = one.told_sold_out.into_iter().flatten();
        for (latest, told) in late.told_sold_out.iter_mut().flatten().zip(told) {
            *latest = told.max(*latest);
        }
    }
    Ok(late)
}

async fn buy_all(sale: Sale, number: u32, until: Instant) -> Late {
    let mut random = SmallRng::seed_from_u64(sale.seed ^ u64::from(LATE_FROM | number));
    let mut caller = sale.caller(number as usize, &mut random);
    let mut owners = (LATE_FROM + number * NAMES_EACH..).take(NAMES_EACH as usize);
    let mut told_sold_out = Vec::with_capacity(sale.events.len());
    for (event, names) in sale.events.iter().enumerate() {
        let mut told = Vec::with_capacity(names.allocations.len());
        for allocation in 0..names.allocations.len() {
            let errand = LateErrand { event, allocation, until };
            let bought = buy_until_refused(&sale, &mut caller, errand, &mut owners, &mut random).await;
            told.push(bought);
        }
        told_sold_out.push(told);
    }
    Late { calls: caller.into_calls(), told_sold_out }
}

/// What a late buyer is after.
#[derive(Clone, Copy)]
struct LateErrand {
    event: usize,
    allocation: usize,
    /// How long he comes again where all is held.
    until: Instant,
}

/// Answers when he was told that nothing is left, if he was.
async fn buy_until_refused(
    sale: &Sale,
    caller: &mut Caller,
    errand: LateErrand,
    owners: &mut impl Iterator<Item = u32>,
    random: &mut SmallRng,
) -> Option<Micros> {
    let LateErrand { event, allocation, until } = errand;
    let limits = [sale.limits.per_owner, sale.limits.per_allocation];
    let count = limits.into_iter().filter(|limit| *limit != 0).min().unwrap_or(LATE_UNITS_MAX);
    for owner in owners {
        if caller.has_given_up() {
            break;
        }
        let ask = late_ask(owner, time_ordered_id(random), Units { allocation, count });
        match caller.ask(event, &ask, None).await {
            Some(Told::Shown(_)) => {}
            Some(Told::Refused(Reason::AllHeld | Reason::SalesNotOpen)) if Instant::now() < until => {
                sleep(POLL).await;
            }
            Some(Told::Refused(Reason::AllHeld | Reason::SalesNotOpen)) => break,
            Some(_) => return Some(now()),
            // He was never answered. The audit finds that in his calls.
            None => break,
        }
    }
    None
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
/// Where the server does not answer for so long, or with what cannot be read.
pub(super) async fn gather(
    sale: &Sale,
    calls: Vec<Call>,
    operators: Vec<OperatorCall>,
    told_sold_out: Vec<Vec<Option<Micros>>>,
    held_after_drain: &[i32],
    views: &mut Views,
    patience: Duration,
) -> Result<Vec<Evidence>> {
    let (mut admin, mut inventory) = (sale.connections.admin(0), sale.connections.inventory(0));
    let mut all = Vec::with_capacity(sale.events.len());
    let mut calls = by_event(calls, sale.events.len(), |call| call.event).into_iter();
    let mut operators = by_event(operators, sale.events.len(), |call| call.event).into_iter();
    let (mut shown, mut disorder) = (std::mem::take(&mut views.shown), std::mem::take(&mut views.disorder));
    let mut told_sold_out = told_sold_out.into_iter();
    for (number, (event, held)) in sale.events.iter().zip(held_after_drain).enumerate() {
        let calls = calls.next().unwrap_or_default();
        let owners = some_owners(&calls);
        let (journal, Books { server_audit, counters, reservations, own_lists }) =
            read(event, &owners, &mut admin, &mut inventory, patience).await?;
        all.push(Evidence {
            calls,
            operators: operators.next().unwrap_or_default(),
            journal,
            counters,
            reservations,
            own_lists,
            server_audit,
            limits: sale.limits,
            holds: sale.holds,
            held_after_drain: *held,
            rest: told_sold_out.next().map_or(Rest::NotAsked, Rest::AskedFor),
            clock_step: 0,
            shown: shown.get_mut(number).map(std::mem::take).unwrap_or_default(),
            disorder: disorder.get_mut(number).map(std::mem::take).unwrap_or_default(),
        });
    }
    Ok(all)
}

/// What the server has written down of one event, but for the journal.
struct Books {
    server_audit: Vec<String>,
    counters: Counters,
    reservations: Vec<Stored>,
    own_lists: Vec<OwnList>,
}

/// Some of those who asked for anything, evenly spread: buyers, and intruders who have nothing.
fn some_owners(calls: &[Call]) -> Vec<u32> {
    let owners: BTreeSet<_> = calls.iter().map(|call| call.ask.owner).collect();
    let each = owners.len().div_ceil(OWN_LISTS_MAX).max(1);
    owners.into_iter().step_by(each).collect()
}

/// Reads it all, of the same moment: again where something happened meanwhile: a hold that lapses between two readings makes no liar of a server
/// that shows it first as held and then as expired.
async fn read(
    event: &SaleEvent,
    owners: &[u32],
    admin: &mut Admin,
    inventory: &mut Inventory,
    patience: Duration,
) -> Result<(Vec<Entry>, Books)> {
    let mut journal = Vec::new();
    patience::read(patience, async || fetch::extend_journal(admin, event, &mut journal).await).await?;
    for _ in 0..READINGS_MAX {
        let books = patience::read(patience, async || read_books(event, owners, admin, inventory).await).await?;
        let changes = journal.len();
        patience::read(patience, async || fetch::extend_journal(admin, event, &mut journal).await).await?;
        if journal.len() == changes {
            return Ok((journal, books));
        }
        sleep(POLL).await;
    }
    let text = format!("{} still changes although everybody has gone, so that nothing can be compared", event.name);
    bail!(Misdeed::new(Key::Unproven, text))
}

async fn read_books(event: &SaleEvent, owners: &[u32], admin: &mut Admin, inventory: &mut Inventory) -> Result<Books> {
    let server_audit = fetch::differences(&fetch::server_audit(admin, event).await?);
    let counters = fetch::counters(inventory, event).await?;
    let reservations = fetch::reservations(admin, event).await?;
    let mut own_lists = Vec::with_capacity(owners.len());
    for owner in owners {
        own_lists.push(fetch::own_list(inventory, event, owner_name(*owner)).await?);
    }
    Ok(Books { server_audit, counters, reservations, own_lists })
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
