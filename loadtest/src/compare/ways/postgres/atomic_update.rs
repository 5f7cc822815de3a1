//! One conditional update and its insert, in one statement that is a transaction of its own: one round trip.

use super::{Recipe, Session};
use crate::compare::way::{Told, Try};

/// One row where a ticket was left, else none.
const TAKE: &str = "WITH taken AS (UPDATE allocation SET sold = sold + 1 WHERE id = $1 AND sold < capacity RETURNING id) \
                    INSERT INTO purchase (allocation_id, buyer) SELECT id, $2 FROM taken";

pub(in crate::compare) struct AtomicUpdate;

impl Recipe for AtomicUpdate {
    async fn buy(session: &mut Session, attempt: Try) -> sqlx::Result<Told> {
        let take = sqlx::query(TAKE).bind(attempt.sale.number).bind(attempt.number);
        let done = take.execute(&mut session.connection).await?;
        Ok(if done.rows_affected() == 0 { Told::SoldOut } else { Told::Sold })
    }
}
