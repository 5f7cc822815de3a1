//! A server in the mode for a database that is spread over machines by event.

use std::collections::HashSet;

use boxoffice_proto::v1;

use crate::support::{Server, by, new_id};

/// Sells from several events at the same time, and tells in how many transactions that wrote to more than one of them.
async fn transactions_of_several_events(more: &[&str]) -> usize {
    const EVENTS: usize = 8;
    const ROUNDS: usize = 40;
    let (cluster, database) = (private_cluster::shared(), format!("scale_out_{}", more.len()));
    cluster.create_database(&database).expect("a database");
    let url = cluster.url(&database);
    // One lane, so that events meet in a batch where they may.
    let server = Server::launch(&[&["--database-url", &url, "--database-lanes", "1"], more].concat());
    for event in 0..EVENTS {
        let event_id = format!("e{event}");
        let event = v1::Event { sales_state: v1::SalesState::OnSale.into(), ..v1::Event::default() };
        let request = v1::CreateEventRequest { event_id: event_id.clone(), event: Some(event) };
        server.admin().create_event(request).await.expect("the event is created");
        let request = v1::CreateAllocationRequest {
            parent: format!("events/{event_id}"),
            allocation_id: "floor".to_owned(),
            allocation: Some(v1::Allocation { capacity: 1_000, ..v1::Allocation::default() }),
        };
        server.admin().create_allocation(request).await.expect("the allocation is created");
    }
    let buyers: Vec<_> = (0..EVENTS)
        .map(|event| {
            let mut client = server.inventory();
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    let line = v1::reservation::Line {
                        allocation: format!("events/e{event}/allocations/floor"),
                        quantity: 1,
                        ..v1::reservation::Line::default()
                    };
                    let request = v1::CreateReservationRequest {
                        parent: format!("events/e{event}"),
                        reservation_id: new_id(),
                        reservation: Some(v1::Reservation { lines: vec![line], ..v1::Reservation::default() }),
                        ..v1::CreateReservationRequest::default()
                    };
                    client.create_reservation(by("ann", request)).await.expect("a reservation");
                }
            })
        })
        .collect();
    for buyer in buyers {
        buyer.await.expect("a buyer does not panic");
    }
    // `xmin` is the transaction that wrote a row.
    let written = "SELECT DISTINCT xmin, event_id FROM journal_chunks WHERE entries::text LIKE '%\"RESERVED\"%'";
    let written = cluster.psql(&database, written);
    let written = written.expect("the journal");
    let rows: Vec<_> = written.lines().filter_map(|line| line.split_once('|')).collect();
    let transactions: HashSet<_> = rows.iter().map(|(transaction, _)| *transaction).collect();
    assert!(transactions.len() >= ROUNDS, "{} transactions", transactions.len());
    rows.len() - transactions.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_transaction_writes_to_two_events() {
    assert_eq!(transactions_of_several_events(&["--database-one-event-a-batch"]).await, 0);
    assert!(
        transactions_of_several_events(&[]).await > 0,
        "without the option they meet in batches, or this proves nothing"
    );
}
