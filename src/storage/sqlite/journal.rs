//! The journal as SQLite holds it: in chunks, each of them the entries that one batch wrote of one event.
//!
//! A row and an index entry for each entry would be a third of what a reservation costs. The view `journal` shows people the rows.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use sqlx::sqlite::SqliteRow;
use sqlx::{Executor, Sqlite};

use super::error::store_error;
use super::queries;
use super::write::Groups;
use crate::domain::{Actor, EventId, JournalEntry, JournalKind, OwnerId, Seq, Timestamp};
use crate::storage::columns::{self, Columns, journal_kind, journal_reservation};
use crate::storage::json::{self, StoredChanges, push_int, push_text};
use crate::storage::write::JOURNAL_OWN;
use crate::storage::{Result, StoreError};

/// Most entries of a chunk. Who looks for one of them reads all.
const CHUNK_ENTRIES_MAX: usize = 128;

/// Chunks as they are written: `[["event", last seq, entries], …]`, where entries are [`Groups`] without the event.
pub(super) struct Chunks {
    json: String,
    count: u64,
    /// The present chunk: its event, its last number and how many entries it has.
    event: String,
    last: Seq,
    entries: usize,
    groups: Groups,
}

impl Chunks {
    /// Of so many entries.
    pub(super) fn new(entries: usize) -> Self {
        let (json, event) = (String::from("["), String::new());
        Self { json, count: 0, event, last: 0, entries: 0, groups: groups(entries) }
    }

    /// Begins the next entry.
    pub(super) fn begin_row(&mut self, event: &str) {
        if self.entries == CHUNK_ENTRIES_MAX || self.event != event {
            self.end_chunk();
            event.clone_into(&mut self.event);
        }
        self.groups.begin_row();
    }

    /// Where the next value of the entry goes, and whether it is its number.
    pub(super) fn field(&mut self) -> (&mut String, bool) {
        self.groups.field()
    }

    /// Tells the entry's number.
    pub(super) const fn number(&mut self, seq: Seq) {
        self.last = seq;
    }

    pub(super) fn end_row(&mut self) {
        self.groups.end_row();
        self.entries += 1;
    }

    fn end_chunk(&mut self) {
        if self.entries == 0 {
            return;
        }
        self.json.push_str(if self.count == 0 { "[" } else { ",[" });
        push_text(&mut self.json, &self.event);
        self.json.push(',');
        push_int(&mut self.json, self.last);
        self.json.push_str(",[");
        // The next one is likely to be as long.
        std::mem::replace(&mut self.groups, groups(self.entries)).finish(&mut self.json);
        self.json.push_str("]]");
        self.count += 1;
        self.entries = 0;
    }

    /// All chunks.
    pub(super) fn finish(&mut self) -> String {
        self.end_chunk();
        self.json.push(']');
        std::mem::take(&mut self.json)
    }

    /// How many chunks there are.
    pub(super) const fn count(&self) -> u64 {
        self.count
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

/// The chunks with the entries `from` to `to`.
async fn chunks<'c>(
    executor: impl Executor<'c, Database = Sqlite>,
    event: &EventId,
    from: Seq,
    to: Seq,
) -> Result<Vec<SqliteRow>> {
    let last = to.saturating_add(CHUNK_ENTRIES_MAX as Seq - 1);
    let query = sqlx::query(queries::JOURNAL).bind(event.as_str().to_owned()).bind(from).bind(last);
    query.fetch_all(executor).await.map_err(store_error)
}

/// The entries from number `from` on, up to `limit`; fewer where some are missing, and none where all of them are.
pub(super) async fn read<'c>(
    executor: impl Executor<'c, Database = Sqlite>,
    event: &EventId,
    from: Seq,
    limit: usize,
) -> Result<Vec<JournalEntry>> {
    let from = from.max(1);
    let end = from.saturating_add(Seq::try_from(limit).unwrap_or(Seq::MAX));
    let mut found = Vec::new();
    for row in &chunks(executor, event, from, end - 1).await? {
        found.extend(parse(Columns::of(row).text()?)?.into_iter().filter(|entry| (from..end).contains(&entry.seq)));
    }
    Ok(found)
}

/// Whose reservations begin with the entries `from` to `to`, and at which of them.
pub(super) async fn read_beginnings<'c>(
    executor: impl Executor<'c, Database = Sqlite>,
    event: &EventId,
    from: Seq,
    to: Seq,
) -> Result<Vec<(OwnerId, Seq)>> {
    let mut found = Vec::new();
    for row in &chunks(executor, event, from, to).await? {
        for StoredGroup(own, _, kind, _, _) in stored::<IgnoredAny>(Columns::of(row).text()?)? {
            if !matches!(journal_kind(&kind)?, JournalKind::Reserved | JournalKind::Sold) {
                continue;
            }
            for (seq, (_, owner)) in own.range(from..=to) {
                let owner =
                    owner.as_deref().ok_or_else(|| StoreError::Corrupt(format!("journal entry {seq} is nobody's")))?;
                found.push((columns::owner(owner)?, *seq));
            }
        }
    }
    Ok(found)
}
