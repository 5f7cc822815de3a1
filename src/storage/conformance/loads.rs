//! A batch sees exactly what it needs.

use super::*;
use crate::domain::JournalKind;

async fn load(lane: &mut dyn LaneConnection, wanted: Wanted) -> (Snapshot, Timestamp) {
    let Loaded { now, mut snapshots, .. } = lane.begin(&[wanted]).await.unwrap();
    lane.rollback().await.unwrap();
    (snapshots.pop().unwrap(), now)
}

pub(in crate::storage) async fn what_is_wanted_is_loaded(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 10), ("vip", 10), ("balcony", 10)]).await;
    reserve(&mut *lane, "e1", |now| (1..=3).map(|n| plain_hold(v7(n), "ann", now)).collect()).await;
    let before = backend.store().now().await.unwrap();
    let mut wanted = Wanted::new(event_id("e1"));
    // Named twice, loaded once.
    wanted.reservations.extend([v7(2), v7(2), v7(3)]);
    wanted.allocations.extend([allocation_id("vip"), allocation_id("vip")]);
    let (snapshot, now) = load(&mut *lane, wanted).await;
    assert!(now >= before);
    assert_eq!(snapshot.event_id, event_id("e1"));
    assert_eq!(snapshot.event.unwrap().last_seq, 7);
    let mut ids: Vec<_> = snapshot.reservations.into_keys().collect();
    ids.sort();
    assert_eq!(ids, [v7(2), v7(3)]);
    let loaded: Vec<_> = snapshot.allocations.keys().map(AllocationId::as_str).collect();
    assert_eq!(loaded, ["ga", "vip"]);
    assert_eq!((snapshot.expired.len(), snapshot.more_expired, snapshot.exact_usage.len()), (0, false, 0));
}

pub(in crate::storage) async fn what_does_not_exist_is_left_out(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    let mut wanted = Wanted::new(event_id("e1"));
    wanted.reservations.push(v7(1));
    wanted.allocations.push(allocation_id("ga"));
    wanted.expired = true;
    let (snapshot, _) = load(&mut *lane, wanted.clone()).await;
    assert!(snapshot.event.is_none() && snapshot.reservations.is_empty() && snapshot.allocations.is_empty());
    assert_eq!((snapshot.earliest_expiry, snapshot.more_expired), (None, false));

    // The same names in another event are not taken for them.
    create(&mut *lane, "e1", &[]).await;
    create(&mut *lane, "e2", &[("ga", 1)]).await;
    reserve(&mut *lane, "e2", |now| vec![plain_hold(v7(1), "ann", now)]).await;
    let (snapshot, _) = load(&mut *lane, wanted).await;
    assert!(snapshot.event.is_some() && snapshot.reservations.is_empty() && snapshot.allocations.is_empty());
    assert_eq!(snapshot.earliest_expiry, None);
}

pub(in crate::storage) async fn ids_of_any_version_are_found(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 1_000)]).await;
    for round in 0..10 {
        reserve(&mut *lane, "e1", |now| {
            (0..10)
                .flat_map(|n| [v4(round * 10 + n), v7(round * 10 + n)])
                .map(|id| plain_hold(id, "ann", now))
                .collect()
        })
        .await;
        // All that were written, and as many that were not: smaller and greater than those, and in between.
        let mut wanted = Wanted::new(event_id("e1"));
        wanted.reservations.extend((0..200).flat_map(|n| [v4(n), v7(n)]));
        wanted.reservations.extend([ReservationId::from(Uuid::nil()), ReservationId::from(Uuid::max())]);
        let (snapshot, _) = load(&mut *lane, wanted).await;
        let mut found: Vec<_> = snapshot.reservations.into_keys().collect();
        let mut expected: Vec<_> = (0..(round + 1) * 10).flat_map(|n| [v4(n), v7(n)]).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
    // The greatest id of all can be used and is found.
    reserve(&mut *lane, "e1", |now| vec![plain_hold(Uuid::max().into(), "ann", now)]).await;
    let mut wanted = Wanted::new(event_id("e1"));
    wanted.reservations.push(Uuid::max().into());
    assert_eq!(load(&mut *lane, wanted).await.0.reservations.len(), 1);
}

pub(in crate::storage) async fn allocations_of_loaded_reservations_come_along(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 10), ("vip", 10), ("balcony", 10)]).await;
    let lines = [("ga", 1), ("vip", 2)];
    reserve(&mut *lane, "e1", |now| vec![hold(v4(1), "ann", &lines, now, Duration::from_secs(60))]).await;
    let mut wanted = Wanted::new(event_id("e1"));
    wanted.reservations.push(v4(1));
    let (snapshot, _) = load(&mut *lane, wanted).await;
    let held: Vec<_> = snapshot.allocations.values().map(|a| (a.id.as_str(), a.held)).collect();
    assert_eq!(held, [("ga", 1), ("vip", 2)]);
}

/// Holds 1 to 9, which expire in the order 9 to 1, a second apart; 5 to 9 have expired.
async fn nine_holds(backend: &dyn Backend, lane: &mut dyn LaneConnection) {
    create(lane, "e1", &[("ga", 100), ("vip", 100)]).await;
    let seconds = |n: u64| Duration::from_secs(i64::try_from(10 - n).unwrap());
    reserve(lane, "e1", |now| (1..=9).map(|n| hold(v7(n), "ann", &[("vip", 1)], now, seconds(n))).collect()).await;
    // Those that were sold or given back do not expire.
    reserve(lane, "e1", |now| {
        [State::Confirmed, State::Released, State::Expired, State::Cancelled]
            .into_iter()
            .zip(20..)
            .map(|(state, n)| Reservation { state, ..hold(v7(n), "ben", &[("vip", 1)], now, Duration::from_secs(1)) })
            .collect()
    })
    .await;
    backend.advance(Duration::from_secs(5)).await;
}

