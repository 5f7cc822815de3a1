//! The journal as SQLite holds it: in chunks, each of them the entries that one batch wrote of one event.
//!
//! A row and an index entry for each entry would be a third of what a reservation costs. The view `journal` shows people the rows.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use sqlx::{Executor, Sqlite};

use super::error::store_error;
use super::groups::Groups;
use super::queries;
use super::writer::Writer;
use crate::domain::{Actor, EventId, JournalEntry, JournalKind, OwnerId, Seq, Timestamp};
use crate::storage::columns::{self, Columns, journal_kind, journal_reservation};
use crate::storage::json::{self, StoredChanges, push_int};
use crate::storage::write::JOURNAL_OWN;
use crate::storage::{Result, StoreError};

/// Most entries of a chunk. Who looks for one of them reads all.
const CHUNK_ENTRIES_MAX: usize = 128;

/// Chunks in the making. The entries of each are [`Groups`].
pub(super) struct Chunks {
    /// Each with its event and its last number.
    finished: Vec<(String, Seq, String)>,
    /// The present chunk: its event, its last number and how many entries it has.
    event: String,
    last: Seq,
    entries: usize,
    groups: Groups,
}

impl Chunks {
    /// Of so many entries.
    pub(super) fn new(entries: usize) -> Self {
        Self { finished: Vec::new(), event: String::new(), last: 0, entries: 0, groups: groups(entries) }
    }

    /// Begins the next entry, whose first value is its number.
    pub(super) fn begin_entry(&mut self, event: &str) {
        if self.entries == CHUNK_ENTRIES_MAX || self.event != event {
            self.end_chunk();
            event.clone_into(&mut self.event);
        }
        self.groups.begin_row();
    }

    /// Where the JSON of the entry's next value goes.
    pub(super) fn field(&mut self) -> &mut String {
        self.groups.field().0
    }

    /// The entry's next value.
    pub(super) fn int(&mut self, value: i64) {
        let (out, is_key) = self.groups.field();
        if !is_key {
            return push_int(out, value);
        }
        out.push('"');
        push_int(out, value);
        out.push('"');
        self.last = value;
    }

    pub(super) fn end_entry(&mut self) {
        self.groups.end_row();
        self.entries += 1;
    }

    fn end_chunk(&mut self) {
        if self.entries == 0 {
            return;
        }
        // The next one is likely to be as long.
        let ended = std::mem::replace(&mut self.groups, groups(self.entries));
        self.finished.push((std::mem::take(&mut self.event), self.last, ended.finish()));
        self.entries = 0;
    }

    /// All chunks, each with its event and its last number.
    pub(super) fn finish(mut self) -> Vec<(String, Seq, String)> {
        self.end_chunk();
        self.finished
    }
}

fn groups(entries: usize) -> Groups {
    Groups::new(entries.min(CHUNK_ENTRIES_MAX), JOURNAL_OWN)
}

/// Entries that have all in common but what is their own: by number, the reservation and its owner; and when, what, the changes and
/// who.
#[derive(Deserialize)]
struct StoredGroup<C>(BTreeMap<Seq, (Option<String>, Option<String>)>, i64, String, C, Option<String>);

fn stored<C: DeserializeOwned>(entries: &str) -> Result<Vec<StoredGroup<C>>> {
    serde_json::from_str(entries).map_err(|error| StoreError::Corrupt(format!("journal entries: {error}")))
}

/// The entries of a chunk, in order.
fn parse(entries: &str) -> Result<Vec<JournalEntry>> {
    let mut found = Vec::new();
    for StoredGroup(own, occurred_at, kind, changes, actor) in stored::<StoredChanges>(entries)? {
        let seq = own.keys().next().copied().unwrap_or_default();
        let mut common =
            JournalEntry::new(seq, Timestamp::from_micros(occurred_at), journal_kind(&kind)?, Actor::System);
        changes.put_into(&mut common)?;
        for (seq, (id, owner)) in own {
            let reservation = journal_reservation(seq, id.as_deref(), owner.as_deref())?;
            let actor = json::parse_actor(actor.as_deref(), reservation.as_ref())?;
            found.push(JournalEntry { seq, actor, reservation, ..common.clone() });
        }
    }
    found.sort_unstable_by_key(|entry| entry.seq);
    Ok(found)
}

/// Numbers of entries, and where the last chunk that has one of them may end.
struct Numbers {
    from: Seq,
    end: Seq,
    last_of_chunk: Seq,
}

impl Numbers {
    /// From number `from` on, up to `limit`.
    fn limited(from: Seq, limit: usize) -> Self {
        let from = from.max(1);
        Self::before(from, from.saturating_add(Seq::try_from(limit).unwrap_or(Seq::MAX)))
    }

    const fn before(from: Seq, end: Seq) -> Self {
        Self { from, end, last_of_chunk: end.saturating_add(CHUNK_ENTRIES_MAX as Seq - 2) }
    }

    /// Those entries of a chunk.
    fn of_chunk(&self, entries: &str) -> Result<impl Iterator<Item = JournalEntry>> {
        let wanted = self.from..self.end;
        Ok(parse(entries)?.into_iter().filter(move |entry| wanted.contains(&entry.seq)))
    }
}

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
    let mut found = Vec::new();
    for row in &query.fetch_all(executor).await.map_err(store_error)? {
        found.extend(numbers.of_chunk(Columns::of(row).text()?)?);
    }
    Ok(found)
}

/// As [`read`], on the lane's own thread.
pub(super) fn read_over(writer: &Writer, event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>> {
    let numbers = Numbers::limited(from, limit);
    let params = (event.as_str(), numbers.from, numbers.last_of_chunk);
    let chunks =
        writer.query(queries::JOURNAL, params, |columns| Ok(numbers.of_chunk(columns.text()?)?.collect::<Vec<_>>()))?;
    Ok(chunks.into_iter().flatten().collect())
}

/// Whose reservations begin with the entries `from` to `to`, and at which of them.
pub(super) fn read_beginnings(writer: &Writer, event: &EventId, from: Seq, to: Seq) -> Result<Vec<(OwnerId, Seq)>> {
    let numbers = Numbers::before(from, to + 1);
    let params = (event.as_str(), numbers.from, numbers.last_of_chunk);
    let chunks = writer.query(queries::JOURNAL, params, |columns| stored::<IgnoredAny>(columns.text()?))?;
    let mut found = Vec::new();
    for StoredGroup(own, _, kind, _, _) in chunks.into_iter().flatten() {
        if !matches!(journal_kind(&kind)?, JournalKind::Reserved | JournalKind::Sold) {
            continue;
        }
        for (seq, (_, owner)) in own.range(numbers.from..numbers.end) {
            let owner =
                owner.as_deref().ok_or_else(|| StoreError::Corrupt(format!("journal entry {seq} is nobody's")))?;
            found.push((columns::owner(owner)?, *seq));
        }
    }
    Ok(found)
}
