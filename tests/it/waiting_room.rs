//! The waiting room over the wire: in one process alone, and shared by two servers through Redis. The same must hold in both.

mod barred;
mod command_line;
mod shared;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use boxoffice_proto::v1;
use boxoffice_proto::v1::batch_create_reservations_response::outcome::Outcome;
use boxoffice_proto::v1::place::State;
use boxoffice_proto::v1::waiting_room_service_client::WaitingRoomServiceClient;
use private_cluster::{AppendSync, Redis, RedisOptions};
use prost_types::FieldMask;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::support::{Server, by, new_id, reason, until, wants};

/// The longest that anything is waited for.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Servers of one sale.
struct Sale {
    servers: Vec<Server>,
    redis: Option<Redis>,
    database: Option<String>,
    files: TempDir,
}

/// Not a secret, but long enough to be one.
const KEY: &str = "bm90IGEgc2VjcmV0LCBidXQgbG9uZyBlbm91Z2ggdG8gYmUgb25l\n";

/// One server on SQLite, with the room in its memory.
fn alone() -> Sale {
    let files = tempfile::tempdir().expect("a directory");
    let server = Server::start(files.path());
    Sale { servers: vec![server], redis: None, database: None, files }
}

/// Two servers on one PostgreSQL and one Redis, which keeps what it was told.
async fn shared() -> Sale {
    let files = tempfile::tempdir().expect("a directory");
    let (database, redis) = spawn_blocking(|| {
        let database = private_cluster::fresh_database(private_cluster::shared()).expect("a database");
        let options = RedisOptions::default().append_only(AppendSync::Always);
        (database, Redis::start(&options).expect("Redis starts"))
    })
    .await
    .expect("they start");
    let mut sale = shared_over(&["--redis-url", &redis.url()], database, files).await;
    sale.redis = Some(redis);
    sale
}

/// The same, with servers that find their Redis by these options.
async fn shared_over(redis: &[&str], database: String, files: TempDir) -> Sale {
    std::fs::write(files.path().join("passes"), KEY).expect("a key file");
    let servers = (0..2).map(|_| start_on(&database, redis, &files)).collect();
    let sale = Sale { servers, redis: None, database: Some(database), files };
    sale.event("probe", room(0)).await;
    sale.until_shared("probe").await;
    sale
}

fn start_on(database: &str, redis: &[&str], files: &TempDir) -> Server {
    let key = files.path().join("passes");
    let key = key.to_str().expect("a path in UTF-8");
    Server::start_on(database, &[redis, &["--redis-timeout", "1s", "--pass-key-file", key]].concat())
}

