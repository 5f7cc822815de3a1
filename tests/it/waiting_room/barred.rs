//! Those who are not let in: callers without a pass, for whom the database must be asked whether they repeat what was granted, and
//! who finds the line full.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use boxoffice::domain::EventId;
use boxoffice::grpc::PASS_KEY;
use boxoffice::server::ServerConfig;
use boxoffice::waiting_room::{Ask, Facts, RoomError, Rooms, Rules, Stand, Standing, Who};
use boxoffice_proto::v1;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use private_cluster::HeldPort;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
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

/// Somebody before us might have looked at the other one.
#[tokio::test]
async fn a_pass_that_is_sent_twice_is_a_wrong_call_and_no_wrong_pass() {
    for waiting_room in [Some(room()), None] {
        let server = start(Arc::new(StuckStore { waiting_room, ..StuckStore::default() }), config()).await;
        let mut inventory = server.inventory();
        let mut one = by("ann", wants_of(EVENT, &new_id()));
        let requests = vec![one.get_ref().clone()];
        let parent = one.get_ref().parent.clone();
        let mut several = by("ann", v1::BatchCreateReservationsRequest { parent, requests, ..Default::default() });
        for pass in ["1.A", "1.B"] {
            one.metadata_mut().append(PASS_KEY, pass.parse().expect("ASCII"));
            several.metadata_mut().append(PASS_KEY, pass.parse().expect("ASCII"));
        }
        // Where it is let by, it waits for ever at a store that is stuck.
        let answers = async {
            let one = inventory.create_reservation(one).await.map(|_| ());
            [one, inventory.batch_create_reservations(several).await.map(|_| ())]
        };
        for status in tokio::time::timeout(WAIT_MAX, answers).await.expect("answers in time") {
            let status = status.expect_err("which of the two?");
            assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_PASS"));
            assert_eq!(status.message(), "boxoffice-pass must be sent once");
            assert_eq!(status.get_details_bad_request().expect("what").field_violations[0].field, PASS_KEY);
        }
    }
}

/// A room in which nobody gets a place.
struct Full;

#[async_trait]
impl Rooms for Full {
    async fn ask(&self, _event: &EventId, _who: Who, _ask: Ask, _rules: &Rules) -> Result<Standing, RoomError> {
        Ok(Standing { stand: Stand::Full, facts: Facts::default(), born: 0 })
    }
}

#[tokio::test]
async fn whoever_finds_the_line_full_is_counted_among_the_refused() {
    let port = HeldPort::take().expect("a free port");
    let operations = SocketAddr::from(([127, 0, 0, 1], port.number()));
    let config = ServerConfig { operations_listen: Some(operations), shared_rooms: Some(Arc::new(Full)), ..config() };
    let store = StuckStore { waiting_room: Some(room()), ..StuckStore::default() };
    let server = start(Arc::new(store), config).await;
    let request = v1::JoinWaitingRoomRequest { parent: format!("events/{EVENT}") };
    let status = server.rooms().join_waiting_room(by("ann", request)).await.expect_err("no place");
    assert_eq!(reason(&status), "OVERLOADED");
    let mut stream = TcpStream::connect(operations).await.expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").await.expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("it answers");
    let counted = text.lines().find(|line| line.starts_with("boxoffice_refusals_total{reason=\"OVERLOADED\"}"));
    assert_eq!(counted, Some("boxoffice_refusals_total{reason=\"OVERLOADED\"} 1"));
}
