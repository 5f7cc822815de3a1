//! Lock the row, decide, write. Right, and each buyer waits for the round trips of all before him.

use sqlx::Connection as _;

use super::{Recipe, Session, TAKE_ONE};
use crate::compare::way::{Told, Try};

const LOCK: &str = "SELECT sold < capacity FROM allocation WHERE id = $1 FOR UPDATE";

pub(in crate::compare) struct ForUpdate;

impl Recipe for ForUpdate {
    async fn buy(session: &mut Session, attempt: Try) -> sqlx::Result<Told> {
        let sale = attempt.sale.number;
        let mut transaction = session.connection.begin().await?;
        if !sqlx::query_scalar(LOCK).bind(sale).fetch_one(&mut *transaction).await? {
            transaction.rollback().await?;
            return Ok(Told::SoldOut);
        }
        sqlx::query(TAKE_ONE).bind(sale).bind(attempt.number).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Told::Sold)
    }
}
