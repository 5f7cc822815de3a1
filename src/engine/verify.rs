//! Audits of a whole database.

use super::audit::{AuditProgress, AuditReport, DIFFERENCES_MAX, audit, differs};
use crate::domain::{EventId, Subject};
use crate::storage::{Result, StoreError, WholeStore};

/// What became of the audit of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventReport {
    /// The id as it stands in the tables; it may be no valid one.
    pub event: String,
    /// What was found.
    pub report: AuditReport,
}

/// What was found in a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DatabaseReport {
    /// The newest migration of its tables.
    pub schema_version: i64,
    /// What is wrong with its files.
    pub damage: Vec<String>,
    /// Events audited.
    pub events: u64,
    /// Changes replayed.
    pub changes: u64,
    /// Reservations compared.
    pub reservations: u64,
    /// Events with differences; of at most [`DIFFERENCES_MAX`] differences in all.
    pub differing: Vec<EventReport>,
    /// How many differences there are in all.
    pub difference_count: u64,
}

impl DatabaseReport {
    /// Whether nothing is wrong.
    pub fn agrees(&self) -> bool {
        self.damage.is_empty() && self.difference_count == 0
    }

    fn add(&mut self, event: String, mut report: AuditReport) {
        self.events += 1;
        self.changes += report.changes;
        self.reservations += report.reservations;
        self.difference_count += report.difference_count;
        let told: usize = self.differing.iter().map(|one| one.report.differences.len()).sum();
        report.differences.truncate(DIFFERENCES_MAX.saturating_sub(told));
        if !report.differences.is_empty() {
            self.differing.push(EventReport { event, report });
        }
    }
}

/// Audits every event that any table names. Each is read in one unchanging state, and in passes, so that memory is bounded
/// whatever the database's size. `progress` is told often: which event, and how far it is.
///
/// # Errors
/// Where the database does not answer. What cannot be read because it is nonsense is a difference, not an error.
pub async fn verify(
    store: &dyn WholeStore,
    progress: &mut (dyn FnMut(&str, AuditProgress) + Send),
) -> Result<DatabaseReport> {
    let mut found = DatabaseReport {
        schema_version: store.schema_version().await?,
        damage: damage(store).await?,
        ..DatabaseReport::default()
    };
    let mut after = String::new();
    while let Some(event) = store.next_event(&after).await? {
        progress(&event, AuditProgress::default());
        let report = audit_event(store, &event, &mut |done| progress(&event, done)).await?;
        after.clone_from(&event);
        found.add(event, report);
    }
    Ok(found)
}

/// A file may be so damaged that the check itself fails.
async fn damage(store: &dyn WholeStore) -> Result<Vec<String>> {
    match store.damage().await {
        Err(StoreError::Corrupt(text)) => Ok(vec![text]),
        told => told,
    }
}

async fn audit_event(
    store: &dyn WholeStore,
    event: &str,
    watcher: &mut (dyn FnMut(AuditProgress) + Send),
) -> Result<AuditReport> {
    let unreadable = |text: &str| {
        let mut report = AuditReport::default();
        report.add(differs(Subject::Event, "rows", &"readable", &text));
        report
    };
    let Ok(id) = EventId::new(event) else { return Ok(unreadable("the event's id is none")) };
    let audited = match store.audit_reader(&id).await {
        Ok(Some(reader)) => audit(reader, watcher).await,
        Ok(None) => {
            let mut report = AuditReport::default();
            report.add(differs(Subject::Event, "event", &"rows of it are there", &"none"));
            return Ok(report);
        }
        Err(error) => Err(error),
    };
    match audited {
        Err(StoreError::Corrupt(text)) => Ok(unreadable(&text)),
        audited => audited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_differences_of_many_events_some_are_told_and_all_are_counted() {
        let mut found = DatabaseReport::default();
        for event in ["a", "b", "c"] {
            let mut report = AuditReport::default();
            (0..600).for_each(|_| report.add(differs(Subject::Event, "x", &1, &2)));
            found.add(event.to_owned(), report);
        }
        let told: Vec<_> = found.differing.iter().map(|one| (&*one.event, one.report.differences.len())).collect();
        assert_eq!(told, [("a", 600), ("b", 400)]);
        assert_eq!((found.events, found.difference_count), (3, 1_800));
        assert!(!found.agrees());
        assert!(!DatabaseReport { damage: vec!["a torn page".to_owned()], ..DatabaseReport::default() }.agrees());
    }
}
