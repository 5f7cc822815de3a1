//! The JSON that rows hold, the same in both databases: the lines of a reservation, and what a journal entry changes.
//!
//! It is written by hand, because it is written for each reservation, and read with serde.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::domain::{
    Actor, AllocationEdit, AllocationId, Delta, EventEdit, JournalEntry, Line, OrderRef, OwnerId, ReservationId,
    Timestamp,
};

use super::{Result, StoreError};

/// One of the counts that a delta adds to.
type Count = fn(&Delta) -> i64;
/// Units by allocation: `{"ga":2}`.
type Units = BTreeMap<String, i64>;

/// Appends `text` as a JSON string.
pub(super) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    // All bytes are looked at, whatever the first ones are: so the compiler looks at many at a time.
    if !text.bytes().fold(false, |special, b| special | (b < b' ' || b == b'"' || b == b'\\')) {
        out.push_str(text);
    } else {
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                c if c < ' ' => {
                    write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a String cannot fail");
                }
                c => out.push(c),
            }
        }
    }
    out.push('"');
}

/// `text` as a JSON string.
pub(super) fn text(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    push_text(&mut json, text);
    json
}

/// Appends a number. (The formatting of std took more than a tenth of what a lane does.)
pub(super) fn push_int(out: &mut String, value: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// Appends the units of each line: `{"ga":2}`.
pub(super) fn push_quantities(out: &mut String, lines: &[Line]) {
    push_units(out, lines.iter().map(|line| (&line.allocation, line.quantity)));
}

/// Appends what was asked for, if that differs from what was granted.
pub(super) fn push_requested(out: &mut String, lines: &[Line]) {
    if lines.iter().all(|line| line.requested == line.quantity) {
        out.push_str("null");
    } else {
        push_units(out, lines.iter().map(|line| (&line.allocation, line.requested)));
    }
}

/// Appends what was refunded, if anything was.
pub(super) fn push_cancelled(out: &mut String, lines: &[Line]) {
    if lines.iter().all(|line| line.cancelled == 0) {
        out.push_str("null");
    } else {
        push_units(out, lines.iter().filter(|line| line.cancelled != 0).map(|line| (&line.allocation, line.cancelled)));
    }
}

fn push_units<'a>(out: &mut String, units: impl Iterator<Item = (&'a AllocationId, i64)>) {
    out.push('{');
    for (index, (allocation, count)) in units.enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_text(out, allocation.as_str());
        out.push(':');
        push_int(out, count);
    }
    out.push('}');
}

/// Reads the lines of a reservation.
pub(super) fn parse_lines(quantities: &str, requested: Option<&str>, cancelled: Option<&str>) -> Result<Vec<Line>> {
    let quantities = parse_units(quantities)?;
    let requested = requested.map(parse_units).transpose()?;
    let cancelled = cancelled.map(parse_units).transpose()?.unwrap_or_default();
    let lines = quantities.into_iter().map(|(allocation, quantity)| {
        let requested = match &requested {
            None => quantity,
            Some(units) => *units
                .get(&allocation)
                .ok_or_else(|| StoreError::Corrupt(format!("allocation {allocation} is granted and not requested")))?,
        };
        let cancelled = cancelled.get(&allocation).copied().unwrap_or(0);
        Ok(Line { allocation: allocation_id(&allocation)?, quantity, requested, cancelled })
    });
    lines.collect()
}

fn parse_units(text: &str) -> Result<Units> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("units {text}: {error}")))
}

fn allocation_id(text: &str) -> Result<AllocationId> {
    AllocationId::new(text).map_err(|error| StoreError::Corrupt(format!("allocation {text} {error}")))
}

/// What a journal entry changed, as [`push_changes`] wrote it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StoredChanges {
    capacity: Units,
    held: Units,
    sold: Units,
    expires_at: Option<i64>,
    order_ref: Option<String>,
    reason: Option<String>,
    event: Option<EventEdit>,
    allocation: Option<AllocationEdit>,
}

/// Appends what an entry changed: `{"held":{"ga":2},"expires_at":…}`. What is zero or not there is left out.
pub(super) fn push_changes(out: &mut String, entry: &JournalEntry) {
    let start = out.len();
    out.push('{');
    let key = |out: &mut String, name: &str| {
        if out.len() > start + 1 {
            out.push(',');
        }
        push_text(out, name);
        out.push(':');
    };
    let counts: [(&str, Count); 3] =
        [("capacity", |delta| delta.capacity), ("held", |delta| delta.held), ("sold", |delta| delta.sold)];
    for (name, count) in counts {
        if entry.deltas.iter().any(|delta| count(delta) != 0) {
            key(out, name);
            let changed = entry.deltas.iter().filter(|delta| count(delta) != 0);
            push_units(out, changed.map(|delta| (&delta.allocation, count(delta))));
        }
    }
    if let Some(expires_at) = entry.expires_at {
        key(out, "expires_at");
        push_int(out, expires_at.as_micros());
    }
    if let Some(order_ref) = &entry.order_ref {
        key(out, "order_ref");
        push_text(out, order_ref.as_str());
    }
    if let Some(reason) = &entry.reason {
        key(out, "reason");
        push_text(out, reason);
    }
    if let Some(event) = &entry.event {
        key(out, "event");
        out.push_str(&serde_json::to_string(event).expect("plain fields always serialize"));
    }
    if let Some(allocation) = &entry.allocation {
        key(out, "allocation");
        out.push_str(&serde_json::to_string(allocation).expect("plain fields always serialize"));
    }
    out.push('}');
}