pub(in crate::storage) async fn expired_holds_come_earliest_first(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    nine_holds(backend, &mut *lane).await;
    let mut wanted = Wanted::new(event_id("e1"));
    // One that is wanted by name as well is there once and counted among the expired.
    wanted.reservations.push(v7(8));
    let Loaded { now, mut snapshots, .. } = lane.begin(&[wanted]).await.unwrap();
    let snapshot = &mut snapshots[0];
    assert!(snapshot.expired.is_empty() && snapshot.more_expired);
    lane.load_expired(snapshot, now, 2).await.unwrap();
    assert_eq!((snapshot.expired.as_slice(), snapshot.more_expired), ([v7(9), v7(8)].as_slice(), true));
    assert_eq!(snapshot.allocations[&allocation_id("vip")].held, 9);
    lane.load_expired(snapshot, now, 3).await.unwrap();
    assert_eq!(snapshot.expired, [v7(9), v7(8), v7(7), v7(6), v7(5)]);
    assert!(!snapshot.more_expired, "exactly as many as there are");
    lane.load_expired(snapshot, now, 3).await.unwrap();
    assert_eq!((snapshot.expired.len(), snapshot.reservations.len()), (5, 5));
    lane.rollback().await.unwrap();
    // Their allocations come along, though nothing else names them.
    let Loaded { now, mut snapshots, .. } = lane.begin(&[Wanted::new(event_id("e1"))]).await.unwrap();
    lane.load_expired(&mut snapshots[0], now, 1).await.unwrap();
    assert_eq!(snapshots[0].allocations.keys().collect::<Vec<_>>(), [&allocation_id("vip")]);
    lane.rollback().await.unwrap();
}

pub(in crate::storage) async fn holds_that_expire_together_come_in_order_of_ids(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 100)]).await;
    // Granted in another order, by three batches at the same moment.
    for batch in 0..3 {
        let ids = move |n: u64| v7((n * 7 + batch * 3) % 10 + batch * 10);
        reserve(&mut *lane, "e1", |now| (0..10).map(|n| plain_hold(ids(n), "ann", now)).collect()).await;
    }
    backend.advance(Duration::from_secs(3_600)).await;
    let Loaded { now, mut snapshots, .. } = lane.begin(&[Wanted::new(event_id("e1"))]).await.unwrap();
    let snapshot = &mut snapshots[0];
    for loaded in [7, 14, 21, 28, 30] {
        lane.load_expired(snapshot, now, 7).await.unwrap();
        assert_eq!(snapshot.expired, (0..loaded).map(v7).collect::<Vec<_>>());
        assert_eq!(snapshot.more_expired, loaded < 30);
    }
    lane.rollback().await.unwrap();
}

pub(in crate::storage) async fn expired_holds_are_loaded_at_once_if_wanted(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    nine_holds(backend, &mut *lane).await;
    let mut wanted = Wanted::new(event_id("e1"));
    wanted.expired = true;
    let (snapshot, now) = load(&mut *lane, wanted.clone()).await;
    assert_eq!(snapshot.expired, [v7(9), v7(8), v7(7), v7(6), v7(5)]);
    assert!(!snapshot.more_expired && snapshot.expired.iter().all(|id| snapshot.reservations[id].expires_at <= now));
    assert!(snapshot.allocations.contains_key(&allocation_id("vip")));

    // Many that expire at one moment are neither skipped nor loaded twice.
    reserve(&mut *lane, "e1", |now| {
        (100..180).map(|n| hold(v4(n), "cy", &[("ga", 1)], now, Duration::from_secs(1))).collect()
    })
    .await;
    backend.advance(Duration::from_secs(100)).await;
    let Loaded { now, mut snapshots, .. } = lane.begin(&[Wanted::new(event_id("e1"))]).await.unwrap();
    while snapshots[0].more_expired {
        lane.load_expired(&mut snapshots[0], now, 7).await.unwrap();
    }
    lane.rollback().await.unwrap();
    let unique: std::collections::BTreeSet<_> = snapshots[0].expired.iter().collect();
    assert_eq!((snapshots[0].expired.len(), unique.len()), (89, 89));
}

pub(in crate::storage) async fn the_earliest_expiry_is_known(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    nine_holds(backend, &mut *lane).await;
    let (snapshot, now) = load(&mut *lane, Wanted::new(event_id("e1"))).await;
    assert_eq!(snapshot.earliest_expiry, Some(now.plus(Duration::from_secs(-4))), "expired ones are included");
    assert!(snapshot.more_expired);

    // An expired hold that is reclaimed counts no more.
    let mut draft = begin(&mut *lane, "e1", &[v7(9)], &[]).await;
    let mut lapsed = draft.snapshot.reservations[&v7(9)].clone();
    lapsed.state = State::Expired;
    draft.change(lapsed, JournalKind::Expired);
    lane.commit(&[draft.finish()]).await.unwrap();
    let (snapshot, now) = load(&mut *lane, Wanted::new(event_id("e1"))).await;
    assert_eq!(snapshot.earliest_expiry, Some(now.plus(Duration::from_secs(-3))));
}

pub(in crate::storage) async fn the_journal_is_read_in_a_lane(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 10)]).await;
    reserve(&mut *lane, "e1", |now| (1..=3).map(|n| plain_hold(v7(n), "ann", now)).collect()).await;
    begin(&mut *lane, "e1", &[], &[]).await;
    let entries = lane.load_journal(&event_id("e1"), 3, 2).await.unwrap();
    lane.rollback().await.unwrap();
    assert_eq!(entries, dump(backend, "e1").await.journal[2..4]);
}
