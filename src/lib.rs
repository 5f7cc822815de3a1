//! Boxoffice: a ticket-inventory service that cannot oversell. See `ARCHITECTURE.md`.

pub mod causes;
pub mod client;
pub mod domain;
pub mod engine;
pub mod files;
pub mod grpc;
pub mod identity;
pub mod metrics;
pub mod rate;
pub mod redis;
pub mod request_id;
pub mod server;
pub mod storage;
pub mod traces;
pub mod waiting_room;
