//! Operators who change capacities in mid-sale, and pause sales.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use boxoffice_proto::v1::{
    Allocation, CapacityMode, Event, SalesState, TransferCapacityRequest, UpdateAllocationRequest, UpdateEventRequest,
};
use prost_types::FieldMask;
use rand::Rng as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};

use super::drain::POLL;
use super::progress::Progress;
use super::{Sale, patience};
use crate::audit::findings::Key;
use crate::client::reason;
use crate::clock::now;
use crate::history::{Edit, OperatorCall, OperatorTold};
use crate::misdeed::Misdeed;

/// How long an attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an operator rests between two changes, at most.
const REST_MAX: Duration = Duration::from_millis(200);
/// By how much of its capacity an allocation is changed, at most.
const CHANGE_MAX: f64 = 0.1;
/// How often an operator pauses what is on sale.
const PAUSES: f64 = 0.05;
/// How often one who finds an event paused opens it.
const OPENS: f64 = 0.5;

/// Changes one thing after another until the buyers have gone. Nothing is tried again: what became of an attempt without an
/// answer is for the audit to find out.
pub(super) async fn operate(
    sale: &Sale,
    number: usize,
    mut random: SmallRng,
    progress: &Progress,
) -> Vec<OperatorCall> {
    let mut calls = Vec::new();
    while !progress.is_over() {
        sleep(REST_MAX.mul_f64(random.random())).await;
        let event = random.random_range(0..sale.events.len().max(1));
        // Without an answer there is nothing to decide from; the next event may be luckier.
        let Ok(Ok(state)) = timeout(ATTEMPT_TIMEOUT, read(sale, event, number)).await else { continue };
        let Some(change) = choose(&state, &mut random) else { continue };
        calls.push(call(sale, number, event, &state, change).await);
    }
    calls
}

/// Opens again what is paused, once the operators have gone.
///
/// # Errors
/// Where the server does not answer for so long, or an event stays paused.
pub(super) async fn open_all(sale: &Sale, patience: Duration) -> Result<Vec<OperatorCall>> {
    let mut calls = Vec::new();
    let until = Instant::now() + patience;
    for event in 0..sale.events.len() {
        loop {
            let state = patience::read(patience, async || read(sale, event, 0).await).await?;
            if state.sales_state() == SalesState::OnSale {
                break;
            }
            ensure!(Instant::now() < until, Misdeed::new(Key::Unproven, format!("{} stays paused", state.name)));
            calls.push(call(sale, 0, event, &state, Edit::Sales { open: true }).await);
            sleep(POLL).await;
        }
    }
    Ok(calls)
}

async fn call(sale: &Sale, number: usize, event: usize, state: &Event, change: Edit) -> OperatorCall {
    let start = now();
    let told = match timeout(ATTEMPT_TIMEOUT, send(sale, number, state, change)).await {
        Ok(Ok(())) => OperatorTold::Done,
        Ok(Err(status)) => told_by(&status),
        Err(_) => OperatorTold::Unknown("no answer in time".to_owned()),
    };
    OperatorCall { event, seen: state.seq, change, start, end: now(), told }
}

async fn read(sale: &Sale, event: usize, number: usize) -> Result<Event> {
    let names = sale.events.get(event).context("there is no such event")?;
    let mut state = names.read(&mut sale.connections.inventory(number)).await?;
    state.allocations.sort_by_key(|allocation| names.number(&allocation.name));
    Ok(state)
}

fn choose(state: &Event, random: &mut SmallRng) -> Option<Edit> {
    let open = state.sales_state() != SalesState::OnSale;
    if random.random_bool(if open { OPENS } else { PAUSES }) {
        return Some(Edit::Sales { open });
    }
    let count = state.allocations.len();
    let number = random.random_range(0..count.max(1));
    let allocation = state.allocations.get(number)?;
    #[expect(clippy::cast_possible_truncation, reason = "a tenth of an i32")]
    let most = (f64::from(allocation.capacity) * CHANGE_MAX).ceil() as i32;
    if count > 1 && random.random_bool(0.5) {
        let to = (number + random.random_range(1..count)) % count;
        return Some(Edit::Transfer { from: number, to, units: random.random_range(1..=most.max(1)) });
    }
    let capacity = allocation.capacity.saturating_add(random.random_range(-most..=most)).max(0);
    // To set what is set already changes nothing, and nothing could be seen of it.
    (capacity != allocation.capacity).then_some(Edit::Set { allocation: number, capacity })
}

async fn send(sale: &Sale, number: usize, state: &Event, change: Edit) -> Result<(), Status> {
    let mut admin = sale.connections.admin(number);
    let allocation = |number: usize| {
        let found = state.allocations.get(number);
        found.ok_or_else(|| Status::internal("the event has fewer allocations"))
    };
    match change {
        Edit::Set { allocation: number, capacity } => {
            let Allocation { name, etag, .. } = allocation(number)?.clone();
            let request = UpdateAllocationRequest {
                allocation: Some(Allocation { name, etag, capacity, ..Allocation::default() }),
                update_mask: Some(FieldMask { paths: vec!["capacity".to_owned()] }),
                capacity_mode: CapacityMode::Strict.into(),
            };
            admin.update_allocation(request).await.map(drop)
        }
        Edit::Transfer { from, to, units } => {
            let (from, to) = (allocation(from)?.clone(), allocation(to)?.clone());
            let request = TransferCapacityRequest {
                from: from.name,
                to: to.name,
                quantity: units,
                from_etag: from.etag,
                to_etag: to.etag,
            };
            admin.transfer_capacity(request).await.map(drop)
        }
        Edit::Sales { open } => {
            let sales_state = if open { SalesState::OnSale } else { SalesState::Paused }.into();
            let Event { name, etag, .. } = state.clone();
            let request = UpdateEventRequest {
                event: Some(Event { name, etag, sales_state, ..Event::default() }),
                update_mask: Some(FieldMask { paths: vec!["sales_state".to_owned()] }),
            };
            admin.update_event(request).await.map(drop)
        }
    }
}

fn told_by(status: &Status) -> OperatorTold {
    match (reason(status), status.code()) {
        (Some(reason), Code::FailedPrecondition | Code::Aborted) => OperatorTold::Refused(reason),
        (Some(reason), Code::Unavailable) if reason == "OVERLOADED" => OperatorTold::Refused(reason),
        _ => OperatorTold::Unknown(format!("{:?}: {}", status.code(), status.message())),
    }
}