fn corrupt_entry(entry: &JournalEntry, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("journal entry {}: {error}", entry.seq))
}

impl StoredChanges {
    /// Puts them into their entry, whose deltas come in order of allocations.
    pub(super) fn put_into(self, entry: &mut JournalEntry) -> Result<()> {
        let mut deltas: BTreeMap<String, [i64; 3]> = BTreeMap::new();
        for (index, units) in [self.capacity, self.held, self.sold].into_iter().enumerate() {
            for (allocation, count) in units {
                deltas.entry(allocation).or_default()[index] = count;
            }
        }
        let order_ref = self.order_ref.map(|text| OrderRef::new(&text)).transpose();
        let delta = |(allocation, [capacity, held, sold]): (String, [i64; 3])| {
            Ok(Delta { allocation: allocation_id(&allocation)?, capacity, held, sold })
        };
        entry.order_ref = order_ref.map_err(|error| corrupt_entry(entry, &error))?;
        entry.deltas = deltas.into_iter().map(delta).collect::<Result<_>>()?;
        entry.expires_at = self.expires_at.map(Timestamp::from_micros);
        entry.reason = self.reason;
        entry.event = self.event;
        entry.allocation = self.allocation;
        Ok(())
    }
}

/// The actor as stored: nothing where he is the owner of the reservation, as nearly always.
pub(super) fn stored_actor(entry: &JournalEntry) -> Option<String> {
    match (&entry.actor, &entry.reservation) {
        (Actor::Owner(actor), Some((_, owner))) if actor == owner => None,
        (actor, _) => Some(actor.to_string()),
    }
}

/// Reads [`stored_actor`].
pub(super) fn parse_actor(actor: Option<&str>, reservation: Option<&(ReservationId, OwnerId)>) -> Result<Actor> {
    match (actor, reservation) {
        (Some(actor), _) => Actor::parse(actor).map_err(|error| StoreError::Corrupt(format!("actor {actor} {error}"))),
        (None, Some((_, owner))) => Ok(Actor::Owner(owner.clone())),
        (None, None) => Err(StoreError::Corrupt("a journal entry without an actor or a reservation".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::JournalKind;

    #[test]
    fn every_text_is_read_as_it_is_written() {
        let controls: String = (0..0x20_u8).map(char::from).collect();
        for plain in ["", "ann", "ä 🎫", "\u{7f}"] {
            assert_eq!(text(plain), format!("\"{plain}\""));
        }
        for each in controls.chars().chain(['"', '\\', '/', '\u{7f}', '\u{2028}']) {
            let given = format!("a{each}b");
            assert_eq!(serde_json::from_str::<String>(&text(&given)).unwrap(), given, "{each:?}");
        }
        assert_eq!(serde_json::from_str::<String>(&text(&controls)).unwrap(), controls);
    }

    #[test]
    fn what_cannot_have_been_written_is_not_read() {
        assert!(parse_lines(r#"{"ga":2}"#, Some(r#"{"ga":3}"#), None).is_ok());
        assert!(parse_lines(r#"{"ga":2}"#, Some(r#"{"vip":3}"#), None).is_err(), "granted and not requested");
        assert!(parse_lines(r#"{"GA":2}"#, None, None).is_err(), "no allocation");
        assert!(parse_actor(None, None).is_err(), "nobody");
        assert!(parse_actor(Some("nobody"), None).is_err());
    }

    #[test]
    fn an_actor_is_left_out_only_where_he_is_the_owner() {
        let owner = |name| OwnerId::new(name).unwrap();
        let id = ReservationId::new("01a200c2-ba75-77e5-892a-9c72169ce0c0").unwrap();
        for (actor, stored) in [
            (Actor::Owner(owner("ann")), None),
            (Actor::Owner(owner("bob")), Some("owner:bob")),
            (Actor::Admin(owner("ann")), Some("admin:ann")),
            (Actor::System, Some("system")),
        ] {
            let mut entry = JournalEntry::new(7, Timestamp::from_micros(5), JournalKind::Released, actor.clone());
            entry.reservation = Some((id, owner("ann")));
            assert_eq!(stored_actor(&entry).as_deref(), stored);
            assert_eq!(parse_actor(stored, entry.reservation.as_ref()).unwrap(), actor);
        }
    }
}
