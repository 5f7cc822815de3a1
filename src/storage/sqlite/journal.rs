//! Reads the journal.

use sqlx::{Executor, Sqlite};

use super::error::store_error;
use super::queries;
use super::writer::Writer;
use crate::domain::{EventId, JournalEntry, OwnerId, Seq};
use crate::storage::Result;
use crate::storage::journal::Numbers;

/// The entries from number `from` on, up to `limit`; fewer where some are missing, and none where all of them are.
pub(super) async fn read<'c>(
    executor: impl Executor<'c, Database = Sqlite>,
    event: &EventId,
    from: Seq,
    limit: usize,
) -> Result<Vec<JournalEntry>> {
    let numbers = Numbers::limited(from, limit);
    let query = sqlx::query(queries::JOURNAL);
    let query = query.bind(event.as_str().to_owned()).bind(numbers.from).bind(numbers.last_of_chunk);
    numbers.entries(&query.fetch_all(executor).await.map_err(store_error)?)
}

/// As [`read`], on the lane's own thread.
pub(super) fn read_over(writer: &Writer, event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>> {
    let numbers = Numbers::limited(from, limit);
    let chunks = chunks(writer, event, &numbers, |entries| numbers.of_chunk(entries))?;
    Ok(chunks.into_iter().flatten().collect())
}

/// Whose reservations begin with the entries `from` to `to`, and at which of them.
pub(super) fn read_beginnings(writer: &Writer, event: &EventId, from: Seq, to: Seq) -> Result<Vec<(OwnerId, Seq)>> {
    let numbers = Numbers::before(from, to + 1);
    let chunks = chunks(writer, event, &numbers, |entries| numbers.beginnings(entries))?;
    Ok(chunks.into_iter().flatten().collect())
}

fn chunks<T>(
    writer: &Writer,
    event: &EventId,
    numbers: &Numbers,
    read: impl Fn(&str) -> Result<Vec<T>>,
) -> Result<Vec<Vec<T>>> {
    let params = (event.as_str(), numbers.from, numbers.last_of_chunk);
    writer.query(queries::JOURNAL, params, |columns| read(columns.text()?))
}
