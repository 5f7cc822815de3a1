//! Lock the row, decide, write. Right, and each buyer waits for the round trips of all before him.

use sqlx::Connection as _;

use super::{Recipe, Session};
use crate::compare::way::{Told, Try};

const LOCK: &str = "SELECT sold < capacity FROM allocation WHERE id = $1 FOR UPDATE";
/// Both writes in one statement: the row is locked for one round trip less.
const TAKE: &str = "WITH taken AS (UPDATE allocation SET sold = sold + 1 WHERE id = $1 RETURNING id) \
                    INSERT INTO purchase (allocation_id, buyer) SELECT id, $2 FROM taken";

pub(in crate::compare) struct ForUpdate;

impl Recipe for ForUpdate {
    async fn buy(session: &mut Session, attempt: Try) -> sqlx::Result<Told> {
        let sale = attempt.sale.number;
        let mut transaction = session.connection.begin().await?;
        if !sqlx::query_scalar(LOCK).bind(sale).fetch_one(&mut *transaction).await? {
            transaction.rollback().await?;
            return Ok(Told::SoldOut);
        }
        sqlx::query(TAKE).bind(sale).bind(attempt.number).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Told::Sold)
    }
}
