//! Long lists come whole, in order, in pages that every client can take; and they go on only where they were left.

use std::sync::Arc;

use boxoffice::domain::{
    Actor, Allocation, AllocationId, Delta, EventId, EventView, JournalEntry, JournalKind, Line, OwnerId, Reservation,
    ReservationId, Seq, State, Timestamp,
};
use boxoffice_proto::v1;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::in_process::{Running, StuckStore, config, event, start};
use crate::support::{by, reason};

/// The size that gRPC clients take unless they are told otherwise.
const CLIENT_BYTES_MAX: usize = 4 * 1024 * 1024;

fn allocation_id(number: usize) -> AllocationId {
    AllocationId::new(&format!("a-{number:060}")).expect("an id")
}

/// An event of some 230 kB.
fn large_event(number: usize) -> EventView {
    let mut view = event(&EventId::new(&format!("event-{number:04}")).expect("an id"));
    let allocation = |number| Allocation {
        id: allocation_id(number),
        display_name: "x".repeat(100),
        capacity: 1_000,
        drain_to: None,
        held: 1,
        sold: 2,
        limit_per_owner: None,
        version: 1,
    };
    view.allocations = (0..1_000).map(allocation).collect();
    view
}

/// A change of some 10 kB.
fn large_change(seq: Seq) -> JournalEntry {
    let delta = |number| Delta { allocation: allocation_id(number), capacity: 0, held: 1, sold: 0 };
    JournalEntry {
        seq,
        occurred_at: Timestamp::from_micros(1),
        kind: JournalKind::Reserved,
        actor: Actor::System,
        reservation: None,
        deltas: (0..100).map(delta).collect(),
        expires_at: None,
        order_ref: None,
        reason: None,
        event: None,
        allocation: None,
    }
}

/// A reservation of some 10 kB.
fn large_reservation(number: u128) -> Reservation {
    let line = |number| Line { allocation: allocation_id(number), quantity: 1, requested: 1, cancelled: 0 };
    Reservation {
        id: ReservationId::from(uuid::Uuid::from_u128(number)),
        owner: OwnerId::new("ann").expect("an owner"),
        state: State::Held,
        lines: (0..100).map(line).collect(),
        expires_at: Timestamp::from_micros(2_000_000),
        created_at: Timestamp::from_micros(1),
        updated_at: Timestamp::from_micros(1),
        fingerprint: 0,
        order_ref: None,
    }
}

