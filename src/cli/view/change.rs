//! The journal, and what an audit of it found.

use boxoffice_proto::v1;
use serde::Serialize;

use super::{AllocationView, EventView, enum_name, moment, time};
use crate::cli::output::{counted, printable};
use crate::cli::table::Column::{Number, Text};
use crate::cli::table::table;
use crate::cli::values::last_segment;

/// A change.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeView {
    pub(crate) seq: i64,
    pub(crate) occur_time: Option<String>,
    pub(crate) kind: String,
    pub(crate) actor: String,
    pub(crate) reservation: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) deltas: Vec<DeltaView>,
    pub(crate) expire_time: Option<String>,
    pub(crate) order_ref: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) event: Option<EventView>,
    pub(crate) allocation: Option<AllocationView>,
}

/// What a change did to the counts of one allocation.
#[derive(Debug, Serialize)]
pub(crate) struct DeltaView {
    pub(crate) allocation: String,
    pub(crate) capacity: i32,
    pub(crate) held: i32,
    pub(crate) sold: i32,
}

impl From<v1::Change> for ChangeView {
    fn from(change: v1::Change) -> Self {
        let set = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            seq: change.seq,
            occur_time: time(change.occur_time),
            kind: enum_name(change.kind, "KIND_", v1::change::Kind::as_str_name),
            actor: change.actor,
            reservation: set(change.reservation),
            owner: set(change.owner),
            deltas: change.deltas.into_iter().map(Into::into).collect(),
            expire_time: time(change.expire_time),
            order_ref: set(change.order_ref),
            reason: set(change.reason),
            event: change.event.map(Into::into),
            allocation: change.allocation.map(Into::into),
        }
    }
}

impl From<v1::change::Delta> for DeltaView {
    fn from(delta: v1::change::Delta) -> Self {
        Self {
            allocation: last_segment(&delta.allocation).to_owned(),
            capacity: delta.capacity,
            held: delta.held,
            sold: delta.sold,
        }
    }
}

impl ChangeView {
    fn what(&self) -> String {
        let mut parts = Vec::new();
        if let Some(event) = &self.event {
            parts.push(format!("{} {}", event.sales_state, event.display_name));
        }
        // The counts name the allocation as well.
        if let Some(allocation) =
            self.allocation.as_ref().filter(|a| self.deltas.is_empty() || !a.display_name.is_empty())
        {
            parts.push(format!("{} {}", allocation.id, allocation.display_name).trim_end().to_owned());
        }
        if let Some(AllocationView { id, drain_target: Some(target), .. }) = &self.allocation {
            parts.push(format!("{id} drains to {target}"));
        }
        for delta in &self.deltas {
            let counts = [("capacity", delta.capacity), ("held", delta.held), ("sold", delta.sold)];
            let counts = counts.iter().filter(|(_, n)| *n != 0).map(|(name, n)| format!(" {name} {n:+}"));
            parts.push(format!("{}{}", delta.allocation, counts.collect::<String>()));
        }
        parts.extend(self.order_ref.iter().map(|order| format!("order {order}")));
        parts.extend(self.reason.iter().map(|reason| format!("because: {reason}")));
        parts.join("; ")
    }

    fn cells(&self) -> Vec<String> {
        let id = self.reservation.as_deref().map(last_segment).unwrap_or_default().to_owned();
        vec![
            self.seq.to_string(),
            moment(self.occur_time.as_ref()),
            self.kind.clone(),
            self.actor.clone(),
            id,
            self.what(),
        ]
    }

    /// One short line: what happened, without what tells it from others of its kind.
    pub(crate) fn in_brief(&self) -> String {
        printable(&[&self.seq.to_string(), &self.kind, &self.actor, &self.what()].map(String::as_str).join("  "))
    }

    /// One line, for people who follow along.
    pub(crate) fn as_line(&self) -> String {
        printable(&self.cells().join("  "))
    }
}

/// Changes, one line each, for people.
pub(crate) fn change_table(changes: &[ChangeView]) -> String {
    let rows = changes.iter().map(ChangeView::cells);
    table(&[Number("seq"), Text("when"), Text("kind"), Text("who"), Text("reservation"), Text("what")], rows)
}

