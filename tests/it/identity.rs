//! Who may do what: every call with every kind of wrong caller, over the wire.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use boxoffice::identity::{Minted, Minter, TOKEN_BYTES_MAX};
use boxoffice_proto::v1;
use prost::Message as _;
use prost_types::{Duration, FieldMask};
use tonic::Code;
use tonic::transport::Channel;

use crate::bad_input::all_calls;
use crate::support::{get, name, new_id, reason, wants};
use crate::tokens::{Guarded, RSA_KID, bearer, call, claims, now, sent_by, signed, test_key, token, with};

type Metadata = Vec<(&'static str, String)>;

/// For whom a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Anybody with a token.
    Anyone,
    /// Buyers, and gateways in the name of buyers.
    Buyers,
    Admins,
}

/// A call that succeeds if the right one makes it.
struct Row {
    rpc: &'static str,
    who: For,
    message: Vec<u8>,
}

/// Holds of ann in `events/sale`, each for one call to end.
struct Holds([String; 5]);

/// An answer that is expected.
type Refusal = (Code, &'static str);

/// How a caller is refused, if he is, by calls for whom.
type Refuses = fn(For) -> Option<Refusal>;

const UNAUTHENTICATED: Refusal = (Code::Unauthenticated, "UNAUTHENTICATED");
const DENIED: Refusal = (Code::PermissionDenied, "PERMISSION_DENIED");
const NO_BUYER: Refusal = (Code::InvalidArgument, "INVALID_OWNER");

fn owner(name: &str) -> (&'static str, String) {
    ("boxoffice-owner", name.to_owned())
}

fn rows(Holds([live, given_back, confirmed, sold, forced]): &Holds) -> Vec<Row> {
    fn row(rpc: &'static str, who: For, message: &impl prost::Message) -> Row {
        Row { rpc, who, message: message.encode_to_vec() }
    }
    use For::{Admins, Anyone, Buyers};
    let sale = || "events/sale".to_owned();
    let allocation = |capacity| v1::Allocation { capacity, ..Default::default() };
    let item = v1::CreateReservationRequest { parent: String::new(), ..wants(&new_id(), &[("floor", 1)]) };
    let batch = v1::BatchCreateReservationsRequest {
        parent: sale(),
        requests: vec![item],
        owners: Vec::new(),
        passes: Vec::new(),
    };
    let ttl = Some(Duration { seconds: 60, nanos: 0 });
    let edited = |path: &str| Some(FieldMask { paths: vec![path.to_owned()] });
    let event = v1::Event { name: sale(), display_name: "Sale".to_owned(), ..Default::default() };
    let update = v1::Allocation { name: "events/sale/allocations/floor".to_owned(), ..allocation(90) };
    let transfer = v1::TransferCapacityRequest {
        from: "events/sale/allocations/balcony".to_owned(),
        to: "events/sale/allocations/box".to_owned(),
        quantity: 1,
        from_etag: "\"1\"".to_owned(),
        to_etag: "\"1\"".to_owned(),
    };
    let confirm = v1::ConfirmReservationRequest { name: name(confirmed), order_ref: "o".into(), on_expired: 0 };
    let created = v1::CreateAllocationRequest {
        parent: sale(),
        allocation_id: "new".to_owned(),
        allocation: Some(allocation(1)),
    };
    let updated =
        v1::UpdateAllocationRequest { allocation: Some(update), update_mask: edited("capacity"), capacity_mode: 0 };
    let another = v1::Event { name: "events/another".to_owned(), ..Default::default() };
    let applied = v1::ApplyEventRequest { event: Some(another), ..Default::default() };
    let forced = v1::ForceReleaseReservationRequest { name: name(forced), reason: "because".to_owned() };
    let all = v1::AdminServiceListReservationsRequest { parent: sale(), ..Default::default() };
    let other = v1::CreateEventRequest { event_id: "other".to_owned(), event: Some(v1::Event::default()) };
    let edit = v1::UpdateEventRequest { event: Some(event), update_mask: edited("display_name") };
    vec![
        row("WaitingRoomService/JoinWaitingRoom", Buyers, &v1::JoinWaitingRoomRequest { parent: sale() }),
        row("WaitingRoomService/WatchPlace", Buyers, &v1::WatchPlaceRequest { parent: sale() }),
        row("WaitingRoomService/LeaveWaitingRoom", Buyers, &v1::LeaveWaitingRoomRequest { parent: sale() }),
        row("InventoryService/GetEvent", Anyone, &v1::GetEventRequest { name: sale(), consistency: 2 }),
        row("InventoryService/ListEvents", Anyone, &v1::ListEventsRequest::default()),
        row("InventoryService/WatchEvent", Anyone, &v1::WatchEventRequest { name: sale(), from_seq: 0 }),
        row("InventoryService/CreateReservation", Buyers, &wants(&new_id(), &[("floor", 1)])),
        row("InventoryService/BatchCreateReservations", Buyers, &batch),
        row("InventoryService/GetReservation", Buyers, &get(live)),
        row(
            "InventoryService/ListReservations",
            Buyers,
            &v1::ListReservationsRequest { parent: sale(), ..Default::default() },
        ),
        row("InventoryService/ExtendReservation", Buyers, &v1::ExtendReservationRequest { name: name(live), ttl }),
        row("InventoryService/ReleaseReservation", Buyers, &v1::ReleaseReservationRequest { name: name(given_back) }),
        row("InventoryService/ConfirmReservation", Buyers, &confirm),
        row(
            "InventoryService/CancelReservation",
            Buyers,
            &v1::CancelReservationRequest { name: name(sold), lines: vec![] },
        ),
        row("AdminService/CreateEvent", Admins, &other),
        row("AdminService/UpdateEvent", Admins, &edit),
        row("AdminService/CreateAllocation", Admins, &created),
        row("AdminService/UpdateAllocation", Admins, &updated),
        row("AdminService/ApplyEvent", Admins, &applied),
        row("AdminService/TransferCapacity", Admins, &transfer),
        row("AdminService/ForceReleaseReservation", Admins, &forced),
        row("AdminService/ListReservations", Admins, &all),
        row("AdminService/ListChanges", Admins, &v1::ListChangesRequest { parent: sale(), ..Default::default() }),
        row("AdminService/WatchChanges", Admins, &v1::WatchChangesRequest { parent: sale(), from_seq: 1 }),
        row("AdminService/AuditEvent", Admins, &v1::AuditEventRequest { name: sale() }),
    ]
}

/// Everybody whose token proves nothing, or who sends it wrongly: no call answers them.
fn strangers() -> Vec<(&'static str, Metadata)> {
    let text = |text: &str| Some(text.to_owned());
    // As an admin, who might do most.
    let good = || claims("admin", "root");
    let valid = token("admin", "root");
    let (unsigned, _) = valid.rsplit_once('.').expect("a token");
    let (_, payload) = unsigned.split_once('.').expect("a token");
    let header = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let none = header(r#"{"alg":"none"}"#);
    let other_key = minter_of(&STANDARD.encode([1; 32]));
    let pem = std::fs::read_to_string(test_key("rsa.public.pem")).expect("a key");
    let as_secret = minter_of(&STANDARD.encode(pem));
    let confused = as_secret.mint(&good(), Some(RSA_KID)).expect("a token");
    let (changed, _) = valid.split_at(valid.len() - 8);
    let tokens = [
        ("garbage", "garbage".to_owned()),
        ("three times garbage", "a.b.c".to_owned()),
        ("expired", signed(&Minted { exp: Some(now() - 60), ..good() })),
        ("without an end", signed(&Minted { exp: None, ..good() })),
        ("not yet valid", signed(&Minted { nbf: Some(now() + 3_600), ..good() })),
        ("for somebody else", signed(&Minted { aud: text("another"), ..good() })),
        ("for nobody", signed(&Minted { aud: None, ..good() })),
        ("by somebody else", signed(&Minted { iss: text("another"), ..good() })),
        ("of an unknown role", signed(&Minted { role: text("root"), ..good() })),
        ("of no role", signed(&Minted { role: None, ..good() })),
        ("of nobody", signed(&Minted { sub: None, ..good() })),
        ("of a name with a space", signed(&Minted { sub: text("r oot"), ..good() })),
        ("signed with another key", other_key.mint(&good(), None).expect("a token")),
        ("with another key's name", signed_as(&good(), RSA_KID)),
        ("with a changed signature", format!("{changed}AAAAAAAA")),
        ("unsigned", format!("{none}.{payload}.")),
        ("unsigned, with a signature", format!("{none}.{payload}.AAAA")),
        ("signed with the public key as a secret", confused),
        ("huge", format!("{valid}{}", "A".repeat(TOKEN_BYTES_MAX))),
    ];
    let mut strangers = vec![("no token", Vec::new()), ("no token, but a name", vec![owner("ann")])];
    strangers.extend(tokens.into_iter().map(|(kind, token)| (kind, vec![bearer(&token)])));
    strangers.push(("two tokens", vec![bearer(&valid), bearer(&valid)]));
    strangers.push(("another scheme", vec![("authorization", format!("Basic {valid}"))]));
    strangers.push(("no scheme", vec![("authorization", valid)]));
    strangers
}

fn minter_of(secret: &str) -> Minter {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("secret");
    std::fs::write(&path, secret).expect("a file");
    Minter::load(&path).expect("a key")
}

/// Signed with the key of Ed25519, under the name of another.
fn signed_as(claims: &Minted, kid: &str) -> String {
    Minter::load(&test_key("ed25519.private.pem")).expect("a key").mint(claims, Some(kid)).expect("a token")
}

/// Known callers, and how they are refused where they are.
fn known() -> Vec<(&'static str, Metadata, Refuses)> {
    vec![
        ("a buyer", vec![bearer(&token("buyer", "bob"))], |who| (who == For::Admins).then_some(DENIED)),
        ("a gateway for a buyer", vec![bearer(&token("gateway", "shop")), owner("bob")], |who| {
            (who == For::Admins).then_some(DENIED)
        }),
        ("an admin", vec![bearer(&token("admin", "root"))], |who| (who == For::Buyers).then_some(DENIED)),
        ("a gateway for nobody", vec![bearer(&token("gateway", "shop"))], |who| match who {
            For::Anyone => None,
            For::Buyers => Some(NO_BUYER),
            For::Admins => Some(DENIED),
        }),
        ("a buyer as another", vec![bearer(&token("buyer", "bob")), owner("ann")], |_| Some(DENIED)),
        ("an admin as another", vec![bearer(&token("admin", "root")), owner("ann")], |_| Some(DENIED)),
        ("a gateway for two", vec![bearer(&token("gateway", "shop")), owner("ann"), owner("bob")], |_| Some(NO_BUYER)),
        ("a gateway for a bad name", vec![bearer(&token("gateway", "shop")), owner("a b")], |_| Some(NO_BUYER)),
    ]
}

/// What must not change: the journal's end, and which events there are.
async fn state(channel: &Channel) -> (i64, usize) {
    let admin = [bearer(&token("admin", "root"))];
    let request = v1::GetEventRequest { name: "events/sale".to_owned(), consistency: 2 };
    let answer = call(channel, "InventoryService/GetEvent", request.encode_to_vec(), &admin).await.expect("the event");
    let seq = v1::Event::decode(&*answer).expect("an event").seq;
    let request = v1::ListEventsRequest { consistency: 2, ..v1::ListEventsRequest::default() };
    let answer =
        call(channel, "InventoryService/ListEvents", request.encode_to_vec(), &admin).await.expect("the events");
    (seq, v1::ListEventsResponse::decode(&*answer).expect("events").events.len())
}

/// A guarded server with `events/sale`, and holds of ann.
async fn sale() -> (Guarded, Channel, Holds) {
    let guarded = Guarded::start();
    let channel = guarded.server.channel();
    let admin = token("admin", "root");
    let event = v1::Event { sales_state: v1::SalesState::OnSale.into(), ..Default::default() };
    let request = v1::CreateEventRequest { event_id: "sale".to_owned(), event: Some(event) };
    guarded.server.admin().create_event(sent_by(&admin, request)).await.expect("an event");
    for id in ["balcony", "box", "floor"] {
        let request = v1::CreateAllocationRequest {
            parent: "events/sale".to_owned(),
            allocation_id: id.to_owned(),
            allocation: Some(v1::Allocation { capacity: 100, ..Default::default() }),
        };
        guarded.server.admin().create_allocation(sent_by(&admin, request)).await.expect("an allocation");
    }
    let ids: [String; 5] = std::array::from_fn(|_| new_id());
    for id in &ids {
        // The fourth is sold at once.
        let order_ref = if *id == ids[3] { "sold" } else { "" }.to_owned();
        let request = v1::CreateReservationRequest { order_ref, ..wants(id, &[("floor", 1)]) };
        let by_gateway = with(&[bearer(&token("gateway", "shop")), owner("ann")], request);
        let held = guarded.server.inventory().create_reservation(by_gateway).await.expect("a hold").into_inner();
        assert_eq!(held.owner, "ann");
    }
    (guarded, channel, Holds(ids))
}

#[tokio::test]
async fn every_call_refuses_every_wrong_caller_and_changes_nothing() {
    let (_guarded, channel, holds) = sale().await;
    let rows = rows(&holds);
    let named: BTreeSet<_> = rows.iter().map(|row| row.rpc.to_owned()).collect();
    assert_eq!(named, all_calls(), "each call has a row");

    let before = state(&channel).await;
    for Row { rpc, who, message } in &rows {
        for (kind, metadata) in strangers() {
            let status = call(&channel, rpc, message.clone(), &metadata).await.expect_err(kind);
            assert_eq!((status.code(), &*reason(&status)), UNAUTHENTICATED, "{rpc}, {kind}: {status:?}");
            let sent =
                metadata.iter().any(|(_, value)| value.len() > 20 && format!("{status:?}").contains(&value[7..]));
            assert!(!sent, "{rpc}, {kind}: the answer repeats the token");
            assert_eq!(status.message().contains("expired"), kind == "expired", "{kind}: {status:?}");
        }
        for (kind, metadata, refusal) in known() {
            let Some(refusal) = refusal(*who) else { continue };
            // What others send to operators' calls is not even read.
            let unread = (*who == For::Admins).then(|| b"no message".to_vec());
            for message in [Some(message.clone()), unread].into_iter().flatten() {
                let status = call(&channel, rpc, message, &metadata).await.expect_err(kind);
                assert_eq!((status.code(), &*reason(&status)), refusal, "{rpc}, {kind}: {status:?}");
            }
        }
    }
    assert_eq!(state(&channel).await, before, "nothing was changed");

    // The same calls, made by the right ones, are answered: it was the caller who was wrong.
    let (buyer, admin) = ([bearer(&token("buyer", "ann"))], [bearer(&token("admin", "root"))]);
    for Row { rpc, who, message } in rows {
        let metadata = if who == For::Admins { &admin } else { &buyer };
        call(&channel, rpc, message, metadata).await.expect(rpc);
    }
}

#[tokio::test]
async fn anybody_with_a_token_sees_events_and_nobody_else_does() {
    let (_guarded, channel, holds) = sale().await;
    for Row { rpc, message, .. } in rows(&holds).into_iter().filter(|row| row.who == For::Anyone) {
        for (kind, metadata, refusal) in known() {
            let answer = call(&channel, rpc, message.clone(), &metadata).await;
            assert_eq!(answer.is_ok(), refusal(For::Anyone).is_none(), "{rpc}, {kind}");
        }
    }
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case_and_one_may_name_oneself() {
    let (_guarded, channel, Holds(ids)) = sale().await;
    let ann = token("buyer", "ann");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let metadata = [("authorization", format!("{scheme} {ann}")), owner("ann")];
        let answer = call(&channel, "InventoryService/GetReservation", get(&ids[0]).encode_to_vec(), &metadata).await;
        answer.expect(scheme);
    }
    let rsa = Minter::load(&test_key("rsa.private.pem")).expect("a key");
    let by_rsa = rsa.mint(&claims("buyer", "ann"), Some(RSA_KID)).expect("a token");
    let answer =
        call(&channel, "InventoryService/GetReservation", get(&ids[0]).encode_to_vec(), &[bearer(&by_rsa)]).await;
    answer.expect("the other key");
}

#[tokio::test]
async fn anothers_reservation_is_answered_as_one_that_does_not_exist() {
    let (guarded, channel, Holds(ids)) = sale().await;
    let before = state(&channel).await;
    let bob = [bearer(&token("buyer", "bob"))];
    let for_bob = [bearer(&token("gateway", "shop")), owner("bob")];
    let ttl = Some(Duration { seconds: 60, nanos: 0 });
    let calls = |id: &str| {
        let replacing = v1::CreateReservationRequest {
            replaces: name(id),
            ..wants("0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71", &[("floor", 1)])
        };
        let confirm = |on_expired| v1::ConfirmReservationRequest { name: name(id), order_ref: "o".into(), on_expired };
        [
            ("GetReservation", get(id).encode_to_vec()),
            ("ExtendReservation", v1::ExtendReservationRequest { name: name(id), ttl }.encode_to_vec()),
            ("ReleaseReservation", v1::ReleaseReservationRequest { name: name(id) }.encode_to_vec()),
            ("ConfirmReservation", confirm(1).encode_to_vec()),
            ("ConfirmReservation", confirm(2).encode_to_vec()),
            ("CancelReservation", v1::CancelReservationRequest { name: name(id), lines: vec![] }.encode_to_vec()),
            ("CreateReservation", replacing.encode_to_vec()),
        ]
    };
    let missing = new_id();
    for id in &ids {
        for ((rpc, theirs), (_, none)) in calls(id).into_iter().zip(calls(&missing)) {
            let rpc = format!("InventoryService/{rpc}");
            for metadata in [&bob[..], &for_bob] {
                let theirs = call(&channel, &rpc, theirs.clone(), metadata).await.expect_err("another's");
                let none = call(&channel, &rpc, none.clone(), metadata).await.expect_err("none");
                let answer = |status: &tonic::Status| {
                    let headers = status.metadata().clone().into_headers();
                    let names: Vec<_> = headers.keys().filter(|key| *key != "date").cloned().collect();
                    (status.code(), status.message().to_owned(), status.details().to_vec(), names)
                };
                assert_eq!(answer(&theirs), answer(&none), "{rpc}");
                assert_eq!(reason(&theirs), "RESERVATION_NOT_FOUND", "{rpc}");
            }
        }
    }
    let list = v1::ListReservationsRequest { parent: "events/sale".to_owned(), ..Default::default() };
    let listed = guarded.server.inventory().list_reservations(with(&bob, list)).await.expect("a list").into_inner();
    assert_eq!(listed.reservations, []);
    assert_eq!(state(&channel).await, before, "nothing was changed");
}

#[tokio::test]
async fn only_a_gateway_may_name_the_owners_of_a_batch() {
    let (guarded, channel, _) = sale().await;
    let before = state(&channel).await;
    let batch = || v1::BatchCreateReservationsRequest {
        parent: "events/sale".to_owned(),
        requests: vec![wants(&new_id(), &[("floor", 1)])],
        owners: vec!["ann".to_owned()],
        passes: Vec::new(),
    };
    let mut client = guarded.server.inventory();
    for role in ["buyer", "admin"] {
        let request = sent_by(&token(role, "ann"), batch());
        let status = client.batch_create_reservations(request).await.expect_err(role);
        assert_eq!((status.code(), &*reason(&status)), DENIED, "{role}");
    }
    assert_eq!(state(&channel).await, before);
    let request = sent_by(&token("gateway", "shop"), batch());
    let outcomes = client.batch_create_reservations(request).await.expect("outcomes").into_inner().outcomes;
    use v1::batch_create_reservations_response::outcome::Outcome;
    assert!(matches!(&outcomes[0].outcome, Some(Outcome::Reservation(held)) if held.owner == "ann"), "{outcomes:?}");
}

#[tokio::test]
async fn the_journal_names_the_operator_of_the_token() {
    let (guarded, ..) = sale().await;
    let request = v1::ListChangesRequest { parent: "events/sale".to_owned(), ..Default::default() };
    let request = sent_by(&token("admin", "someone"), request);
    let changes = guarded.server.admin().list_changes(request).await.expect("the journal").into_inner().changes;
    assert_eq!(changes[0].actor, "admin:root");
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_opened_it() {
    let (guarded, ..) = sale().await;
    // With the leeway it is valid for some seconds more.
    let short = signed(&Minted { exp: Some(now() - 25), ..claims("admin", "root") });
    let request = v1::WatchChangesRequest { parent: "events/sale".to_owned(), from_seq: 1 };
    let mut changes =
        guarded.server.admin().watch_changes(sent_by(&short, request)).await.expect("a stream").into_inner();
    let request = v1::WatchEventRequest { name: "events/sale".to_owned(), from_seq: 0 };
    let mut event =
        guarded.server.inventory().watch_event(sent_by(&short, request)).await.expect("a stream").into_inner();
    changes.message().await.expect("the journal").expect("changes");
    event.message().await.expect("the event").expect("a state");
    let ends = async { [changes.message().await.expect_err("an end"), event.message().await.expect_err("an end")] };
    let ends = tokio::time::timeout(std::time::Duration::from_secs(60), ends).await.expect("they end");
    for status in ends {
        assert_eq!((status.code(), &*reason(&status)), UNAUTHENTICATED);
        assert!(status.message().contains("expired"), "{status:?}");
    }
}

#[tokio::test]
async fn health_and_reflection_need_no_token() {
    let guarded = Guarded::start();
    let mut health = tonic_health::pb::health_client::HealthClient::new(guarded.server.channel());
    health.check(tonic_health::pb::HealthCheckRequest::default()).await.expect("health");
    let mut reflection =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(guarded.server.channel());
    reflection.server_reflection_info(tokio_stream::empty()).await.expect("reflection");
}
