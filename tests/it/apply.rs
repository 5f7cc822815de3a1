//! An event and its allocations brought to a target state in one step, on both stores.

use boxoffice_proto::v1;
use boxoffice_proto::v1::change::Kind;
use private_cluster::{fresh_database, shared};
use tempfile::TempDir;
use tonic::Code;

use crate::support::{Server, assert_audit_is_clean, by, event, new_id, reason, wants};

fn allocation(id: &str, capacity: i32, etag: &str) -> v1::Allocation {
    let (name, etag) = (format!("events/sale/allocations/{id}"), etag.to_owned());
    v1::Allocation { name, capacity, etag, ..Default::default() }
}

fn target(title: &str, etag: &str, allocations: Vec<v1::Allocation>) -> v1::ApplyEventRequest {
    let event = v1::Event {
        name: "events/sale".to_owned(),
        display_name: title.to_owned(),
        sales_state: v1::SalesState::OnSale.into(),
        etag: etag.to_owned(),
        ..Default::default()
    };
    v1::ApplyEventRequest { event: Some(event), allocations, ..Default::default() }
}

async fn kinds(server: &Server) -> Vec<Kind> {
    let request = v1::ListChangesRequest { parent: "events/sale".to_owned(), ..Default::default() };
    let changes = server.admin().list_changes(request).await.expect("the journal").into_inner().changes;
    changes.iter().map(v1::Change::kind).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_applied_wholly_or_not_at_all() {
    let data = TempDir::new().expect("a directory");
    applied_wholly_or_not_at_all(&Server::start(data.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_applied_wholly_or_not_at_all_on_postgresql() {
    let url = fresh_database(shared()).expect("a database");
    applied_wholly_or_not_at_all(&Server::start_on(&url, &[])).await;
}

async fn applied_wholly_or_not_at_all(server: &Server) {
    let mut admin = server.admin();
    let new = "\"0\"";
    let first = || target("Gala", new, vec![allocation("b", 5, new), allocation("a", 10, new)]);
    let validated = v1::ApplyEventRequest { validate_only: true, ..first() };
    let answer = admin.apply_event(validated).await.expect("it would be done").into_inner();
    assert_eq!(answer.event, None);
    let created = admin.apply_event(first()).await.expect("done").into_inner().event.expect("the event");
    let repeated = admin.apply_event(first()).await.expect("nothing to do").into_inner().event.expect("the event");
    assert_eq!((created.seq, repeated.seq, created.allocations.len()), (3, 3, 2));
    assert_eq!(kinds(server).await, [Kind::EventCreated, Kind::AllocationCreated, Kind::AllocationCreated]);

    server.inventory().create_reservation(by("ann", wants(&new_id(), &[("b", 3)]))).await.expect("granted");
    // The last of three edits is refused, for each reason: the two before it are not done either.
    let refused = [
        (allocation("b", 2, "\"1\""), Code::FailedPrecondition, "CAPACITY_BELOW_COMMITTED"),
        (allocation("b", 9, "\"7\""), Code::Aborted, "ETAG_MISMATCH"),
        (allocation("c", 9, "\"1\""), Code::NotFound, "ALLOCATION_NOT_FOUND"),
    ];
    for (last, code, why) in refused {
        let request = target("Ball", "\"1\"", vec![allocation("a", 20, "\"1\""), last]);
        let status = admin.apply_event(request).await.expect_err(why);
        assert_eq!((status.code(), reason(&status).as_str()), (code, why));
    }
    let now = event(server).await;
    let capacities: Vec<_> = now.allocations.iter().map(|each| each.capacity).collect();
    assert_eq!((now.display_name.as_str(), capacities, now.seq), ("Gala", vec![10, 5], 4));

    let drained = target("Ball", "\"1\"", vec![allocation("b", 2, "\"1\""), allocation("c", 1, new)]);
    let drained = v1::ApplyEventRequest { capacity_mode: v1::CapacityMode::Drain.into(), ..drained };
    let now = admin.apply_event(drained).await.expect("done").into_inner().event.expect("the event");
    let capacities: Vec<_> = now.allocations.iter().map(|each| (each.capacity, each.drain_target)).collect();
    assert_eq!((now.display_name.as_str(), capacities), ("Ball", vec![(10, None), (3, Some(2)), (1, None)]));
    assert_eq!(kinds(server).await[4..], [Kind::EventUpdated, Kind::AllocationUpdated, Kind::AllocationCreated]);
    assert_audit_is_clean(server).await;
}
