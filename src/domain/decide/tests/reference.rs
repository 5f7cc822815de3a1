//! The rules once more, as plainly as possible and with nothing shared: no batches, no journal, no counters. What is held
//! or sold is added up from the reservations each time, and what has expired is forgotten before each command.

use std::collections::BTreeMap;

use crate::domain::tests::fixture::START;
use crate::domain::{
    Action, Actor, AllocationId, AllocationPatch, AllocationTarget, Answer, ApplyEvent, CAPACITY_MAX, CapacityMode,
    Command, Duration, EventConfig, EventPatch, Mode, OnExpired, OrderRef, Outcome, OwnerId, Refusal, ReservationId,
    Reserve, SalesState, State, Timestamp, TransferCapacity,
};

/// What a command comes to, without what only the real thing knows (versions and counts that depend on when expired holds
/// were reclaimed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Reservation(State, Vec<(AllocationId, i64, i64)>, Timestamp, Option<OrderRef>),
    /// Capacity wanted and limit.
    Allocation(i64, Option<i64>),
    Transferred(i64, i64),
    Event(EventConfig),
    Reclaimed,
    Refused(Refusal),
    EtagMismatch,
}

impl From<&Outcome> for Verdict {
    fn from(outcome: &Outcome) -> Self {
        match outcome.clone() {
            Ok(Answer::Reservation(found)) => {
                let lines = found.lines.into_iter().map(|line| (line.allocation, line.quantity, line.cancelled));
                Self::Reservation(found.state, lines.collect(), found.expires_at, found.order_ref)
            }
            Ok(Answer::Allocation(found)) => Self::Allocation(found.capacity_wanted(), found.limit_per_owner),
            Ok(Answer::Transferred { from, to }) => Self::Transferred(from.capacity_wanted(), to.capacity_wanted()),
            Ok(Answer::Event(event)) => Self::Event(event.config),
            Ok(Answer::Reclaimed { .. }) => Self::Reclaimed,
            Err(Refusal::EtagMismatch(_)) => Self::EtagMismatch,
            Err(Refusal::AllHeld { lacks, .. }) => Self::Refused(Refusal::AllHeld { lacks, next_expiry: None }),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) owner: OwnerId,
    request: Reserve,
    state: State,
    /// Granted and refunded.
    lines: BTreeMap<AllocationId, (i64, i64)>,
    created_at: Timestamp,
    pub(super) expires_at: Timestamp,
    order_ref: Option<OrderRef>,
}

#[derive(Debug, Clone)]
pub(super) struct Pool {
    name: String,
    wanted: i64,
    limit: Option<i64>,
    pub(super) version: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) now: Timestamp,
    event: Option<(EventConfig, i64)>,
    pub(super) pools: BTreeMap<AllocationId, Pool>,
    pub(super) claims: BTreeMap<ReservationId, Claim>,
    /// Every command that came, for sending some again.
    pub(super) history: Vec<Command>,
    /// Of the batch that came last.
    pub(super) verdicts: Vec<Verdict>,
}

type Said = Result<Verdict, Refusal>;

