//! What one way comes to: a sale that nobody disturbs, and one in which its store is killed.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::judge::{Faults, judge};
use super::sale::{Outcome, Progress, connect, hold, ledger};
use super::stores::Victim;
use super::way::{Sale, Way};

/// Before anything counts, so many tickets are sold over each connection: statements are prepared, caches fill.
const REHEARSAL_TICKETS_EACH: u32 = 10;

/// The sales of a way.
const REHEARSAL: i32 = 0;
pub(super) const CALM: i32 = 1;
pub(super) const ROUGH: i32 = 2;

/// How large a sale is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) tickets: u32,
    pub(super) buyers: u32,
    pub(super) in_flight: u32,
    /// Of each way by hand on PostgreSQL.
    pub(super) connections: u32,
    pub(super) kills: u32,
}

impl Size {
    /// One of the two sales that count.
    pub(super) fn sale(&self, number: i32) -> Sale {
        Sale { number, capacity: self.tickets.cast_signed() }
    }
}

/// One of the two sales that count.
pub(super) struct Held {
    pub(super) outcome: Outcome,
    pub(super) faults: Faults,
}

/// What a way came to.
pub(super) struct Contest {
    pub(super) calm: Held,
    pub(super) rough: Held,
    pub(super) kills: u32,
}

/// Holds both sales.
///
/// # Errors
/// Where a sale cannot be held, or its store not be killed.
pub(super) async fn run<W: Way>(way: W, size: Size, victim: &mut Victim<'_>) -> Result<Contest> {
    let way = Arc::new(way);
    let clients = connect(&way, size.in_flight).await?;
    let tickets = size.in_flight * REHEARSAL_TICKETS_EACH;
    let rehearsal = Sale { number: REHEARSAL, capacity: tickets.cast_signed() };
    way.open(rehearsal).await?;
    let (_, clients) = hold(&way, rehearsal, tickets * 3 / 2, clients, &Arc::default()).await?;

    let calm = size.sale(CALM);
    way.open(calm).await?;
    let (outcome, clients) = hold(&way, calm, size.buyers, clients, &Arc::default()).await?;
    let calm = look(&*way, calm, outcome).await?;

    let rough = size.sale(ROUGH);
    way.open(rough).await?;
    let progress = Arc::new(Progress::default());
    let sale = hold(&way, rough, size.buyers, clients, &progress);
    let ((outcome, _), kills) = tokio::try_join!(sale, victim.torment(size.kills, size.tickets, &progress))?;
    ensure!(kills > 0, "so few tickets were sold that its store could not be killed in mid-sale");
    let rough = look(&*way, rough, outcome).await?;
    Ok(Contest { calm, rough, kills })
}

async fn look<W: Way>(way: &W, sale: Sale, outcome: Outcome) -> Result<Held> {
    let faults = judge(sale.capacity, &outcome.sold, &ledger(way, sale).await?);
    Ok(Held { outcome, faults })
}
