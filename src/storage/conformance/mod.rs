//! What every store must do: a list of cases, written once and run on each database.
//!
//! A store's tests implement [`Backend`] and name it in `conformance_tests!`. The cases build changes by hand
//! ([`Draft`]), so they can also write what no decision would.

pub(super) mod audit;
mod draft;
pub(super) mod guards;
pub(super) mod journal;
pub(super) mod loads;
pub(super) mod owners;
pub(super) mod reads;
pub(super) mod writes;

pub(super) use self::draft::Draft;

use async_trait::async_trait;
use uuid::Uuid;

use super::{BoxError, LaneConnection, Loaded, Store};
use crate::domain::{
    Allocation, AllocationId, Duration, Event, EventConfig, EventId, JournalEntry, Line, OwnerId, Reservation,
    ReservationId, SalesState, Snapshot, State, Timestamp, Wanted,
};

/// A fresh, empty database whose clock the test moves.
#[async_trait]
pub(super) trait Backend: Send + Sync {
    /// The store under test.
    fn store(&self) -> &dyn Store;
    /// Whether several servers may write to it.
    fn is_shared(&self) -> bool;
    /// Lets time pass.
    async fn advance(&self, span: Duration);
    /// Closes the store, after its lanes were dropped, and opens it again.
    async fn reopen(&mut self);
    /// Runs SQL behind the store's back.
    async fn execute(&self, sql: &'static str) -> Result<(), BoxError>;
    /// Takes the CHECK of its counts off the table of allocations, after the lanes were dropped.
    async fn uncheck_allocations(&mut self);
    /// Whether the owner index lacks a whole run of some event.
    async fn is_upkeep_due(&self) -> bool;
}

/// How many events lack a whole run.
pub(super) const UPKEEP_DUE: &str = "SELECT count(*) FROM events WHERE last_seq - owner_indexed_seq >= 16384";

/// An event in the tables that the first migration makes.
pub(super) const EVENT_OF_THE_FIRST_VERSION: &str = "INSERT INTO events (id, display_name, sales_state, hold_ttl_default, \
     hold_ttl_max, last_seq, version, allocation_count, has_allocation_limits, created_at) \
     VALUES ('old', 'Old', 'ON_SALE', 1, 1, 0, 1, 0, 0, 0)";

/// Makes one test of each case, on the backends that `$backend` makes (an async function without arguments).
macro_rules! conformance_tests {
    ($backend:path) => {
        $crate::storage::conformance::conformance_tests! { $backend;
            writes: every_field_survives, what_new_reservations_have_in_common_survives, every_kind_of_change_survives, edits_survive, each_edit_survives_by_itself, one_batch_may_span_events,
                a_commit_without_changes_writes_nothing, a_rollback_leaves_nothing, a_dropped_lane_leaves_nothing,
                many_lines_and_large_batches_fit;
            guards: a_stale_last_seq_is_refused, a_stale_last_seq_of_an_edit_is_refused, a_stale_event_version_is_refused,
                a_stale_event_version_of_an_edit_is_refused, an_event_is_created_once, a_stale_allocation_version_is_refused,
                a_stale_allocation_version_of_an_edit_is_refused, overselling_is_refused, an_edit_that_oversells_is_refused, no_check_is_needed_to_refuse_overselling,
                negative_counts_are_refused, a_wrong_state_is_refused, a_stale_reservation_is_refused,
                a_reservation_id_is_used_once, a_reservation_id_among_many_is_used_once, a_journal_number_is_used_once,
                no_journal_number_of_several_is_used_again, an_allocation_is_created_once, an_unknown_allocation_is_refused,
                a_change_without_its_event_is_refused, the_table_itself_refuses_overselling,
                the_table_itself_refuses_half_a_waiting_room;
            loads: what_is_wanted_is_loaded, what_does_not_exist_is_left_out, ids_of_any_version_are_found,
                allocations_of_loaded_reservations_come_along, expired_holds_come_earliest_first,
                holds_that_expire_together_come_in_order_of_ids,
                expired_holds_are_loaded_at_once_if_wanted, the_earliest_expiry_is_known, the_journal_is_read_in_a_lane;
            reads: a_view_leaves_out_expired_holds, a_capacity_that_is_drained_follows_expired_holds_in_a_view, events_come_in_pages, reservations_come_in_pages,
                the_journal_comes_in_parts, single_things_are_found, totals_are_of_all_events, events_with_expired_holds_are_found,
                events_with_a_waiting_room_are_found;
            owners: an_owners_reservations_are_listed_at_every_moment, listing_survives_a_restart_within_a_run,
                usage_counts_what_is_held_or_bought, what_lies_where_a_run_of_the_index_ends_is_there_once,
                owners_of_several_events_are_kept_apart;
            audit: an_audit_sees_one_state, an_audit_reads_everything_in_order;
        }
    };
    ($backend:path; $($group:ident: $($case:ident),+;)+) => {
        $(mod $group {
            $(#[tokio::test]
            async fn $case() {
                $crate::storage::conformance::$group::$case(&mut $backend().await).await;
            })+
        })+
    };
}
pub(super) use conformance_tests;

fn event_id(id: &str) -> EventId {
    EventId::new(id).unwrap()
}

fn allocation_id(id: &str) -> AllocationId {
    AllocationId::new(id).unwrap()
}

fn owner(name: &str) -> OwnerId {
    OwnerId::new(name).unwrap()
}

/// The `n`th of ids in the order of time.
pub(super) fn v7(n: u64) -> ReservationId {
    let time = 0x0190_0000_0000_u128 + u128::from(n);
    Uuid::from_u128((time << 80) | (7 << 76) | (0b10 << 62) | u128::from(n)).into()
}

/// The `n`th of ids in no order.
fn v4(n: u64) -> ReservationId {
    let high = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let bits = (u128::from(high) << 64) | u128::from(high.rotate_left(17));
    Uuid::from_u128(bits & !(0xf << 76) & !(0b11 << 62) | (4 << 76) | (0b10 << 62)).into()
}

fn new_event(id: &str, now: Timestamp) -> Event {
    Event {
        id: event_id(id),
        config: EventConfig {
            display_name: "Concert".to_owned(),
            sales_state: SalesState::OnSale,
            on_sale_at: None,
            off_sale_at: None,
            hold_ttl_default: Duration::from_secs(600),
            hold_ttl_max: Duration::from_secs(3600),
            limit_per_owner: None,
            waiting_room: None,
        },
        last_seq: 0,
        version: 1,
        allocation_count: 0,
        has_allocation_limits: false,
        created_at: now,
    }
}

fn new_allocation(id: &str, capacity: i64) -> Allocation {
    Allocation {
        id: allocation_id(id),
        display_name: "General admission".to_owned(),
        capacity,
        drain_to: None,
        held: 0,
        sold: 0,
        limit_per_owner: None,
        version: 1,
    }
}

fn hold(id: ReservationId, name: &str, lines: &[(&str, i64)], now: Timestamp, ttl: Duration) -> Reservation {
    let line = |(id, quantity): &(&str, i64)| Line {
        allocation: allocation_id(id),
        quantity: *quantity,
        requested: *quantity,
        cancelled: 0,
    };
    Reservation {
        id,
        owner: owner(name),
        state: State::Held,
        lines: lines.iter().map(line).collect(),
        expires_at: now.plus(ttl),
        created_at: now,
        updated_at: now,
        fingerprint: 42,
        order_ref: None,
    }
}

/// A hold of 10 minutes on one unit of `ga`.
pub(super) fn plain_hold(id: ReservationId, name: &str, now: Timestamp) -> Reservation {
    hold(id, name, &[("ga", 1)], now, Duration::from_secs(600))
}

/// Begins a transaction on one event.
pub(super) async fn begin(
    lane: &mut dyn LaneConnection,
    id: &str,
    reservations: &[ReservationId],
    ids: &[&str],
) -> Draft {
    let mut wanted = Wanted::new(event_id(id));
    wanted.reservations.extend(reservations);
    wanted.allocations.extend(ids.iter().map(|id| allocation_id(id)));
    let Loaded { now, mut snapshots, .. } = lane.begin(&[wanted]).await.unwrap();
    Draft::new(snapshots.pop().unwrap(), now)
}

async fn lane(backend: &dyn Backend) -> Box<dyn LaneConnection> {
    backend.store().open_lane().await.unwrap()
}

/// Creates an event with allocations.
pub(super) async fn create(lane: &mut dyn LaneConnection, id: &str, allocations: &[(&str, i64)]) {
    let mut draft = begin(lane, id, &[], &[]).await;
    draft.create_event(new_event(id, draft.now));
    for (id, capacity) in allocations {
        draft.create_allocation(new_allocation(id, *capacity));
    }
    lane.commit(&[draft.finish()]).await.unwrap();
}

/// Reserves: one journal entry for each.
pub(super) async fn reserve(lane: &mut dyn LaneConnection, id: &str, make: impl Fn(Timestamp) -> Vec<Reservation>) {
    let mut draft = begin(lane, id, &[], &["ga", "vip"]).await;
    for reservation in make(draft.now) {
        draft.insert(reservation);
    }
    lane.commit(&[draft.finish()]).await.unwrap();
}

/// All that the store holds of an event.
#[derive(Debug, PartialEq)]
pub(super) struct Dump {
    pub(super) event: Event,
    pub(super) allocations: Vec<Allocation>,
    pub(super) reservations: Vec<Reservation>,
    pub(super) journal: Vec<JournalEntry>,
}

pub(super) async fn dump(backend: &dyn Backend, id: &str) -> Dump {
    let mut reader = backend.store().audit_reader(&event_id(id)).await.unwrap().unwrap();
    let view = reader.event().await.unwrap();
    Dump {
        event: view.event,
        allocations: view.allocations,
        reservations: reader.next_reservations(1_000_000).await.unwrap(),
        journal: reader.next_journal(1_000_000).await.unwrap(),
    }
}
