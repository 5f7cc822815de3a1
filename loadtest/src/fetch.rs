//! Reads everything that the server has written down of an event.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use boxoffice_proto::v1::audit_event_response::Difference;
use boxoffice_proto::v1::{
    AdminServiceListReservationsRequest, Allocation, AuditEventRequest, AuditEventResponse, Change, Event,
    ListChangesRequest, ListReservationsRequest, Reservation, SalesState,
};
use uuid::Uuid;

use crate::audit::evidence::{Counter, Counters, Delta, Entry, OwnList, Stored};
use crate::client::{Admin, Inventory, owned_by, owner_value, within};
use crate::clock::micros;
use crate::event::SaleEvent;
use crate::history::{Line, View};

/// How long a call may take that answers a page.
const PAGE_WAIT_MAX: Duration = Duration::from_secs(20);
/// How long the server's own audit may take, which replays millions of changes.
const AUDIT_WAIT_MAX: Duration = Duration::from_secs(600);
/// The largest pages that the API gives.
const CHANGES_PAGE: i32 = 10_000;
const RESERVATIONS_PAGE: i32 = 1_000;
/// Small enough that many an owner has several pages.
const OWN_PAGE: i32 = 2;

/// Reads on in the journal, from after the last of `journal`, to its end.
///
/// # Errors
/// Where the server does not answer, or with what cannot be read.
pub async fn extend_journal(admin: &mut Admin, event: &SaleEvent, journal: &mut Vec<Entry>) -> Result<()> {
    let mut from = journal.last().map_or(1, |entry| entry.seq + 1);
    while from != 0 {
        let request = ListChangesRequest { parent: event.name.clone(), from_seq: from, page_size: CHANGES_PAGE };
        let asked = within(PAGE_WAIT_MAX, admin.list_changes(request)).await;
        let page = asked.context("the journal cannot be read")?;
        for change in &page.changes {
            journal.push(entry(event, change)?);
        }
        from = page.next_from_seq;
    }
    Ok(())
}

/// Reads every reservation.
///
/// # Errors
/// Where the server does not answer, or with what cannot be read.
pub async fn reservations(admin: &mut Admin, event: &SaleEvent) -> Result<Vec<Stored>> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = AdminServiceListReservationsRequest {
            parent: event.name.clone(),
            owner: String::new(),
            page_size: RESERVATIONS_PAGE,
            page_token,
        };
        let asked = within(PAGE_WAIT_MAX, admin.list_reservations(request)).await;
        let page = asked.context("the reservations cannot be read")?;
        for reservation in &page.reservations {
            all.push(stored(event, reservation)?);
        }
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        page_token = page.next_page_token;
    }
}

/// Reads what somebody is shown as his own reservations.
///
/// # Errors
/// Where the server does not answer, or with what cannot be read.
pub async fn own_list(inventory: &mut Inventory, event: &SaleEvent, owner: String) -> Result<OwnList> {
    let mut reservations = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListReservationsRequest { parent: event.name.clone(), page_size: OWN_PAGE, page_token };
        let asked = inventory.list_reservations(owned_by(owner_value(&owner), request));
        let page = within(PAGE_WAIT_MAX, asked).await.context("an owner's reservations cannot be read")?;
        for reservation in &page.reservations {
            reservations.push(stored(event, reservation)?);
        }
        if page.next_page_token.is_empty() {
            return Ok(OwnList { owner, reservations });
        }
        page_token = page.next_page_token;
    }
}

/// Reads the counters.
///
/// # Errors
/// Where the server does not answer.
pub async fn counters(inventory: &mut Inventory, event: &SaleEvent) -> Result<Counters> {
    counters_of(event, &event.read(inventory).await?)
}

/// The server's own audit.
///
/// # Errors
/// Where the server does not answer.
pub async fn server_audit(admin: &mut Admin, event: &SaleEvent) -> Result<AuditEventResponse> {
    let request = AuditEventRequest { name: event.name.clone() };
    within(AUDIT_WAIT_MAX, admin.audit_event(request)).await.context("the server cannot audit the event")
}

