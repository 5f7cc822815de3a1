//! `verify`: audits a whole database, without a server.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use boxoffice::causes::in_one_line;
use boxoffice::domain::{Difference, Subject};
use boxoffice::engine::{AuditProgress, DatabaseReport, verify};
use boxoffice::storage::WholeStore;
use boxoffice::storage::postgres::{PostgresConfig, PostgresStore};
use boxoffice::storage::sqlite::{OpenError, SqliteStore};
use serde::Serialize;

use super::failure::Failure;
use super::output::{Output, counted, read_or_not};
use super::view::{DifferenceView, difference_table};

/// How long PostgreSQL may take for one statement, which reads a bite of an event: whoever verifies has more patience than a buyer.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Options of `verify`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the embedded database is. No server may be using it
    #[arg(long, value_name = "DIR", env = "BOXOFFICE_DATA", default_value = "./data", conflicts_with = "database_url")]
    data: PathBuf,
    /// Audit a PostgreSQL database instead. Servers may go on using it: each event is read in one read-only transaction
    #[arg(long, value_name = "URL", env = "BOXOFFICE_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// A pooler in transaction mode (pgbouncer) stands before the PostgreSQL database
    #[arg(long)]
    database_pooler: bool,
    /// Answer for programs; no progress is told
    #[arg(long)]
    pub(crate) json: bool,
}

/// Does it.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let store = open(&args).await?;
    let mut progress = Progress::new(args.json);
    let verified = verify(&*store, &mut |event, done| progress.tell(event, done)).await;
    progress.clear();
    store.close().await;
    let report =
        verified.map_err(|error| Failure::Failed(format!("cannot read all of it: {}", in_one_line(&error))))?;
    let view = ReportView::from(&report);
    read_or_not(Output { json: args.json }.show(&view, || view.as_text()))?;
    if report.agrees() {
        return Ok(());
    }
    let (differences, damage) = (report.difference_count, report.damage.len());
    Err(Failure::Failed(format!(
        "the database is not as its journal says; differences: {differences}, damage: {damage}"
    )))
}

async fn open(args: &Args) -> Result<Box<dyn WholeStore>, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::Failed(in_one_line(error));
    if let Some(url) = &args.database_url {
        let config = PostgresConfig {
            timeout: DATABASE_TIMEOUT,
            pooler: args.database_pooler,
            readers: 1,
            ..PostgresConfig::new(url)
        };
        return Ok(Box::new(PostgresStore::open_to_read(config).await.map_err(|error| Failure::of_database(&error))?));
    }
    match SqliteStore::open_to_read(&args.data).await {
        Ok(store) => Ok(Box::new(store)),
        Err(error @ OpenError::InUse { .. }) => {
            let told = in_one_line(&error);
            Err(Failure::Failed(format!("{told}; stop it first, or audit through it: `boxoffice admin audit EVENT`")))
        }
        Err(error) => Err(failed(&error)),
    }
}

/// Tells on stderr how far it is: in place on a terminal, else a line now and then.
struct Progress {
    quiet: bool,
    in_place: bool,
    events: u64,
    event: String,
    told: Instant,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        let in_place = std::io::stderr().is_terminal();
        Self { quiet, in_place, events: 0, event: String::new(), told: Instant::now() }
    }

    fn tell(&mut self, event: &str, done: AuditProgress) {
        if self.event != event {
            event.clone_into(&mut self.event);
            self.events += 1;
        }
        if self.quiet || self.told.elapsed() < PROGRESS_INTERVAL {
            return;
        }
        self.told = Instant::now();
        let (number, event) = (self.events, super::output::printable(event));
        let line = format!(
            "event {number}, {event}: {} replayed, {} compared",
            counted(done.changes, "change"),
            counted(done.reservations, "reservation")
        );
        // If nobody reads it, the audit goes on all the same.
        let mut stderr = std::io::stderr();
        let _ = if self.in_place { write!(stderr, "\r\u{1b}[2K{line}") } else { writeln!(stderr, "{line}") };
        let _ = stderr.flush();
    }

    fn clear(&self) {
        if self.in_place && !self.quiet {
            let _ = write!(std::io::stderr(), "\r\u{1b}[2K");
        }
    }
}

#[derive(Serialize)]
struct ReportView {
    agrees: bool,
    schema_version: i64,
    events: u64,
    changes: u64,
    reservations: u64,
    damage: Vec<String>,
    difference_count: u64,
    differences: Vec<DifferenceView>,
}

fn difference_view(event: &str, difference: &Difference) -> DifferenceView {
    DifferenceView {
        resource: match &difference.subject {
            Subject::Event => format!("events/{event}"),
            Subject::Allocation(id) => format!("events/{event}/allocations/{id}"),
            Subject::Reservation(id) => format!("events/{event}/reservations/{id}"),
        },
        field: difference.field.to_owned(),
        journal: difference.journal.clone(),
        stored: difference.stored.clone(),
    }
}

impl From<&DatabaseReport> for ReportView {
    fn from(report: &DatabaseReport) -> Self {
        let differing = report.differing.iter();
        let differences = differing
            .flat_map(|one| one.report.differences.iter().map(|difference| difference_view(&one.event, difference)));
        Self {
            agrees: report.agrees(),
            schema_version: report.schema_version,
            events: report.events,
            changes: report.changes,
            reservations: report.reservations,
            damage: report.damage.clone(),
            difference_count: report.difference_count,
            differences: differences.collect(),
        }
    }
}

impl ReportView {
    fn as_text(&self) -> String {
        let extent = format!(
            "{}, {} replayed, {} compared (schema {})",
            counted(self.events, "event"),
            counted(self.changes, "change"),
            counted(self.reservations, "reservation"),
            self.schema_version
        );
        if self.agrees {
            return format!("Everything agrees: {extent}.");
        }
        let mut text = extent;
        for line in &self.damage {
            text.push_str(&format!("\ndamaged: {}", super::output::printable(line)));
        }
        if !self.differences.is_empty() {
            text.push_str(&format!("\n{}", difference_table(&self.differences)));
        }
        text
    }
}
