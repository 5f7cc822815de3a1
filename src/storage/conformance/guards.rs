//! Each guard refuses, whatever was decided, and nothing of its batch is written.

use super::*;
use crate::domain::{Actor, JournalKind};
use crate::storage::StoreError;

/// An event `e1` with 10 units of `ga`, 4 of them held by reservation 1.
async fn sale(backend: &dyn Backend) -> Box<dyn LaneConnection> {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 10)]).await;
    reserve(&mut *lane, "e1", |now| vec![hold(v7(1), "ann", &[("ga", 4)], now, Duration::from_secs(60))]).await;
    lane
}

/// Commits changes that are right but for what `spoil` does to them: a statement must refuse them, or what builds its rows.
async fn assert_refused(backend: &dyn Backend, statement: &str, spoil: impl FnOnce(&mut Draft)) {
    let refused = refusal_of(backend, spoil).await;
    assert!(matches!(refused, StoreError::Guard { what, .. } if what == statement), "{refused:?}");
}

/// What the store says to such changes, of which nothing may be written.
async fn refusal_of(backend: &dyn Backend, spoil: impl FnOnce(&mut Draft)) -> StoreError {
    let mut lane = sale(backend).await;
    let before = dump(backend, "e1").await;
    let mut draft = begin(&mut *lane, "e1", &[v7(1)], &["ga"]).await;
    draft.insert(plain_hold(v7(2), "ben", draft.now));
    spoil(&mut draft);
    let refused = lane.commit(&[draft.finish()]).await.unwrap_err();
    assert_eq!(dump(backend, "e1").await, before);

    // The lane lives on, and the same batch without the fault is good.
    let mut draft = begin(&mut *lane, "e1", &[v7(1)], &["ga"]).await;
    draft.insert(plain_hold(v7(2), "ben", draft.now));
    lane.commit(&[draft.finish()]).await.unwrap();
    assert_eq!(dump(backend, "e1").await.reservations.len(), 2);
    refused
}

/// As if the event's last journal entry had not been seen.
fn overlook_one(draft: &mut Draft) {
    let event = draft.changes.event.as_mut().unwrap();
    event.before.as_mut().unwrap().last_seq -= 1;
    event.after.last_seq -= 1;
    draft.changes.journal.iter_mut().for_each(|entry| entry.seq -= 1);
}

/// As if the event had been read at a version that it has not reached.
fn foresee_one(draft: &mut Draft) {
    let event = draft.changes.event.as_mut().unwrap();
    event.before.as_mut().unwrap().version += 1;
    event.after.version += 1;
}

fn rename_event(draft: &mut Draft) {
    let event = draft.event();
    event.config.display_name = "Matinee".to_owned();
    event.version += 1;
}

fn rename_allocation(draft: &mut Draft) {
    let allocation = draft.allocation("ga");
    allocation.display_name = "Stalls".to_owned();
    allocation.version += 1;
}

pub(in crate::storage) async fn a_stale_last_seq_is_refused(backend: &mut impl Backend) {
    assert_refused(backend, "the advance of events", overlook_one).await;
}

pub(in crate::storage) async fn a_stale_last_seq_of_an_edit_is_refused(backend: &mut impl Backend) {
    assert_refused(backend, "the edit of events", |draft| {
        rename_event(draft);
        overlook_one(draft);
    })
    .await;
}

pub(in crate::storage) async fn a_stale_event_version_is_refused(backend: &mut impl Backend) {
    assert_refused(backend, "the advance of events", foresee_one).await;
}

pub(in crate::storage) async fn a_stale_event_version_of_an_edit_is_refused(backend: &mut impl Backend) {
    assert_refused(backend, "the edit of events", |draft| {
        rename_event(draft);
        foresee_one(draft);
    })
    .await;
}

pub(in crate::storage) async fn an_event_is_created_once(backend: &mut impl Backend) {
    let refused = refusal_of(backend, |draft| {
        let event = draft.changes.event.as_mut().unwrap();
        event.before = None;
        event.after.last_seq = 1;
        draft.changes.journal[0].seq = 1;
    })
    .await;
    // Where several servers write, it is no wonder that another one was faster: to be decided again.
    let race = backend.is_shared();
    assert!(
        matches!((&refused, race), (StoreError::Guard { .. }, false) | (StoreError::Retry(_), true)),
        "{refused:?}"
    );
}

