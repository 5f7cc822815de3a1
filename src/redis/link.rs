//! Connections to Redis, each shared by all who have something to ask.
//!
//! One connection carries any number of commands at a time (it is multiplexed), so nobody waits for one to become free.
//! `deadpool-redis` makes them. It would ask a connection whether it still lives (PING) each time that it hands one out, a
//! round trip for each command; so one is taken from it and kept until it fails, and all commands go through copies of its
//! handle. Its manager for a Redis Cluster takes neither time limits nor authorities nor a receiver of messages, so there the
//! client of `redis` is used as it is, which keeps a connection to each node by itself.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::{Manager, Pool, Runtime};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, ProtocolVersion, PushInfo, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::Mutex;

use super::address::{RedisAddress, Secrets};
use crate::storage::BoxError;

/// How long connecting to one server may take, log-in included.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// How long connecting to all nodes of a Redis Cluster may take. Some may be away.
const CLUSTER_CONNECT_MAX: Duration = Duration::from_secs(5);

/// How often a command is sent to another node of a Redis Cluster, where one says that a slot has moved.
const CLUSTER_RETRIES: u32 = 2;

/// Hears what Redis says without having been asked.
pub(super) type OnPush = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// Two connections that work, or did a moment ago: one to ask and one to hear. Clones share them.
///
/// A cluster that moves a slot says so to those who hear its channels, unasked. The library takes that for the answer to
/// whatever was asked next, and gives every later answer to the wrong question. So nothing that matters is asked there.
#[derive(Clone)]
pub(super) struct Link {
    asking: Handle,
    hearing: Handle,
}

#[derive(Clone)]
enum Handle {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    pub(super) async fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        match &mut self.asking {
            Handle::Single(connection) => command.query_async(connection).await,
            Handle::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// Hears what is said on a channel, or does so no longer. (Sharded, so that a Redis Cluster sends a message only where it
    /// is heard. A single server of version 7 or newer knows such channels, too.)
    pub(super) async fn hear(&mut self, channel: &str, yes: bool) -> RedisResult<()> {
        match (&mut self.hearing, yes) {
            (Handle::Single(connection), yes) => {
                let name = if yes { "SSUBSCRIBE" } else { "SUNSUBSCRIBE" };
                redis::cmd(name).arg(channel).exec_async(connection).await
            }
            (Handle::Cluster(connection), true) => connection.ssubscribe(channel).await,
            (Handle::Cluster(connection), false) => connection.sunsubscribe(channel).await,
        }
    }

    /// Whether both still work. A cluster's look after themselves. They are asked at the same time: Redis has as long to answer
    /// both as it has to answer one command.
    pub(super) async fn check(&mut self) -> RedisResult<()> {
        if let (Handle::Single(asking), Handle::Single(hearing)) = (&mut self.asking, &mut self.hearing) {
            let ping = redis::cmd("PING");
            tokio::try_join!(ping.exec_async(asking), ping.exec_async(hearing))?;
        }
        Ok(())
    }
}

/// Makes connections.
pub(super) struct Connector {
    address: RedisAddress,
    /// Within which Redis must answer one command.
    timeout: Duration,
    in_flight_max: usize,
    on_push: OnPush,
    made: Mutex<Option<Made>>,
}

/// Pools, one for each server that is named, and what they were made with.
struct Made {
    secrets: Secrets,
    pools: Vec<Pool>,
    /// Their places in the pool stay taken.
    taken: Vec<deadpool_redis::Connection>,
}

/// Connections of a pool: one to ask and one to hear.
const CONNECTIONS: usize = 2;

impl Connector {
    pub(super) fn new(address: RedisAddress, timeout: Duration, in_flight_max: usize, on_push: OnPush) -> Self {
        Self { address, timeout, in_flight_max, on_push, made: Mutex::default() }
    }

