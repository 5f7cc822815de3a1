//! Checks of single fields, shared by the requests. Each returns the checked value, or adds a violation.

use super::{Path, Violations};
use crate::domain::{
    AllocationId, CAPACITY_MAX, DISPLAY_NAME_CHARS_MAX, Duration, EventId, HOLD_TTL_MAX, HOLD_TTL_MIN, OrderRef,
    OwnerId, ReservationId, Seq, Timestamp, VERSION_OF_NOTHING, Version,
};
use crate::grpc::convert::{self, names, time};
use crate::grpc::page::Token;

/// Page sizes of a list: what 0 stands for, and what larger ones count as.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageSizes {
    pub(super) default: usize,
    pub(super) max: usize,
}

/// Of events and reservations.
pub(super) const PAGES: PageSizes = PageSizes { default: 50, max: 1_000 };
/// Of changes.
pub(super) const CHANGE_PAGES: PageSizes = PageSizes { default: 100, max: 10_000 };

const EVENT_NAME: &str = "must be events/{event}";
const ALLOCATION_NAME: &str = "must be events/{event}/allocations/{allocation}";
const RESERVATION_NAME: &str = "must be events/{event}/reservations/{reservation}";
const LIMIT_RANGE: &str = "must be 0 (no limit) to 2147483647";

impl Violations {
    /// The name of an event, in a field called `name` or `parent`.
    pub(super) fn event_name(&mut self, reason: &'static str, path: Path<'_>, name: &str) -> Option<EventId> {
        let Some(id) = names::split_event(name) else {
            self.add(reason, path, EVENT_NAME);
            return None;
        };
        self.event_id(reason, path, id)
    }

    /// The id of an event.
    pub(super) fn event_id(&mut self, reason: &'static str, path: Path<'_>, id: &str) -> Option<EventId> {
        EventId::new(id).map_err(|error| self.add(reason, path, error.0)).ok()
    }

    /// The id of an allocation.
    pub(super) fn allocation_id(&mut self, reason: &'static str, path: Path<'_>, id: &str) -> Option<AllocationId> {
        AllocationId::new(id).map_err(|error| self.add(reason, path, error.0)).ok()
    }

    /// The name of an allocation.
    pub(super) fn allocation_name(
        &mut self,
        reason: &'static str,
        path: Path<'_>,
        name: &str,
    ) -> Option<(EventId, AllocationId)> {
        let Some((event, allocation)) = names::split_allocation(name) else {
            self.add(reason, path, ALLOCATION_NAME);
            return None;
        };
        let event = self.event_id(reason, path, event)?;
        Some((event, self.allocation_id(reason, path, allocation)?))
    }

    /// The name of an allocation of `event`; of any event where that is unknown, because it is itself wrong.
    pub(super) fn allocation_of(
        &mut self,
        event: Option<&EventId>,
        path: Path<'_>,
        name: &str,
    ) -> Option<AllocationId> {
        const REASON: &str = "INVALID_ALLOCATION";
        let Some((named, allocation)) = names::split_allocation(name) else {
            self.add(REASON, path, ALLOCATION_NAME);
            return None;
        };
        if event.is_some_and(|event| event.as_str() != named) {
            self.add(REASON, path, "must be an allocation of the same event");
            return None;
        }
        self.allocation_id(REASON, path, allocation)
    }

    /// The name of a reservation.
    pub(super) fn reservation_name(
        &mut self,
        reason: &'static str,
        path: Path<'_>,
        name: &str,
    ) -> Option<(EventId, ReservationId)> {
        let Some((event, reservation)) = names::split_reservation(name) else {
            self.add(reason, path, RESERVATION_NAME);
            return None;
        };
        let event = self.event_id(reason, path, event)?;
        Some((event, self.reservation_id(reason, path, reservation)?))
    }

    /// The id of a reservation: lower case, so that one reservation has one name.
    pub(super) fn reservation_id(&mut self, reason: &'static str, path: Path<'_>, id: &str) -> Option<ReservationId> {
        if id.bytes().any(|b| b.is_ascii_uppercase()) {
            self.add(reason, path, "must be in lower case");
            return None;
        }
        ReservationId::new(id).map_err(|error| self.add(reason, path, error.0)).ok()
    }

    /// An owner.
    pub(super) fn owner(&mut self, path: Path<'_>, owner: &str) -> Option<OwnerId> {
        OwnerId::new(owner).map_err(|error| self.add("INVALID_OWNER", path, error.0)).ok()
    }

    /// An order.
    pub(super) fn order_ref(&mut self, path: Path<'_>, order_ref: &str) -> Option<OrderRef> {
        OrderRef::new(order_ref).map_err(|error| self.add("INVALID_ORDER_REF", path, error.0)).ok()
    }

    /// A number of units from 1 to `max`.
    pub(super) fn quantity(&mut self, path: Path<'_>, quantity: i32, max: i64) -> Option<i64> {
        let quantity = i64::from(quantity);
        if (1..=max).contains(&quantity) {
            return Some(quantity);
        }
        self.add("INVALID_QUANTITY", path, format!("must be 1 to {max}"));
        None
    }

