//! Commands that wait together run together, and each caller gets the answers to its own.

use futures::future::join_all;

use super::{World, id, reservation, reserve, reserve_of};
use crate::domain::{AllocationId, Lack, Refusal};
use crate::engine::Failure;

#[tokio::test]
async fn commands_that_wait_share_a_transaction() {
    let world = World::new().await;
    let event = world.event("demo", 300, None).await;
    let results = join_all((0..500).map(|n| world.run(&event, reserve(&format!("owner-{n}"), n, 1)))).await;
    assert_eq!(world.faults.take_begins(), 1);
    for (n, result) in (0..).zip(results) {
        if n < 300 {
            let reservation = reservation(result);
            assert_eq!((reservation.id, reservation.owner.as_str()), (id(n), &*format!("owner-{n}")));
        } else {
            assert!(matches!(result, Err(Failure::Refused(Refusal::AllHeld { .. }))), "{n}: {result:?}");
        }
    }
    assert_eq!(world.held(&event).await, 300);
    assert_eq!(world.last_seq(&event).await, 302);
}

#[tokio::test]
async fn every_caller_gets_the_results_of_its_own_commands_in_order() {
    let world = World::new().await;
    let mut events = Vec::new();
    for name in ["east", "north", "south", "west"] {
        events.push(world.event(name, 1_000, None).await);
    }
    let jobs = (0..40_u64).map(|job| {
        let commands = (0..1 + job % 5).map(|n| match n {
            1 => reserve_of(&format!("none-{job}"), "ann", 100 * job + n, 1),
            2 => reserve("ann", 100 * job + n, 1_001),
            _ => reserve("ann", 100 * job + n, i64::try_from(n + 1).unwrap()),
        });
        world.engine.run_all(events[usize::try_from(job % 4).unwrap()].clone(), commands.collect(), None)
    });
    let answers = join_all(jobs).await;
    assert_eq!(world.faults.take_begins(), 1);
    for (job, results) in (0..).zip(answers) {
        assert_eq!(results.len(), usize::try_from(1 + job % 5).unwrap(), "job {job}");
        for (n, result) in (0..).zip(results) {
            match n {
                1 => {
                    let allocation = AllocationId::new(&format!("none-{job}")).unwrap();
                    assert_eq!(result, Err(Failure::Refused(Refusal::AllocationNotFound(allocation))), "job {job}");
                }
                2 => {
                    let Err(Failure::Refused(Refusal::InsufficientAvailability(lacks))) = result else {
                        panic!("job {job}: {result:?}")
                    };
                    assert!(matches!(&*lacks, [Lack { requested: 1_001, .. }]), "job {job}: {lacks:?}");
                }
                _ => assert_eq!(reservation(result).id, id(100 * job + n)),
            }
        }
    }
}