/// What an audit found.
#[derive(Debug, Serialize)]
pub(crate) struct AuditView {
    pub(crate) agrees: bool,
    pub(crate) changes: i64,
    pub(crate) reservations: i64,
    pub(crate) seq: i64,
    pub(crate) difference_count: i64,
    pub(crate) differences: Vec<DifferenceView>,
}

/// Something that is not as the journal says.
#[derive(Debug, Serialize)]
pub(crate) struct DifferenceView {
    pub(crate) resource: String,
    pub(crate) field: String,
    pub(crate) journal: String,
    pub(crate) stored: String,
}

/// Differences, one a row, for people.
pub(crate) fn difference_table(differences: &[DifferenceView]) -> String {
    let row =
        |one: &DifferenceView| vec![one.resource.clone(), one.field.clone(), one.journal.clone(), one.stored.clone()];
    table(&["resource", "field", "journal says", "stored is"].map(Text), differences.iter().map(row))
}

impl From<v1::AuditEventResponse> for AuditView {
    fn from(audit: v1::AuditEventResponse) -> Self {
        let differences: Vec<_> = audit
            .differences
            .into_iter()
            .map(|one| DifferenceView {
                resource: one.resource,
                field: one.field,
                journal: one.journal,
                stored: one.stored,
            })
            .collect();
        Self {
            agrees: audit.difference_count == 0 && differences.is_empty(),
            changes: audit.changes,
            reservations: audit.reservations,
            seq: audit.seq,
            difference_count: audit.difference_count,
            differences,
        }
    }
}

impl AuditView {
    /// For people.
    pub(crate) fn as_text(&self) -> String {
        let extent = format!(
            "{} replayed up to seq {}, {} compared",
            counted(self.changes, "change"),
            self.seq,
            counted(self.reservations, "reservation")
        );
        if self.agrees {
            return format!("Everything agrees: {extent}.");
        }
        let differences = difference_table(&self.differences);
        format!("{extent}: {}\n{differences}", counted(self.difference_count, "difference"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_what_it_did_to_the_counts() {
        let delta = v1::change::Delta {
            allocation: "events/demo/allocations/floor".to_owned(),
            held: -2,
            sold: 2,
            ..Default::default()
        };
        let change = ChangeView::from(v1::Change {
            seq: 7,
            kind: v1::change::Kind::Confirmed.into(),
            actor: "alice".to_owned(),
            deltas: vec![delta],
            order_ref: "order-1\n\u{1b}[2J".to_owned(),
            ..Default::default()
        });
        assert_eq!(change.what(), "floor held -2 sold +2; order order-1\n\u{1b}[2J");
        let line = change.as_line();
        assert!(line.starts_with("7  -  CONFIRMED  alice"), "{line}");
        assert!(!line.contains(['\n', '\u{1b}']), "{line}");
    }

    #[test]
    fn a_transfer_that_only_moves_the_end_of_a_draining_says_so() {
        let name = "events/demo/allocations/floor".to_owned();
        let allocation = v1::Allocation { name, capacity: 4, drain_target: Some(3), ..Default::default() };
        let change = v1::Change { allocation: Some(allocation), ..Default::default() };
        let given = v1::change::Delta { allocation: "box".to_owned(), capacity: -2, ..Default::default() };
        let change = ChangeView::from(v1::Change { deltas: vec![given], ..change });
        assert_eq!(change.what(), "floor drains to 3; box capacity -2");
    }

    #[test]
    fn an_audit_agrees_only_without_any_difference() {
        let mut audit = v1::AuditEventResponse { changes: 3, seq: 3, ..Default::default() };
        assert!(AuditView::from(audit.clone()).agrees);
        audit.difference_count = 1;
        assert!(!AuditView::from(audit).agrees);
    }

    #[test]
    fn an_audit_says_how_many_of_each() {
        let told = |changes, reservations, difference_count| {
            let audit =
                v1::AuditEventResponse { changes, reservations, difference_count, seq: 7, ..Default::default() };
            AuditView::from(audit).as_text().lines().next().unwrap().to_owned()
        };
        assert_eq!(told(1, 2, 0), "Everything agrees: 1 change replayed up to seq 7, 2 reservations compared.");
        assert_eq!(told(2, 1, 1), "2 changes replayed up to seq 7, 1 reservation compared: 1 difference");
        assert_eq!(told(0, 0, 2), "0 changes replayed up to seq 7, 0 reservations compared: 2 differences");
    }
}
