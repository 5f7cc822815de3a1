//! What is written is read again as it was.

use super::*;
use crate::domain::{Actor, AllocationEdit, Delta, EventEdit, JournalKind, OnLoss, OrderRef, WaitingRoom};

/// Text that would break SQL or JSON that is put together carelessly.
const AWKWARD: &str = "O'Brien \"& Söhne\" \\ \u{7}\n{}[], 100 % 🎫";

pub(in crate::storage) async fn every_field_survives(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    let mut draft = begin(&mut *lane, "e1", &[], &[]).await;
    let now = draft.now;
    let mut event = new_event("e1", now);
    event.config = EventConfig {
        display_name: AWKWARD.to_owned(),
        sales_state: SalesState::Paused,
        on_sale_at: Some(Timestamp::from_micros(-1)),
        off_sale_at: Some(Timestamp::from_micros(i64::MAX)),
        hold_ttl_default: Duration::from_micros(1),
        hold_ttl_max: Duration::from_secs(86_400 * 30),
        limit_per_owner: Some(4),
        waiting_room: Some(WaitingRoom {
            admissions_per_second: 50,
            inside_max: Some(2_000),
            on_loss: OnLoss::Open,
            pass_lifetime: Duration::from_secs(300),
            grace: Duration::from_micros(60_000_001),
        }),
    };
    event.has_allocation_limits = true;
    event.version = 7;
    draft.create_event(event);
    draft.create_allocation(Allocation {
        display_name: AWKWARD.to_owned(),
        drain_to: Some(90),
        limit_per_owner: Some(2),
        version: 9,
        ..new_allocation("ga", 100)
    });
    draft.create_allocation(new_allocation("vip", 0));
    let awkward_owner = "a\"b\\c'd%_,{}[]:;~";
    for (index, state) in (0..).zip(State::ALL) {
        let mut reservation = hold(v7(index), awkward_owner, &[("ga", 5), ("vip", 0)], now, Duration::from_secs(60));
        reservation.state = state;
        reservation.lines[0].requested = 6;
        reservation.lines[1].requested = 1;
        reservation.lines[0].cancelled = if state == State::Confirmed { 2 } else { 0 };
        reservation.updated_at = now.plus(Duration::from_secs(1));
        reservation.fingerprint = [i64::MIN, i64::MAX, 0, -1, 1][usize::try_from(index).unwrap()];
        reservation.order_ref = (index % 2 == 0).then(|| OrderRef::new("Ord'er \"№\" 1\\").unwrap());
        draft.insert(reservation);
    }
    let changes = draft.finish();
    lane.commit(std::slice::from_ref(&changes)).await.unwrap();

    let stored = dump(backend, "e1").await;
    assert_eq!(stored.event, changes.event.unwrap().after);
    assert_eq!(stored.allocations, after(changes.allocations.clone()));
    assert_eq!(stored.reservations, after(changes.reservations.clone()));
    assert_eq!(stored.journal, changes.journal);

    let ids: Vec<_> = (0..5).map(v7).collect();
    let loaded = begin(&mut *lane, "e1", &ids, &["ga", "vip"]).await.snapshot;
    lane.rollback().await.unwrap();
    assert_eq!(loaded.event, Some(stored.event));
    assert_eq!(loaded.allocations.into_values().collect::<Vec<_>>(), stored.allocations);
    let mut reservations: Vec<_> = loaded.reservations.into_values().collect();
    reservations.sort_by_key(|reservation| reservation.id);
    assert_eq!(reservations, stored.reservations);
}

/// Stores may write once what all new reservations of a batch have.
pub(in crate::storage) async fn what_new_reservations_have_in_common_survives(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 100)]).await;
    let fields: [fn(&mut Reservation); 9] = [
        |_| {},
        |reservation| reservation.owner = owner("bob"),
        |reservation| reservation.lines[0].quantity = 2,
        |reservation| reservation.lines[0].requested = 4,
        |reservation| reservation.lines[0].cancelled = 0,
        |reservation| reservation.expires_at = reservation.expires_at.plus(Duration::from_secs(1)),
        |reservation| reservation.updated_at = reservation.updated_at.plus(Duration::from_secs(1)),
        |reservation| reservation.fingerprint = 43,
        |reservation| reservation.order_ref = None,
    ];
    let mut written = Vec::new();
    for (batch, differ) in (0..).zip(fields) {
        let mut draft = begin(&mut *lane, "e1", &[], &["ga"]).await;
        for index in 0..3 {
            let mut reservation = plain_hold(v7(batch * 3 + index), "ann", draft.now);
            (reservation.lines[0].requested, reservation.lines[0].cancelled) = (3, 1);
            reservation.order_ref = Some(OrderRef::new("o-1").unwrap());
            if index == 1 {
                differ(&mut reservation);
            }
            written.push(reservation.clone());
            draft.insert(reservation);
        }
        lane.commit(&[draft.finish()]).await.unwrap();
    }
    assert_eq!(dump(backend, "e1").await.reservations, written);
}

fn after<T>(edits: Vec<crate::domain::Edited<T>>) -> Vec<T> {
    edits.into_iter().map(|edited| edited.after).collect()
}