    /// Connects. The connections before are given up.
    pub(super) async fn connect(&self) -> Result<Link, BoxError> {
        let secrets = self.address.secrets()?;
        if self.address.is_cluster() {
            let client = self.cluster(&secrets)?;
            let both = async { tokio::try_join!(client.get_async_connection(), client.get_async_connection()) };
            let (asking, hearing) =
                tokio::time::timeout(CLUSTER_CONNECT_MAX, both).await.map_err(|_| no_answer())??;
            return Ok(Link { asking: Handle::Cluster(asking), hearing: Handle::Cluster(hearing) });
        }
        let mut made = self.made.lock().await;
        if made.as_ref().is_none_or(|made| made.secrets != secrets) {
            let pools = self.pools(&secrets)?;
            *made = Some(Made { secrets, pools, taken: Vec::new() });
        }
        let made = made.as_mut().ok_or("there are no pools")?;
        made.taken.drain(..).for_each(forget);
        let mut failed: BoxError = "no server is named".into();
        for pool in &made.pools {
            match primary(pool).await {
                Ok(connections) => {
                    let [asking, hearing] = connections.each_ref().map(|each| Handle::Single((**each).clone()));
                    made.taken.extend(connections);
                    return Ok(Link { asking, hearing });
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn cluster(&self, secrets: &Secrets) -> RedisResult<ClusterClient> {
        let on_push = Arc::clone(&self.on_push);
        let builder = ClusterClient::builder(self.address.seeds(secrets))
            .use_protocol(ProtocolVersion::RESP3)
            .push_sender(move |push| {
                on_push(push);
                Ok::<_, std::convert::Infallible>(())
            })
            .connection_timeout(CONNECT_MAX)
            .max_connection_attempts(NonZeroUsize::MIN)
            .response_timeout(self.timeout)
            .retries(CLUSTER_RETRIES)
            .max_retry_wait(u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX))
            .connection_concurrency_limit(self.in_flight_max);
        match secrets.certificates() {
            Some(certificates) => builder.certs(certificates),
            None => builder,
        }
        .build()
    }

    fn pools(&self, secrets: &Secrets) -> Result<Vec<Pool>, BoxError> {
        let on_push = Arc::clone(&self.on_push);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            // Who asks minds the time himself.
            .set_response_timeout(None)
            .set_concurrency_limit(self.in_flight_max)
            .set_pipeline_buffer_size(self.in_flight_max)
            .set_push_sender(move |push| {
                on_push(push);
                Ok::<_, std::convert::Infallible>(())
            });
        let pool = |seed: redis::ConnectionInfo| -> Result<Pool, BoxError> {
            let seed = match secrets.certificates() {
                Some(certificates) => Client::build_with_tls(seed, certificates)?.get_connection_info().clone(),
                None => seed,
            };
            let manager = Manager::new_with_config(seed, config.clone())?;
            let pool = Pool::builder(manager)
                .max_size(CONNECTIONS)
                .create_timeout(Some(CONNECT_MAX))
                // What is put back all the same is asked how it is before it is handed out again.
                .recycle_timeout(Some(CONNECT_MAX))
                .runtime(Runtime::Tokio1);
            Ok(pool.build()?)
        };
        self.address.seeds(secrets).into_iter().map(pool).collect()
    }
}

/// Connections, where the server is a primary.
async fn primary(pool: &Pool) -> Result<[deadpool_redis::Connection; CONNECTIONS], BoxError> {
    let asking = pool.get().await?;
    let mut connections = match pool.get().await {
        Ok(hearing) => [asking, hearing],
        Err(error) => {
            forget(asking);
            return Err(error.into());
        }
    };
    if let Err(error) = refuse_replica(&mut connections[0]).await {
        connections.into_iter().for_each(forget);
        return Err(error);
    }
    Ok(connections)
}

async fn refuse_replica(connection: &mut deadpool_redis::Connection) -> Result<(), BoxError> {
    let role = redis::cmd("ROLE");
    let asked = tokio::time::timeout(CONNECT_MAX, role.query_async::<Vec<Value>>(connection));
    match asked.await.map_err(|_| no_answer())? {
        Ok(role) if role.first() == Some(&Value::BulkString(b"slave".to_vec())) => {
            Err("the server is a replica".into())
        }
        Ok(_) => Ok(()),
        // Who may not ask finds out with the first script.
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Gives a connection up. Were it put back, the pool would ask it how it is before it gave it to anybody.
fn forget(connection: deadpool_redis::Connection) {
    drop(deadpool_redis::Connection::take(connection));
}

fn no_answer() -> BoxError {
    format!("no answer within {CONNECT_MAX:?}").into()
}
