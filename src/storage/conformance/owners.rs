//! An owner's reservations are listed exactly, however far the upkeep of the owner index has come.

use super::*;
use crate::domain::JournalKind;

/// Reservations of one batch here.
const BATCH: u64 = 4_000;
/// Batches after which every store should have indexed something, and have something left to index.
const BATCHES: u64 = 10;
/// Owner of every this many-th reservation.
const RARE: u64 = 1_000;

/// Reservations `from` to `from + BATCH`: every RAREth is Rita's, the others' owners are many and in no order.
async fn reserve_batch(lane: &mut dyn LaneConnection, from: u64) {
    reserve(lane, "e1", |now| {
        let name = |n: u64| if n % RARE == 7 { "rita".to_owned() } else { format!("owner-{}", n * 7919 % 4_001) };
        (from..from + BATCH).map(|n| plain_hold(v7(n), &name(n), now)).collect()
    })
    .await;
}

/// Lists Rita's reservations page by page and compares them with what she must have.
async fn assert_listed(backend: &dyn Backend, reserved: u64) {
    let expected: Vec<_> = (0..reserved).filter(|n| n % RARE == 7).map(v7).collect();
    for limit in [3, 1_000] {
        let mut found = Vec::new();
        let mut after = 0;
        loop {
            let page = backend.store().reservations_of(&event_id("e1"), &owner("rita"), after, limit).await.unwrap();
            assert!(page.items.len() <= limit);
            found.extend(page.items.iter().map(|(_, reservation)| reservation.id));
            let last = page.items.last().map(|(seq, _)| *seq);
            match page.next {
                Some(next) => {
                    assert_eq!(last, Some(next), "a page goes on after its last item");
                    after = next;
                }
                None => break,
            }
        }
        assert_eq!(found, expected, "after {reserved} reservations, in pages of {limit}");
    }
}

/// Lets upkeep come to its end, in the lane or beside it.
async fn finish_upkeep(backend: &dyn Backend, lane: &mut dyn LaneConnection) {
    let finished = async {
        while lane.upkeep().await.unwrap() || backend.is_upkeep_due().await {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), finished).await.expect("upkeep comes to an end");
}

pub(in crate::storage) async fn an_owners_reservations_are_listed_at_every_moment(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 1_000_000)]).await;
    for batch in 0..BATCHES {
        reserve_batch(&mut *lane, batch * BATCH).await;
        assert_listed(backend, (batch + 1) * BATCH).await;
        // A few slices only: it falls behind, and is in the midst of runs most of the time.
        for _ in 0..7 {
            lane.upkeep().await.unwrap();
            assert_listed(backend, (batch + 1) * BATCH).await;
        }
    }
    finish_upkeep(backend, &mut *lane).await;
    assert_listed(backend, BATCHES * BATCH).await;
    // What comes after the index was filled is seen at once, and the journal's other kinds are not taken for reservations.
    reserve_batch(&mut *lane, BATCHES * BATCH).await;
    let mut draft = begin(&mut *lane, "e1", &[v7(7)], &[]).await;
    let mut released = draft.snapshot.reservations[&v7(7)].clone();
    released.state = State::Released;
    draft.change(released, JournalKind::Released);
    lane.commit(&[draft.finish()]).await.unwrap();
    assert_listed(backend, (BATCHES + 1) * BATCH).await;
    let none = backend.store().reservations_of(&event_id("e1"), &owner("nobody"), 0, 10).await.unwrap();
    assert_eq!((none.items.len(), none.next), (0, None));
}

pub(in crate::storage) async fn listing_survives_a_restart_within_a_run(backend: &mut impl Backend) {
    let mut before = lane(backend).await;
    create(&mut *before, "e1", &[("ga", 1_000_000)]).await;
    for batch in 0..BATCHES {
        reserve_batch(&mut *before, batch * BATCH).await;
    }
    drop(before);
    for restart in 1..4 {
        let mut lane = lane(backend).await;
        // Further each time; a run needs more than any of them.
        for _ in 0..restart * 5 {
            lane.upkeep().await.unwrap();
        }
        drop(lane);
        backend.reopen().await;
        assert_listed(backend, BATCHES * BATCH).await;
    }
    let mut after = lane(backend).await;
    // What is due is found again.
    finish_upkeep(backend, &mut *after).await;
    assert_listed(backend, BATCHES * BATCH).await;
}

