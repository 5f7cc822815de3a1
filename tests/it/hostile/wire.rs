//! Bytes and frames that no client sends, to a real server. After each kind it serves as before, has not panicked and has let go of
//! what they took.

use std::time::Instant;

use boxoffice_proto::v1;
use futures::future::join_all;
use hostile_bytes::{Rng, length, seed};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::frames::*;
use super::victim::{SOON, Victim};
use crate::authority::{Authority, encrypted};
use crate::support::assert_audit_is_clean;
use crate::tokens::{Guarded, bearer, call as call_raw, token};

/// Connections of one kind at a time.
const AT_ONCE: usize = 12;
/// Frames of a flood.
const FLOOD: usize = 3_000;

/// A kind of attack, and the bytes of one connection.
type Kind = (&'static str, fn(&mut Rng) -> Vec<u8>);

const KINDS: [Kind; 16] = [
    ("random bytes", |rng| rng.bytes(4_096)),
    ("a preface, then random bytes", |rng| [PREFACE, &rng.bytes(4_096)].concat()),
    ("a conversation with changes", changed_conversation),
    ("frames in any order", |rng| [greeting(), (0..40).flat_map(|_| any_frame(rng)).collect()].concat()),
    ("wrong streams", wrong_streams),
    ("CONTINUATION without end", |_| {
        flood(&frame(HEADERS, 0, 1, &head(GET_EVENT)), &frame(CONTINUATION, 0, 1, &field("a", "b")))
    }),
    ("SETTINGS without end", |_| flood(&[], &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]))),
    ("PING without end", |_| flood(&[], &frame(PING, 0, 0, &[1; 8]))),
    ("empty DATA without end", |_| flood(&frame(HEADERS, END_HEADERS, 1, &head(GET_EVENT)), &frame(DATA, 0, 1, &[]))),
    ("windows that overflow", |rng| {
        let stream = u32::from(rng.once_in(2));
        let update = frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]);
        [greeting(), frame(HEADERS, END_HEADERS, 1, &head(GET_EVENT)), update.repeat(3)].concat()
    }),
    ("headers without end", |_| {
        let many = field("x-long", &"v".repeat(120)).repeat(120);
        let more = frame(CONTINUATION, 0, 1, &many).repeat(8);
        let last = frame(CONTINUATION, END_HEADERS, 1, &[]);
        [greeting(), frame(HEADERS, 0, 1, &head(GET_EVENT)), more, last].concat()
    }),
    ("a bomb in HPACK", |_| {
        // One long field is put into the table, and then named by a byte, again and again (RFC 7541, sections 6.1 and 6.2.1).
        let entry = [&[0x40, 1, b'x', 0x7f, 0x81, 0x1e][..], &[b'v'; 4_096 - 32 - 97]].concat();
        let block = [head(GET_EVENT), entry, vec![0xbe; 8_000]].concat();
        [greeting(), frame(HEADERS, END_HEADERS, 1, &block)].concat()
    }),
    ("messages that are not as long as they say", false_message),
    ("trailers where none belong", wrong_trailers),
    ("streams that are opened and reset", |_| {
        let one = |number: usize| {
            let stream = u32::try_from(2 * number + 1).expect("few");
            [reserve(stream), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
        };
        [greeting(), (0..500).flat_map(one).collect()].concat()
    }),
    ("streams that are opened and left", |rng| {
        // More than a connection may have, or not.
        let count = *rng.pick(&[200, 200, 200, 2_500]);
        let one =
            |number: usize| frame(HEADERS, END_HEADERS, u32::try_from(2 * number + 1).expect("few"), &head(GET_EVENT));
        [greeting(), (0..count).flat_map(one).collect()].concat()
    }),
];

fn flood(first: &[u8], again: &[u8]) -> Vec<u8> {
    [&greeting(), first, &again.repeat(FLOOD)].concat()
}

fn changed_conversation(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = conversation().split_off(PREFACE.len());
    let other = any_frame(rng);
    rng.mutate(&mut bytes, &other);
    [PREFACE, &bytes].concat()
}

