//! The journal as the databases hold it: in chunks, each of them entries that one batch wrote of one event, as JSON. A row and an
//! index entry for each entry would be a third of what a reservation costs. The view `journal` shows people the rows.
//!
//! A chunk's entries are in groups: what is an entry's own, by its number, and what all of the group have in common. So nearly all
//! that a batch of a sale writes stands there once:
//!
//! `[[{"7":["01a200c2-…","ann"],"8":["01a200c3-…","bob"]},occurred_at,"RESERVED",{"held":{"ga":2},"expires_at":…},actor], …]`

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use uuid::fmt::Hyphenated;

use super::columns::{self, Cells, Columns, journal_kind, journal_reservation};
use super::json::{self, StoredChanges, push_int, push_text};
use super::{Result, StoreError};
use crate::domain::{Actor, JournalEntry, JournalKind, OwnerId, Seq, Timestamp};

/// Entries of a chunk: as many as a page of PostgreSQL holds.
pub(super) const CHUNK_ENTRIES: usize = 64;
/// Most entries that any chunk has: an earlier version wrote larger ones.
const CHUNK_ENTRIES_MAX: usize = 128;
/// Bytes of what an entry has of its own, roughly.
const OWN_BYTES: usize = 96;
/// In so many of the latest groups an entry is looked for others with which it has all in common.
const GROUPS_SEARCHED: usize = 16;

/// Entries that have all in common but what is their own: the JSON of both.
struct Group {
    own: String,
    common: String,
}

/// Appends a chunk of these entries.
pub(super) fn push_chunk(out: &mut String, entries: &[JournalEntry]) {
    let mut groups: Vec<Group> = Vec::new();
    let mut common = String::new();
    for entry in entries {
        common.clear();
        push_common(&mut common, entry);
        let mut latest = groups.iter_mut().rev().take(GROUPS_SEARCHED);
        if let Some(group) = latest.find(|group| group.common == common) {
            group.own.push(',');
            push_own(&mut group.own, entry);
        } else {
            // The first group often has all entries.
            let mut own = String::with_capacity(if groups.is_empty() { entries.len() * OWN_BYTES } else { OWN_BYTES });
            push_own(&mut own, entry);
            groups.push(Group { own, common: common.clone() });
        }
    }
    out.push('[');
    for (index, group) in groups.iter().enumerate() {
        out.push_str(if index == 0 { "[{" } else { ",[{" });
        out.push_str(&group.own);
        out.push('}');
        out.push_str(&group.common);
        out.push(']');
    }
    out.push(']');
}

/// What an entry has of its own: `"7":["01a200c2-…","ann"]`.
fn push_own(out: &mut String, entry: &JournalEntry) {
    out.push('"');
    push_int(out, entry.seq);
    out.push_str("\":[");
    if let Some((id, owner)) = &entry.reservation {
        let mut buffer = [0; Hyphenated::LENGTH];
        push_text(out, id.as_uuid().hyphenated().encode_lower(&mut buffer));
        out.push(',');
        push_text(out, owner.as_str());
    } else {
        out.push_str("null,null");
    }
    out.push(']');
}

/// What it may have in common with others: `,occurred_at,"RESERVED",{…},actor`.
fn push_common(out: &mut String, entry: &JournalEntry) {
    out.push(',');
    push_int(out, entry.occurred_at.as_micros());
    out.push(',');
    push_text(out, entry.kind.as_str());
    out.push(',');
    json::push_changes(out, entry);
    out.push(',');
    match json::stored_actor(entry) {
        Some(actor) => push_text(out, &actor),
        None => out.push_str("null"),
    }
}

/// A group as it is read: by number, the reservation and its owner; and when, what, the changes and who.
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
pub(super) struct Numbers {
    pub(super) from: Seq,
    end: Seq,
    pub(super) last_of_chunk: Seq,
}

impl Numbers {
    /// From number `from` on, up to `limit`.
    pub(super) fn limited(from: Seq, limit: usize) -> Self {
        let from = from.max(1);
        Self::before(from, from.saturating_add(Seq::try_from(limit).unwrap_or(Seq::MAX)))
    }

