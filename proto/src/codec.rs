//! How messages are written and read: as prost does, but no message that is read becomes many times as large in memory as it was on
//! the wire.
//!
//! An empty message takes two bytes on the wire and hundreds in memory, so 4 MiB of empty requests of a batch would become a
//! gigabyte before anybody could count them. What a message will take is therefore added up first, by its descriptor. A small one
//! cannot become large, so only large ones are looked at.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::LazyLock;

use prost::bytes::{Buf as _, BufMut as _};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost::{Message, Name};
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};
use tonic::codec::{BufferSettings, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Messages of at most this many bytes are read without a look: in memory they take a few megabytes at most.
const UNWEIGHED_BYTES_MAX: usize = 32 * 1024;
/// What a message may take in memory beyond its texts. The largest batch (1,000 requests of 100 lines) takes four fifths of it.
const MEMORY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What one message within another takes, and one text: rather too much than too little.
const MESSAGE_BYTES: usize = 256;
const TEXT_BYTES: usize = 24;
/// How deep messages lie in each other; those of this API less.
const DEPTH_MAX: usize = 16;

/// Where a message is read into and written to at first; larger ones grow it. Nearly all are smaller. tonic's own 8 KiB, twice for
/// each call and at both ends, would be most of the memory that a call touches.
const BUFFER_BYTES: usize = 512;
/// As much of a stream's messages as tonic hands on at once.
const STREAM_BYTES: usize = 32 * 1024;

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, STREAM_BYTES)
}

/// Reads and writes messages for the generated client and server.
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Name + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Whole<T>;
    type Decoder = Weighing<U>;

    fn encoder(&mut self) -> Self::Encoder {
        Whole(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        Weighing(PhantomData)
    }
}

/// Writes each message into memory of its own before it hands it on: a message is written in dozens of pieces of a byte or two, and
/// tonic's buffer takes far longer for each than a `Vec`.
pub struct Whole<T>(PhantomData<T>);

impl<T: Message> Encoder for Whole<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&message.encode_to_vec());
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

/// Refuses what would grow too large, and reads the rest: from the piece of memory that it came in, since a message is read in dozens
/// of pieces, too.
pub struct Weighing<U>(PhantomData<U>);

impl<U: Message + Default + Name> Decoder for Weighing<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // tonic hands a whole message on as one piece of memory.
        let piece = from.chunk();
        if piece.len() > UNWEIGHED_BYTES_MAX {
            check(&U::full_name(), piece)?;
        }
        let message = U::decode(piece).map_err(|error| Status::internal(error.to_string()))?;
        from.advance(from.remaining());
        Ok(Some(message))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

/// A message by its fields, and a field that is a text, or a message itself.
type Fields = HashMap<u32, Field>;

struct Field {
    name: String,
    /// Its full name, with a dot before it.
    message: Option<String>,
}

static SCHEMA: LazyLock<HashMap<String, Fields>> = LazyLock::new(|| {
    let mut schema = HashMap::new();
    // It was compiled along with this program.
    let set = FileDescriptorSet::decode(crate::FILE_DESCRIPTOR_SET).unwrap_or_default();
    for file in &set.file {
        let package = format!(".{}", file.package());
        file.message_type.iter().for_each(|message| add(&mut schema, &package, message));
    }
    schema
});