    /// A capacity.
    pub(super) fn capacity(&mut self, path: Path<'_>, capacity: i32) -> Option<i64> {
        let capacity = i64::from(capacity);
        if (0..=CAPACITY_MAX).contains(&capacity) {
            return Some(capacity);
        }
        self.add("INVALID_CAPACITY", path, format!("must be 0 to {CAPACITY_MAX}"));
        None
    }

    /// A limit per owner, where 0 stands for none.
    pub(super) fn limit_per_owner(&mut self, path: Path<'_>, limit: i32) -> Option<Option<i64>> {
        if limit < 0 {
            self.add("INVALID_LIMIT_PER_OWNER", path, LIMIT_RANGE);
            return None;
        }
        Some((limit > 0).then_some(i64::from(limit)))
    }

    /// A text for people.
    pub(super) fn display_name(&mut self, path: Path<'_>, name: String) -> Option<String> {
        if name.chars().count() <= DISPLAY_NAME_CHARS_MAX && !name.chars().any(char::is_control) {
            return Some(name);
        }
        let wanted = format!("must be at most {DISPLAY_NAME_CHARS_MAX} characters, none of them a control character");
        self.add("INVALID_DISPLAY_NAME", path, wanted);
        None
    }

    /// A life of a hold that must be given.
    pub(super) fn ttl(
        &mut self,
        reason: &'static str,
        path: Path<'_>,
        ttl: Option<&prost_types::Duration>,
    ) -> Option<Duration> {
        let Some(ttl) = ttl else {
            self.add(reason, path, "must be set");
            return None;
        };
        let ttl = time::parse_duration(ttl).filter(|ttl| (HOLD_TTL_MIN..=HOLD_TTL_MAX).contains(ttl));
        if ttl.is_none() {
            self.add(reason, path, format!("must be {HOLD_TTL_MIN} to {HOLD_TTL_MAX}"));
        }
        ttl
    }

    /// A moment that may be left out.
    pub(super) fn time(
        &mut self,
        reason: &'static str,
        path: Path<'_>,
        at: Option<&prost_types::Timestamp>,
    ) -> Option<Option<Timestamp>> {
        let Some(at) = at else { return Some(None) };
        let parsed = time::parse_timestamp(at);
        if parsed.is_none() {
            self.add(reason, path, "must be a time of the years 1 to 9999 with nanos of 0 to 999999999");
        }
        parsed.map(Some)
    }

    /// An etag that must be given.
    pub(super) fn etag(&mut self, path: Path<'_>, etag: &str) -> Option<Version> {
        let version = convert::parse_etag(etag);
        if version.is_none() {
            self.add("INVALID_ETAG", path, "must be an etag as it was read, quotes included");
        }
        version
    }

    /// An etag that may be empty.
    pub(super) fn optional_etag(&mut self, path: Path<'_>, etag: &str) -> Option<Option<Version>> {
        if etag.is_empty() { Some(None) } else { self.etag(path, etag).map(Some) }
    }

    /// An etag that may be empty, or tell that nothing is there yet.
    pub(super) fn target_etag(&mut self, path: Path<'_>, etag: &str) -> Option<Option<Version>> {
        if etag == convert::etag(VERSION_OF_NOTHING) {
            return Some(Some(VERSION_OF_NOTHING));
        }
        self.optional_etag(path, etag)
    }

    /// A number of an enum, as `parse` reads it.
    pub(super) fn known<T>(&mut self, reason: &'static str, path: Path<'_>, parsed: Option<T>) -> Option<T> {
        if parsed.is_none() {
            self.add(reason, path, "must be a known value");
        }
        parsed
    }

    /// The size of a page.
    pub(super) fn page_size(&mut self, size: i32, sizes: PageSizes) -> Option<usize> {
        match usize::try_from(size) {
            Ok(0) => Some(sizes.default),
            Ok(size) => Some(size.min(sizes.max)),
            Err(_) => {
                self.add("INVALID_PAGE_SIZE", Path::Request.field("page_size"), "must not be negative");
                None
            }
        }
    }

    /// The token of a page.
    pub(super) fn page_token<K: Token>(&mut self, token: &str) -> Option<Option<K>> {
        if token.is_empty() {
            return Some(None);
        }
        let key = K::parse(token);
        if key.is_none() {
            self.add(
                "INVALID_PAGE_TOKEN",
                Path::Request.field("page_token"),
                "must be the next_page_token of a page before",
            );
        }
        key.map(Some)
    }

    /// The first number of a change that is wanted.
    pub(super) fn start_seq(&mut self, seq: i64) -> Option<Seq> {
        if seq < 0 {
            self.add("INVALID_FROM_SEQ", Path::Request.field("from_seq"), "must not be negative");
            return None;
        }
        Some(seq)
    }
}
