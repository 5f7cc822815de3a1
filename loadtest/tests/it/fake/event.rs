//! The fake's state of one event, and its rules.

use std::collections::{BTreeSet, HashMap};

use boxoffice_proto::v1::change::{Delta, Kind};
use boxoffice_proto::v1::reservation::State;
use boxoffice_proto::v1::*;
use loadtest::clock::{Micros, micros};
use prost_types::Timestamp;
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Most requests that are lost.
const LOST_MAX: usize = 20;

#[derive(Default)]
pub(super) struct FakeEvent {
    /// The moment of the present call. It is read once, under the lock, as the server does: between two readings a hold may
    /// lapse, and what was decided by the first would be written down as of a time when it was no longer true.
    pub(super) at: Micros,
    pub(super) event: Event,
    pub(super) allocation: Allocation,
    pub(super) journal: Vec<Change>,
    /// With the request that made it.
    pub(super) reservations: HashMap<String, (Reservation, CreateReservationRequest)>,
    /// Nothing is sold before.
    pub(super) paused_until: Micros,
    /// When holds may have to be reclaimed, and which.
    expiries: BTreeSet<(Micros, String)>,
    /// What each owner has.
    usage: HashMap<String, i32>,
    pub(super) sold_out_at: Micros,
    /// Chances for the bugs that don't show always.
    pub(super) chances: u32,
    /// Requests that were lost on their way, and come yet, and whose they are.
    under_way: Vec<(String, CreateReservationRequest)>,
    /// The ids of those that were ever lost.
    lost: BTreeSet<String>,
}

impl FakeEvent {
    pub(super) fn write(&mut self, kind: Kind, about: Option<&Reservation>, capacity: i32, held: i32, sold: i32) {
        self.allocation.capacity += capacity;
        self.allocation.held += held;
        self.allocation.sold += sold;
        self.event.seq += 1;
        let sells = matches!(kind, Kind::Sold | Kind::Confirmed | Kind::Reacquired);
        let holds = matches!(kind, Kind::Reserved | Kind::Extended);
        let edits = matches!(kind, Kind::EventCreated | Kind::EventUpdated);
        if let Some(reservation) = about {
            *self.usage.entry(reservation.owner.clone()).or_default() += held + sold;
            if holds {
                self.expiries.insert((expires(reservation), reservation.name.clone()));
            }
        }
        let delta = Delta { allocation: self.allocation.name.clone(), capacity, held, sold };
        self.journal.push(Change {
            seq: self.event.seq,
            occur_time: timestamp(self.at),
            kind: kind.into(),
            reservation: about.map(|r| r.name.clone()).unwrap_or_default(),
            owner: about.map(|r| r.owner.clone()).unwrap_or_default(),
            deltas: if (capacity, held, sold) == (0, 0, 0) { Vec::new() } else { vec![delta] },
            expire_time: about.filter(|_| holds).and_then(|r| r.expire_time),
            order_ref: about.filter(|_| sells).map(|r| r.order_ref.clone()).unwrap_or_default(),
            event: edits.then(|| self.event.clone()),
            ..Change::default()
        });
    }

    pub(super) fn available(&self) -> i32 {
        self.allocation.capacity - self.allocation.held - self.allocation.sold
    }

    /// Ends all holds that have expired.
    pub(super) fn reclaim(&mut self) {
        let at = self.at;
        while self.expiries.first().is_some_and(|(expiry, _)| *expiry <= at) {
            let Some((_, name)) = self.expiries.pop_first() else { return };
            let (reservation, _) = &self.reservations[&name];
            if reservation.state() == State::Held && expires(reservation) <= at {
                self.change(&name, Kind::Expired, State::Expired, |r| (-r.lines[0].quantity, 0));
            }
        }
    }

    pub(super) fn change(
        &mut self,
        name: &str,
        kind: Kind,
        state: State,
        act: impl FnOnce(&mut Reservation) -> (i32, i32),
    ) -> Reservation {
        let (reservation, _) = self.reservations.get_mut(name).unwrap();
        let (held, sold) = act(reservation);
        reservation.state = state.into();
        let reservation = reservation.clone();
        self.write(kind, Some(&reservation), 0, held, sold);
        reservation
    }

    /// Loses some of the requests that would be refused, each once; answers whether this one is.
    pub(super) fn loses(&mut self, owner: &str, request: &CreateReservationRequest) -> bool {
        let is_plain = request.order_ref.is_empty() && request.replaces.is_empty();
        let lost = is_plain
            && self.available() == 0
            && self.lost.len() < LOST_MAX
            && self.lost.insert(request.reservation_id.clone());
        if lost {
            self.under_way.push((owner.to_owned(), request.clone()));
        }
        lost
    }

    /// What was lost arrives.
    pub(super) fn find_lost(&mut self) {
        for (owner, request) in std::mem::take(&mut self.under_way) {
            let name = format!("{}/reservations/{}", self.event.name, request.reservation_id);
            if !self.reservations.contains_key(&name)
                && let Ok(granted) = self.grant(&owner, &request)
            {
                self.create(&owner, request, granted);
            }
        }
    }

