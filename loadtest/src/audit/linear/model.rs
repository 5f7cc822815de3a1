//! The rules of the API as a state machine: what an operation answers in a state, and what it makes of it.
//!
//! Written from the proto, not from the server's code: were it the same code, both would err together.

use boxoffice_proto::v1::reservation::State;

use super::fingerprint::Fingerprint;
use super::history::{Answer, Deed, History, Line, Operation, Shown, Transition};
use super::plan::Plan;
use crate::clock::Micros;
use crate::history::Reason;

/// Whether an operation fits a state.
#[derive(Debug)]
pub(super) enum Judgement {
    /// Its answer is true, and nothing changes.
    Idle,
    /// Its answer is true, and this changes.
    Changes(Change),
    /// It would have been answered otherwise: see [`Model::truth`].
    Untrue,
}

/// What would have been answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Truth {
    /// The reservation, so.
    Shown(Shown),
    /// A refusal.
    Refused(Reason),
    /// An operator's change is possible.
    Done,
    /// An operator would go below what is held and sold.
    BelowCommitted,
    /// The request makes no sense.
    Invalid,
    /// The hold had lapsed before it was granted.
    Lapsed,
}

/// New rows and capacities in place of the old. Doing it gives the change that undoes it.
#[derive(Debug, Default)]
pub(super) struct Change {
    rows: Vec<(usize, Row)>,
    capacities: Vec<(usize, i64)>,
}

/// What is known of one reservation.
#[derive(Debug, Clone, Default)]
struct Row {
    granted: Option<Granted>,
    /// Expiries up to here have passed while the reservation was not there, or had an earlier one.
    lapsed: Micros,
}

/// A reservation that is there.
#[derive(Debug, Clone)]
struct Granted {
    request: usize,
    owner: usize,
    shown: Shown,
}

/// Units of one allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pool {
    /// In all.
    pub capacity: i64,
    /// In live holds.
    pub held: i64,
    /// Sold.
    pub sold: i64,
}

impl Pool {
    /// For sale.
    pub(super) fn available(self) -> i64 {
        self.capacity - self.held - self.sold
    }
}

/// Whether the model knows how many units there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Availability {
    /// It counts.
    Counted,
    /// There are as many or as few as an answer says: for histories from which other buyers were left out.
    AnythingGoes,
}

/// An event in one state.
#[derive(Debug)]
pub(super) struct Model<'a> {
    history: &'a History,
    availability: Availability,
    pools: Vec<Pool>,
    rows: Vec<Row>,
    /// Live units of each owner.
    owned: Vec<i64>,
    /// Live units of each owner in each allocation, owner after owner; empty where no limit asks for it.
    owned_each: Vec<i64>,
    /// Of all rows and capacities, kept up with each change; counts follow from these.
    fingerprint: u128,
}

impl<'a> Model<'a> {
    /// The event before anybody came.
    pub(super) fn new(history: &'a History, availability: Availability) -> Self {
        Self {
            history,
            availability,
            pools: history.capacities.iter().map(|&capacity| Pool { capacity, held: 0, sold: 0 }).collect(),
            rows: vec![Row::default(); history.reservations],
            owned: vec![0; history.owners],
            owned_each: vec![0; history.limit_each.map_or(0, |_| history.owners * history.capacities.len())],
            fingerprint: 0,
        }
    }

    /// The event after some operations, in this order.
    pub(super) fn after(history: &'a History, availability: Availability, placed: &[usize]) -> Self {
        let mut model = Self::new(history, availability);
        for &index in placed {
            if let Judgement::Changes(change) = model.judge(&history.operations[index]) {
                model.apply(change);
            }
        }
        model
    }

