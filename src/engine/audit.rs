//! Audits: does the journal, replayed, give what the tables say?

use crate::domain::{
    Allocation, AllocationAccount, AllocationEdit, Counts, Difference, EventAccount, EventView, Ledger,
    ReservationBook, Seq, Subject, Version,
};
use crate::storage::{AuditReader, Result};

/// Most differences that an audit tells one by one.
pub const DIFFERENCES_MAX: usize = 1_000;

/// How much an audit reads and keeps at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Reservations that are compared in one pass over the journal, if the table has as many as the journal.
    pub(super) per_pass: u64,
    /// Most that a pass keeps, but for those of the last bite: shares are not of the same size to the last.
    pub(super) per_pass_max: usize,
    /// Rows read at once.
    pub(super) bite: usize,
}

/// Bounds an audit's memory to about 100 MB. (A hash table doubles at 458,752 entries, and while it does it takes three times what it took.)
const BOUNDS: Bounds = Bounds { per_pass: 450_000, per_pass_max: 456_000, bite: 2_000 };

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditReport {
    /// Changes replayed.
    pub changes: u64,
    /// Reservations compared.
    pub reservations: u64,
    /// The seq up to which all was compared.
    pub seq: Seq,
    /// At most [`DIFFERENCES_MAX`] of the differences.
    pub differences: Vec<Difference>,
    /// How many there are in all.
    pub difference_count: u64,
}

impl AuditReport {
    pub(super) fn add(&mut self, difference: Difference) {
        self.difference_count += 1;
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference);
        }
    }
}

/// How far an audit of one event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditProgress {
    /// Changes replayed, in all passes.
    pub changes: u64,
    /// Reservations read, in all passes.
    pub reservations: u64,
}

/// Is told of progress, often.
pub(super) type Watcher<'a> = &'a mut (dyn FnMut(AuditProgress) + Send);

/// Replays and compares, over one unchanging state.
pub(super) async fn audit(reader: Box<dyn AuditReader>, watcher: Watcher<'_>) -> Result<AuditReport> {
    audit_within(BOUNDS, reader, watcher).await
}

/// See [`audit`].
pub(super) async fn audit_within(
    bounds: Bounds,
    mut reader: Box<dyn AuditReader>,
    watcher: Watcher<'_>,
) -> Result<AuditReport> {
    let mut progress = AuditProgress::default();
    let reservations = reader.reservation_count().await?;
    let mut passes = reservations.div_ceil(bounds.per_pass).max(1);
    loop {
        let mut report = AuditReport { reservations, ..AuditReport::default() };
        let mut pass = 0;
        while pass < passes
            && compare(bounds, &mut *reader, (pass, passes), &mut report, &mut progress, watcher).await?
        {
            pass += 1;
        }
        if pass == passes {
            return Ok(report);
        }
        // The journal has far more than the table: just what an audit is for.
        passes *= 2;
    }
}

/// One pass. False: it would take too much memory, and so nothing of it counts.
async fn compare(
    bounds: Bounds,
    reader: &mut dyn AuditReader,
    (pass, passes): (u64, u64),
    report: &mut AuditReport,
    progress: &mut AuditProgress,
    watcher: Watcher<'_>,
) -> Result<bool> {
    let mut book = ReservationBook::new(pass, passes);
    let mut ledger = Ledger::default();
    let mut fits = true;
    loop {
        let entries = reader.next_journal(bounds.bite).await?;
        if entries.is_empty() {
            break;
        }
        // To its end even so, that the next pass finds the beginning.
        fits &= book.len() <= bounds.per_pass_max;
        for entry in entries.iter().filter(|_| fits) {
            if pass == 0
                && let Err(error) = ledger.apply(entry)
            {
                report.add(differs(Subject::Event, "journal", &error, &"possible counts, no gap"));
            }
            if let Some(difference) = book.apply(entry) {
                report.add(difference);
            }
        }
        if pass == 0 {
            report.changes += entries.len() as u64;
        }
        progress.changes += entries.len() as u64;
        watcher(*progress);
    }
    if !fits {
        return Ok(false);
    }
    if pass == 0 {
        let view = reader.event().await?;
        compare_counts(&view, &ledger, report);
        compare_settings(&view, &ledger, report);
    }
    loop {
        let reservations = reader.next_reservations(bounds.bite).await?;
        if reservations.is_empty() {
            break;
        }
        for reservation in &reservations {
            book.compare(reservation, &mut |difference| report.add(difference));
        }
        progress.reservations += reservations.len() as u64;
        watcher(*progress);
    }
    book.finish(&mut |difference| report.add(difference));
    Ok(true)
}