#[tokio::test]
async fn events_are_listed_whole_in_pages_that_fit() {
    let events: Vec<_> = (0..60).map(large_event).collect();
    let names: Vec<_> = events.iter().map(|view| format!("events/{}", view.event.id)).collect();
    let server = start(Arc::new(StuckStore { events, ..Default::default() }), config()).await;
    for (page_size, consistency) in [(0, 0), (3, 0), (1_000, 1), (0, 2), (3, 2), (1_000, 2)] {
        let (mut listed, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListEventsRequest { page_size, page_token, consistency };
            let page = server.inventory().list_events(request).await.expect("a page").into_inner();
            assert!(page.encoded_len() < CLIENT_BYTES_MAX, "{} bytes", page.encoded_len());
            assert!(
                !page.events.is_empty()
                    && (page_size == 0 || page.events.len() <= usize::try_from(page_size).expect("small"))
            );
            listed.extend(page.events.into_iter().map(|event| event.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(listed, names, "pages of {page_size}, consistency {consistency}");
    }
}

#[tokio::test]
async fn changes_are_listed_and_watched_without_gaps_in_answers_that_fit() {
    let journal: Vec<_> = (1..=700).map(large_change).collect();
    let server = start(Arc::new(StuckStore { journal, ..Default::default() }), config()).await;
    let parent = || "events/gala".to_owned();

    let (mut listed, mut from_seq) = (Vec::new(), 0);
    loop {
        let request = v1::ListChangesRequest { parent: parent(), from_seq, page_size: 10_000 };
        let page = server.admin().list_changes(request).await.expect("a page").into_inner();
        assert!(page.encoded_len() < CLIENT_BYTES_MAX, "{} bytes", page.encoded_len());
        listed.extend(page.changes.into_iter().map(|change| change.seq));
        from_seq = page.next_from_seq;
        if from_seq == 0 {
            break;
        }
    }
    assert_eq!(listed, (1..=700).collect::<Vec<_>>());
    for (from_seq, next_from_seq) in [(697, 699), (698, 700), (699, 0), (700, 0)] {
        let request = v1::ListChangesRequest { parent: parent(), from_seq, page_size: 2 };
        let page = server.admin().list_changes(request).await.expect("a page").into_inner();
        assert_eq!(page.next_from_seq, next_from_seq, "two from {from_seq} on");
    }

    let request = v1::WatchChangesRequest { parent: parent(), from_seq: 5 };
    let mut stream = server.admin().watch_changes(request).await.expect("a stream").into_inner();
    let mut watched = Vec::new();
    while watched.last() != Some(&700) {
        let answer = stream.message().await.expect("a message").expect("no end");
        assert!(answer.encoded_len() < CLIENT_BYTES_MAX && !answer.changes.is_empty());
        watched.extend(answer.changes.into_iter().map(|change| change.seq));
    }
    assert_eq!(watched, (5..=700).collect::<Vec<_>>());
}

/// Whoever always finds something new never waits, and hears of the end all the same.
#[tokio::test]
async fn a_shutdown_ends_a_stream_that_has_much_to_tell_still() {
    let journal: Vec<_> = (1..=700).map(large_change).collect();
    let mut server = start(Arc::new(StuckStore { journal, ..Default::default() }), config()).await;
    let request = v1::WatchChangesRequest { parent: "events/gala".to_owned(), from_seq: 0 };
    let mut stream = server.admin().watch_changes(request).await.expect("a stream").into_inner();
    let mut told = stream.message().await.expect("a message");
    server.begin_to_stop();
    let (mut last, mut end) = (0, None);
    while let Some(answer) = told.take() {
        last = answer.changes.last().expect("a change").seq;
        match stream.message().await {
            Ok(next) => told = next,
            Err(status) => end = Some(status),
        }
    }
    let end = end.expect("an end that says why");
    assert_eq!((end.code(), reason(&end).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    assert!(last < 700, "all was told first");
    server.stopped().await;
}

#[tokio::test]
async fn reservations_are_listed_whole_in_pages_that_fit() {
    let reservations: Vec<_> = (0..600).map(large_reservation).collect();
    let names: Vec<_> = reservations.iter().map(|each| format!("events/gala/reservations/{}", each.id)).collect();
    let server = start(Arc::new(StuckStore { reservations, ..Default::default() }), config()).await;
    let parent = || "events/gala".to_owned();
    let mut inventory = server.inventory().max_decoding_message_size(usize::MAX);
    let mut admin = server.admin().max_decoding_message_size(usize::MAX);
    for (page_size, of) in [(1_000, None), (1_000, Some("")), (1_000, Some("ann")), (7, None), (7, Some(""))] {
        let (mut listed, mut page_token) = (Vec::new(), String::new());
        loop {
            let (reservations, next_page_token, bytes) = if let Some(owner) = of {
                let owner = owner.to_owned();
                let request =
                    v1::AdminServiceListReservationsRequest { parent: parent(), owner, page_size, page_token };
                let page = admin.list_reservations(request).await.expect("a page").into_inner();
                let bytes = page.encoded_len();
                (page.reservations, page.next_page_token, bytes)
            } else {
                let request = v1::ListReservationsRequest { parent: parent(), page_size, page_token };
                let page = inventory.list_reservations(by("ann", request)).await.expect("a page").into_inner();
                let bytes = page.encoded_len();
                (page.reservations, page.next_page_token, bytes)
            };
            assert!(bytes < CLIENT_BYTES_MAX, "{bytes} bytes");
            assert!(!reservations.is_empty() && reservations.len() <= usize::try_from(page_size).expect("small"));
            listed.extend(reservations.into_iter().map(|each| each.name));
            page_token = next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(listed, names, "pages of {page_size}, of {of:?}");
    }
}

/// What is listed, and of it what a request names.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Listed {
    Events,
    /// By a buyer: an event's, and his own.
    Own(&'static str, &'static str),
    /// By an operator: an event's, of an owner or of everybody.
    Anybodys(&'static str, &'static str),
}

const LISTS: [Listed; 8] = [
    Listed::Events,
    Listed::Own("gala", "ann"),
    Listed::Own("gala", "bob"),
    Listed::Own("other", "ann"),
    Listed::Anybodys("gala", "ann"),
    Listed::Anybodys("gala", "bob"),
    Listed::Anybodys("gala", ""),
    Listed::Anybodys("other", ""),
];

impl Listed {
    /// Asks for a page, and answers the token of the next.
    async fn page(self, server: &Running, page_size: i32, token: &str) -> Result<String, Status> {
        let (mut inventory, page_token) = (server.inventory(), token.to_owned());
        let parent = |event| format!("events/{event}");
        match self {
            Self::Events => {
                let request = v1::ListEventsRequest { page_size, page_token, consistency: 0 };
                inventory.list_events(request).await.map(|page| page.into_inner().next_page_token)
            }
            Self::Own(event, owner) => {
                let request = v1::ListReservationsRequest { parent: parent(event), page_size, page_token };
                let page = inventory.list_reservations(by(owner, request)).await;
                page.map(|page| page.into_inner().next_page_token)
            }
            Self::Anybodys(event, owner) => {
                let (parent, owner) = (parent(event), owner.to_owned());
                let request = v1::AdminServiceListReservationsRequest { parent, owner, page_size, page_token };
                let page = server.admin().list_reservations(request).await;
                page.map(|page| page.into_inner().next_page_token)
            }
        }
    }

    async fn refuses(self, server: &Running, token: &str) {
        let status = self.page(server, 1, token).await.expect_err(token);
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_PAGE_TOKEN"));
        let fields = status.get_details_bad_request().expect("which field").field_violations;
        assert_eq!(fields.iter().map(|each| each.field.as_str()).collect::<Vec<_>>(), ["page_token"], "{self:?}");
    }
}

/// Another page of a list may be of another size. All else must be as it was (AIP-158).
#[tokio::test]
async fn a_page_token_goes_on_with_its_own_list_alone() {
    let small = |number: u128| Reservation {
        owner: OwnerId::new(["ann", "bob"][usize::from(number % 2 == 1)]).expect("an owner"),
        lines: Vec::new(),
        ..large_reservation(number)
    };
    let events = ["gala", "other", "third"].map(|id| event(&EventId::new(id).expect("an id"))).to_vec();
    let store = StuckStore { events, reservations: (0..10).map(small).collect(), ..Default::default() };
    let server = start(Arc::new(store), config()).await;
    for of in LISTS {
        let token = of.page(&server, 1, "").await.expect("a page");
        assert!(!token.is_empty(), "{of:?} has more");
        for list in LISTS {
            if list == of {
                assert_eq!(list.page(&server, 1_000, &token).await.expect("the rest"), "", "{of:?}");
            } else {
                list.refuses(&server, &token).await;
            }
        }
        for at in 0..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            of.refuses(&server, std::str::from_utf8(&altered).expect("ASCII")).await;
        }
        of.refuses(&server, &token[..token.len() - 1]).await;
    }
}

#[tokio::test]
async fn changes_that_are_followed_come_in_answers_of_256_at_most_and_none_twice() {
    let change = |seq| JournalEntry::new(seq, Timestamp::from_micros(1), JournalKind::Reserved, Actor::System);
    let journal: Vec<_> = (1..=600).map(change).collect();
    let server = start(Arc::new(StuckStore { journal, ..Default::default() }), config()).await;
    for from_seq in [0, 1, 2, 300] {
        let request = v1::WatchChangesRequest { parent: "events/gala".to_owned(), from_seq };
        let mut stream = server.admin().watch_changes(request).await.expect("a stream").into_inner();
        let mut next = from_seq.max(1);
        while next <= 600 {
            let changes = stream.message().await.expect("a message").expect("changes").changes;
            assert_eq!(changes.len(), usize::try_from((601 - next).min(256)).expect("few"), "from {next}");
            assert!(changes.iter().map(|change| change.seq).eq(next..next + changes.len() as i64));
            next += changes.len() as i64;
        }
    }
}

/// As after a backup was restored: whoever watched before knows of changes that are no more.
#[tokio::test]
async fn who_has_seen_more_than_there_is_is_told_to_begin_anew() {
    let journal: Vec<_> = (1..=7).map(large_change).collect();
    // The view that this server keeps is older than the newest change, which another one wrote.
    let server = start(Arc::new(StuckStore { journal, ..Default::default() }), config()).await;
    let watch = async |from_seq| {
        let request = v1::WatchEventRequest { name: "events/gala".to_owned(), from_seq };
        server.inventory().watch_event(request).await.map(|_| ())
    };
    let follow = async |from_seq| {
        let request = v1::WatchChangesRequest { parent: "events/gala".to_owned(), from_seq };
        server.admin().watch_changes(request).await.map(|_| ())
    };
    for from_seq in [0, 1, 2, 7] {
        watch(from_seq).await.expect("a stream");
        follow(from_seq).await.expect("a stream");
    }
    follow(8).await.expect("the next change may come");
    for status in [watch(8).await, watch(i64::MAX).await, follow(9).await, follow(i64::MAX).await] {
        let status = status.expect_err("there is no such change");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FROM_SEQ"));
        let fields = status.get_details_bad_request().expect("which field").field_violations;
        let told: Vec<_> = fields.iter().map(|each| (each.field.as_str(), each.description.as_str())).collect();
        assert_eq!(told, [("from_seq", "is beyond the newest change, which is 7: begin anew")]);
    }
    let request = v1::ListChangesRequest { parent: "events/gala".to_owned(), from_seq: 100, page_size: 0 };
    let page = server.admin().list_changes(request).await.expect("an empty page").into_inner();
    assert_eq!((page.changes.len(), page.next_from_seq), (0, 0));
}
