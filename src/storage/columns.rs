//! Rows to values of the domain. The statements of both databases name the same columns in the same order.

use std::fmt::Display;

use super::{Result, StoreError, Totals, json};
use crate::domain::{
    Allocation, AllocationId, Duration, Event, EventConfig, EventId, EventView, InvalidId, JournalKind, Line, OnLoss,
    OrderRef, OwnerId, OwnerUnits, Reservation, ReservationId, SalesState, Seq, State, Timestamp, WaitingRoom,
};

/// How many columns [`Columns::event`] reads.
const EVENT_COLUMNS: usize = 18;

/// A row of a database.
pub(super) trait Cells {
    /// The number in a column.
    fn opt_int(&self, at: usize) -> Result<Option<i64>>;
    /// The text in a column.
    fn opt_text(&self, at: usize) -> Result<Option<&str>>;
}

/// Reads a row's columns one after another, in the order in which the query names them.
pub(super) struct Columns<'r> {
    row: &'r dyn Cells,
    next: usize,
}

impl<'r> Columns<'r> {
    /// See [`Totals`]; the columns are in the order of its fields.
    pub(super) fn totals(&mut self) -> Result<Totals> {
        Ok(Totals { capacity: self.int()?, held: self.int()?, sold: self.int()?, owner_index_lag: self.int()? })
    }

    pub(super) const fn of(row: &'r dyn Cells) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn opt_int(&mut self) -> Result<Option<i64>> {
        self.next += 1;
        self.row.opt_int(self.next - 1)
    }

    pub(super) fn opt_text(&mut self) -> Result<Option<&'r str>> {
        self.next += 1;
        self.row.opt_text(self.next - 1)
    }

    pub(super) fn int(&mut self) -> Result<i64> {
        let at = self.next;
        self.opt_int()?.ok_or_else(|| corrupt("number", &format!("nothing in column {at}")))
    }

    pub(super) fn text(&mut self) -> Result<&'r str> {
        let at = self.next;
        self.opt_text()?.ok_or_else(|| corrupt("text", &format!("nothing in column {at}")))
    }

    fn time(&mut self) -> Result<Timestamp> {
        self.int().map(Timestamp::from_micros)
    }

    pub(super) fn event_id(&mut self) -> Result<EventId> {
        let text = self.text()?;
        EventId::new(text).map_err(|error| invalid("event", text, error))
    }

    pub(super) fn owner(&mut self) -> Result<OwnerId> {
        owner(self.text()?)
    }

    pub(super) fn opt_reservation_id(&mut self) -> Result<Option<ReservationId>> {
        self.opt_text()?.map(reservation_id).transpose()
    }

    /// What is still bought of a reservation.
    pub(super) fn lines_bought(&mut self) -> Result<Vec<Line>> {
        json::parse_lines(self.text()?, None, self.opt_text()?)
    }

    fn reservation_id(&mut self) -> Result<ReservationId> {
        reservation_id(self.text()?)
    }

    pub(super) fn event(&mut self) -> Result<Event> {
        let id = self.event_id()?;
        let name = id.clone();
        self.rest_of_event(id).map_err(|error| found_in("event", &name, error))
    }

    fn rest_of_event(&mut self, id: EventId) -> Result<Event> {
        let mut config = EventConfig {
            display_name: self.text()?.to_owned(),
            sales_state: self.named("sales state", SalesState::parse)?,
            on_sale_at: self.opt_int()?.map(Timestamp::from_micros),
            off_sale_at: self.opt_int()?.map(Timestamp::from_micros),
            hold_ttl_default: Duration::from_micros(self.int()?),
            hold_ttl_max: Duration::from_micros(self.int()?),
            limit_per_owner: self.opt_int()?,
            waiting_room: None,
        };
        let (last_seq, version, allocation_count) = (self.int()?, self.int()?, self.int()?);
        let (has_allocation_limits, created_at) = (self.int()? != 0, self.time()?);
        config.waiting_room = self.waiting_room()?;
        Ok(Event { id, config, last_seq, version, allocation_count, has_allocation_limits, created_at })
    }

    /// Nothing where there is none.
    pub(super) fn waiting_room(&mut self) -> Result<Option<WaitingRoom>> {
        let (rate, inside_max) = (self.opt_int()?, self.opt_int()?);
        let (on_loss, pass_lifetime, grace) = (self.opt_text()?, self.opt_int()?, self.opt_int()?);
        let Some(admissions_per_second) = rate else { return Ok(None) };
        let whole = on_loss.and_then(OnLoss::parse).zip(pass_lifetime).zip(grace);
        let ((on_loss, pass_lifetime), grace) =
            whole.ok_or_else(|| StoreError::Corrupt("half a waiting room".to_owned()))?;
        Ok(Some(WaitingRoom {
            admissions_per_second,
            inside_max,
            on_loss,
            pass_lifetime: Duration::from_micros(pass_lifetime),
            grace: Duration::from_micros(grace),
        }))
    }

    pub(super) fn allocation(&mut self) -> Result<Allocation> {
        self.opt_allocation()?.ok_or_else(|| StoreError::Corrupt("an allocation without an id".to_owned()))
    }

    /// Nothing where a left join met none.
    fn opt_allocation(&mut self) -> Result<Option<Allocation>> {
        let Some(id) = self.opt_text()? else { return Ok(None) };
        Ok(Some(Allocation {
            id: AllocationId::new(id).map_err(|error| invalid("allocation", id, error))?,
            display_name: self.text()?.to_owned(),
            capacity: self.int()?,
            drain_to: self.opt_int()?,
            held: self.int()?,
            sold: self.int()?,
            limit_per_owner: self.opt_int()?,
            version: self.int()?,
        }))
    }

    pub(super) fn reservation(&mut self) -> Result<Reservation> {
        let id = self.reservation_id()?;
        self.rest_of_reservation(id).map_err(|error| found_in("reservation", &id, error))
    }

    fn rest_of_reservation(&mut self, id: ReservationId) -> Result<Reservation> {
        let owner = self.owner()?;
        let state = self.named("state", State::parse)?;
        let lines = json::parse_lines(self.text()?, self.opt_text()?, self.opt_text()?)?;
        Ok(Reservation {
            id,
            owner,
            state,
            lines,
            expires_at: self.time()?,
            created_at: self.time()?,
            updated_at: self.time()?,
            fingerprint: self.int()?,
            order_ref: match self.opt_text()? {
                None => None,
                Some(text) => Some(OrderRef::new(text).map_err(|error| invalid("order", text, error))?),
            },
        })
    }

    fn named<T>(&mut self, what: &str, parse: fn(&str) -> Option<T>) -> Result<T> {
        let text = self.text()?;
        parse(text).ok_or_else(|| corrupt(what, text))
    }
}