pub(in crate::storage) async fn a_stale_allocation_version_is_refused(backend: &mut impl Backend) {
    assert_refused(backend, "the counting of allocations", |draft| {
        draft.changes.allocations[0].before.as_mut().unwrap().version = 2;
        draft.changes.allocations[0].after.version = 2;
    })
    .await;
}

pub(in crate::storage) async fn a_stale_allocation_version_of_an_edit_is_refused(backend: &mut impl Backend) {
    assert_refused(backend, "the edit of allocations", |draft| {
        rename_allocation(draft);
        draft.changes.allocations[0].before.as_mut().unwrap().version = 2;
        draft.changes.allocations[0].after.version = 3;
    })
    .await;
}

pub(in crate::storage) async fn overselling_is_refused(backend: &mut impl Backend) {
    // 4 are held and one more is asked for: 6 more are one too many.
    assert_refused(backend, "the counting of allocations", |draft| draft.allocation("ga").held += 6).await;
}

pub(in crate::storage) async fn an_edit_that_oversells_is_refused(backend: &mut impl Backend) {
    assert_refused(backend, "the edit of allocations", |draft| {
        rename_allocation(draft);
        draft.allocation("ga").capacity = 4;
    })
    .await;
}

pub(in crate::storage) async fn no_check_is_needed_to_refuse_overselling(backend: &mut impl Backend) {
    drop(sale(backend).await);
    backend.uncheck_allocations().await;
    backend.execute("UPDATE allocations SET held = 11").await.expect("the table itself refuses nothing any more");
    backend.execute("UPDATE allocations SET held = 4").await.unwrap();
    let mut lane = lane(backend).await;
    let before = dump(backend, "e1").await;
    let spoils: [fn(&mut Draft); 6] = [
        |draft| draft.allocation("ga").held += 6,
        |draft| draft.allocation("ga").sold -= 1,
        |draft| draft.allocation("ga").held -= 6,
        |draft| draft.allocation("ga").capacity = 4,
        |draft| {
            rename_allocation(draft);
            draft.allocation("ga").capacity = 4;
        },
        |draft| {
            rename_allocation(draft);
            draft.allocation("ga").sold -= 1;
        },
    ];
    for (index, spoil) in spoils.into_iter().enumerate() {
        let mut draft = begin(&mut *lane, "e1", &[v7(1)], &["ga"]).await;
        draft.insert(plain_hold(v7(2), "ben", draft.now));
        spoil(&mut draft);
        let refused = lane.commit(&[draft.finish()]).await;
        assert!(matches!(refused, Err(StoreError::Guard { expected: 1, actual: 0, .. })), "{index}: {refused:?}");
        assert_eq!(dump(backend, "e1").await, before, "{index}");
    }
}

pub(in crate::storage) async fn negative_counts_are_refused(backend: &mut impl Backend) {
    assert_refused(backend, "the counting of allocations", |draft| {
        // held + sold stays within capacity.
        draft.allocation("ga").held += 2;
        draft.allocation("ga").sold -= 1;
    })
    .await;
}

pub(in crate::storage) async fn a_wrong_state_is_refused(backend: &mut impl Backend) {
    assert_refused(backend, "the update of reservations", |draft| {
        let mut released = draft.snapshot.reservations[&v7(1)].clone();
        released.state = State::Released;
        draft.change(released, JournalKind::Released);
        draft.changes.reservations[1].before.as_mut().unwrap().state = State::Confirmed;
    })
    .await;
}

pub(in crate::storage) async fn a_stale_reservation_is_refused(backend: &mut impl Backend) {
    assert_refused(backend, "the update of reservations", |draft| {
        let mut released = draft.snapshot.reservations[&v7(1)].clone();
        released.state = State::Released;
        draft.change(released, JournalKind::Released);
        draft.changes.reservations[1].before.as_mut().unwrap().updated_at = Timestamp::from_micros(1);
    })
    .await;
}