/// A frame of any kind that is as long as it says.
fn any_frame(rng: &mut Rng) -> Vec<u8> {
    let kinds =
        [DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION, 99];
    let stream = *rng.pick(&[0, 1, 1, 2, 3, 5, 0x7fff_ffff, 0xffff_ffff]);
    let payload = match rng.below(4) {
        0 => head(GET_EVENT),
        1 => message(0, 3, &[1, 2, 3]),
        2 => rng.bytes(64),
        _ => vec![rng.byte(); *rng.pick(&[0, 4, 5, 6, 8, 16_384, 16_385])],
    };
    frame(*rng.pick(&kinds), rng.byte() & rng.byte(), stream, &payload)
}

fn wrong_streams(rng: &mut Rng) -> Vec<u8> {
    let look = v1::GetEventRequest { name: "events/sale".to_owned(), consistency: 0 }.encode_to_vec();
    let of = |stream| call(stream, GET_EVENT, &look);
    let parts = [
        of(2),
        of(0),
        [of(5), of(3)].concat(),
        [of(1), of(1)].concat(),
        frame(DATA, END_STREAM, 7, &look),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 0]),
        frame(PUSH_PROMISE, END_HEADERS, 1, &head(GET_EVENT)),
        [frame(GOAWAY, 0, 0, &[0; 8]), of(1)].concat(),
        frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 0]),
        frame(SETTINGS, 1, 0, &[1; 6]),
    ];
    [greeting(), rng.pick(&parts).clone(), of(9)].concat()
}

fn false_message(rng: &mut Rng) -> Vec<u8> {
    let bytes = rng.bytes(64);
    let length = *rng.pick(&[0, 1, 63, 65, 4 << 20, (4 << 20) + 1, usize::MAX]);
    let body = message(*rng.pick(&[0, 0, 1, 2, 255]), length, &bytes);
    let flags = *rng.pick(&[0, END_STREAM]);
    let cut = rng.below(body.len());
    let body = if rng.once_in(3) { &body[..cut] } else { &body[..] };
    let head = frame(HEADERS, END_HEADERS, 1, &head(GET_EVENT));
    [greeting(), head, frame(DATA, flags, 1, body), frame(DATA, END_STREAM, 1, body)].concat()
}

fn wrong_trailers(rng: &mut Rng) -> Vec<u8> {
    let trailers = [field("grpc-status", "0"), head(GET_EVENT), field("te", "x"), field("Upper", "case"), vec![0x80]];
    let block = rng.pick(&trailers).clone();
    let flags = *rng.pick(&[END_HEADERS, END_HEADERS | END_STREAM, END_STREAM]);
    let data = frame(DATA, 0, 1, &message(0, 8, &[1, 2]));
    let before = if rng.once_in(2) { data.clone() } else { Vec::new() };
    let head = frame(HEADERS, END_HEADERS, 1, &head(GET_EVENT));
    [greeting(), head, before, frame(HEADERS, flags, 1, &block), data].concat()
}

#[tokio::test]
async fn hostile_bytes_and_frames_leave_the_server_as_it_was() {
    let mut victim = Victim::start().await;
    let mut rng = Rng::new(seed());
    println!("hostile: wire: {}={}", hostile_bytes::SEED_VARIABLE, seed());
    let (begun, length) = (Instant::now(), length());
    let (mut rounds, mut connections, mut heard) = (0, 0, 0);
    loop {
        for (name, make) in KINDS {
            let inputs: Vec<_> = (0..AT_ONCE).map(|_| make(&mut rng)).collect();
            let answers = join_all(inputs.iter().map(|bytes| victim.say(bytes))).await;
            connections += answers.len();
            heard += answers.iter().sum::<usize>();
            victim.is_whole(name).await;
        }
        rounds += 1;
        if rounds == 1 {
            victim.is_settled();
        } else if length.is_none_or(|length| begun.elapsed() >= length) {
            break;
        }
    }
    println!("hostile: wire: {rounds} rounds, {connections} connections, {heard} bytes answered");
    assert_audit_is_clean(&victim.server).await;
}

