//! Callers without a pass, for whom the database must be asked whether they repeat what was granted.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{WAIT_MAX, wants_of};
use crate::in_process::{EVENT, StuckStore, config, room, start};
use crate::support::{by, new_id, reason};

const CROWD: usize = 20;
/// So many are looked for at once.
const LOOKS: usize = 2;

#[tokio::test]
async fn a_crowd_without_passes_takes_a_few_of_the_databases_connections_and_no_more() {
    let looks = Arc::new(Semaphore::new(0));
    let store = StuckStore { waiting_room: Some(room()), looks: Some(Arc::clone(&looks)), ..StuckStore::default() };
    let server = start(Arc::new(store), config()).await;
    let reserve = || {
        let (mut inventory, request) = (server.inventory(), by("ann", wants_of(EVENT, &new_id())));
        async move { inventory.create_reservation(request).await.expect_err("there is no pass") }
    };
    let mut crowd: FuturesUnordered<_> = (0..CROWD).map(|_| reserve()).collect();
    let mut answers = async |count: usize| -> Vec<Status> {
        tokio::time::timeout(WAIT_MAX, (&mut crowd).take(count).collect()).await.expect("answers in time")
    };
    // The database does not answer, and others need it, too.
    for status in answers(CROWD - LOOKS).await {
        // No refusal: that would tell who repeats what was granted that he has nothing.
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "OVERLOADED"));
        assert!(status.get_details_retry_info().is_some(), "when to try again");
    }
    looks.add_permits(CROWD);
    for status in answers(LOOKS).await {
        assert_eq!(reason(&status), "WAITING_ROOM_REQUIRED");
    }
    assert_eq!(reason(&reserve().await), "WAITING_ROOM_REQUIRED", "their turns come back");
}
