//! A store in memory, and the loop that the engine runs on a real one: load, decide, load more, decide again, write.
//! Every write is guarded as in the databases, and the books are audited after every batch.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::fixture::{START, allocation, create_allocation, create_event, id, owner};
use crate::domain::{
    Allocation, AllocationEdit, AllocationId, Answer, Changes, Command, Counts, Decision, Edited, Event, EventAccount,
    EventConfig, EventId, JournalEntry, Ledger, Need, Outcome, OwnerId, OwnerUnits, Refusal, Reservation,
    ReservationBook, ReservationId, Seq, Snapshot, State, Timestamp, UsageTable, Wanted, decide,
};

#[derive(Clone)]
pub(crate) struct World<S = RandomState> {
    pub(crate) now: Timestamp,
    pub(crate) event: Option<Event>,
    pub(crate) allocations: BTreeMap<AllocationId, Allocation>,
    pub(crate) reservations: BTreeMap<ReservationId, Reservation>,
    pub(crate) journal: Vec<JournalEntry>,
    /// Expired holds loaded at a time.
    pub(crate) bite: usize,
    /// Whether the usage table is kept up to date; a stale one must lead to the same answers.
    pub(crate) follows_usage: bool,
    /// How often expired holds, and owners' true units, had to be loaded.
    pub(crate) loads: (usize, usize),
    hasher: S,
}

impl World {
    /// An event on sale with these allocations.
    pub(crate) fn selling(allocations: &[(&str, i64)]) -> Self {
        Self::with(super::fixture::config(), allocations)
    }

    pub(crate) fn with(config: EventConfig, allocations: &[(&str, i64)]) -> Self {
        let mut world = Self::empty(RandomState::new());
        world.ok(create_event(config));
        for (name, capacity) in allocations {
            world.ok(create_allocation(name, *capacity, None));
        }
        world
    }
}

impl<S: BuildHasher + Clone> World<S> {
    pub(crate) fn empty(hasher: S) -> Self {
        Self {
            now: START,
            event: None,
            allocations: BTreeMap::new(),
            reservations: BTreeMap::new(),
            journal: Vec::new(),
            bite: 1000,
            follows_usage: true,
            loads: (0, 0),
            hasher,
        }
    }

    /// Runs one batch and audits the books.
    pub(crate) fn run(&mut self, commands: &[Command]) -> Vec<Outcome> {
        let decision = self.decide(commands);
        assert_eq!(decision.outcomes.len(), commands.len());
        self.apply(decision.changes);
        self.audit();
        decision.outcomes
    }

    pub(crate) fn one(&mut self, command: Command) -> Outcome {
        self.run(&[command]).remove(0)
    }

    /// Must be granted.
    #[track_caller]
    pub(crate) fn ok(&mut self, command: Command) -> Answer {
        let shown = format!("{command:?}");
        self.one(command).unwrap_or_else(|refusal| panic!("{shown}: {refusal:?}"))
    }

    /// Must be granted, and answer a reservation.
    #[track_caller]
    pub(crate) fn granted(&mut self, command: Command) -> Reservation {
        let answer = self.ok(command);
        let Answer::Reservation(reservation) = answer else { panic!("{answer:?} is no reservation") };
        reservation
    }

    /// Must be refused, and leave no trace but reclaimed holds.
    #[track_caller]
    pub(crate) fn refused(&mut self, command: Command) -> Refusal {
        let entries = self.journal.len();
        let shown = format!("{command:?}");
        let refusal = self.one(command).expect_err(&shown);
        for entry in &self.journal[entries..] {
            assert_eq!(entry.kind, crate::domain::JournalKind::Expired, "{shown}: {entry:?}");
        }
        refusal
    }

    /// Must succeed, answer the same as before, and write nothing.
    #[track_caller]
    pub(crate) fn unchanged(&mut self, command: Command) -> Answer {
        let decision = self.decide(std::slice::from_ref(&command));
        assert_eq!(decision.changes, Changes::default(), "{command:?} changed something");
        self.ok(command)
    }

