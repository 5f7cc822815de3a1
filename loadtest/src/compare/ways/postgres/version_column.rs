//! Optimistic: read with a version, write where the version is still the same, and try again where it is not.

use tokio::time::sleep;

use super::{RETRIES_MAX, RETRY, Recipe, Session};
use crate::compare::way::{Told, Try};

const READ: &str = "SELECT sold < capacity, version FROM allocation WHERE id = $1";
/// One row where nobody wrote since, else none. A statement is a transaction of its own.
const TAKE: &str = "WITH taken AS (UPDATE allocation SET sold = sold + 1, version = version + 1 \
                    WHERE id = $1 AND version = $3 RETURNING id) \
                    INSERT INTO purchase (allocation_id, buyer) SELECT id, $2 FROM taken";

pub(in crate::compare) struct VersionColumn;

impl Recipe for VersionColumn {
    async fn buy(session: &mut Session, attempt: Try) -> sqlx::Result<Told> {
        let sale = attempt.sale.number;
        for tried in 0..RETRIES_MAX {
            let read = sqlx::query_as(READ).bind(sale);
            let (is_free, version): (bool, i64) = read.fetch_one(&mut session.connection).await?;
            if !is_free {
                return Ok(Told::SoldOut);
            }
            let take = sqlx::query(TAKE).bind(sale).bind(attempt.number).bind(version);
            if take.execute(&mut session.connection).await?.rows_affected() == 1 {
                return Ok(Told::Sold);
            }
            sleep(RETRY.pause(tried, &mut session.random)).await;
        }
        Err(sqlx::Error::RowNotFound)
    }
}
