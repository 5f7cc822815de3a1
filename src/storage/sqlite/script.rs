//! Runs several statements in one hand-over to the connection's thread.

use futures::TryStreamExt as _;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Either, Executor as _, Sqlite, SqliteConnection};

/// A script with its parameters, which its statements take one after another.
pub(super) type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// What one statement of a script came to.
#[derive(Default)]
pub(super) struct Ran {
    pub(super) rows: Vec<SqliteRow>,
    /// Rows written, for a statement that writes.
    pub(super) changed: u64,
}

/// A statement of a script failed.
pub(super) struct Failed {
    /// What those before it came to.
    pub(super) ran: Vec<Ran>,
    pub(super) source: sqlx::Error,
}

/// Runs the script to its end.
pub(super) async fn run(connection: &mut SqliteConnection, script: Query) -> Result<Vec<Ran>, Failed> {
    let mut finished = Vec::new();
    let mut current = Ran::default();
    let mut results = connection.fetch_many(script);
    loop {
        match results.try_next().await {
            Ok(Some(Either::Right(row))) => current.rows.push(row),
            Ok(Some(Either::Left(done))) => {
                current.changed = done.rows_affected();
                finished.push(std::mem::take(&mut current));
            }
            Ok(None) => return Ok(finished),
            Err(source) => return Err(Failed { ran: finished, source }),
        }
    }
}