#[tokio::test]
async fn an_honest_conversation_by_hand_is_answered() {
    // Or else the attacks above might be wrong in their first frame, and show nothing.
    let victim = Victim::start().await;
    let before = crate::support::event(&victim.server).await.allocations.remove(0).held;
    let mut stream = victim.connect().await;
    stream.write_all(&conversation()).await.expect("it listens");
    let answers = async { while crate::support::event(&victim.server).await.allocations.remove(0).held == before {} };
    tokio::time::timeout(SOON, answers).await.expect("answers");
}

#[tokio::test]
async fn a_flood_of_resets_keeps_nobody_else_from_buying() {
    let victim = Victim::start().await;
    let one = |number: usize| {
        let stream = u32::try_from(2 * number + 1).expect("few");
        [reserve(stream), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    };
    let attack = [greeting(), (0..2_000).flat_map(one).collect()].concat();
    let attacking = join_all((0..4).map(|_| victim.say(&attack)));
    let buying = async {
        for _ in 0..20 {
            victim.serves().await;
        }
    };
    tokio::join!(attacking, buying);
    victim.is_whole("a flood of resets").await;
    assert_audit_is_clean(&victim.server).await;
}

#[tokio::test]
async fn small_requests_that_grow_in_memory_are_refused() {
    let victim = Victim::start().await;
    // An empty request of a batch takes two bytes here and hundreds in memory.
    let batch = [0x12, 0].repeat(2_000_000);
    let allocations = [0x12, 0].repeat(2_000_000);
    let metadata = [("boxoffice-owner", "mallory".to_owned())];
    for (rpc, bytes, field) in [
        ("InventoryService/BatchCreateReservations", batch, "requests"),
        ("AdminService/ApplyEvent", allocations, "allocations"),
    ] {
        let status = call_raw(&victim.server.channel(), rpc, bytes, &metadata).await.expect_err("too much");
        let peak = victim.peak_bytes();
        assert!(peak < 256 * 1024 * 1024, "at its largest: {peak} bytes");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(status.get_details_error_info().expect("a reason").reason, "INVALID_REQUEST");
        assert_eq!(status.get_details_bad_request().expect("a field").field_violations[0].field, field);
    }
    victim.is_whole("requests that grow").await;
}

#[tokio::test]
async fn hostile_bytes_where_tls_is_spoken_keep_nobody_out() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let authority = Authority::new("first");
    let (certificate, key) = authority.server().write(dir.path());
    let log = dir.path().join("log");
    let guarded = Guarded::start_with(|command| {
        command.arg("--tls-cert").arg(certificate).arg("--tls-key").arg(key);
        command.env_remove("RUST_LOG").stderr(std::fs::File::create(&log).expect("a file"));
    });
    let mut rng = Rng::new(seed());
    let address = guarded.server.url().trim_start_matches("https://").to_owned();
    let say = async |bytes: Vec<u8>| {
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("a connection");
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let hung_up = async { while let Ok(1..) = stream.read(&mut [0; 1_024]).await {} };
        tokio::time::timeout(SOON, hung_up).await.expect("the server hangs up");
    };
    for round in 0..40 {
        let mut record = rng.bytes(600);
        if round % 2 == 0 {
            // As long as it says, of a kind that TLS has.
            let length = u16::try_from(record.len()).expect("short").to_be_bytes();
            record.splice(0..0, [*rng.pick(&[20, 21, 22, 23]), 3, 1, length[0], length[1]]);
        }
        say(record).await;
    }
    say(conversation()).await;
    let channel = encrypted(&guarded.server.url().replace("127.0.0.1", "localhost"), authority.trusted());
    let answer = call_raw(&channel, "InventoryService/ListEvents", Vec::new(), &[bearer(&token("buyer", "ann"))]).await;
    answer.expect("an answer");
    let log = std::fs::read_to_string(log).expect("its log");
    assert!(!log.contains("rustls"), "strangers do not fill the log: {log}");
}