/// A room that lets nobody out of the line, unless it is told otherwise.
fn room(rate: i32) -> v1::WaitingRoom {
    v1::WaitingRoom { admissions_per_second: rate, ..v1::WaitingRoom::default() }
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

impl Sale {
    async fn event(&self, id: &str, room: v1::WaitingRoom) {
        let event =
            v1::Event { sales_state: v1::SalesState::OnSale.into(), waiting_room: Some(room), ..v1::Event::default() };
        let mut admin = self.servers[0].admin();
        let create = v1::CreateEventRequest { event_id: id.to_owned(), event: Some(event) };
        admin.create_event(create).await.expect("the event is created");
        let allocation = Some(v1::Allocation { capacity: 100, ..v1::Allocation::default() });
        let parent = format!("events/{id}");
        let create = v1::CreateAllocationRequest { parent, allocation_id: "floor".to_owned(), allocation };
        admin.create_allocation(create).await.expect("the allocation is created");
        // The other servers learn of it by and by.
        for server in 0..self.servers.len() {
            until("the room is known", async || self.join(server, id, "first").await.state() == State::Waiting).await;
            self.leave(server, id, "first").await;
        }
    }

    /// Changes the settings, and waits until all servers must have seen it.
    async fn change(&self, id: &str, waiting_room: Option<v1::WaitingRoom>) {
        let event = v1::Event { name: format!("events/{id}"), waiting_room, ..v1::Event::default() };
        let update_mask = Some(FieldMask { paths: vec!["waiting_room".to_owned()] });
        let request = v1::UpdateEventRequest { event: Some(event), update_mask };
        self.servers[0].admin().update_event(request).await.expect("it is changed");
        if self.servers.len() > 1 {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    fn rooms(&self, server: usize) -> WaitingRoomServiceClient<Channel> {
        WaitingRoomServiceClient::new(self.servers[server].channel())
    }

    async fn try_join(&self, server: usize, id: &str, owner: &str) -> Result<v1::Place, Status> {
        let request = v1::JoinWaitingRoomRequest { parent: format!("events/{id}") };
        let answer = self.rooms(server % self.servers.len()).join_waiting_room(by(owner, request)).await;
        answer.map(tonic::Response::into_inner)
    }

    async fn join(&self, server: usize, id: &str, owner: &str) -> v1::Place {
        self.try_join(server, id, owner).await.expect("an answer")
    }

    /// Joins until he is let in: right after a change, nobody is.
    async fn admitted(&self, server: usize, id: &str, owner: &str) -> v1::Place {
        let mut place = v1::Place::default();
        until("he is let in", async || {
            place = self.join(server, id, owner).await;
            place.state() == State::Admitted
        })
        .await;
        place
    }

    async fn leave(&self, server: usize, id: &str, owner: &str) {
        self.try_leave(server, id, owner).await.expect("he may leave");
    }

    async fn try_leave(&self, server: usize, id: &str, owner: &str) -> Result<(), Status> {
        let request = v1::LeaveWaitingRoomRequest { parent: format!("events/{id}") };
        let mut rooms = self.rooms(server % self.servers.len());
        rooms.leave_waiting_room(by(owner, request)).await.map(drop)
    }

    async fn reserve(&self, server: usize, id: &str, owner: &str, pass: &str, hold: &str) -> Result<String, Status> {
        let mut request = by(owner, wants_of(id, hold));
        if !pass.is_empty() {
            request.metadata_mut().insert("boxoffice-pass", pass.parse().expect("ASCII"));
        }
        let mut inventory = self.servers[server % self.servers.len()].inventory();
        inventory.create_reservation(request).await.map(|answer| answer.into_inner().name)
    }

    /// Waits until all servers have found Redis.
    async fn until_shared(&self, id: &str) {
        for server in 0..self.servers.len() {
            until("Redis is there", async || self.join(server, id, "probe").await.position == 1).await;
        }
    }
}

fn wants_of(id: &str, hold: &str) -> v1::CreateReservationRequest {
    let line = v1::reservation::Line {
        allocation: format!("events/{id}/allocations/floor"),
        quantity: 1,
        ..v1::reservation::Line::default()
    };
    let reservation = Some(v1::Reservation { lines: vec![line], ..v1::Reservation::default() });
    v1::CreateReservationRequest { parent: format!("events/{id}"), reservation, ..wants(hold, &[]) }
}

#[tokio::test]
async fn in_one_process() {
    let sale = alone();
    all(&sale).await;
}

#[tokio::test]
async fn shared_through_redis() {
    let sale = shared().await;
    all(&sale).await;
}

/// At the same time, each with an event of its own.
async fn all(sale: &Sale) {
    tokio::join!(
        the_order_is_exact_and_ten_tabs_are_one_place(sale, "order"),
        places_of_those_who_vanish_are_passed_on(sale),
        a_pass_is_good_for_its_owner_its_event_and_its_time(sale),
        each_of_a_batch_shows_his_own_pass(sale),
        what_was_granted_is_answered_whatever_pass_is_shown(sale),
        rate_and_cap_change_live_and_the_room_can_be_turned_off(sale),
    );
}

async fn the_order_is_exact_and_ten_tabs_are_one_place(sale: &Sale, id: &str) {
    sale.event(id, v1::WaitingRoom { inside_max: 1, ..room(0) }).await;
    let people: Vec<_> = (0..20).map(|n| format!("owner-{n}")).collect();
    for (n, owner) in people.iter().enumerate() {
        let tabs = futures::future::join_all((0..10).map(|tab| sale.join(n + tab, id, owner))).await;
        let position = i64::try_from(n).expect("small") + 1;
        assert!(tabs.iter().all(|place| place.position == position && place.waiting_count == position), "{tabs:?}");
    }
    sale.change(id, Some(v1::WaitingRoom { inside_max: 1, ..room(100_000) })).await;
    for (n, owner) in people.iter().enumerate() {
        // Those behind him ask first, at any server, and gain nothing by it.
        for (ahead, other) in people[n + 1..].iter().enumerate().rev() {
            let place = sale.join(n + ahead, id, other).await;
            assert_eq!((place.state(), place.pass.as_str()), (State::Waiting, ""), "{other} before {owner}");
        }
        let place = sale.admitted(n, id, owner).await;
        let again = sale.join(n + 1, id, owner).await;
        assert_eq!((again.pass, again.pass_expire_time), (place.pass, place.pass_expire_time), "the same pass");
        sale.leave(n + 1, id, owner).await;
    }
}

async fn places_of_those_who_vanish_are_passed_on(sale: &Sale) {
    let id = "vanish";
    sale.event(id, v1::WaitingRoom { grace: seconds(2), ..room(0) }).await;
    let begun = Instant::now();
    let position = async |server, owner| sale.join(server, id, owner).await.position;
    assert_eq!(position(0, "ann").await, 1);
    assert_eq!(position(0, "bob").await, 2);
    assert_eq!(position(1, "cid").await, 3);
    let place = sale.join(0, id, "cid").await;
    let poll = place.poll_after.expect("when to call again");
    assert!(poll.seconds == 0 && poll.nanos <= 999_999_999, "within half of the grace time: {poll:?}");
    // Bob only calls once more, at another server; ann not at all.
    let mut bob = false;
    until("ann's place is passed on", async || {
        if !bob && begun.elapsed() > Duration::from_millis(700) {
            assert_eq!(position(1, "bob").await, 2, "a reconnect within the grace time keeps the place");
            bob = true;
        }
        position(0, "cid").await == 2
    })
    .await;
    assert!(begun.elapsed() >= Duration::from_secs(2), "not before the grace time: {:?}", begun.elapsed());
    assert_eq!(position(0, "bob").await, 1);
    assert_eq!(position(0, "ann").await, 3, "she begins anew");
}

async fn a_pass_is_good_for_its_owner_its_event_and_its_time(sale: &Sale) {
    let lasting = v1::WaitingRoom { pass_lifetime: seconds(1), ..room(100_000) };
    sale.event("pass", room(0)).await;
    sale.event("other", room(0)).await;
    sale.change("pass", Some(lasting)).await;
    sale.change("other", Some(room(100_000))).await;
    let refused = async |owner: &str, pass: &str, why: &str| {
        let status = sale.reserve(1, "pass", owner, pass, &new_id()).await.expect_err(why);
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, why), "{owner}");
        assert!(!status.message().contains(owner));
    };
    refused("ann", "", "WAITING_ROOM_REQUIRED").await;
    let elsewhere = sale.admitted(0, "other", "ann").await.pass;
    refused("ann", &elsewhere, "PASS_INVALID").await;
    let bobs = sale.admitted(0, "pass", "bob").await.pass;
    let place = sale.admitted(0, "pass", "ann").await;
    refused("bob", &place.pass, "PASS_INVALID").await;
    // The last two bits of the signature, which are anything: what stands there instead must differ.
    let (head, last) = place.pass.split_at(place.pass.len() - 1);
    let forged = if last == "A" { "Q" } else { "A" };
    refused("ann", &format!("{head}{forged}"), "PASS_INVALID").await;
    refused("ann", "1.A", "PASS_INVALID").await;
    let hold = new_id();
    let name = sale.reserve(1, "pass", "ann", &place.pass, &hold).await.expect("her own pass");
    until("the pass expires", async || {
        let tried = sale.reserve(0, "pass", "ann", &place.pass, &new_id()).await;
        tried.err().is_some_and(|status| reason(&status) == "PASS_EXPIRED")
    })
    .await;
    // What was granted is still answered, and needs no pass from then on.
    assert_eq!(sale.reserve(0, "pass", "ann", &place.pass, &hold).await.expect("the first answer"), name);
    // In a batch, too: of those who come late with a pass that was theirs, only who was granted his request is answered.
    let owners = ["ann", "ann", "bob", "ann"].map(str::to_owned).to_vec();
    let batch = v1::BatchCreateReservationsRequest {
        parent: "events/pass".to_owned(),
        requests: [&new_id(), &hold, &hold, &hold].map(|hold| wants_of("pass", hold)).to_vec(),
        passes: [&place.pass, &place.pass, &bobs, &place.pass].map(Clone::clone).to_vec(),
        owners,
    };
    let outcomes = told(&sale.servers[0].inventory().batch_create_reservations(batch).await.expect("outcomes"));
    assert_eq!(outcomes, ["PASS_EXPIRED", "ann", "PASS_EXPIRED", "ann"]);
    let mut inventory = sale.servers[0].inventory();
    let extend = v1::ExtendReservationRequest { name: name.clone(), ttl: seconds(60) };
    inventory.extend_reservation(by("ann", extend)).await.expect("extended");
    let confirm = v1::ConfirmReservationRequest { name: name.clone(), order_ref: "order".into(), on_expired: 0 };
    inventory.confirm_reservation(by("ann", confirm)).await.expect("sold");
    inventory
        .cancel_reservation(by("ann", v1::CancelReservationRequest { name, lines: vec![] }))
        .await
        .expect("refunded");
    assert_ne!(sale.admitted(0, "pass", "ann").await.pass, place.pass);
}

async fn each_of_a_batch_shows_his_own_pass(sale: &Sale) {
    sale.event("batch", room(0)).await;
    sale.change("batch", Some(room(100_000))).await;
    let ann = sale.admitted(0, "batch", "ann").await.pass;
    let batch = v1::BatchCreateReservationsRequest {
        parent: "events/batch".to_owned(),
        requests: (0..3).map(|_| wants_of("batch", &new_id())).collect(),
        owners: ["ann", "bob", "cid"].map(str::to_owned).to_vec(),
        passes: vec![ann.clone(), ann.clone(), String::new()],
    };
    let answer = sale.servers[0].inventory().batch_create_reservations(Request::new(batch.clone())).await;
    let outcomes = told(&answer.expect("outcomes"));
    assert_eq!(outcomes, ["ann", "PASS_INVALID", "WAITING_ROOM_REQUIRED"]);
    // Without owners, all are for the caller, and so is the pass of the call.
    let own = v1::BatchCreateReservationsRequest {
        owners: Vec::new(),
        passes: Vec::new(),
        requests: (0..2).map(|_| wants_of("batch", &new_id())).collect(),
        ..batch
    };
    let mut request = by("ann", own);
    request.metadata_mut().insert("boxoffice-pass", ann.parse().expect("ASCII"));
    let answer = sale.servers[0].inventory().batch_create_reservations(request).await;
    assert_eq!(told(&answer.expect("outcomes")), ["ann", "ann"]);
}

async fn what_was_granted_is_answered_whatever_pass_is_shown(sale: &Sale) {
    sale.event("before", room(0)).await;
    sale.change("before", None).await;
    let hold = new_id();
    let name = sale.reserve(0, "before", "ann", "", &hold).await.expect("no pass is needed");
    sale.change("before", Some(room(0))).await;
    // No pass, none of this key, and none at all.
    for (pass, why) in [("", "WAITING_ROOM_REQUIRED"), ("1.A", "PASS_INVALID"), ("?", "PASS_INVALID")] {
        for server in 0..2 {
            let again = sale.reserve(server, "before", "ann", pass, &hold).await;
            assert_eq!(again.expect("the first answer"), name, "{pass}");
            for (owner, id) in [("ann", new_id()), ("bob", new_id()), ("bob", hold.clone())] {
                let status = sale.reserve(server, "before", owner, pass, &id).await.expect_err(why);
                assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, why), "{owner}");
            }
        }
    }
}

