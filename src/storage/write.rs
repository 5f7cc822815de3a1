//! Changes to the rows of the writing statements, each statement with the number of rows that it must meet. The statements
//! have the same names and columns in both databases; how rows become parameters is each store's own ([`Table`]).

use uuid::fmt::Hyphenated;

use super::journal::{CHUNK_ENTRIES, push_chunk};
use super::{Result, StoreError, json};
use crate::domain::{Allocation, Changes, Edited, Event, JournalEntry, Reservation, ReservationId};

/// What the statement does that creates events.
pub(super) const NEW_EVENTS: &str = "the insert of events";

/// The parameters of one statement, which takes any number of rows. Each row begins with its event, and its values come in
/// the order of the statement's columns.
pub(super) trait Table {
    /// An empty table, with room for so many rows.
    fn with_capacity(rows: usize) -> Self;
    /// Begins a row.
    fn begin_row(&mut self, event: &str);
    /// The next value of the row.
    fn text(&mut self, value: &str);
    /// The next value of the row.
    fn int(&mut self, value: i64);
    /// The next value of the row: the JSON text that `push` appends, or `null`.
    fn json(&mut self, push: impl FnOnce(&mut String));
    /// The next value of the row.
    fn null(&mut self);
    /// Ends a row.
    fn end_row(&mut self);
    /// Ends the table.
    fn finish(&mut self) {}
}

/// Rows for one statement.
pub(super) struct Rows<T> {
    /// What the statement does, for the message when a guard refuses it.
    pub(super) what: &'static str,
    pub(super) table: T,
    pub(super) count: u64,
}

impl<T: Table> Rows<T> {
    fn new(what: &'static str, capacity: usize) -> Self {
        Self { what, table: T::with_capacity(capacity), count: 0 }
    }

    fn row(&mut self, event: &str) -> Row<'_, T> {
        self.count += 1;
        self.table.begin_row(event);
        Row(&mut self.table)
    }

    fn finish(mut self) -> Self {
        self.table.finish();
        self
    }
}

/// One row being written.
struct Row<'a, T>(&'a mut T);

impl<T: Table> Row<'_, T> {
    fn text(&mut self, text: &str) -> &mut Self {
        self.0.text(text);
        self
    }

    fn opt_text(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.0.text(text),
            None => self.0.null(),
        }
        self
    }

    fn int(&mut self, value: i64) -> &mut Self {
        self.0.int(value);
        self
    }

    fn opt_int(&mut self, value: Option<i64>) -> &mut Self {
        match value {
            Some(value) => self.0.int(value),
            None => self.0.null(),
        }
        self
    }

    fn uuid(&mut self, id: &ReservationId) -> &mut Self {
        let mut buffer = [0; Hyphenated::LENGTH];
        self.text(id.as_uuid().hyphenated().encode_lower(&mut buffer))
    }

    fn json(&mut self, push: impl FnOnce(&mut String)) -> &mut Self {
        self.0.json(push);
        self
    }

    fn end(&mut self) {
        self.0.end_row();
    }
}

/// What a batch writes.
pub(super) struct Writes<T> {
    /// `events_insert`, `events_edit`, `allocations_insert`, `allocations_edit`
    pub(super) edits: [Rows<T>; 4],
    /// `events_advance`, `allocations_count`, `reservations_insert`, `reservations_update`, `journal_insert`
    pub(super) sales: [Rows<T>; 5],
}

impl<T: Table> Writes<T> {
    /// Of all events of a batch.
    ///
    /// # Errors
    /// Where something changes while the event does not, since it could not be guarded; where the numbers of the journal entries are
    /// not those by which the event moves on.
    pub(super) fn of(changes: &[Changes]) -> Result<Self> {
        let sum = |len: fn(&Changes) -> usize| changes.iter().map(len).sum::<usize>();
        let mut events_insert = Rows::new(NEW_EVENTS, 0);
        let mut events_edit = Rows::new("the edit of events", 0);
        let mut allocations_insert = Rows::new("the insert of allocations", 0);
        let mut allocations_edit = Rows::new("the edit of allocations", 0);
        let mut events_advance = Rows::new("the advance of events", changes.len());
        let mut allocations_count = Rows::new("the counting of allocations", sum(|c| c.allocations.len()));
        let mut reservations_insert = Rows::new("the insert of reservations", sum(|c| c.reservations.len()));
        let mut reservations_update = Rows::new("the update of reservations", 0);
        let mut journal_insert = Rows::new("the insert of journal entries", changes.len());

        for change in changes {
            let Some(event) = &change.event else {
                if change.allocations.is_empty() && change.reservations.is_empty() && change.journal.is_empty() {
                    continue;
                }
                return Err(StoreError::Guard { what: "the event of a change", expected: 1, actual: 0 });
            };
            let id = event.after.id.as_str();
            let last_seq = event.before.as_ref().map_or(0, |before| before.last_seq);
            // The event is met only at the number before these, and moves on to the last: so each is used once, and none is left out.
            if !change.journal.iter().map(|entry| entry.seq).eq(last_seq + 1..=event.after.last_seq) {
                let expected = change.journal.len() as u64;
                return Err(StoreError::Guard { what: "the numbers of journal entries", expected, actual: 0 });
            }
            match &event.before {
                None => event_row(events_insert.row(id), &event.after).end(),
                Some(before) if only_advances(before, &event.after) => {
                    let mut row = events_advance.row(id);
                    row.int(before.last_seq).int(event.after.last_seq).int(before.version).end();
                }
                Some(before) => {
                    let mut row = event_row(events_edit.row(id), &event.after);
                    row.int(before.last_seq).int(before.version).end();
                }
            }
            for edited in &change.allocations {
                match &edited.before {
                    None => new_allocation_row(allocations_insert.row(id), &edited.after),
                    Some(before) if only_counts(before, &edited.after) => {
                        count_row(allocations_count.row(id), before, &edited.after);
                    }
                    Some(before) => edited_allocation_row(allocations_edit.row(id), before, &edited.after),
                }
            }
            for Edited { before, after } in &change.reservations {
                match before {
                    None => new_reservation_row(reservations_insert.row(id), after),
                    Some(before) => changed_reservation_row(reservations_update.row(id), before, after),
                }
            }
            for entries in change.journal.chunks(CHUNK_ENTRIES) {
                journal_row(journal_insert.row(id), entries);
            }
        }
        Ok(Self {
            edits: [events_insert, events_edit, allocations_insert, allocations_edit].map(Rows::finish),
            sales: [events_advance, allocations_count, reservations_insert, reservations_update, journal_insert]
                .map(Rows::finish),
        })
    }
}