/// The differences that the server's own audit found, in words.
pub fn differences(audit: &AuditEventResponse) -> Vec<String> {
    let tell = |difference: &Difference| {
        let Difference { resource, field, journal, stored } = difference;
        format!("{field} of {resource} is {stored}; the journal says {journal}")
    };
    let mut told: Vec<_> = audit.differences.iter().map(tell).collect();
    if told.is_empty() && audit.difference_count != 0 {
        told.push(format!("{} differences", audit.difference_count));
    }
    told
}

fn stored(event: &SaleEvent, reservation: &Reservation) -> Result<Stored> {
    let id = reservation_id(&reservation.name)?;
    Ok(Stored { id, owner: reservation.owner.clone(), view: view(event, reservation)? })
}

/// A reservation of the API as the auditor sees it.
///
/// # Errors
/// Where it has units of an allocation that the event has not.
pub fn view(event: &SaleEvent, reservation: &Reservation) -> Result<View> {
    let line = |line: &boxoffice_proto::v1::reservation::Line| {
        let allocation = number(event, &line.allocation)?;
        Ok(Line { allocation, quantity: line.quantity, cancelled: line.cancelled_quantity })
    };
    let mut lines = reservation.lines.iter().map(line).collect::<Result<Vec<_>>>()?;
    // Whoever takes what there is may be told that of a line there was nothing.
    lines.retain(|line| line.quantity != 0);
    lines.sort_by_key(|line| line.allocation);
    Ok(View {
        state: reservation.state(),
        lines,
        expires: reservation.expire_time.as_ref().map_or(0, micros),
        order_ref: reservation.order_ref.clone(),
    })
}

fn number(event: &SaleEvent, allocation: &str) -> Result<usize> {
    event.number(allocation).with_context(|| format!("{} has no allocation {allocation}", event.name))
}

/// What somebody was shown. An allocation that is not there yet has no units.
pub fn shown_counters(names: &SaleEvent, event: &Event) -> Counters {
    let counter = |name: &String| {
        let none = Counter { allocation: name.clone(), capacity: 0, held: 0, sold: 0, available: 0 };
        event.allocations.iter().find(|allocation| allocation.name == *name).map_or(none, counter)
    };
    let allocations = names.allocations.iter().map(counter).collect();
    Counters { seq: event.seq, read_at: event.read_time.as_ref().map_or(0, micros), allocations }
}

fn counter(allocation: &Allocation) -> Counter {
    let Allocation { name, capacity, held, sold, available, .. } = allocation;
    Counter { allocation: name.clone(), capacity: *capacity, held: *held, sold: *sold, available: *available }
}

fn counters_of(names: &SaleEvent, event: &Event) -> Result<Counters> {
    for name in &names.allocations {
        let is_there = event.allocations.iter().any(|allocation| allocation.name == *name);
        ensure!(is_there, "{name} is not in its event");
    }
    Ok(shown_counters(names, event))
}

fn entry(event: &SaleEvent, change: &Change) -> Result<Entry> {
    let delta = |delta: &boxoffice_proto::v1::change::Delta| {
        let allocation = number(event, &delta.allocation)?;
        Ok(Delta { allocation, capacity: delta.capacity, held: delta.held, sold: delta.sold })
    };
    let at = change.occur_time.as_ref().with_context(|| format!("change {} has no occur_time", change.seq))?;
    let named = Some(&change.reservation).filter(|name| !name.is_empty());
    Ok(Entry {
        seq: change.seq,
        at: micros(at),
        kind: change.kind(),
        reservation: named.map(|name| reservation_id(name)).transpose()?,
        owner: change.owner.clone(),
        deltas: change.deltas.iter().map(delta).collect::<Result<_>>()?,
        expires: change.expire_time.as_ref().map(micros),
        order_ref: change.order_ref.clone(),
        on_sale: change.event.as_ref().map(|event| event.sales_state() == SalesState::OnSale),
    })
}

/// The id at the end of a reservation's name.
///
/// # Errors
/// Where there is none.
pub fn reservation_id(name: &str) -> Result<Uuid> {
    let id = name.rsplit('/').next().and_then(|id| Uuid::try_parse(id).ok());
    id.ok_or_else(|| anyhow!("{name} is not the name of a reservation"))
}
