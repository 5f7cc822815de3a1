//! Reads outside of lanes.

use super::*;
use crate::domain::{Actor, JournalKind, OnLoss, WaitingRoom};
use crate::storage::Totals;

pub(in crate::storage) async fn a_view_leaves_out_expired_holds(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 10), ("vip", 10)]).await;
    create(&mut *lane, "e2", &[("ga", 10)]).await;
    reserve(&mut *lane, "e1", |now| {
        vec![
            hold(v7(1), "ann", &[("ga", 2), ("vip", 3)], now, Duration::from_secs(1)),
            hold(v7(2), "ann", &[("ga", 1)], now, Duration::from_secs(2)),
            Reservation { state: State::Confirmed, ..hold(v7(3), "ann", &[("ga", 4)], now, Duration::from_secs(1)) },
        ]
    })
    .await;
    reserve(&mut *lane, "e2", |now| vec![hold(v7(1), "ann", &[("ga", 5)], now, Duration::from_secs(1))]).await;
    let counts = async || {
        let view = backend.store().event(&event_id("e1")).await.unwrap().unwrap();
        let page = backend.store().events(None, 10).await.unwrap();
        assert_eq!(page.items[0].allocations, view.allocations, "both ways to read agree");
        let of_e2 = page.items[1].allocations[0].held;
        let held: Vec<_> = view.allocations.iter().map(|a| (a.held, a.sold)).collect();
        (held, of_e2, view.read_at)
    };
    let (held, of_e2, start) = counts().await;
    assert_eq!((held, of_e2), (vec![(3, 4), (3, 0)], 5));
    backend.advance(Duration::from_micros(999_999)).await;
    assert_eq!(counts().await.0, [(3, 4), (3, 0)]);
    backend.advance(Duration::from_micros(1)).await;
    let (held, of_e2, later) = counts().await;
    assert_eq!((held, of_e2), (vec![(1, 4), (0, 0)], 0), "a hold lives while now < expires_at");
    assert_eq!(later, start.plus(Duration::from_secs(1)));
    backend.advance(Duration::from_secs(1)).await;
    assert_eq!(counts().await.0, [(0, 4), (0, 0)]);
    // An audit reads what is stored.
    assert_eq!(dump(backend, "e1").await.allocations[0].held, 3);
}

pub(in crate::storage) async fn a_capacity_that_is_drained_follows_expired_holds_in_a_view(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 5), ("vip", 5)]).await;
    reserve(&mut *lane, "e1", |now| {
        vec![
            hold(v7(1), "ann", &[("ga", 2), ("vip", 3)], now, Duration::from_secs(1)),
            hold(v7(2), "ann", &[("ga", 3)], now, Duration::from_secs(2)),
        ]
    })
    .await;
    let mut draft = begin(&mut *lane, "e1", &[], &["ga", "vip"]).await;
    for (id, target) in [("ga", 1), ("vip", 2)] {
        let allocation = draft.allocation(id);
        (allocation.capacity, allocation.drain_to) = (allocation.held, Some(target));
        allocation.version += 1;
        draft.journal(JournalKind::AllocationUpdated, Actor::System);
    }
    lane.commit(&[draft.finish()]).await.unwrap();
    let shown = async || {
        let view = backend.store().event(&event_id("e1")).await.unwrap().unwrap();
        let page = backend.store().events(None, 10).await.unwrap();
        assert_eq!(page.items[0].allocations, view.allocations, "both ways to read agree");
        view.allocations.iter().map(|a| (a.capacity, a.drain_to, a.available())).collect::<Vec<_>>()
    };
    assert_eq!(shown().await, [(5, Some(1), 0), (3, Some(2), 0)]);
    backend.advance(Duration::from_secs(1)).await;
    assert_eq!(shown().await, [(3, Some(1), 0), (2, None, 2)]);
    backend.advance(Duration::from_secs(1)).await;
    assert_eq!(shown().await, [(1, None, 1), (2, None, 2)]);
    // An audit reads what is stored.
    assert_eq!(dump(backend, "e1").await.allocations[0].capacity, 5);
}