fn only_advances(before: &Event, after: &Event) -> bool {
    before.config == after.config
        && before.version == after.version
        && before.allocation_count == after.allocation_count
        && before.has_allocation_limits == after.has_allocation_limits
}

/// Capacity and `drain_to` may change without an edit: while capacity is drained, units that come back leave it.
fn only_counts(before: &Allocation, after: &Allocation) -> bool {
    before.version == after.version
        && before.limit_per_owner == after.limit_per_owner
        && before.display_name == after.display_name
}

fn event_row<'a, T: Table>(mut row: Row<'a, T>, event: &Event) -> Row<'a, T> {
    let config = &event.config;
    row.text(&config.display_name)
        .text(config.sales_state.as_str())
        .opt_int(config.on_sale_at.map(|at| at.as_micros()))
        .opt_int(config.off_sale_at.map(|at| at.as_micros()))
        .int(config.hold_ttl_default.as_micros())
        .int(config.hold_ttl_max.as_micros())
        .opt_int(config.limit_per_owner)
        .int(event.last_seq)
        .int(event.version)
        .int(event.allocation_count)
        .int(i64::from(event.has_allocation_limits))
        .int(event.created_at.as_micros());
    let room = config.waiting_room.as_ref();
    row.opt_int(room.map(|room| room.admissions_per_second))
        .opt_int(room.and_then(|room| room.inside_max))
        .opt_text(room.map(|room| room.on_loss.as_str()))
        .opt_int(room.map(|room| room.pass_lifetime.as_micros()))
        .opt_int(room.map(|room| room.grace.as_micros()));
    row
}

fn new_allocation_row<T: Table>(mut row: Row<'_, T>, allocation: &Allocation) {
    row.text(allocation.id.as_str())
        .text(&allocation.display_name)
        .int(allocation.capacity)
        .opt_int(allocation.drain_to)
        .int(allocation.held)
        .int(allocation.sold)
        .opt_int(allocation.limit_per_owner)
        .int(allocation.version)
        .end();
}

fn edited_allocation_row<T: Table>(mut row: Row<'_, T>, before: &Allocation, after: &Allocation) {
    row.text(after.id.as_str())
        .text(&after.display_name)
        .int(after.capacity - before.capacity)
        .opt_int(after.drain_to)
        .int(after.held - before.held)
        .int(after.sold - before.sold)
        .opt_int(after.limit_per_owner)
        .int(after.version)
        .int(before.version)
        .end();
}

fn count_row<T: Table>(mut row: Row<'_, T>, before: &Allocation, after: &Allocation) {
    row.text(after.id.as_str())
        .int(after.capacity - before.capacity)
        .opt_int(after.drain_to)
        .int(after.held - before.held)
        .int(after.sold - before.sold)
        .int(before.version)
        .end();
}

fn new_reservation_row<T: Table>(mut row: Row<'_, T>, reservation: &Reservation) {
    row.uuid(&reservation.id)
        .text(reservation.owner.as_str())
        .text(reservation.state.as_str())
        .json(|out| json::push_quantities(out, &reservation.lines))
        .int(reservation.expires_at.as_micros())
        .int(reservation.created_at.as_micros())
        .int(reservation.updated_at.as_micros())
        .int(reservation.fingerprint)
        .opt_text(reservation.order_ref.as_ref().map(|order_ref| order_ref.as_str()))
        .json(|out| json::push_requested(out, &reservation.lines))
        .json(|out| json::push_cancelled(out, &reservation.lines))
        .end();
}

fn changed_reservation_row<T: Table>(mut row: Row<'_, T>, before: &Reservation, after: &Reservation) {
    row.uuid(&after.id)
        .text(after.state.as_str())
        .json(|out| json::push_quantities(out, &after.lines))
        .json(|out| json::push_requested(out, &after.lines))
        .json(|out| json::push_cancelled(out, &after.lines))
        .int(after.expires_at.as_micros())
        .int(after.updated_at.as_micros())
        .opt_text(after.order_ref.as_ref().map(|order_ref| order_ref.as_str()))
        .text(before.state.as_str())
        .int(before.updated_at.as_micros())
        .end();
}

fn journal_row<T: Table>(mut row: Row<'_, T>, entries: &[JournalEntry]) {
    let last = entries.last().map_or(0, |entry| entry.seq);
    row.int(last).json(|out| push_chunk(out, entries)).end();
}
