//! The generated client, server traits and messages of `boxoffice.v1`.
//!
//! The `.proto` files beside this crate are the documentation of the API.

pub mod codec;

/// Messages, clients and server traits of the package `boxoffice.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("boxoffice.v1");
}

/// The compiled protos as an encoded `google.protobuf.FileDescriptorSet`, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