impl Reference {
    pub(super) fn new() -> Self {
        Self {
            now: START,
            event: None,
            pools: BTreeMap::new(),
            claims: BTreeMap::new(),
            history: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    pub(super) fn run(&mut self, commands: &[Command]) {
        self.verdicts = commands.iter().map(|command| self.step(command)).collect();
        self.history.extend_from_slice(commands);
    }

    pub(super) fn event_version(&self) -> i64 {
        self.event.as_ref().map_or(0, |(_, version)| *version)
    }

    pub(super) fn config(&self) -> Option<EventConfig> {
        self.event.as_ref().map(|(config, _)| config.clone())
    }

    fn step(&mut self, command: &Command) -> Verdict {
        for claim in self.claims.values_mut().filter(|claim| claim.state == State::Held) {
            if claim.expires_at <= self.now {
                claim.state = State::Expired;
            }
        }
        let said = match &command.action {
            Action::Reserve(request) => self.reserve(command, request),
            Action::Extend { id, ttl } => self.extend(command, *id, *ttl),
            Action::Release { id } => self.own(command, *id).map(drop).and_then(|()| self.release(*id)),
            Action::ForceRelease { id, .. } => match self.claims.contains_key(id) {
                true => self.release(*id),
                false => Err(Refusal::ReservationNotFound),
            },
            Action::Confirm { id, order_ref, on_expired } => self.confirm(command, *id, order_ref, *on_expired),
            Action::Cancel { id, lines } => self.cancel(command, *id, lines),
            Action::ReclaimExpired => Ok(Verdict::Reclaimed),
            Action::CreateEvent(config) => self.create_event(config),
            Action::UpdateEvent { expected, patch } => self.update_event(*expected, patch),
            Action::CreateAllocation { id, display_name, capacity, limit_per_owner } => {
                self.create_allocation(id, display_name, *capacity, *limit_per_owner)
            }
            Action::UpdateAllocation { id, expected, patch, mode } => {
                self.update_allocation(id, *expected, patch, *mode)
            }
            Action::ApplyEvent(target) => {
                let mut after = self.clone();
                let said = after.apply(target);
                if !target.validate_only && matches!(said, Ok(Verdict::Event(_))) {
                    *self = after;
                }
                said
            }
            Action::TransferCapacity(transfer) => self.transfer(transfer),
        };
        said.unwrap_or_else(Verdict::Refused)
    }

    fn units(&self, allocation: Option<&AllocationId>, of: impl Fn(&Claim) -> bool) -> i64 {
        let claims = self.claims.values().filter(|claim| matches!(claim.state, State::Held | State::Confirmed));
        let lines = claims.filter(|claim| of(claim)).flat_map(|claim| &claim.lines);
        let lines = lines.filter(|(id, _)| allocation.is_none_or(|allocation| allocation == *id));
        lines.map(|(_, (granted, refunded))| granted - refunded).sum()
    }

    fn taken(&self, allocation: &AllocationId) -> i64 {
        self.units(Some(allocation), |_| true)
    }

    /// Free for somebody who gives `replaced` back: a draining capacity is as much as is taken, so that his place is his.
    fn free(&self, allocation: &AllocationId, replaced: Option<ReservationId>) -> i64 {
        let taken = self.taken(allocation);
        let own = replaced.and_then(|id| self.claims[&id].lines.get(allocation)).map_or(0, |(granted, _)| *granted);
        self.pools[allocation].wanted.max(taken) - taken + own
    }

    fn own(&self, command: &Command, id: ReservationId) -> Result<&Claim, Refusal> {
        let claim = self.claims.get(&id).filter(|claim| command.actor == Actor::Owner(claim.owner.clone()));
        claim.ok_or(Refusal::ReservationNotFound)
    }

    fn told(&self, id: ReservationId) -> Said {
        let claim = &self.claims[&id];
        let lines = claim.lines.iter().map(|(id, (granted, refunded))| (id.clone(), *granted, *refunded)).collect();
        Ok(Verdict::Reservation(claim.state, lines, claim.expires_at, claim.order_ref.clone()))
    }

    fn closed(&self, open: impl Fn(&EventConfig) -> bool) -> Result<(), Refusal> {
        let (config, _) = self.event.as_ref().unwrap();
        let EventConfig { sales_state: state, on_sale_at, off_sale_at, .. } = *config;
        if open(config) { Ok(()) } else { Err(Refusal::SalesNotOpen { state, on_sale_at, off_sale_at }) }
    }

    fn selling(&self) -> Result<(), Refusal> {
        self.closed(|config| {
            config.sales_state == SalesState::OnSale
                && config.on_sale_at.is_none_or(|at| self.now >= at)
                && config.off_sale_at.is_none_or(|at| self.now < at)
        })
    }

    fn reserve(&mut self, command: &Command, request: &Reserve) -> Said {
        let Actor::Owner(owner) = &command.actor else { return Err(Refusal::ReservationNotFound) };
        let Some((config, _)) = &self.event else { return Err(Refusal::EventNotFound) };
        let config = config.clone();
        if let Some((missing, _)) = request.lines.iter().find(|(id, _)| !self.pools.contains_key(id)) {
            return Err(Refusal::AllocationNotFound(missing.clone()));
        }
        if let Some(old) = request.replaces {
            self.own(command, old)?;
        }
        if let Some(claim) = self.claims.get(&request.id) {
            let same = claim.owner == *owner && claim.request == *request;
            return if same { self.told(request.id) } else { Err(Refusal::ReservationIdReused) };
        }
        self.selling()?;
        let ttl = request.ttl.unwrap_or(config.hold_ttl_default);
        if ttl > config.hold_ttl_max {
            return Err(Refusal::TtlTooLong { max: config.hold_ttl_max });
        }
        let old_state = request.replaces.map(|old| self.claims[&old].state);
        if old_state == Some(State::Confirmed) {
            return Err(Refusal::AlreadyConfirmed);
        }
        let replaced = request.replaces.filter(|_| old_state == Some(State::Held));
        let granted = self.grant(owner, &request.lines, request.mode, replaced)?;
        if let Some(old) = replaced {
            self.claims.get_mut(&old).unwrap().state = State::Released;
        }
        let sold = request.order_ref.is_some();
        let claim = Claim {
            owner: owner.clone(),
            request: request.clone(),
            state: if sold { State::Confirmed } else { State::Held },
            lines: granted,
            created_at: self.now,
            expires_at: if sold { self.now } else { self.now.plus(ttl) },
            order_ref: request.order_ref.clone(),
        };
        self.claims.insert(request.id, claim);
        self.told(request.id)
    }

    /// Line after line, as much as everything allows.
    fn grant(
        &self,
        owner: &OwnerId,
        lines: &[(AllocationId, i64)],
        mode: Mode,
        replaced: Option<ReservationId>,
    ) -> Result<BTreeMap<AllocationId, (i64, i64)>, Refusal> {
        let event_limit = self.event.as_ref().unwrap().0.limit_per_owner;
        let kept = |allocation: Option<&AllocationId>| {
            let old = replaced.map(|old| &self.claims[&old].lines);
            let freed =
                old.into_iter().flatten().filter(|(id, _)| allocation.is_none_or(|allocation| allocation == *id));
            self.units(allocation, |claim| claim.owner == *owner) - freed.map(|(_, (units, _))| units).sum::<i64>()
        };
        let room_in = |id: &AllocationId, limit: i64| (limit - kept(Some(id))).max(0);
        let allowed =
            |id: &AllocationId, want: i64| self.pools[id].limit.map_or(want, |limit| want.min(room_in(id, limit)));
        let in_way = lines.iter().find(|(id, want)| allowed(id, *want) < *want);
        let all: i64 = lines.iter().map(|(id, want)| allowed(id, *want)).sum();
        if let Some((id, _)) = in_way.filter(|_| mode == Mode::AllOrNothing || all == 0) {
            let limit = self.pools[id].limit.unwrap();
            return Err(Refusal::OwnerLimitExceeded { allocation: Some(id.clone()), limit });
        }
        let mut room = event_limit.map_or(i64::MAX, |limit| (limit - kept(None)).max(0));
        if let Some(limit) = event_limit.filter(|_| room < all && (mode == Mode::AllOrNothing || room == 0)) {
            return Err(Refusal::OwnerLimitExceeded { allocation: None, limit });
        }
        let (mut granted, mut lacks, mut final_lacks, mut open_lacks) =
            (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        for (id, want) in lines {
            let (free, may) = (self.free(id, replaced), allowed(id, *want));
            let lack = || crate::domain::Lack { allocation: id.clone(), requested: *want, available: free };
            lacks.extend((free < may).then(lack));
            if free == 0 && may > 0 {
                let sold = self.claims.values().filter(|claim| claim.state == State::Confirmed);
                let sold: i64 = sold.filter_map(|claim| claim.lines.get(id)).map(|(units, back)| units - back).sum();
                (if self.pools[id].wanted <= sold { &mut final_lacks } else { &mut open_lacks }).push(lack());
            }
            let take = free.min(may).min(room);
            room -= take;
            granted.insert(id.clone(), (take, 0));
        }
        let none = granted.values().all(|(units, _)| *units == 0);
        match (mode, lacks.is_empty()) {
            (Mode::AllOrNothing, true) => Ok(granted),
            (Mode::UpTo, _) if !none => Ok(granted),
            (Mode::AllOrNothing, false) if !final_lacks.is_empty() => Err(Refusal::SoldOut(final_lacks)),
            (Mode::UpTo, _) if open_lacks.is_empty() => Err(Refusal::SoldOut(final_lacks)),
            _ if !open_lacks.is_empty() => Err(Refusal::AllHeld { lacks: open_lacks, next_expiry: None }),
            _ => Err(Refusal::InsufficientAvailability(lacks)),
        }
    }

    /// A reservation in this state refuses what wants it in another.
    fn ended(state: State) -> Refusal {
        match state {
            State::Held => Refusal::NotConfirmed,
            State::Confirmed => Refusal::AlreadyConfirmed,
            State::Released => Refusal::AlreadyReleased,
            State::Expired => Refusal::ReservationExpired,
            State::Cancelled => Refusal::AlreadyCancelled,
        }
    }

    fn extend(&mut self, command: &Command, id: ReservationId, ttl: Duration) -> Said {
        let claim = self.own(command, id)?;
        if claim.state != State::Held {
            return Err(Self::ended(claim.state));
        }
        self.closed(|config| config.sales_state != SalesState::Cancelled)?;
        let longest = claim.created_at.plus(self.event.as_ref().unwrap().0.hold_ttl_max);
        let until = self.now.plus(ttl).min(longest).max(claim.expires_at);
        self.claims.get_mut(&id).unwrap().expires_at = until;
        self.told(id)
    }

    fn release(&mut self, id: ReservationId) -> Said {
        match self.claims[&id].state {
            State::Held | State::Released => {}
            state @ (State::Confirmed | State::Expired | State::Cancelled) => return Err(Self::ended(state)),
        }
        self.claims.get_mut(&id).unwrap().state = State::Released;
        self.told(id)
    }

    fn confirm(&mut self, command: &Command, id: ReservationId, order_ref: &OrderRef, on_expired: OnExpired) -> Said {
        let claim = self.own(command, id)?;
        match (claim.state, on_expired) {
            (State::Held, _) => self.closed(|config| config.sales_state != SalesState::Cancelled)?,
            (State::Confirmed, _) if claim.order_ref.as_ref() == Some(order_ref) => return self.told(id),
            (State::Expired, OnExpired::Reacquire) => {
                self.selling()?;
                let claim = &self.claims[&id];
                let lines: Vec<_> = claim.lines.iter().map(|(id, (units, _))| (id.clone(), *units)).collect();
                self.grant(&claim.owner, &lines, Mode::AllOrNothing, None)?;
            }
            (state, _) => return Err(Self::ended(state)),
        }
        let claim = self.claims.get_mut(&id).unwrap();
        claim.state = State::Confirmed;
        claim.order_ref = Some(order_ref.clone());
        self.told(id)
    }

    fn cancel(&mut self, command: &Command, id: ReservationId, lines: &[(AllocationId, i64)]) -> Said {
        let claim = self.own(command, id)?;
        for (index, (allocation, target)) in lines.iter().enumerate() {
            let Some((quantity, _)) = claim.lines.get(allocation) else {
                return Err(Refusal::CancelUnknownAllocation(index));
            };
            if target > quantity {
                return Err(Refusal::CancelTooMany { index, quantity: *quantity });
            }
        }
        match claim.state {
            State::Confirmed => {}
            State::Cancelled => return self.told(id),
            state @ (State::Held | State::Released | State::Expired) => return Err(Self::ended(state)),
        }
        let claim = self.claims.get_mut(&id).unwrap();
        for (allocation, (quantity, refunded)) in &mut claim.lines {
            let named = lines.iter().find(|(id, _)| id == allocation).map(|(_, target)| *target);
            let target = if lines.is_empty() { *quantity } else { named.unwrap_or(0) };
            *refunded = target.max(*refunded);
        }
        if claim.lines.values().all(|(quantity, refunded)| quantity == refunded) {
            claim.state = State::Cancelled;
        }
        self.told(id)
    }

    fn create_event(&mut self, config: &EventConfig) -> Said {
        match &self.event {
            Some((existing, _)) if existing == config => Ok(Verdict::Event(config.clone())),
            Some(_) => Err(Refusal::EventExists),
            None => {
                self.event = Some((config.clone(), 1));
                Ok(Verdict::Event(config.clone()))
            }
        }
    }

    fn update_event(&mut self, expected: Option<i64>, patch: &EventPatch) -> Said {
        let Some((before, version)) = self.event.clone() else { return Err(Refusal::EventNotFound) };
        let mut config = before.clone();
        // The generated edits touch no other fields; the table tests cover those.
        config.sales_state = patch.sales_state.unwrap_or(config.sales_state);
        config.limit_per_owner = patch.limit_per_owner.unwrap_or(config.limit_per_owner);
        config.hold_ttl_max = patch.hold_ttl_max.unwrap_or(config.hold_ttl_max);
        if config == before {
            return Ok(Verdict::Event(config));
        }
        if expected.is_some_and(|expected| expected != version) {
            return Ok(Verdict::EtagMismatch);
        }
        let (from, to) = (before.sales_state, config.sales_state);
        if from != to && (from == SalesState::Cancelled || to == SalesState::Draft) {
            return Err(Refusal::SalesStateTransition { from, to });
        }
        if config.hold_ttl_default > config.hold_ttl_max {
            return Err(Refusal::TtlDefaultAboveMax);
        }
        self.event = Some((config.clone(), version + 1));
        Ok(Verdict::Event(config))
    }

    fn create_allocation(&mut self, id: &AllocationId, name: &str, wanted: i64, limit: Option<i64>) -> Said {
        if self.event.is_none() {
            return Err(Refusal::EventNotFound);
        }
        if let Some(pool) = self.pools.get(id) {
            let same = (pool.name.as_str(), pool.wanted, pool.limit) == (name, wanted, limit);
            return if same { Ok(Verdict::Allocation(wanted, limit)) } else { Err(Refusal::AllocationExists) };
        }
        self.pools.insert(id.clone(), Pool { name: name.to_owned(), wanted, limit, version: 1 });
        Ok(Verdict::Allocation(wanted, limit))
    }

    fn update_allocation(
        &mut self,
        id: &AllocationId,
        expected: Option<i64>,
        patch: &AllocationPatch,
        mode: CapacityMode,
    ) -> Said {
        let committed = self.pools.get(id).map_or(0, |_| self.taken(id));
        if self.event.is_none() {
            return Err(Refusal::EventNotFound);
        }
        let pool = self.pools.get_mut(id).ok_or_else(|| Refusal::AllocationNotFound(id.clone()))?;
        let wanted = patch.capacity.unwrap_or(pool.wanted);
        let limit = patch.limit_per_owner.unwrap_or(pool.limit);
        if (wanted, limit) == (pool.wanted, pool.limit) {
            return Ok(Verdict::Allocation(wanted, limit));
        }
        if expected.is_some_and(|expected| expected != pool.version) {
            return Ok(Verdict::EtagMismatch);
        }
        if wanted != pool.wanted && mode == CapacityMode::Strict && committed > wanted {
            return Err(Refusal::CapacityBelowCommitted { allocation: id.clone(), committed });
        }
        *pool = Pool { name: pool.name.clone(), wanted, limit, version: pool.version + 1 };
        Ok(Verdict::Allocation(wanted, limit))
    }

    /// Whoever calls keeps the state before, in case that one of the steps is refused.
    fn apply(&mut self, target: &ApplyEvent) -> Said {
        let config = &target.config;
        let patch = EventPatch {
            sales_state: Some(config.sales_state),
            limit_per_owner: Some(config.limit_per_owner),
            hold_ttl_max: Some(config.hold_ttl_max),
            ..EventPatch::default()
        };
        let said = match (&self.event, target.expected) {
            (None, None | Some(0)) => self.create_event(config)?,
            (_, expected) => self.update_event(expected, &patch)?,
        };
        if said == Verdict::EtagMismatch {
            return Ok(said);
        }
        for AllocationTarget { id, display_name, capacity, limit_per_owner, expected } in &target.allocations {
            let patch = AllocationPatch {
                capacity: Some(*capacity),
                limit_per_owner: Some(*limit_per_owner),
                ..AllocationPatch::default()
            };
            let said = match (self.pools.contains_key(id), expected) {
                (false, None | Some(0)) => self.create_allocation(id, display_name, *capacity, *limit_per_owner)?,
                _ => self.update_allocation(id, *expected, &patch, target.mode)?,
            };
            if said == Verdict::EtagMismatch {
                return Ok(said);
            }
        }
        Ok(Verdict::Event(self.event.as_ref().ok_or(Refusal::EventNotFound)?.0.clone()))
    }

    fn transfer(&mut self, transfer: &TransferCapacity) -> Said {
        let TransferCapacity { from, to, quantity, from_expected, to_expected } = transfer;
        if self.event.is_none() {
            return Err(Refusal::EventNotFound);
        }
        let missing = [from, to].into_iter().find(|id| !self.pools.contains_key(*id));
        if let Some(missing) = missing {
            return Err(Refusal::AllocationNotFound(missing.clone()));
        }
        if (self.pools[from].version, self.pools[to].version) != (*from_expected, *to_expected) {
            return Ok(Verdict::EtagMismatch);
        }
        if self.pools[to].wanted + quantity > CAPACITY_MAX {
            return Err(Refusal::CapacityTooLarge(to.clone()));
        }
        let (left, committed) = (self.pools[from].wanted - quantity, self.taken(from));
        if committed > left {
            return Err(Refusal::CapacityBelowCommitted { allocation: from.clone(), committed });
        }
        for (id, change) in [(from, -quantity), (to, *quantity)] {
            let pool = self.pools.get_mut(id).unwrap();
            pool.wanted += change;
            pool.version += 1;
        }
        Ok(Verdict::Transferred(self.pools[from].wanted, self.pools[to].wanted))
    }
}
