//! Streams that are open: so many over the whole server, and so many of one owner.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::Status;

use super::admission::{Admission, Place};
use super::caller::Caller;
use super::errors;
use crate::metrics;
use crate::rate::Scope;

/// Counts streams.
#[derive(Debug, Clone)]
pub(crate) struct Watchers {
    all: Admission,
    per_owner_max: usize,
    /// One entry for each owner who has a stream open, so there are at most as many as streams. Streams begin and end rarely
    /// enough for one lock.
    of_owners: Arc<Mutex<HashMap<String, usize>>>,
}

/// A stream's place, until it is dropped.
#[derive(Debug)]
pub(super) struct WatcherPlace {
    _place: Place,
    owner: Option<(String, Watchers)>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The server has too many streams.
    Server,
    /// The owner has as many as he may.
    Owner(usize),
}

impl Full {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Server => metrics::OVERLOADED,
            Self::Owner(_) => metrics::TOO_MANY_WATCHERS,
        }
    }

    pub(super) fn into_status(self) -> Status {
        match self {
            Self::Server => errors::overloaded(),
            Self::Owner(max) => errors::too_many_watchers(max),
        }
    }
}

impl Watchers {
    /// At most so many of each owner, within what `all` allows.
    pub(crate) fn new(all: Admission, per_owner_max: usize) -> Self {
        Self { all, per_owner_max, of_owners: Arc::default() }
    }

    /// How many streams are open.
    pub(super) fn running(&self) -> usize {
        self.all.running()
    }

    /// Takes a place for a caller, if there is one. What gateways and operators watch on their own account is bounded for the
    /// whole server alone.
    pub(super) fn enter(&self, caller: &Caller) -> Result<WatcherPlace, Full> {
        let place = self.all.enter().ok_or(Full::Server)?;
        let owner = caller.limited().find(|key| key.scope == Scope::Owner).map(|key| key.name.to_owned());
        if let Some(owner) = &owner {
            let mut counts = self.counts();
            if counts.get(owner).copied().unwrap_or_default() >= self.per_owner_max {
                return Err(Full::Owner(self.per_owner_max));
            }
            *counts.entry(owner.clone()).or_default() += 1;
        }
        Ok(WatcherPlace { _place: place, owner: owner.map(|owner| (owner, self.clone())) })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.of_owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WatcherPlace {
    fn drop(&mut self) {
        let Some((owner, watchers)) = &self.owner else { return };
        let mut counts = watchers.counts();
        if let Some(count) = counts.get_mut(owner) {
            *count -= 1;
            if *count == 0 {
                counts.remove(owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::OwnerId;

    #[test]
    fn an_owner_has_so_many_and_leaves_nothing_behind() {
        let watchers = Watchers::new(Admission::new(3, Arc::default()), 2);
        let caller = |name: &str| Caller::Dev(Some(OwnerId::new(name).unwrap()));
        let (first, second) = (watchers.enter(&caller("ann")).unwrap(), watchers.enter(&caller("ann")).unwrap());
        assert_eq!(watchers.enter(&caller("ann")).unwrap_err(), Full::Owner(2));
        let other = watchers.enter(&caller("bob")).unwrap();
        assert_eq!(watchers.enter(&caller("eve")).unwrap_err(), Full::Server);
        drop(first);
        assert!(watchers.enter(&caller("ann")).is_ok());
        drop((second, other));
        assert!(watchers.counts().is_empty());
        assert!(watchers.enter(&Caller::Dev(None)).is_ok());
        let closed = Watchers::new(Admission::new(3, Arc::default()), 0);
        assert_eq!(closed.enter(&caller("ann")).unwrap_err(), Full::Owner(0));
        assert!(closed.counts().is_empty(), "whoever is refused is forgotten");
    }
}