    /// How many units to grant.
    pub(super) fn grant(&self, owner: &str, request: &CreateReservationRequest) -> Result<i32, Status> {
        let wanted = request.reservation.as_ref().unwrap().lines[0].quantity;
        let replaced = self.reservations.get(&request.replaces).map(|(r, _)| r);
        if !request.replaces.is_empty() && replaced.is_none_or(|r| r.owner != owner) {
            return Err(not_found());
        }
        if replaced.is_some_and(|r| r.state() == State::Confirmed) {
            return Err(ended(State::Confirmed));
        }
        let back = replaced.filter(|r| r.state() == State::Held).map_or(0, units);
        let least = if request.mode() == ReservationMode::UpTo { 1 } else { wanted };
        self.grant_between(owner, least, wanted, back)
    }

    /// How many units, of which `back` come back in the same step.
    pub(super) fn grant_between(&self, owner: &str, least: i32, most: i32, back: i32) -> Result<i32, Status> {
        let limit = match self.event.limit_per_owner {
            0 => i32::MAX,
            limit => limit - self.usage.get(owner).copied().unwrap_or_default() + back,
        };
        let available = self.available() + back;
        if self.at < self.paused_until {
            return Err(precondition("SALES_NOT_OPEN"));
        }
        if limit < least {
            return Err(precondition("OWNER_LIMIT_EXCEEDED"));
        }
        match available.min(limit).min(most) {
            granted if granted >= least => Ok(granted),
            _ if available > 0 => Err(precondition("INSUFFICIENT_AVAILABILITY")),
            _ if self.allocation.held > 0 => Err(precondition("ALL_HELD")),
            _ => Err(precondition("SOLD_OUT")),
        }
    }

    /// Until when it can live at most.
    pub(super) fn longest(&self, reservation: &Reservation) -> Micros {
        micros(reservation.create_time.as_ref().unwrap()) + self.event.max_hold_ttl.unwrap().seconds * 1_000_000
    }

    pub(super) fn create(&mut self, owner: &str, request: CreateReservationRequest, granted: i32) -> Reservation {
        if self.reservations.get(&request.replaces).is_some_and(|(r, _)| r.state() == State::Held) {
            self.change(&request.replaces, Kind::Released, State::Released, |r| (-r.lines[0].quantity, 0));
        }
        let mut reservation = request.reservation.clone().unwrap();
        reservation.lines[0].quantity = granted;
        reservation.name = format!("{}/reservations/{}", self.event.name, request.reservation_id);
        reservation.owner = owner.to_owned();
        reservation.order_ref = request.order_ref.clone();
        reservation.create_time = timestamp(self.at);
        reservation.expire_time = timestamp(self.at + self.event.default_hold_ttl.unwrap().seconds * 1_000_000);
        let sells = !request.order_ref.is_empty();
        reservation.state = if sells { State::Confirmed } else { State::Held }.into();
        let name = reservation.name.clone();
        self.reservations.insert(name, (reservation.clone(), request));
        if sells {
            self.write(Kind::Sold, Some(&reservation), 0, 0, granted);
        } else {
            self.write(Kind::Reserved, Some(&reservation), 0, granted, 0);
        }
        reservation
    }
}

pub(super) fn refusal(code: Code, reason: &str) -> Status {
    Status::with_error_details(code, reason, ErrorDetails::with_error_info(reason, "boxoffice", HashMap::new()))
}

pub(super) fn precondition(reason: &str) -> Status {
    refusal(Code::FailedPrecondition, reason)
}

pub(super) fn not_found() -> Status {
    refusal(Code::NotFound, "RESERVATION_NOT_FOUND")
}

/// The same reason in other words.
pub(super) fn not_yours() -> Status {
    let reason = ErrorDetails::with_error_info("RESERVATION_NOT_FOUND", "boxoffice", HashMap::new());
    Status::with_error_details(Code::NotFound, "not yours", reason)
}

pub(super) fn timestamp(at: Micros) -> Option<Timestamp> {
    Some(Timestamp { seconds: at / 1_000_000, nanos: i32::try_from(at % 1_000_000).unwrap() * 1_000 })
}

pub(super) fn owner<T>(request: &Request<T>) -> String {
    request.metadata().get("boxoffice-owner").unwrap().to_str().unwrap().to_owned()
}

pub(super) fn event_name(name: &str) -> String {
    name.split('/').take(2).collect::<Vec<_>>().join("/")
}

pub(super) fn expires(reservation: &Reservation) -> Micros {
    micros(reservation.expire_time.as_ref().unwrap())
}

fn units(reservation: &Reservation) -> i32 {
    reservation.lines[0].quantity - reservation.lines[0].cancelled_quantity
}

pub(super) fn ended(state: State) -> Status {
    precondition(match state {
        State::Confirmed => "ALREADY_CONFIRMED",
        State::Released => "ALREADY_RELEASED",
        State::Cancelled => "ALREADY_CANCELLED",
        State::Held => "NOT_CONFIRMED",
        State::Expired | State::Unspecified => "RESERVATION_EXPIRED",
    })
}