pub(in crate::storage) async fn a_reservation_id_is_used_once(backend: &mut impl Backend) {
    assert_refused(backend, "the insert of reservations", |draft| draft.changes.reservations[0].after.id = v7(1)).await;
}

pub(in crate::storage) async fn a_reservation_id_among_many_is_used_once(backend: &mut impl Backend) {
    assert_refused(backend, "the insert of reservations", |draft| {
        draft.allocation("ga").capacity += 90;
        for n in 3..=24 {
            draft.insert(plain_hold(v7(n), "cid", draft.now));
        }
        draft.changes.reservations[11].after.id = v7(1);
    })
    .await;
}

pub(in crate::storage) async fn a_journal_number_is_used_once(backend: &mut impl Backend) {
    assert_refused(backend, "the numbers of journal entries", |draft| draft.changes.journal[0].seq -= 1).await;
}

pub(in crate::storage) async fn no_journal_number_of_several_is_used_again(backend: &mut impl Backend) {
    assert_refused(backend, "the numbers of journal entries", |draft| {
        draft.insert(plain_hold(v7(3), "cid", draft.now));
        draft.changes.journal.iter_mut().for_each(|entry| entry.seq -= 1);
    })
    .await;
}

pub(in crate::storage) async fn an_allocation_is_created_once(backend: &mut impl Backend) {
    assert_refused(backend, "the insert of allocations", |draft| draft.create_allocation(new_allocation("ga", 5)))
        .await;
}

pub(in crate::storage) async fn an_unknown_allocation_is_refused(backend: &mut impl Backend) {
    assert_refused(backend, "the counting of allocations", |draft| {
        let mut unknown = draft.changes.allocations[0].clone();
        unknown.after.id = allocation_id("nowhere");
        draft.changes.allocations.push(unknown);
    })
    .await;
}

pub(in crate::storage) async fn a_change_without_its_event_is_refused(backend: &mut impl Backend) {
    assert_refused(backend, "the event of a change", |draft| draft.changes.event = None).await;
}

pub(in crate::storage) async fn the_table_itself_refuses_overselling(backend: &mut impl Backend) {
    let mut lane = sale(backend).await;
    for sql in [
        "UPDATE allocations SET held = 11",
        "UPDATE allocations SET sold = 7",
        "UPDATE allocations SET capacity = 3",
        "UPDATE allocations SET held = -1",
        "UPDATE allocations SET sold = -1",
    ] {
        assert!(backend.execute(sql).await.is_err(), "{sql}");
    }
    backend.execute("UPDATE allocations SET sold = 6").await.unwrap();
    // And what a hand has changed is not made worse.
    let mut draft = begin(&mut *lane, "e1", &[], &["ga"]).await;
    draft.snapshot.allocations.get_mut(&allocation_id("ga")).unwrap().sold = 0;
    draft.insert(plain_hold(v7(2), "ben", draft.now));
    draft.journal(JournalKind::Released, Actor::System);
    let refused = lane.commit(&[draft.finish()]).await;
    assert!(matches!(refused, Err(StoreError::Guard { expected: 1, actual: 0, .. })), "{refused:?}");
}

pub(in crate::storage) async fn the_table_itself_refuses_half_a_waiting_room(backend: &mut impl Backend) {
    drop(sale(backend).await);
    for sql in [
        "UPDATE events SET waiting_room_rate = 5",
        "UPDATE events SET waiting_room_rate = 5, waiting_room_pass_lifetime = 1, waiting_room_grace = 1",
        "UPDATE events SET waiting_room_rate = 5, waiting_room_on_loss = 'OPEN', waiting_room_grace = 1",
        "UPDATE events SET waiting_room_rate = 5, waiting_room_on_loss = 'OPEN', waiting_room_pass_lifetime = 1",
        "UPDATE events SET waiting_room_inside_max = 5",
        "UPDATE events SET waiting_room_grace = 5",
    ] {
        assert!(backend.execute(sql).await.is_err(), "{sql}");
    }
    let whole = "UPDATE events SET waiting_room_rate = 5, waiting_room_on_loss = 'OPEN', waiting_room_pass_lifetime = 1, \
                 waiting_room_grace = 1";
    backend.execute(whole).await.unwrap();
}
