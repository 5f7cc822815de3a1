//! JSON parameters that name what is looked up.

use std::collections::BTreeSet;

use crate::domain::{EventId, Seq, Timestamp, Wanted};
use crate::storage::json::{push_int, push_text};

/// A JSON parameter of keys.
pub(super) struct Keys(String);

impl Keys {
    pub(super) fn new() -> Self {
        Self(String::from("["))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    fn begin_row(&mut self, index: usize, event: &str) {
        if !self.is_empty() {
            self.0.push(',');
        }
        self.0.push('[');
        push_int(&mut self.0, index);
        self.0.push(',');
        push_text(&mut self.0, event);
        self.0.push(',');
    }

    pub(super) fn push(&mut self, index: usize, event: &str, id: &str) {
        self.begin_row(index, event);
        push_text(&mut self.0, id);
        self.0.push(']');
    }

    pub(super) fn push_expired(&mut self, index: usize, event: &str, now: Timestamp, after: i64, after_id: &str) {
        self.begin_row(index, event);
        push_int(&mut self.0, now.as_micros());
        self.0.push(',');
        push_int(&mut self.0, after);
        self.0.push(',');
        push_text(&mut self.0, after_id);
        self.0.push(']');
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push(']');
        self.0
    }
}

pub(super) fn seqs_json(events: &[(EventId, Seq)]) -> String {
    let mut json = String::from("[");
    for (index, (event, seq)) in events.iter().enumerate() {
        json.push_str(if index == 0 { "[" } else { ",[" });
        push_text(&mut json, event.as_str());
        json.push(',');
        push_int(&mut json, *seq);
        json.push(']');
    }
    json.push(']');
    json
}

pub(super) fn event_keys(wanted: &[Wanted]) -> String {
    let mut json = String::from("[");
    for (index, wanted) in wanted.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        push_text(&mut json, wanted.event.as_str());
    }
    json.push(']');
    json
}

pub(super) fn allocation_keys(wanted: &[Wanted]) -> String {
    let mut keys = Keys::new();
    for (index, wanted) in wanted.iter().enumerate() {
        for id in wanted.allocations.iter().collect::<BTreeSet<_>>() {
            keys.push(index, wanted.event.as_str(), id.as_str());
        }
    }
    keys.finish()
}
