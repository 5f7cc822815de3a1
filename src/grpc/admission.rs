//! How much may go on at once, over the whole server (tonic's own limit counts each connection alone).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what goes on, up to a bound.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    running: Arc<AtomicUsize>,
    max: usize,
}

/// A place that is taken, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Admission {
    /// At most `max` at once, counted where others can read it.
    pub(crate) const fn new(max: usize, running: Arc<AtomicUsize>) -> Self {
        Self { running, max }
    }

    /// Takes a place, if there is one.
    pub(crate) fn enter(&self) -> Option<Place> {
        // Nothing but the count itself depends on it, so no ordering of other memory is needed.
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&self.running));
        // Where there was none, dropping the place takes the count back.
        if before < self.max { Some(place) } else { None }
    }

    /// How many places are taken.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let admission = Admission::new(2, Arc::default());
        let first = admission.enter().unwrap();
        let second = admission.enter().unwrap();
        assert!(admission.enter().is_none());
        assert_eq!(admission.running(), 2);
        drop(first);
        assert!(admission.clone().enter().is_some());
        drop(second);
        assert_eq!(admission.running(), 0);
    }
}