    pub(crate) fn pass(&mut self, seconds: i64) {
        self.now = self.now.plus(super::fixture::secs(seconds));
    }

    pub(crate) fn allocation(&self, name: &str) -> &Allocation {
        &self.allocations[&allocation(name)]
    }

    /// (capacity, held, sold) as stored.
    pub(crate) fn counts(&self, name: &str) -> (i64, i64, i64) {
        let found = self.allocation(name);
        (found.capacity, found.held, found.sold)
    }

    pub(crate) fn reservation(&self, number: u128) -> &Reservation {
        &self.reservations[&id(number)]
    }

    /// The state as everybody sees it now.
    pub(crate) fn state(&self, number: u128) -> State {
        self.reservation(number).state_at(self.now)
    }

    pub(crate) fn kinds(&self) -> Vec<crate::domain::JournalKind> {
        self.journal.iter().map(|entry| entry.kind).collect()
    }

    /// Loads, decides, and loads more until the decision is made.
    pub(crate) fn decide(&mut self, commands: &[Command]) -> Decision {
        let mut wanted = Wanted::new(EventId::new("concert").unwrap());
        commands.iter().for_each(|command| command.add_wanted(&mut wanted));
        let mut snapshot = self.load(&wanted);
        let usage = if self.follows_usage { self.usage() } else { UsageTable::new(self.hasher.clone()) };
        loop {
            match decide(&snapshot, &usage, commands, self.now) {
                Ok(decision) => return decision,
                Err(Need::Expired) => {
                    self.loads.0 += 1;
                    let before = snapshot.expired.len();
                    self.load_expired(&mut snapshot);
                    assert!(snapshot.expired.len() > before, "asked for expired holds where there are none");
                }
                Err(Need::Usage(owners)) => {
                    self.loads.1 += 1;
                    assert!(!owners.is_empty());
                    for owner in owners {
                        let units = self.units(&owner);
                        let known = snapshot.exact_usage.insert(owner, units);
                        assert_eq!(known, None, "asked twice for the same owner's units");
                    }
                }
            }
        }
    }

    fn load(&self, wanted: &Wanted) -> Snapshot {
        let mut snapshot = Snapshot {
            event_id: wanted.event.clone(),
            event: self.event.clone(),
            allocations: BTreeMap::new(),
            reservations: HashMap::new(),
            earliest_expiry: self.holds().map(|hold| hold.expires_at).min(),
            expired: Vec::new(),
            more_expired: false,
            exact_usage: HashMap::new(),
        };
        for id in &wanted.reservations {
            self.load_reservation(&mut snapshot, *id);
        }
        for id in &wanted.allocations {
            snapshot
                .allocations
                .extend(self.allocations.get_key_value(id).map(|(id, found)| (id.clone(), found.clone())));
        }
        if wanted.expired {
            self.load_expired(&mut snapshot);
        }
        snapshot
    }

    fn load_reservation(&self, snapshot: &mut Snapshot, id: ReservationId) {
        let Some(reservation) = self.reservations.get(&id) else { return };
        for line in &reservation.lines {
            snapshot.allocations.insert(line.allocation.clone(), self.allocations[&line.allocation].clone());
        }
        snapshot.reservations.insert(id, reservation.clone());
    }

    fn load_expired(&self, snapshot: &mut Snapshot) {
        let known: HashSet<_> = snapshot.expired.iter().copied().collect();
        let mut expired: Vec<_> = self.holds().filter(|hold| !hold.is_live_hold(self.now)).collect();
        expired.retain(|hold| !known.contains(&hold.id));
        expired.sort_by_key(|hold| (hold.expires_at, hold.id));
        snapshot.more_expired = expired.len() > self.bite;
        for hold in expired.into_iter().take(self.bite) {
            self.load_reservation(snapshot, hold.id);
            snapshot.expired.push(hold.id);
        }
    }

