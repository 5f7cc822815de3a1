//! What the ways on Redis share: the keys, and a few connections on which the commands of all buyers follow one another.

mod decr;
mod lua;

use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, Result};
use private_cluster::Redis;
use redis::AsyncCommands as _;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

pub(in crate::compare) use decr::Decr;
pub(in crate::compare) use lua::Lua;

use crate::compare::way::{Client, Ledger, Sale, Told, Try, Way};

/// Connections that all buyers share, as many as Boxoffice has. Commands of several buyers go out together.
const CONNECTIONS: usize = 8;
/// A timeout would mean that nobody knows; those of the client's own choice are short.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(15);
/// Connections connect again by themselves; how long one waits between two tries.
const RECONNECT_WAIT_MAX: Duration = Duration::from_millis(100);

/// How one of these ways buys a ticket.
pub(in crate::compare) trait Recipe: Clone + Default + Send + Sync + 'static {
    /// Buys.
    fn buy(
        &self,
        connection: &mut ConnectionManager,
        keys: &Keys,
        buyer: i64,
    ) -> impl Future<Output = redis::RedisResult<Told>> + Send;
}

/// The keys of a sale; both lie on one node of a Redis Cluster.
pub(in crate::compare) struct Keys {
    /// The number of tickets that are left.
    left: String,
    /// A hash of those who have one.
    buyers: String,
}

impl Keys {
    fn of(sale: Sale) -> Self {
        let number = sale.number;
        Self { left: format!("{{sale:{number}}}:left"), buyers: format!("{{sale:{number}}}:buyers") }
    }
}

/// A way on Redis.
pub(in crate::compare) struct ByHand<R> {
    connections: Vec<ConnectionManager>,
    recipe: R,
}

impl<R: Recipe> ByHand<R> {
    /// On an empty Redis.
    pub(in crate::compare) async fn new(redis: &Redis) -> Result<Self> {
        let client = redis::Client::open(redis.url())?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(ANSWER_WAIT_MAX))
            .set_max_delay(RECONNECT_WAIT_MAX);
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let connected = client.get_connection_manager_with_config(config.clone()).await;
            connections.push(connected.context("cannot connect to Redis")?);
        }
        let way = Self { connections, recipe: R::default() };
        redis::cmd("FLUSHALL").exec_async(&mut way.connection(0)).await?;
        Ok(way)
    }

    fn connection(&self, index: usize) -> ConnectionManager {
        self.connections[index % self.connections.len()].clone()
    }
}

impl<R: Recipe> Way for ByHand<R> {
    type Client = Buyer<R>;

    async fn open(&self, sale: Sale) -> Result<()> {
        Ok(self.connection(0).set(Keys::of(sale).left, sale.capacity).await?)
    }

    async fn client(&self, index: usize) -> Result<Buyer<R>> {
        Ok(Buyer { connection: self.connection(index), recipe: self.recipe.clone() })
    }

    async fn ledger(&self, sale: Sale) -> Result<Ledger> {
        let (mut connection, keys) = (self.connection(0), Keys::of(sale));
        // Where the counter itself is gone, nothing is for sale.
        let left: Option<i64> = connection.get(&keys.left).await?;
        let purchases = connection.hkeys(&keys.buyers).await?;
        Ok(Ledger { taken: i64::from(sale.capacity) - left.unwrap_or(0), purchases })
    }
}

/// A buyer's connection.
pub(in crate::compare) struct Buyer<R> {
    connection: ConnectionManager,
    recipe: R,
}

impl<R: Recipe> Client for Buyer<R> {
    async fn buy(&mut self, attempt: Try) -> Result<Told> {
        Ok(self.recipe.buy(&mut self.connection, &Keys::of(attempt.sale), attempt.number).await?)
    }
}