    /// What is fixed.
    pub(super) fn history(&self) -> &'a History {
        self.history
    }

    /// Whether it counts units.
    pub(super) fn availability(&self) -> Availability {
        self.availability
    }

    /// A number that differs where the state differs; see [`Fingerprint`].
    pub(super) fn fingerprint(&self) -> u128 {
        self.fingerprint
    }

    /// The units of an allocation.
    pub(super) fn pool(&self, allocation: usize) -> Pool {
        self.pools[allocation]
    }

    /// A reservation, if it is there.
    pub(super) fn reservation(&self, reservation: usize) -> Option<&Shown> {
        self.rows[reservation].granted.as_ref().map(|granted| &granted.shown)
    }

    /// Live units of an owner.
    pub(super) fn owned(&self, owner: usize) -> i64 {
        self.owned[owner]
    }

    /// Live units of an owner in one allocation; only where a limit asks for it.
    pub(super) fn owned_of(&self, owner: usize, allocation: usize) -> i64 {
        self.owned_each[owner * self.pools.len() + allocation]
    }

    /// Whether an operation fits the present state.
    pub(super) fn judge(&self, operation: &Operation) -> Judgement {
        let outcome = self.outcome(&operation.deed, &operation.answer);
        let fits = match (&operation.answer, &outcome) {
            (Answer::Shown(told), Ok(change)) => {
                self.shown_after(&operation.deed, change.as_ref()).is_some_and(|truth| told.agrees(truth))
            }
            (Answer::Refused(told), Err(Truth::Refused(truth))) => told == truth,
            (Answer::Unknown(Some(presumed)), Ok(Some(change))) => {
                let granted = self.shown_after(&operation.deed, Some(change)).map(|shown| &shown.lines);
                !operation.deed.grants() || presumed.lines.is_empty() || granted == Some(&presumed.lines)
            }
            (Answer::Done | Answer::Unknown(_), Ok(_)) | (Answer::BelowCommitted, Err(Truth::BelowCommitted)) => true,
            (Answer::Shown(_) | Answer::Done | Answer::Unknown(_), Err(_))
            | (Answer::Refused(_) | Answer::BelowCommitted, _) => false,
        };
        match outcome {
            Ok(Some(change)) if fits => Judgement::Changes(change),
            Ok(_) | Err(_) => {
                if fits {
                    Judgement::Idle
                } else {
                    Judgement::Untrue
                }
            }
        }
    }

    /// What an operation would be answered in the present state.
    pub(super) fn truth(&self, operation: &Operation) -> Truth {
        match self.outcome(&operation.deed, &operation.answer) {
            Err(truth) => truth,
            Ok(change) => self
                .shown_after(&operation.deed, change.as_ref())
                .map_or(Truth::Done, |shown| Truth::Shown(shown.clone())),
        }
    }

    /// What is there to be shown after a success.
    fn shown_after<'b>(&'b self, deed: &Deed, change: Option<&'b Change>) -> Option<&'b Shown> {
        let reservation = match deed {
            Deed::Reserve { request } => self.history.requests[*request].reservation,
            Deed::Change { reservation, .. } => *reservation,
            Deed::Expire { .. } | Deed::SetCapacity { .. } | Deed::Transfer { .. } => return None,
        };
        let changed = change.and_then(|change| change.rows.iter().find(|(row, _)| *row == reservation));
        let row = changed.map_or(&self.rows[reservation], |(_, row)| row);
        row.granted.as_ref().map(|granted| &granted.shown)
    }

    /// What a request comes to; a success that finds everything done changes nothing. `answer` matters only where the
    /// rules leave a choice.
    fn outcome(&self, deed: &Deed, answer: &Answer) -> Result<Option<Change>, Truth> {
        match deed {
            Deed::Reserve { request } => self.reserve(*request, answer),
            Deed::Change { reservation, owner, change } => {
                let own = self.rows[*reservation].granted.as_ref().filter(|granted| granted.owner == *owner);
                let granted = own.ok_or(Reason::ReservationNotFound)?;
                let after = self.transition(granted, change, answer)?;
                Ok(after.map(|shown| self.showing(*reservation, shown)))
            }
            Deed::Expire { reservation, expires } => Ok(self.expire(*reservation, *expires)),
            Deed::SetCapacity { allocation, capacity } => {
                if self.pools[*allocation].capacity == *capacity {
                    return Ok(None);
                }
                self.require_committed_within(*allocation, *capacity)?;
                Ok(Some(Change { capacities: vec![(*allocation, *capacity)], ..Change::default() }))
            }
            Deed::Transfer { from, to, quantity } => {
                let (giver, taker) = (self.pools[*from].capacity - quantity, self.pools[*to].capacity + quantity);
                self.require_committed_within(*from, giver)?;
                Ok(Some(Change { capacities: vec![(*from, giver), (*to, taker)], ..Change::default() }))
            }
        }
    }

    fn require_committed_within(&self, allocation: usize, capacity: i64) -> Result<(), Truth> {
        let pool = self.pools[allocation];
        if pool.held + pool.sold <= capacity { Ok(()) } else { Err(Truth::BelowCommitted) }
    }

    fn reserve(&self, number: usize, answer: &Answer) -> Result<Option<Change>, Truth> {
        let request = &self.history.requests[number];
        let own = |id: usize| self.rows[id].granted.as_ref().filter(|granted| granted.owner == request.owner);
        let replaced = match request.replaces {
            Some(id) => Some((id, own(id).ok_or(Reason::ReservationNotFound)?)),
            None => None,
        };
        let row = &self.rows[request.reservation];
        if let Some(existing) = &row.granted {
            return if existing.request == number { Ok(None) } else { Err(Reason::ReservationIdReused.into()) };
        }
        let freed = match replaced {
            Some((_, old)) if old.shown.state == State::Confirmed => return Err(Reason::AlreadyConfirmed.into()),
            Some((id, old)) if old.shown.state == State::Held => Some((id, &old.shown)),
            Some(_) | None => None,
        };
        let plan = Plan {
            model: self,
            owner: request.owner,
            wishes: &request.wishes,
            up_to: request.up_to,
            freed: freed.map(|(_, shown)| shown),
        };
        let quantities = plan.make(answer)?;
        let lines = request.wishes.iter().zip(quantities).filter(|(_, quantity)| *quantity != 0);
        let shown = Shown {
            state: if request.order.is_some() { State::Confirmed } else { State::Held },
            lines: lines
                .map(|((allocation, _), quantity)| Line { allocation: *allocation, quantity, cancelled: 0 })
                .collect(),
            expires: presumed_expiry(answer).unwrap_or(Micros::MAX),
            order: request.order,
        };
        if shown.state == State::Held && shown.expires <= row.lapsed {
            return Err(Truth::Lapsed);
        }
        let granted = Granted { request: number, owner: request.owner, shown };
        let mut rows = vec![(request.reservation, Row { granted: Some(granted), lapsed: row.lapsed })];
        rows.extend(freed.map(|(id, old)| (id, self.row_showing(id, Shown { state: State::Released, ..old.clone() }))));
        Ok(Some(Change { rows, ..Change::default() }))
    }

    /// What a reservation becomes; `None`: it is so already.
    fn transition(&self, granted: &Granted, change: &Transition, answer: &Answer) -> Result<Option<Shown>, Truth> {
        let shown = &granted.shown;
        let become_ = |state| Ok(Some(Shown { state, ..shown.clone() }));
        match (change, shown.state) {
            (Transition::Get, _) => Ok(None),
            (Transition::Extend { latest }, State::Held) => {
                let wanted = presumed_expiry(answer).unwrap_or(shown.expires).min(*latest);
                Ok((wanted > shown.expires).then(|| Shown { expires: wanted, ..shown.clone() }))
            }
            (Transition::Confirm { order, .. }, State::Held) => {
                Ok(Some(Shown { state: State::Confirmed, order: Some(*order), ..shown.clone() }))
            }
            (Transition::Confirm { order, .. }, State::Confirmed) if shown.order == Some(*order) => Ok(None),
            (Transition::Confirm { order, reacquire: true }, State::Expired) => {
                let wishes: Vec<_> = shown.lines.iter().map(|line| (line.allocation, line.quantity)).collect();
                let plan = Plan { model: self, owner: granted.owner, wishes: &wishes, up_to: false, freed: None };
                plan.make(answer)?;
                Ok(Some(Shown { state: State::Confirmed, order: Some(*order), ..shown.clone() }))
            }
            (Transition::Release, State::Held) => become_(State::Released),
            (Transition::Release, State::Released) => Ok(None),
            (Transition::Cancel { targets }, state) => refund(shown, targets, state),
            (Transition::Extend { .. } | Transition::Confirm { .. } | Transition::Release, state) => {
                Err(ended(state).into())
            }
        }
    }

    /// A hold that is not there, or has an earlier expiry, cannot get this one any more.
    fn expire(&self, reservation: usize, expires: Micros) -> Option<Change> {
        let row = &self.rows[reservation];
        let changed = match &row.granted {
            Some(Granted { shown, .. }) if shown.state != State::Held || shown.expires > expires => return None,
            Some(Granted { shown, .. }) if shown.expires == expires => {
                return Some(self.showing(reservation, Shown { state: State::Expired, ..shown.clone() }));
            }
            Some(_) | None if row.lapsed >= expires => return None,
            Some(_) | None => Row { lapsed: expires, ..row.clone() },
        };
        Some(Change { rows: vec![(reservation, changed)], ..Change::default() })
    }

    fn showing(&self, reservation: usize, shown: Shown) -> Change {
        Change { rows: vec![(reservation, self.row_showing(reservation, shown))], ..Change::default() }
    }

    fn row_showing(&self, reservation: usize, shown: Shown) -> Row {
        let row = &self.rows[reservation];
        let granted = row.granted.as_ref().map(|granted| Granted { shown, ..granted.clone() });
        Row { granted, lapsed: row.lapsed }
    }

    /// Makes a change. Answers the one that undoes it.
    pub(super) fn apply(&mut self, change: Change) -> Change {
        let mut undo = Change::default();
        for (reservation, row) in change.rows {
            self.count(reservation, -1);
            let old = std::mem::replace(&mut self.rows[reservation], row);
            self.count(reservation, 1);
            undo.rows.push((reservation, old));
        }
        for (allocation, capacity) in change.capacities {
            self.fingerprint ^= capacity_fingerprint(allocation, self.pools[allocation].capacity);
            let old = std::mem::replace(&mut self.pools[allocation].capacity, capacity);
            self.fingerprint ^= capacity_fingerprint(allocation, capacity);
            undo.capacities.push((allocation, old));
        }
        undo
    }

    /// Counts a reservation in (1) or out (-1).
    fn count(&mut self, reservation: usize, sign: i64) {
        let row = &self.rows[reservation];
        self.fingerprint ^= row.fingerprint(reservation);
        let Some(Granted { owner, shown, .. }) = &row.granted else { return };
        for (allocation, units) in shown.units() {
            self.owned[*owner] += sign * units;
            if let Some(owned) = self.owned_each.get_mut(owner * self.pools.len() + allocation) {
                *owned += sign * units;
            }
            let pool = &mut self.pools[allocation];
            *(if shown.state == State::Held { &mut pool.held } else { &mut pool.sold }) += sign * units;
        }
    }
}

