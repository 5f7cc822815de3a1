//! Checks of single fields, shared by the requests. Each returns the checked value, or adds a violation.

use super::{Path, Violations};
use crate::domain::{
    AllocationId, CAPACITY_MAX, DISPLAY_NAME_CHARS_MAX, Duration, EventId, HOLD_TTL_MAX, HOLD_TTL_MIN, OrderRef,
    OwnerId, ReservationId, Seq, Timestamp, VERSION_OF_NOTHING, Version,
};
use crate::grpc::convert::{self, names, time};
use crate::grpc::page::{Key, Listing};

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
    /// What must be there: else it is a violation.
    pub(super) fn require<T>(
        &mut self,
        reason: &'static str,
        path: Path<'_>,
        value: Option<T>,
        description: &'static str,
    ) -> Option<T> {
        if value.is_none() {
            self.add(reason, path, description);
        }
        value
    }

    /// A value of an enum; `None` where its number is not known.
    pub(super) fn known<T>(&mut self, reason: &'static str, path: Path<'_>, parsed: Option<T>) -> Option<T> {
        self.require(reason, path, parsed, "must be a known value")
    }

    /// The name of an event, in a field called `name` or `parent`.
    pub(super) fn event_name(&mut self, reason: &'static str, path: Path<'_>, name: &str) -> Option<EventId> {
        let id = self.require(reason, path, names::split_event(name), EVENT_NAME)?;
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
        let (event, allocation) = self.require(reason, path, names::split_allocation(name), ALLOCATION_NAME)?;
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
        let (named, allocation) = self.require(REASON, path, names::split_allocation(name), ALLOCATION_NAME)?;
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
        let (event, reservation) = self.require(reason, path, names::split_reservation(name), RESERVATION_NAME)?;
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

    /// A number that is not below `least` and not above `most`.
    pub(super) fn number(
        &mut self,
        reason: &'static str,
        path: Path<'_>,
        number: i32,
        least: i64,
        most: i64,
    ) -> Option<i64> {
        let number = i64::from(number);
        if (least..=most).contains(&number) {
            return Some(number);
        }
        self.add(reason, path, format!("must be {least} to {most}"));
        None
    }

    /// A number of units from 1 to `max`.
    pub(super) fn quantity(&mut self, path: Path<'_>, quantity: i32, max: i64) -> Option<i64> {
        self.number("INVALID_QUANTITY", path, quantity, 1, max)
    }

    /// A capacity.
    pub(super) fn capacity(&mut self, path: Path<'_>, capacity: i32) -> Option<i64> {
        self.number("INVALID_CAPACITY", path, capacity, 0, CAPACITY_MAX)
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

    /// A span that is not below `least` and not above `most`.
    pub(super) fn span(
        &mut self,
        reason: &'static str,
        path: Path<'_>,
        span: &prost_types::Duration,
        least: Duration,
        most: Duration,
    ) -> Option<Duration> {
        let span = time::parse_duration(span).filter(|span| (least..=most).contains(span));
        if span.is_none() {
            self.add(reason, path, format!("must be {least} to {most}"));
        }
        span
    }

    /// A life of a hold.
    pub(super) fn ttl(
        &mut self,
        reason: &'static str,
        path: Path<'_>,
        ttl: &prost_types::Duration,
    ) -> Option<Duration> {
        self.span(reason, path, ttl, HOLD_TTL_MIN, HOLD_TTL_MAX)
    }

    /// A moment that may be left out.
    pub(super) fn time(
        &mut self,
        reason: &'static str,
        path: Path<'_>,
        at: Option<&prost_types::Timestamp>,
    ) -> Option<Option<Timestamp>> {
        const WANTED: &str = "must be a time of the years 1 to 9999 with nanos of 0 to 999999999";
        let Some(at) = at else { return Some(None) };
        self.require(reason, path, time::parse_timestamp(at), WANTED).map(Some)
    }

    /// An etag that must be given.
    pub(super) fn etag(&mut self, path: Path<'_>, etag: &str) -> Option<Version> {
        const WANTED: &str = "must be an etag as it was read, quotes included";
        self.require("INVALID_ETAG", path, convert::parse_etag(etag), WANTED)
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

    /// The token of a page of a list: the key after which it begins.
    pub(super) fn page_token<K: Key>(&mut self, token: &str, list: Listing) -> Option<Option<K>> {
        const WANTED: &str = "must be the next_page_token of a page before, of the same list";
        if token.is_empty() {
            return Some(None);
        }
        self.require("INVALID_PAGE_TOKEN", Path::Request.field("page_token"), list.key(token), WANTED).map(Some)
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