/// Events with their allocations, from rows that repeat the event for each allocation.
pub(super) fn event_views(rows: &[impl Cells], read_at: Timestamp) -> Result<Vec<EventView>> {
    let mut views: Vec<EventView> = Vec::new();
    for row in rows {
        let id = Columns::of(row).text()?;
        if let Some(view) = views.last_mut().filter(|view| view.event.id.as_str() == id) {
            let mut columns = Columns { row, next: EVENT_COLUMNS };
            view.allocations.push(columns.allocation()?);
        } else {
            let mut columns = Columns::of(row);
            let event = columns.event()?;
            views.push(EventView { event, allocations: Vec::from_iter(columns.opt_allocation()?), read_at });
        }
    }
    Ok(views)
}

/// Events with their waiting rooms.
pub(super) fn waiting_rooms(rows: &[impl Cells]) -> Result<Vec<(EventId, WaitingRoom)>> {
    let mut rooms = Vec::with_capacity(rows.len());
    for row in rows {
        let mut columns = Columns::of(row);
        let event = columns.event_id()?;
        rooms.extend(columns.waiting_room()?.map(|room| (event, room)));
    }
    Ok(rooms)
}

/// What an owner has held or bought, from the lines of each of his reservations.
pub(super) fn owner_units(reservations: Vec<Vec<Line>>) -> OwnerUnits {
    let mut units = OwnerUnits::new();
    for line in reservations.into_iter().flatten() {
        *units.entry(line.allocation).or_default() += line.quantity - line.cancelled;
    }
    units
}

pub(super) fn owner(text: &str) -> Result<OwnerId> {
    OwnerId::new(text).map_err(|error| invalid("owner", text, error))
}

fn reservation_id(text: &str) -> Result<ReservationId> {
    ReservationId::new(text).map_err(|error| invalid("reservation", text, error))
}

/// The reservation that the journal entry `seq` is about, and whose it is: both or neither.
pub(super) fn journal_reservation(
    seq: Seq,
    id: Option<&str>,
    owner_name: Option<&str>,
) -> Result<Option<(ReservationId, OwnerId)>> {
    match (id, owner_name) {
        (Some(id), Some(name)) => Ok(Some((reservation_id(id)?, owner(name)?))),
        (None, None) => Ok(None),
        _ => Err(StoreError::Corrupt(format!("journal entry {seq} has half a reservation"))),
    }
}

pub(super) fn journal_kind(text: &str) -> Result<JournalKind> {
    JournalKind::parse(text).ok_or_else(|| corrupt("kind of change", text))
}

/// Says which row it is that holds what cannot be.
fn found_in(what: &str, id: &dyn Display, error: StoreError) -> StoreError {
    match error {
        StoreError::Corrupt(why) => StoreError::Corrupt(format!("{what} {id}: {why}")),
        other => other,
    }
}

fn invalid(what: &str, text: &str, error: InvalidId) -> StoreError {
    StoreError::Corrupt(format!("{what} {text} {error}"))
}

pub(super) fn corrupt(what: &str, text: &str) -> StoreError {
    StoreError::Corrupt(format!("{text} is no {what}"))
}