impl Change {
    /// The reservations that it changes.
    pub(super) fn reservations(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().map(|(reservation, _)| *reservation)
    }

    /// The allocations whose counts it may change.
    pub(super) fn allocations(&self) -> impl Iterator<Item = usize> {
        let granted = self.rows.iter().filter_map(|(_, row)| row.granted.as_ref());
        let lines = granted.flat_map(|granted| granted.shown.lines.iter().map(|line| line.allocation));
        lines.chain(self.capacities.iter().map(|(allocation, _)| *allocation))
    }

    /// The owners whose counts it may change.
    pub(super) fn owners(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().filter_map(|(_, row)| row.granted.as_ref().map(|granted| granted.owner))
    }
}

impl Row {
    /// 0 for a reservation of which nothing is known.
    fn fingerprint(&self, reservation: usize) -> u128 {
        let Self { granted, lapsed } = self;
        if granted.is_none() && *lapsed == 0 {
            return 0;
        }
        let mut hash = Fingerprint::of("row");
        hash.add(reservation);
        hash.add_signed(*lapsed);
        if let Some(Granted { request, owner: _, shown }) = granted {
            hash.add(request + 1);
            hash.add_signed(i64::from(i32::from(shown.state)));
            hash.add_signed(shown.expires);
            hash.add(shown.order.map_or(0, |order| order + 1));
            for line in &shown.lines {
                hash.add_signed(line.quantity);
                hash.add_signed(line.cancelled);
            }
        }
        hash.finish()
    }
}

