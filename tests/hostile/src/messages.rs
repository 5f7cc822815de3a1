//! Protobuf messages of any schema, from its descriptors: nearly right, with extreme values, and sometimes wrong on the wire. A
//! field that is added to the schema is attacked without a line of test.

use std::collections::HashMap;

use prost::Message as _;
use prost::encoding::encode_varint;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use crate::rng::Rng;

/// How deep messages lie in each other.
const DEPTH_MAX: usize = 6;

/// A call of a service.
#[derive(Debug, Clone)]
pub struct Call {
    /// Like `InventoryService/GetEvent`.
    pub name: String,
    /// The full name of the message that it takes.
    pub request: String,
}

/// All messages of a schema.
#[derive(Debug)]
pub struct Messages {
    by_name: HashMap<String, DescriptorProto>,
    calls: Vec<Call>,
}

impl Messages {
    /// From an encoded `FileDescriptorSet`.
    ///
    /// # Panics
    /// Where it is none.
    pub fn of(descriptors: &[u8]) -> Self {
        let set = FileDescriptorSet::decode(descriptors).unwrap_or_default();
        assert!(!set.file.is_empty(), "descriptors");
        let mut messages = Self { by_name: HashMap::new(), calls: Vec::new() };
        for file in set.file {
            let package = format!(".{}", file.package());
            file.message_type.iter().for_each(|message| messages.add(&package, message));
            for service in &file.service {
                let call = |method: &prost_types::MethodDescriptorProto| Call {
                    name: format!("{}/{}", service.name(), method.name()),
                    request: method.input_type().to_owned(),
                };
                messages.calls.extend(service.method.iter().map(call));
            }
        }
        messages
    }

    fn add(&mut self, parent: &str, message: &DescriptorProto) {
        let name = format!("{parent}.{}", message.name());
        message.nested_type.iter().for_each(|nested| self.add(&name, nested));
        self.by_name.insert(name, message.clone());
    }

    /// The calls of all services.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Whether `path`, like `reservation.lines[1].quantity`, leads to a field of `message`.
    pub fn has_field(&self, message: &str, path: &str) -> bool {
        let mut message = self.by_name.get(message);
        path.split('.').all(|segment| {
            let name = segment.split('[').next().unwrap_or_default();
            let field = message.and_then(|message| message.field.iter().find(|field| field.name() == name));
            message = field.and_then(|field| self.by_name.get(field.type_name()));
            field.is_some_and(|field| segment == name || field.label() == Label::Repeated)
        })
    }

    /// An encoded `message`. `likely` tells which texts a field of a name usually holds.
    ///
    /// # Panics
    /// Where the schema has no such message.
    pub fn make<'a>(&self, message: &str, rng: &mut Rng, likely: &impl Fn(&str) -> &'a [&'a str]) -> Vec<u8> {
        assert!(self.by_name.contains_key(message), "{message} is in the schema");
        let mut bytes = Vec::new();
        self.put(message, rng, likely, DEPTH_MAX, &mut bytes);
        bytes
    }

    fn put<'a>(
        &self,
        message: &str,
        rng: &mut Rng,
        likely: &impl Fn(&str) -> &'a [&'a str],
        depth: usize,
        to: &mut Vec<u8>,
    ) {
        let Some(message) = self.by_name.get(message).filter(|_| depth > 0) else { return };
        // Most are nearly whole: a message with much missing is refused before anything else in it is looked at.
        let left_out = *rng.pick(&[2, 8, 64]);
        for field in &message.field {
            if rng.once_in(left_out) {
                continue;
            }
            for _ in 0..count(field, rng) {
                self.put_field(field, rng, likely, depth, to);
            }
        }
        if rng.once_in(16) {
            put_key(to, rng.below(1 << 12) as u64, rng.below(8) as u64);
            to.extend(rng.bytes(12));
        }
    }

    fn put_field<'a>(
        &self,
        field: &FieldDescriptorProto,
        rng: &mut Rng,
        likely: &impl Fn(&str) -> &'a [&'a str],
        depth: usize,
        to: &mut Vec<u8>,
    ) {
        let number = u64::from(field.number().unsigned_abs());
        if rng.once_in(128) {
            // Of another type than it should be.
            put_key(to, number, rng.below(8) as u64);
            to.extend(rng.bytes(12));
            return;
        }
        match field.r#type() {
            Type::Message | Type::Group => {
                let mut inner = Vec::new();
                self.put(field.type_name(), rng, likely, depth - 1, &mut inner);
                put_bytes(to, number, &inner);
            }
            Type::String => put_bytes(to, number, rng.text(likely(field.name())).as_bytes()),
            Type::Bytes => put_bytes(to, number, &rng.bytes(64)),
            Type::Double | Type::Fixed64 | Type::Sfixed64 => {
                put_key(to, number, 1);
                to.extend(rng.number().to_le_bytes());
            }
            Type::Float | Type::Fixed32 | Type::Sfixed32 => {
                put_key(to, number, 5);
                to.extend(&rng.number().to_le_bytes()[..4]);
            }
            Type::Enum | Type::Bool => {
                let value = if rng.once_in(8) { rng.number() } else { i64::try_from(rng.below(6)).unwrap_or(0) };
                put_key(to, number, 0);
                encode_varint(value.cast_unsigned(), to);
            }
            Type::Int64 | Type::Uint64 | Type::Int32 | Type::Uint32 | Type::Sint32 | Type::Sint64 => {
                let value = if rng.once_in(2) { i64::try_from(rng.below(4)).unwrap_or(0) } else { rng.number() };
                put_key(to, number, 0);
                encode_varint(value.cast_unsigned(), to);
            }
        }
    }
}

/// How often a field stands in a message: a list has a few, or as many as are too many; the rest once, and sometimes twice, where
/// the last counts or both are merged.
fn count(field: &FieldDescriptorProto, rng: &mut Rng) -> usize {
    if field.label() != Label::Repeated {
        return if rng.once_in(32) { 2 } else { 1 };
    }
    if rng.once_in(64) { *rng.pick(&[100, 101, 1_000, 1_001]) } else { rng.below(4) }
}

fn put_key(to: &mut Vec<u8>, number: u64, wire_type: u64) {
    encode_varint(number << 3 | wire_type, to);
}

fn put_bytes(to: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_key(to, number, 2);
    encode_varint(bytes.len() as u64, to);
    to.extend(bytes);
}