pub(in crate::storage) async fn totals_are_of_all_events(backend: &mut impl Backend) {
    backend.store().check().await.unwrap();
    assert_eq!(backend.store().totals().await.unwrap(), Totals::default());
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 10), ("vip", 20)]).await;
    create(&mut *lane, "e2", &[("ga", 30)]).await;
    reserve(&mut *lane, "e2", |now| {
        vec![
            hold(v7(1), "ann", &[("ga", 2)], now, Duration::from_secs(1)),
            Reservation { state: State::Confirmed, ..hold(v7(2), "ann", &[("ga", 4)], now, Duration::from_secs(1)) },
        ]
    })
    .await;
    let totals = backend.store().totals().await.unwrap();
    let changes: i64 = [
        backend.store().last_seq(&event_id("e1")).await.unwrap().unwrap(),
        backend.store().last_seq(&event_id("e2")).await.unwrap().unwrap(),
    ]
    .iter()
    .sum();
    assert_eq!(totals, Totals { capacity: 60, held: 2, sold: 4, owner_index_lag: changes });
}

pub(in crate::storage) async fn events_come_in_pages(backend: &mut impl Backend) {
    assert_eq!(backend.store().events(None, 10).await.unwrap(), super::super::Page { items: vec![], next: None });
    let mut lane = lane(backend).await;
    for id in ["c", "a", "e", "b", "d"] {
        create(&mut *lane, id, if id == "b" { &[] } else { &[("vip", 2), ("ga", 1)] }).await;
    }
    let mut after = None;
    let mut seen = Vec::new();
    for expected in [2, 2, 1] {
        let page = backend.store().events(after.as_ref(), 2).await.unwrap();
        assert_eq!(page.items.len(), expected);
        for view in page.items {
            assert_eq!(Some(view.clone()), backend.store().event(&view.event.id).await.unwrap());
            let ids: Vec<_> = view.allocations.iter().map(|a| a.id.as_str().to_owned()).collect();
            seen.push((view.event.id.as_str().to_owned(), ids.join(",")));
        }
        after = page.next;
    }
    assert_eq!(after, None);
    let seen: Vec<_> = seen.iter().map(|(id, ids)| (id.as_str(), ids.as_str())).collect();
    assert_eq!(seen, [("a", "ga,vip"), ("b", ""), ("c", "ga,vip"), ("d", "ga,vip"), ("e", "ga,vip")]);
    let page = backend.store().events(None, 5).await.unwrap();
    assert_eq!((page.items.len(), page.next), (5, None), "a page that is exactly full is the last");
}

pub(in crate::storage) async fn reservations_come_in_pages(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 100)]).await;
    create(&mut *lane, "e2", &[("ga", 100)]).await;
    for event in ["e1", "e2"] {
        reserve(&mut *lane, event, |now| (0..7).map(|n| plain_hold(v4(n), "ann", now)).collect()).await;
    }
    let mut ids = Vec::new();
    let mut after = None;
    loop {
        let page = backend.store().reservations(&event_id("e1"), after.as_ref(), 3).await.unwrap();
        ids.extend(page.items.iter().map(|reservation| reservation.id));
        after = page.next;
        if after.is_none() {
            break;
        }
        assert_eq!(page.items.len(), 3);
    }
    let mut expected: Vec<_> = (0..7).map(v4).collect();
    expected.sort();
    assert_eq!(ids, expected);
    assert_eq!(backend.store().reservations(&event_id("e1"), None, 7).await.unwrap().next, None);
    assert!(backend.store().reservations(&event_id("none"), None, 7).await.unwrap().items.is_empty());
}

pub(in crate::storage) async fn the_journal_comes_in_parts(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 100)]).await;
    reserve(&mut *lane, "e1", |now| (0..5).map(|n| plain_hold(v7(n), "ann", now)).collect()).await;
    let seqs = async |from, limit| {
        let entries = backend.store().journal(&event_id("e1"), from, limit).await.unwrap();
        entries.iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(0, 3).await, [1, 2, 3]);
    assert_eq!(seqs(4, 3).await, [4, 5, 6]);
    assert_eq!(seqs(7, 3).await, [7]);
    assert_eq!(seqs(8, 3).await, [0; 0]);
}