pub(in crate::storage) async fn every_kind_of_change_survives(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    let mut draft = begin(&mut *lane, "e1", &[], &[]).await;
    let event = new_event("e1", draft.now);
    let (event_edit, allocation_edit) =
        (EventEdit::from(&event.config), AllocationEdit::from(&new_allocation("ga", 100)));
    draft.changes.event = Some(crate::domain::Edited { before: None, after: event });
    let actors = [
        Actor::System,
        Actor::Admin(owner("root")),
        Actor::Owner(owner("buyer")),
        Actor::Owner(owner("somebody-else")),
    ];
    for kind in JournalKind::ALL {
        for (index, actor) in actors.iter().enumerate() {
            let entry = draft.journal(kind, actor.clone());
            // All that an entry may have, and then as little as possible.
            if index % 2 == 0 {
                entry.reservation = Some((v4(1), owner("buyer")));
                entry.deltas = vec![
                    Delta { allocation: allocation_id("a"), capacity: -3, held: 0, sold: 0 },
                    Delta { allocation: allocation_id("b"), capacity: 0, held: 2, sold: -2 },
                    Delta { allocation: allocation_id("c"), capacity: 1, held: -1, sold: 5 },
                ];
                entry.expires_at = Some(Timestamp::from_micros(i64::MAX));
                entry.order_ref = Some(OrderRef::new("order \"1\"").unwrap());
                entry.reason = Some(AWKWARD.to_owned());
                entry.event = Some(EventEdit { limit_per_owner: Some(3), ..event_edit.clone() });
                entry.allocation = Some(AllocationEdit { drain_to: Some(1), ..allocation_edit.clone() });
            }
        }
    }
    let changes = draft.finish();
    lane.commit(std::slice::from_ref(&changes)).await.unwrap();
    assert_eq!(changes.journal.len(), 52);
    assert_eq!(dump(backend, "e1").await.journal, changes.journal);
}

pub(in crate::storage) async fn edits_survive(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 10)]).await;
    reserve(&mut *lane, "e1", |now| vec![plain_hold(v7(1), "ann", now)]).await;

    let mut draft = begin(&mut *lane, "e1", &[v7(1)], &["ga"]).await;
    draft.event().config.display_name = AWKWARD.to_owned();
    draft.event().config.sales_state = SalesState::Closed;
    draft.event().config.limit_per_owner = Some(1);
    draft.event().config.on_sale_at = Some(Timestamp::from_micros(5));
    draft.event().version = 2;
    draft.event().has_allocation_limits = true;
    draft.journal(JournalKind::EventUpdated, Actor::System);
    let allocation = draft.allocation("ga");
    allocation.display_name = AWKWARD.to_owned();
    allocation.capacity = 7;
    allocation.drain_to = Some(3);
    allocation.limit_per_owner = Some(2);
    allocation.version = 2;
    draft.journal(JournalKind::AllocationUpdated, Actor::System);
    let mut reservation = draft.snapshot.reservations[&v7(1)].clone();
    reservation.state = State::Confirmed;
    reservation.lines[0].requested = 5;
    reservation.order_ref =
        Some(OrderRef::new(AWKWARD.trim_end_matches('🎫').replace(['\u{7}', '\n'], "").as_str()).unwrap());
    reservation.expires_at = reservation.expires_at.plus(Duration::from_secs(9));
    reservation.updated_at = reservation.updated_at.plus(Duration::from_secs(9));
    draft.change(reservation.clone(), JournalKind::Confirmed);
    let changes = draft.finish();
    lane.commit(std::slice::from_ref(&changes)).await.unwrap();

    let stored = dump(backend, "e1").await;
    assert_eq!(stored.event, changes.event.unwrap().after);
    assert_eq!(stored.allocations, after(changes.allocations));
    assert_eq!((stored.allocations[0].held, stored.allocations[0].sold), (0, 1));
    assert_eq!(stored.reservations, [reservation]);

    // Capacity that is being drained goes down without an edit.
    let mut draft = begin(&mut *lane, "e1", &[], &["ga"]).await;
    draft.allocation("ga").capacity = 3;
    draft.allocation("ga").drain_to = None;
    draft.journal(JournalKind::Released, Actor::System);
    lane.commit(&[draft.finish()]).await.unwrap();
    let drained = &dump(backend, "e1").await.allocations[0];
    assert_eq!((drained.capacity, drained.drain_to, drained.version), (3, None, 2));
}

