//! HTTP/2 by hand (RFC 9113), right or wrong on purpose.

use prost::Message as _;

use crate::support::{new_id, wants};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

const RESERVE: &str = "/boxoffice.v1.InventoryService/CreateReservation";
pub(super) const GET_EVENT: &str = "/boxoffice.v1.InventoryService/GetEvent";
pub(super) const WATCH_EVENT: &str = "/boxoffice.v1.InventoryService/WatchEvent";

/// One frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header field as it stands, without compression (RFC 7541, section 6.2.2). Both shorter than 127 bytes.
pub(super) fn field(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        field.push(u8::try_from(text.len()).expect("short"));
        field.extend(text.bytes());
    }
    field
}

/// The headers of a call.
pub(super) fn head(path: &str) -> Vec<u8> {
    [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("boxoffice-owner", "mallory"),
    ]
    .into_iter()
    .flat_map(|(name, value)| field(name, value))
    .collect()
}

/// A message as gRPC frames it.
pub(super) fn message(flag: u8, length: usize, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![flag];
    message.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    message.extend(bytes);
    message
}

/// The beginning of each conversation.
pub(super) fn greeting() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// A whole call.
pub(super) fn call(stream: u32, path: &str, bytes: &[u8]) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, stream, &head(path));
    [head, frame(DATA, END_STREAM, stream, &message(0, bytes.len(), bytes))].concat()
}

/// A reservation of one unit.
pub(super) fn reserve(stream: u32) -> Vec<u8> {
    call(stream, RESERVE, &wants(&new_id(), &[("floor", 1)]).encode_to_vec())
}

/// What an honest client says: a look, and a reservation.
pub(super) fn conversation() -> Vec<u8> {
    let look = boxoffice_proto::v1::GetEventRequest { name: "events/sale".to_owned(), consistency: 0 };
    [greeting(), call(1, GET_EVENT, &look.encode_to_vec()), reserve(3), frame(PING, 0, 0, &[7; 8])].concat()
}