pub(in crate::storage) async fn single_things_are_found(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 100)]).await;
    create(&mut *lane, "e2", &[("ga", 100)]).await;
    reserve(&mut *lane, "e1", |now| vec![plain_hold(v4(1), "ann", now)]).await;
    let store = backend.store();
    assert_eq!(store.last_seq(&event_id("e1")).await.unwrap(), Some(3));
    assert_eq!(store.last_seq(&event_id("none")).await.unwrap(), None);
    assert_eq!(store.event(&event_id("none")).await.unwrap(), None);
    assert_eq!(store.reservation(&event_id("e1"), &v4(1)).await.unwrap().unwrap().owner, owner("ann"));
    assert_eq!(store.reservation(&event_id("e1"), &v4(2)).await.unwrap(), None);
    assert_eq!(store.reservation(&event_id("e2"), &v4(1)).await.unwrap(), None);
    let one = store.reservation(&event_id("e1"), &v4(1)).await.unwrap();
    let named = store.reservations_named(&event_id("e1"), &[v4(2), v4(1), v4(3)]).await.unwrap();
    assert_eq!(named, one.into_iter().collect::<Vec<_>>(), "those that exist");
    assert_eq!(store.reservations_named(&event_id("e2"), &[v4(1)]).await.unwrap(), []);
    assert_eq!(store.reservations_named(&event_id("e1"), &[]).await.unwrap(), []);
}

pub(in crate::storage) async fn events_with_expired_holds_are_found(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    for (id, seconds) in [("a", 3), ("b", 1), ("c", 0), ("d", 2), ("e", 1)] {
        create(&mut *lane, id, &[("ga", 100)]).await;
        if seconds > 0 {
            let ttl = Duration::from_secs(seconds);
            reserve(&mut *lane, id, |now| vec![hold(v7(1), "ann", &[("ga", 1)], now, ttl)]).await;
        }
    }
    let now = backend.store().now().await.unwrap();
    let expired = async |seconds, limit| {
        let at = now.plus(Duration::from_secs(seconds));
        let ids = backend.store().events_with_expired_holds(at, limit).await.unwrap();
        ids.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>().join(",")
    };
    assert_eq!(expired(0, 10).await, "");
    assert_eq!(expired(1, 10).await, "b,e");
    assert_eq!(expired(2, 10).await, "b,d,e");
    assert_eq!(expired(3, 10).await, "a,b,d,e");
    assert_eq!(expired(3, 2).await.len(), 3, "two events");
}

pub(in crate::storage) async fn events_with_a_waiting_room_are_found(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    let room = WaitingRoom {
        admissions_per_second: 0,
        inside_max: Some(1),
        on_loss: OnLoss::Closed,
        pass_lifetime: Duration::from_secs(1),
        grace: Duration::from_secs(2),
    };
    let other = WaitingRoom { admissions_per_second: 9, inside_max: None, on_loss: OnLoss::Open, ..room };
    for id in ["e1", "e2", "e3"] {
        create(&mut *lane, id, &[]).await;
    }
    use SalesState::{Cancelled, Closed, OnSale, Paused};
    for (id, sales_state, waiting_room, found) in [
        ("e3", OnSale, Some(room), vec![("e3", room)]),
        ("e1", OnSale, Some(room), vec![("e1", room), ("e3", room)]),
        ("e3", Paused, Some(other), vec![("e1", room), ("e3", other)]),
        ("e2", Closed, Some(room), vec![("e1", room), ("e3", other)]),
        ("e2", Cancelled, Some(room), vec![("e1", room), ("e3", other)]),
        ("e1", OnSale, None, vec![("e3", other)]),
    ] {
        let mut draft = begin(&mut *lane, id, &[], &[]).await;
        draft.event().config.sales_state = sales_state;
        draft.event().config.waiting_room = waiting_room;
        draft.event().version += 1;
        draft.journal(JournalKind::EventUpdated, Actor::System);
        lane.commit(&[draft.finish()]).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|(id, room)| (event_id(id), room)).collect();
        assert_eq!(backend.store().waiting_rooms(10).await.unwrap(), found);
        assert_eq!(backend.store().waiting_rooms(1).await.unwrap(), found[..1], "as many as are wanted");
        assert_eq!(dump(backend, id).await.event.config.waiting_room, waiting_room);
    }
}
