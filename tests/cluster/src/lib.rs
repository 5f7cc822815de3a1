//! Private PostgreSQL and Redis servers for tests and benchmarks, from the programs that are installed on this machine.
//!
//! A [`Cluster`] is a server of its own: a fresh data directory, a port of its own on the loopback interface, a superuser
//! that needs no password. It is never a service of the system, and nothing of it is left when the [`Cluster`] is dropped
//! **or its process ends, however it ends**: a small reaper process sees to that (see `home.rs`). So a cluster may stand in a
//! `static`, and a test may panic or be killed.
//!
//! ```no_run
//! let cluster = private_cluster::Cluster::start(&private_cluster::Options::default())?;
//! cluster.create_database("sale")?;
//! assert_eq!(cluster.psql("sale", "SELECT 1 + 1")?, "2");
//! println!("{}", cluster.url("sale"));
//! # anyhow::Ok(())
//! ```
//!
//! A [`Redis`] is the same with a Redis server, a [`RedisCluster`] with several.
//!
//! All calls block. PostgreSQL's programs are found by [`BINARIES_VARIABLE`], else where Debian puts the newest version, else
//! by `pg_config` or the search path; Redis's by [`REDIS_BINARIES_VARIABLE`], else by the search path. PostgreSQL refuses to
//! run as root: root's servers run as the user `postgres` or `nobody`. Anybody who may connect to this machine's loopback
//! interface may connect to a server: put nothing into it that is worth stealing. Linux only: who belongs to a server is read from `/proc`.

mod account;
mod cluster;
mod family;
mod home;
mod pooler;
mod port;
mod process;
mod programs;
mod redis;
mod redis_cluster;
mod shared;
mod sql;
mod standby;

pub use cluster::{Cluster, Options};
pub use pooler::Pooler;
pub use port::HeldPort;
pub use programs::BINARIES_VARIABLE;
pub use redis::{AppendSync, REDIS_BINARIES_VARIABLE, Redis, RedisOptions};
pub use redis_cluster::RedisCluster;
pub use shared::{fresh_database, shared};