    fn holds(&self) -> impl Iterator<Item = &Reservation> {
        self.reservations.values().filter(|reservation| reservation.state == State::Held)
    }

    /// What an owner has in truth, read from his reservations as stored.
    pub(crate) fn units(&self, owner: &OwnerId) -> OwnerUnits {
        let mut units = OwnerUnits::new();
        for reservation in self.reservations.values().filter(|reservation| reservation.owner == *owner) {
            if matches!(reservation.state, State::Held | State::Confirmed) {
                for line in &reservation.lines {
                    *units.entry(line.allocation.clone()).or_default() += line.quantity - line.cancelled;
                }
            }
        }
        units
    }

    /// A usage table up to date with the journal.
    pub(crate) fn usage(&self) -> UsageTable<S> {
        let mut usage = UsageTable::new(self.hasher.clone());
        let last_seq = self.journal.last().map_or(0, |entry| entry.seq);
        while usage.as_of() < last_seq {
            let next = usize::try_from(usage.as_of()).unwrap();
            usage.apply(&self.journal[next]);
        }
        usage
    }

    /// Writes as a store does: only over what the decision was made from.
    fn apply(&mut self, changes: Changes) {
        let Changes { event, allocations, reservations, journal } = changes;
        if journal.is_empty() {
            assert!(event.is_none() && allocations.is_empty() && reservations.is_empty(), "a change without a trace");
            return;
        }
        let Edited { before, after } = event.expect("the event changes with every entry");
        assert_eq!(before, self.event, "the event's before-image");
        let old_seq = before.map_or(0, |event| event.last_seq);
        let seqs: Vec<Seq> = journal.iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, (old_seq + 1..=after.last_seq).collect::<Vec<_>>(), "the journal is gapless");
        assert!(journal.iter().all(|entry| entry.occurred_at == self.now));
        self.event = Some(after);
        for Edited { before, after } in allocations {
            assert_eq!(before.as_ref(), self.allocations.get(&after.id), "an allocation's before-image");
            assert_ne!(before.as_ref(), Some(&after), "a change that changes nothing");
            self.allocations.insert(after.id.clone(), after);
        }
        let mut written = HashSet::new();
        for Edited { before, after } in reservations {
            assert_eq!(before.as_ref(), self.reservations.get(&after.id), "a reservation's before-image");
            assert!(written.insert(after.id), "a reservation is written twice");
            let created_at = before.map_or(self.now, |before| before.created_at);
            assert_eq!((after.created_at, after.updated_at), (created_at, self.now), "when it was made and changed");
            self.reservations.insert(after.id, after);
        }
        self.journal.extend(journal);
    }

    /// Everything that must be true of the books after each batch.
    pub(crate) fn audit(&self) {
        self.audit_counts();
        self.audit_reservations();
        self.audit_limits();
    }

    fn audit_counts(&self) {
        let mut ledger = Ledger::default();
        for entry in &self.journal {
            ledger.apply(entry).unwrap();
            assert!(entry.deltas.iter().all(|delta| (delta.capacity, delta.held, delta.sold) != (0, 0, 0)));
        }
        assert_eq!(ledger.allocations.len(), self.allocations.len());
        assert_eq!(ledger.event, self.event.as_ref().map(EventAccount::from), "the event");
        let has_limits = self.event.as_ref().is_some_and(|event| event.has_allocation_limits);
        assert_eq!(ledger.has_allocation_limits(), has_limits);
        let allocation_count = self.event.as_ref().map_or(0, |event| event.allocation_count);
        assert_eq!(usize::try_from(allocation_count).unwrap(), self.allocations.len());
        for (id, found) in &self.allocations {
            let account = &ledger.allocations[id];
            let Counts { capacity, held, sold } = account.counts;
            assert_eq!((capacity, held, sold), (found.capacity, found.held, found.sold), "{id}");
            let edit = account.edit.as_ref().map(|edit| AllocationEdit { capacity: found.capacity, ..edit.clone() });
            assert_eq!((edit, account.version), (Some(AllocationEdit::from(found)), found.version), "{id}");
            let of = |state: State, units: fn(&crate::domain::Line) -> i64| -> i64 {
                let lines =
                    self.reservations.values().filter(|found| found.state == state).flat_map(|found| &found.lines);
                lines.filter(|line| line.allocation == *id).map(units).sum()
            };
            assert_eq!(found.held, of(State::Held, |line| line.quantity), "{id}: held");
            assert_eq!(found.sold, of(State::Confirmed, |line| line.quantity - line.cancelled), "{id}: sold");
            assert!(found.held >= 0 && found.sold >= 0 && found.held + found.sold <= found.capacity, "{found:?}");
            if let Some(target) = found.drain_to {
                assert!(target < found.capacity && found.available() == 0, "{found:?}");
            }
        }
    }

    fn audit_reservations(&self) {
        for passes in [1, 3] {
            let mut differences = Vec::new();
            for pass in 0..passes {
                let mut book = ReservationBook::new(pass, passes);
                differences.extend(self.journal.iter().filter_map(|entry| book.apply(entry)));
                self.reservations
                    .values()
                    .for_each(|stored| book.compare(stored, &mut |found| differences.push(found)));
                book.finish(&mut |found| differences.push(found));
            }
            assert_eq!(differences, Vec::new());
        }
        for reservation in self.reservations.values() {
            assert!(reservation.lines.is_sorted_by(|one, next| one.allocation < next.allocation));
            for line in &reservation.lines {
                assert!(0 <= line.cancelled && line.cancelled <= line.quantity && line.quantity <= line.requested);
            }
        }
    }

    /// No grant leads an owner over the limits that are in force when it is made.
    fn audit_limits(&self) {
        let mut event_limit = None;
        let mut limits: HashMap<AllocationId, Option<i64>> = HashMap::new();
        let mut units: HashMap<(&OwnerId, &AllocationId), i64> = HashMap::new();
        for entry in &self.journal {
            if let Some(edit) = &entry.event {
                event_limit = edit.limit_per_owner;
            }
            if let Some(edit) = &entry.allocation {
                limits.insert(allocation(&edit.id), edit.limit_per_owner);
            }
            let Some((_, owner)) = &entry.reservation else { continue };
            for delta in &entry.deltas {
                let gained = delta.held + delta.sold;
                let total = units.entry((owner, &delta.allocation)).or_default();
                *total += gained;
                let limit = limits[&delta.allocation].filter(|_| gained > 0);
                assert!(limit.is_none_or(|limit| *total <= limit), "{owner} has {total}: {entry:?}");
            }
            if entry.deltas.iter().any(|delta| delta.held + delta.sold > 0) {
                let total: i64 = units.iter().filter(|((of, _), _)| *of == owner).map(|(_, units)| units).sum();
                assert!(event_limit.is_none_or(|limit| total <= limit), "{owner} has {total}: {entry:?}");
            }
        }
    }

    /// Of each owner and limit, what the table says is never too low.
    pub(crate) fn audit_usage(&self, exact: bool) {
        let (Some(event), usage) = (&self.event, self.usage()) else { return };
        let owners: HashSet<&OwnerId> = self.reservations.values().map(|found| &found.owner).collect();
        let check = |of: &OwnerId, allocation: Option<&AllocationId>, truth: i64| {
            let told = usage.units_at_most(of, allocation);
            assert!(told >= truth, "{of} has {truth}, and the table says at most {told}");
            assert!(!exact || told == truth, "{of} has {truth}, and the table says {told}");
        };
        for of in owners.into_iter().chain([&owner("nobody")]) {
            let units = self.units(of);
            if event.config.limit_per_owner.is_some() {
                check(of, None, units.values().sum());
            }
            for limited in self.allocations.values().filter(|found| found.limit_per_owner.is_some()) {
                check(of, Some(&limited.id), units.get(&limited.id).copied().unwrap_or(0));
            }
        }
    }
}