fn add(schema: &mut HashMap<String, Fields>, parent: &str, message: &DescriptorProto) {
    let name = format!("{parent}.{}", message.name());
    message.nested_type.iter().for_each(|nested| add(schema, &name, nested));
    let field = |field: &prost_types::FieldDescriptorProto| {
        let message = (field.r#type() == Type::Message).then(|| field.type_name().to_owned());
        (field.number().unsigned_abs(), Field { name: field.name().to_owned(), message })
    };
    schema.insert(name, message.field.iter().map(field).collect());
}

/// Whether a message would grow too large; of which field there is too much.
fn check(name: &str, bytes: &[u8]) -> Result<(), Status> {
    let mut left = MEMORY_BYTES_MAX;
    weigh(&format!(".{name}"), bytes, DEPTH_MAX, &mut left).map_err(|field| {
        let wanted = "must have fewer parts: the whole request takes too much memory";
        let mut details = ErrorDetails::new();
        details.set_error_info("INVALID_REQUEST", "boxoffice", HashMap::<String, String>::new());
        details.add_bad_request_violation(field, wanted);
        Status::with_error_details(Code::InvalidArgument, format!("{field} {wanted}"), details)
    })
}

/// Takes off `left` what a message takes in memory. What is not a message is left to the decoder.
fn weigh<'a>(name: &str, mut bytes: &[u8], depth: usize, left: &mut usize) -> Result<(), &'a str> {
    let Some(fields) = SCHEMA.get(name).filter(|_| depth > 0) else { return Ok(()) };
    while !bytes.is_empty() {
        let Ok((tag, wire_type)) = decode_key(&mut bytes) else { return Ok(()) };
        if wire_type != WireType::LengthDelimited {
            if skip_field(wire_type, tag, &mut bytes, DecodeContext::default()).is_err() {
                return Ok(());
            }
            continue;
        }
        let length = decode_varint(&mut bytes).ok().and_then(|length| usize::try_from(length).ok());
        let Some((value, rest)) = length.and_then(|length| bytes.split_at_checked(length)) else { return Ok(()) };
        bytes = rest;
        let Some(field) = fields.get(&tag) else { continue };
        let takes = if field.message.is_some() { MESSAGE_BYTES } else { TEXT_BYTES };
        *left = left.checked_sub(takes).ok_or(field.name.as_str())?;
        if let Some(message) = &field.message {
            weigh(message, value, depth - 1, left)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1;

    fn told<M: Name>(bytes: &[u8]) -> Option<String> {
        let status = check(&M::full_name(), bytes).err()?;
        assert_eq!(status.get_details_error_info().unwrap().reason, "INVALID_REQUEST");
        Some(status.get_details_bad_request().unwrap().field_violations.remove(0).field)
    }

    #[test]
    fn what_grows_in_memory_is_refused_by_field() {
        let empty = |tag: u8, times| [tag << 3 | 2, 0].repeat(times);
        assert_eq!(told::<v1::BatchCreateReservationsRequest>(&empty(2, 200_000)).as_deref(), Some("requests"));
        assert_eq!(told::<v1::BatchCreateReservationsRequest>(&empty(3, 1_500_000)).as_deref(), Some("owners"));
        assert_eq!(told::<v1::ApplyEventRequest>(&empty(2, 200_000)).as_deref(), Some("allocations"));
        let lines = v1::Reservation { lines: vec![v1::reservation::Line::default(); 200_000], ..Default::default() };
        let inner = v1::CreateReservationRequest { reservation: Some(lines), ..Default::default() };
        assert_eq!(told::<v1::CreateReservationRequest>(&inner.encode_to_vec()).as_deref(), Some("lines"));
    }

    #[test]
    fn the_largest_batch_is_read() {
        let line = v1::reservation::Line { allocation: "a".to_owned(), quantity: 1, ..Default::default() };
        let ttl = Some(prost_types::Duration { seconds: 1, nanos: 1 });
        let reservation = v1::Reservation { lines: vec![line; 100], ttl, ..Default::default() };
        let text = || "x".to_owned();
        let request = v1::CreateReservationRequest {
            parent: text(),
            reservation_id: text(),
            reservation: Some(reservation),
            mode: 1,
            replaces: text(),
            order_ref: text(),
        };
        let requests = vec![request; 1_000];
        let batch = v1::BatchCreateReservationsRequest {
            parent: text(),
            requests,
            owners: vec![text(); 1_000],
            ..Default::default()
        };
        assert_eq!(told::<v1::BatchCreateReservationsRequest>(&batch.encode_to_vec()), None);
    }

    #[test]
    fn no_message_takes_more_than_it_is_taken_for() {
        let sizes = [
            size_of::<v1::CreateReservationRequest>() - size_of::<v1::Reservation>(),
            size_of::<v1::reservation::Line>(),
            size_of::<v1::Allocation>(),
            size_of::<v1::cancel_reservation_request::Line>(),
        ];
        assert!(sizes.iter().all(|size| *size <= MESSAGE_BYTES), "{sizes:?}");
        assert_eq!(size_of::<String>(), TEXT_BYTES);
    }

    #[test]
    fn what_is_no_message_is_left_to_the_decoder() {
        for bytes in [&[0xff; 64][..], &[0x12, 0x7f], &[0x13; 40], &[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
            assert_eq!(told::<v1::BatchCreateReservationsRequest>(bytes), None);
        }
    }
}