    /// From number `from` on, before number `end`.
    pub(super) const fn before(from: Seq, end: Seq) -> Self {
        Self { from, end, last_of_chunk: end.saturating_add(CHUNK_ENTRIES_MAX as Seq - 2) }
    }

    /// Those entries, from rows that are chunks.
    pub(super) fn entries(&self, chunks: &[impl Cells]) -> Result<Vec<JournalEntry>> {
        let mut found = Vec::new();
        for chunk in chunks {
            found.extend(self.of_chunk(Columns::of(chunk).text()?)?);
        }
        Ok(found)
    }

    /// Those entries of a chunk.
    pub(super) fn of_chunk(&self, entries: &str) -> Result<Vec<JournalEntry>> {
        let mut found = parse(entries)?;
        found.retain(|entry| (self.from..self.end).contains(&entry.seq));
        Ok(found)
    }

    /// Whose reservations begin with those entries of a chunk, and at which of them.
    pub(super) fn beginnings(&self, entries: &str) -> Result<Vec<(OwnerId, Seq)>> {
        let mut found = Vec::new();
        for StoredGroup(own, _, kind, _, _) in stored::<IgnoredAny>(entries)? {
            if !matches!(journal_kind(&kind)?, JournalKind::Reserved | JournalKind::Sold) {
                continue;
            }
            for (seq, (_, owner)) in own.range(self.from..self.end) {
                let owner =
                    owner.as_deref().ok_or_else(|| StoreError::Corrupt(format!("journal entry {seq} is nobody's")))?;
                found.push((columns::owner(owner)?, *seq));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AllocationId, Delta, ReservationId};

    fn entry(seq: Seq, kind: JournalKind, owner: &str) -> JournalEntry {
        let owner = OwnerId::new(owner).unwrap();
        let id = ReservationId::new("01a200c2-ba75-77e5-892a-9c72169ce0c0").unwrap();
        let mut entry = JournalEntry::new(seq, Timestamp::from_micros(5), kind, Actor::Owner(owner.clone()));
        entry.reservation = Some((id, owner));
        entry.deltas = vec![Delta { allocation: AllocationId::new("ga").unwrap(), capacity: 0, held: 1, sold: 0 }];
        entry
    }

    #[test]
    fn what_entries_have_in_common_stands_once() {
        let mut tidied = entry(10, JournalKind::Expired, "ann");
        tidied.actor = Actor::System;
        let entries = [
            entry(7, JournalKind::Reserved, "ann"),
            entry(8, JournalKind::Sold, "b\"b"),
            entry(9, JournalKind::Reserved, "cyd"),
            tidied,
        ];
        let mut chunk = String::new();
        push_chunk(&mut chunk, &entries);
        let id = r#""01a200c2-ba75-77e5-892a-9c72169ce0c0""#;
        let held = r#"{"held":{"ga":1}}"#;
        let expected = format!(
            r#"[[{{"7":[{id},"ann"],"9":[{id},"cyd"]}},5,"RESERVED",{held},null],[{{"8":[{id},"b\"b"]}},5,"SOLD",{held},null],[{{"10":[{id},"ann"]}},5,"EXPIRED",{held},"system"]]"#
        );
        assert_eq!(chunk, expected);
        assert_eq!(parse(&chunk).unwrap(), entries);
        let read: Vec<_> = Numbers::before(8, 10).of_chunk(&chunk).unwrap().iter().map(|entry| entry.seq).collect();
        assert_eq!(read, [8, 9]);
        let beginnings = Numbers::before(8, 11).beginnings(&chunk).unwrap();
        assert_eq!(
            beginnings.iter().map(|(owner, seq)| (owner.as_str(), *seq)).collect::<Vec<_>>(),
            [("cyd", 9), ("b\"b", 8)]
        );
    }

    #[test]
    fn a_chunk_that_ends_later_may_have_the_last_number() {
        assert_eq!(Numbers::before(1, 11).last_of_chunk, 10 + 127);
        assert_eq!(Numbers::limited(0, 10).from, 1);
        assert_eq!(Numbers::limited(5, usize::MAX).last_of_chunk, Seq::MAX);
    }
}
