//! Counters with one label, whose values are known beforehand.

use std::sync::atomic::{AtomicU64, Ordering};

/// One counter for each value of a label.
#[derive(Debug)]
pub(super) struct Counters(Vec<(&'static str, AtomicU64)>);

impl Counters {
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a &'static str>) -> Self {
        Self(names.into_iter().map(|name| (*name, AtomicU64::new(0))).collect())
    }

    /// One more of the value at this place. What is out of range is not counted.
    pub(super) fn increment(&self, index: usize) {
        if let Some((_, count)) = self.0.get(index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One more of this value. What is not in the list is not counted.
    pub(super) fn increment_named(&self, name: &str) {
        if let Some((_, count)) = self.0.iter().find(|(known, _)| *known == name) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each value with its count.
    pub(super) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(name, count)| (*name, count.load(Ordering::Relaxed)))
    }
}