pub(in crate::storage) async fn usage_counts_what_is_held_or_bought(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 1_000_000), ("vip", 100)]).await;
    let usage = async |lane: &mut dyn LaneConnection| {
        begin(lane, "e1", &[], &[]).await;
        let units = lane.load_usage(&event_id("e1"), &owner("ann")).await.unwrap();
        lane.rollback().await.unwrap();
        units.into_iter().map(|(id, units)| format!("{id}:{units}")).collect::<Vec<_>>().join(",")
    };
    assert_eq!(usage(&mut *lane).await, "");
    reserve(&mut *lane, "e1", |now| {
        let ttl = Duration::from_secs(1);
        let mut bought = hold(v4(2), "ann", &[("ga", 10), ("vip", 5)], now, ttl);
        bought.state = State::Confirmed;
        bought.lines[0].cancelled = 4;
        let ended = [State::Released, State::Expired, State::Cancelled]
            .into_iter()
            .zip(3..)
            .map(|(state, n)| Reservation { state, ..hold(v4(n), "ann", &[("ga", 1_000)], now, ttl) });
        let mut all = vec![hold(v4(1), "ann", &[("ga", 1), ("vip", 2)], now, ttl), bought];
        all.extend(ended);
        all.push(hold(v4(9), "ben", &[("ga", 500)], now, ttl));
        all
    })
    .await;
    assert_eq!(usage(&mut *lane).await, "ga:7,vip:7");
    // A hold that has expired counts until it is reclaimed: the stored state decides.
    backend.advance(Duration::from_secs(5)).await;
    assert_eq!(usage(&mut *lane).await, "ga:7,vip:7");
    // The same once all of it lies in the owner index.
    for batch in 0..BATCHES {
        reserve_batch(&mut *lane, batch * BATCH).await;
    }
    finish_upkeep(backend, &mut *lane).await;
    assert_eq!(usage(&mut *lane).await, "ga:7,vip:7");
    reserve(&mut *lane, "e1", |now| vec![hold(v4(10), "ann", &[("ga", 3)], now, Duration::from_secs(1))]).await;
    assert_eq!(usage(&mut *lane).await, "ga:10,vip:7");
}

pub(in crate::storage) async fn what_lies_where_a_run_of_the_index_ends_is_there_once(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 1_000_000)]).await;
    // SQLite's first run ends within these.
    let zoes = 16_300..16_500;
    for half in 0..2 {
        for from in (half * 20_000..(half + 1) * 20_000).step_by(4_000) {
            let owner = |n| if zoes.contains(&n) { "zoe" } else { "ann" };
            reserve(&mut *lane, "e1", |now| (from..from + 4_000).map(|n| plain_hold(v7(n), owner(n), now)).collect())
                .await;
        }
        finish_upkeep(backend, &mut *lane).await;
        begin(&mut *lane, "e1", &[], &[]).await;
        let units = lane.load_usage(&event_id("e1"), &owner("zoe")).await.unwrap();
        lane.rollback().await.unwrap();
        assert_eq!(units.into_values().collect::<Vec<_>>(), [200]);
        let listed = backend.store().reservations_of(&event_id("e1"), &owner("zoe"), 0, 1_000).await.unwrap();
        assert_eq!(
            listed.items.iter().map(|(_, found)| found.id).collect::<Vec<_>>(),
            zoes.clone().map(v7).collect::<Vec<_>>()
        );
    }
}

/// The same owner has others of the reservations in each event, which lie in the index and behind it.
pub(in crate::storage) async fn owners_of_several_events_are_kept_apart(backend: &mut impl Backend) {
    const EACH: u64 = 20_000;
    let mut lane = lane(backend).await;
    let ritas = |event: u64| (0..EACH).map(move |n| event * EACH + n).filter(move |n| n % RARE == 100 * event);
    for event in [1, 2] {
        let id = format!("e{event}");
        create(&mut *lane, &id, &[("ga", 1_000_000)]).await;
        for from in (event * EACH..(event + 1) * EACH).step_by(4_000) {
            let owner = |n| if n % RARE == 100 * event { "rita" } else { "ann" };
            reserve(&mut *lane, &id, |now| (from..from + 4_000).map(|n| plain_hold(v7(n), owner(n), now)).collect())
                .await;
        }
    }
    finish_upkeep(backend, &mut *lane).await;
    for event in [1, 2] {
        let id = format!("e{event}");
        let page = backend.store().reservations_of(&event_id(&id), &owner("rita"), 0, 1_000).await.unwrap();
        let ids: Vec<_> = page.items.iter().map(|(_, reservation)| reservation.id).collect();
        assert_eq!((ids, page.next), (ritas(event).map(v7).collect(), None), "{id}");
        begin(&mut *lane, &id, &[], &[]).await;
        let units = lane.load_usage(&event_id(&id), &owner("rita")).await.unwrap();
        lane.rollback().await.unwrap();
        assert_eq!(units.into_values().collect::<Vec<_>>(), [20], "{id}");
    }
}
