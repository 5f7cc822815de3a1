//! Check, take and write down in one script, which nothing can come between.

use redis::Script;
use redis::aio::ConnectionManager;

use super::{Keys, Recipe};
use crate::compare::way::Told;

/// The client sends its hash alone, and its text where Redis has not seen it since it was started.
#[derive(Clone)]
pub(in crate::compare) struct Lua(Script);

impl Default for Lua {
    fn default() -> Self {
        Self(Script::new(include_str!("take.lua")))
    }
}

impl Recipe for Lua {
    async fn buy(&self, connection: &mut ConnectionManager, keys: &Keys, buyer: i64) -> redis::RedisResult<Told> {
        let is_sold: bool = self.0.key(&keys.left).key(&keys.buyers).arg(buyer).invoke_async(connection).await?;
        Ok(if is_sold { Told::Sold } else { Told::SoldOut })
    }
}