/// The owner of each reservation, and the reason of each refusal.
fn told(answer: &Response<v1::BatchCreateReservationsResponse>) -> Vec<String> {
    let one = |outcome: &v1::batch_create_reservations_response::Outcome| match &outcome.outcome {
        Some(Outcome::Reservation(reservation)) => reservation.owner.clone(),
        Some(Outcome::Error(error)) => {
            let details = prost::Message::encode_to_vec(error);
            reason(&Status::with_details(Code::from(error.code), error.message.clone(), details.into()))
        }
        None => String::new(),
    };
    answer.get_ref().outcomes.iter().map(one).collect()
}

async fn rate_and_cap_change_live_and_the_room_can_be_turned_off(sale: &Sale) {
    let id = "live";
    sale.event(id, room(0)).await;
    let mut streams = BTreeMap::new();
    for n in 0..6_usize {
        let request = v1::WatchPlaceRequest { parent: format!("events/{id}") };
        let mut rooms = sale.rooms(n % sale.servers.len());
        let mut stream = rooms.watch_place(by(&format!("owner-{n}"), request)).await.expect("a stream").into_inner();
        let place = stream.message().await.expect("an answer").and_then(|answer| answer.place).expect("a place");
        assert_eq!((place.state(), place.position), (State::Waiting, i64::try_from(n).expect("small") + 1));
        assert_eq!((place.estimated_wait_min, place.estimated_wait_max), (None, None), "nobody is let in");
        streams.insert(n, stream);
    }
    sale.change(id, Some(v1::WaitingRoom { inside_max: 2, ..room(100_000) })).await;
    for n in 0..2 {
        let mut stream = streams.remove(&n).expect("his stream");
        let place = last(&mut stream).await;
        assert!(place.state() == State::Admitted && !place.pass.is_empty(), "{n}: {place:?}");
        let name = sale.reserve(n, id, &format!("owner-{n}"), &place.pass, &new_id()).await;
        name.expect("he may buy");
    }
    let place = sale.join(0, id, "owner-2").await;
    assert_eq!((place.state(), place.position), (State::Waiting, 1), "the cap holds him up");
    sale.change(id, None).await;
    for (n, mut stream) in streams {
        assert_eq!(last(&mut stream).await.state(), State::NotNeeded, "{n}");
    }
    sale.reserve(0, id, "owner-5", "", &new_id()).await.expect("no pass is needed any more");
    let status = sale.try_join(0, "nothing", "ann").await.expect_err("no such event");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "EVENT_NOT_FOUND"));
}

/// What a stream ends with.
async fn last(stream: &mut tonic::Streaming<v1::WatchPlaceResponse>) -> v1::Place {
    let all = async {
        let mut last = None;
        while let Some(answer) = stream.message().await.expect("no error") {
            last = answer.place;
        }
        last.expect("a place")
    };
    tokio::time::timeout(WAIT_MAX, all).await.expect("the stream ends")
}