/// Stores write less where an event only moves on, or only the counts of an allocation change.
pub(in crate::storage) async fn each_edit_survives_by_itself(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 10)]).await;
    let events: [fn(&mut Event); 5] = [
        |event| event.version += 1,
        |event| event.config.limit_per_owner = Some(4),
        |event| event.config.sales_state = SalesState::Paused,
        |event| event.has_allocation_limits = true,
        |event| event.config.waiting_room = None,
    ];
    let allocations: [fn(&mut Allocation); 4] = [
        |allocation| allocation.version += 1,
        |allocation| allocation.limit_per_owner = Some(2),
        |allocation| allocation.display_name = AWKWARD.to_owned(),
        |allocation| allocation.capacity = 7,
    ];
    for edit in events {
        let mut draft = begin(&mut *lane, "e1", &[], &[]).await;
        draft.journal(JournalKind::EventUpdated, Actor::System);
        edit(draft.event());
        let changes = draft.finish();
        lane.commit(std::slice::from_ref(&changes)).await.unwrap();
        assert_eq!(dump(backend, "e1").await.event, changes.event.unwrap().after);
    }
    for edit in allocations {
        let mut draft = begin(&mut *lane, "e1", &[], &["ga"]).await;
        draft.journal(JournalKind::AllocationUpdated, Actor::System);
        edit(draft.allocation("ga"));
        let changes = draft.finish();
        lane.commit(std::slice::from_ref(&changes)).await.unwrap();
        assert_eq!(dump(backend, "e1").await.allocations, after(changes.allocations));
    }
}

pub(in crate::storage) async fn one_batch_may_span_events(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 10)]).await;
    create(&mut *lane, "e3", &[("ga", 10)]).await;
    let wanted = ["e3", "e2", "e1"].map(|id| {
        let mut wanted = Wanted::new(event_id(id));
        wanted.allocations.push(allocation_id("ga"));
        wanted
    });
    if backend.store().lane_plan().events_per_batch_max < wanted.len() {
        return;
    }
    let Loaded { now, snapshots, .. } = lane.begin(&wanted).await.unwrap();
    let found: Vec<_> =
        snapshots.iter().map(|s| (s.event_id.as_str(), s.event.is_some(), s.allocations.len())).collect();
    assert_eq!(found, [("e3", true, 1), ("e2", false, 0), ("e1", true, 1)]);
    let mut all = Vec::new();
    for (n, snapshot) in (0..).zip(snapshots) {
        let mut draft = Draft::new(snapshot, now);
        if draft.snapshot.event.is_none() {
            draft.create_event(new_event("e2", now));
        } else {
            // The same id in two events: they are two reservations.
            draft.insert(hold(v7(1), "ann", &[("ga", n + 1)], now, Duration::from_secs(60)));
        }
        all.push(draft.finish());
    }
    lane.commit(&all).await.unwrap();
    assert_eq!(dump(backend, "e3").await.allocations[0].held, 1);
    assert_eq!(dump(backend, "e1").await.allocations[0].held, 3);
    assert_eq!(dump(backend, "e2").await.journal.len(), 1);
    assert_eq!(dump(backend, "e1").await.reservations[0].lines[0].quantity, 3);
}

pub(in crate::storage) async fn a_commit_without_changes_writes_nothing(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 10)]).await;
    let before = dump(backend, "e1").await;
    let draft = begin(&mut *lane, "e1", &[], &["ga"]).await;
    lane.commit(&[draft.finish()]).await.unwrap();
    begin(&mut *lane, "e1", &[], &["ga"]).await;
    lane.commit(&[]).await.unwrap();
    assert_eq!(dump(backend, "e1").await, before);
    // The lane is free again.
    reserve(&mut *lane, "e1", |now| vec![plain_hold(v7(1), "ann", now)]).await;
}

pub(in crate::storage) async fn a_rollback_leaves_nothing(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 10)]).await;
    let before = dump(backend, "e1").await;
    begin(&mut *lane, "e1", &[v7(1)], &["ga"]).await;
    lane.rollback().await.unwrap();
    assert_eq!(dump(backend, "e1").await, before);
    reserve(&mut *lane, "e1", |now| vec![plain_hold(v7(1), "ann", now)]).await;
    assert_eq!(dump(backend, "e1").await.reservations.len(), 1);
}

pub(in crate::storage) async fn a_dropped_lane_leaves_nothing(backend: &mut impl Backend) {
    let mut first = lane(backend).await;
    create(&mut *first, "e1", &[("ga", 10)]).await;
    begin(&mut *first, "e1", &[], &["ga"]).await;
    drop(first);
    let mut second = lane(backend).await;
    reserve(&mut *second, "e1", |now| vec![plain_hold(v7(1), "ann", now)]).await;
    assert_eq!(dump(backend, "e1").await.event.last_seq, 3);
}

pub(in crate::storage) async fn many_lines_and_large_batches_fit(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    let names: Vec<String> = (0..100).map(|n| format!("a{n:02}")).collect();
    let allocations: Vec<_> = names.iter().map(|name| (name.as_str(), 1_000_000_000)).collect();
    create(&mut *lane, "e1", &allocations).await;
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    let mut draft = begin(&mut *lane, "e1", &[], &all).await;
    let lines: Vec<_> = names.iter().map(|name| (name.as_str(), 1_000)).collect();
    for n in 0..1_000 {
        draft.insert(hold(v4(n), "ann", &lines, draft.now, Duration::from_secs(60)));
    }
    lane.commit(&[draft.finish()]).await.unwrap();
    let stored = dump(backend, "e1").await;
    assert!(stored.allocations.iter().all(|allocation| allocation.held == 1_000_000));
    assert_eq!((stored.reservations.len(), stored.journal.len()), (1_000, 1_101));
}
