//! Take one off the counter, put it back where there was none, and write down the buyer: command by command, as people do.

use redis::AsyncCommands as _;
use redis::aio::ConnectionManager;

use super::{Keys, Recipe};
use crate::compare::way::Told;

#[derive(Clone, Default)]
pub(in crate::compare) struct Decr;

impl Recipe for Decr {
    async fn buy(&self, connection: &mut ConnectionManager, keys: &Keys, buyer: i64) -> redis::RedisResult<Told> {
        let left: i64 = connection.decr(&keys.left, 1).await?;
        if left < 0 {
            let _: i64 = connection.incr(&keys.left, 1).await?;
            return Ok(Told::SoldOut);
        }
        // Whoever dies here takes a ticket along that nobody has.
        let _: i64 = connection.hset(&keys.buyers, buyer, 1).await?;
        Ok(Told::Sold)
    }
}