fn compare_counts(view: &EventView, ledger: &Ledger, report: &mut AuditReport) {
    report.seq = view.event.last_seq;
    if ledger.seq != view.event.last_seq {
        report.add(differs(Subject::Event, "last_seq", &ledger.seq, &view.event.last_seq));
    }
    let (counted, there) = (view.event.allocation_count, view.allocations.len());
    if usize::try_from(counted) != Ok(there) {
        report.add(differs(Subject::Event, "allocation_count", &there, &counted));
    }
    let mut left = ledger.allocations.clone();
    for allocation in &view.allocations {
        let journal = left.remove(&allocation.id).unwrap_or_default();
        for (field, journal, stored) in fields(&journal.counts, allocation) {
            if journal != stored {
                report.add(differs(Subject::Allocation(allocation.id.clone()), field, &journal, &stored));
            }
        }
    }
    for (id, AllocationAccount { counts, .. }) in left {
        let journal = format!("{} of {}", counts.held + counts.sold, counts.capacity);
        report.add(differs(Subject::Allocation(id), "allocation", &journal, &"none"));
    }
}

/// Settings by name, as they are told.
type Settings = Vec<(&'static str, String)>;

fn compare_settings(view: &EventView, ledger: &Ledger, report: &mut AuditReport) {
    let mut compare = |subject: Subject, journal: Settings, stored: Settings| {
        for ((field, journal), (_, stored)) in journal.into_iter().zip(stored) {
            if journal != stored {
                report.add(Difference { subject: subject.clone(), field, journal, stored });
            }
        }
    };
    if let Some(account) = &ledger.event {
        let journal = event_settings(account, ledger.has_allocation_limits());
        let stored = event_settings(&EventAccount::from(&view.event), view.event.has_allocation_limits);
        compare(Subject::Event, journal, stored);
    }
    for allocation in &view.allocations {
        let Some(account) = ledger.allocations.get(&allocation.id) else { continue };
        let Some(edit) = &account.edit else { continue };
        let journal = allocation_settings(edit, account.version);
        let stored = allocation_settings(&AllocationEdit::from(allocation), allocation.version);
        compare(Subject::Allocation(allocation.id.clone()), journal, stored);
    }
}

fn event_settings(account: &EventAccount, has_allocation_limits: bool) -> Settings {
    let EventAccount { edit, version, created_at } = account;
    let room = edit.waiting_room.as_ref().map(|room| format!("{:?}", room.to_settings()));
    vec![
        ("display_name", edit.display_name.clone()),
        ("sales_state", edit.sales_state.clone()),
        ("on_sale_at", shown(edit.on_sale_at)),
        ("off_sale_at", shown(edit.off_sale_at)),
        ("hold_ttl_default", edit.hold_ttl_default.to_string()),
        ("hold_ttl_max", edit.hold_ttl_max.to_string()),
        ("limit_per_owner", shown(edit.limit_per_owner)),
        ("waiting_room", room.unwrap_or_else(|| "none".to_owned())),
        ("version", version.to_string()),
        ("created_at", created_at.as_micros().to_string()),
        ("has_allocation_limits", has_allocation_limits.to_string()),
    ]
}

fn allocation_settings(edit: &AllocationEdit, version: Version) -> Settings {
    vec![
        ("display_name", edit.display_name.clone()),
        ("limit_per_owner", shown(edit.limit_per_owner)),
        ("drain_to", shown(edit.drain_to)),
        ("version", version.to_string()),
    ]
}

fn shown(number: Option<i64>) -> String {
    number.map_or_else(|| "none".to_owned(), |number| number.to_string())
}

fn fields(journal: &Counts, stored: &Allocation) -> [(&'static str, i64, i64); 3] {
    [
        ("capacity", journal.capacity, stored.capacity),
        ("held", journal.held, stored.held),
        ("sold", journal.sold, stored.sold),
    ]
}

pub(super) fn differs(
    subject: Subject,
    field: &'static str,
    journal: &dyn ToString,
    stored: &dyn ToString,
) -> Difference {
    Difference { subject, field, journal: journal.to_string(), stored: stored.to_string() }
}
