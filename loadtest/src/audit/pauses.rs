//! When an event was not on sale, as the journal has it.

use super::evidence::Entry;
use crate::clock::Micros;

/// From when until when an event was not on sale, each time; an event that is not there yet is not.
#[derive(Debug)]
pub(super) struct Pauses(Vec<(Micros, Micros)>);

impl Pauses {
    /// Reads the journal.
    pub(super) fn of(journal: &[Entry]) -> Self {
        let mut pauses = Vec::new();
        let mut since = Some(Micros::MIN);
        for entry in journal {
            match (entry.on_sale, since) {
                (Some(true), Some(begin)) => {
                    pauses.push((begin, entry.at));
                    since = None;
                }
                (Some(false), None) => since = Some(entry.at),
                (Some(true), None) | (Some(false), Some(_)) | (None, _) => {}
            }
        }
        pauses.extend(since.map(|begin| (begin, Micros::MAX)));
        Self(pauses)
    }

    /// Whether it was not on sale at some moment between `from` and `to`, both included.
    pub(super) fn any_between(&self, from: Micros, to: Micros) -> bool {
        self.0.iter().any(|(begin, end)| *begin <= to && from <= *end)
    }
}