impl From<Reason> for Truth {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

fn capacity_fingerprint(allocation: usize, capacity: i64) -> u128 {
    let mut hash = Fingerprint::of("capacity");
    hash.add(allocation);
    hash.add_signed(capacity);
    hash.finish()
}

/// What an answer shows, or is believed to have shown.
pub(super) fn presumed(answer: &Answer) -> Option<&Shown> {
    match answer {
        Answer::Shown(shown) => Some(shown),
        Answer::Unknown(presumed) => presumed.as_ref(),
        Answer::Refused(_) | Answer::Done | Answer::BelowCommitted => None,
    }
}

/// Until when the hold lives that an answer shows, or is believed to have shown.
fn presumed_expiry(answer: &Answer) -> Option<Micros> {
    presumed(answer).filter(|shown| shown.state == State::Held).map(|shown| shown.expires)
}

/// Why nothing can be done with a reservation that is no live hold.
fn ended(state: State) -> Reason {
    match state {
        State::Confirmed => Reason::AlreadyConfirmed,
        State::Released => Reason::AlreadyReleased,
        State::Expired => Reason::ReservationExpired,
        State::Cancelled => Reason::AlreadyCancelled,
        State::Held | State::Unspecified => Reason::NotConfirmed,
    }
}

fn refund(shown: &Shown, targets: &[(usize, i64)], state: State) -> Result<Option<Shown>, Truth> {
    for (allocation, units) in targets {
        let line = shown.lines.iter().find(|line| line.allocation == *allocation);
        if line.is_none_or(|line| *units > line.quantity) {
            return Err(Truth::Invalid);
        }
    }
    match state {
        State::Confirmed => {}
        State::Cancelled => return Ok(None),
        State::Held | State::Released | State::Expired | State::Unspecified => return Err(ended(state).into()),
    }
    let mut after = shown.clone();
    for line in &mut after.lines {
        let named = targets.iter().find(|(allocation, _)| *allocation == line.allocation).map(|(_, units)| *units);
        let target = if targets.is_empty() { line.quantity } else { named.unwrap_or(0) };
        line.cancelled = line.cancelled.max(target);
    }
    if after.lines.iter().all(|line| line.cancelled == line.quantity) {
        after.state = State::Cancelled;
    }
    Ok((after.lines != shown.lines).then_some(after))
}
