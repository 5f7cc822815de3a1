//! The textbook bug: read, decide, write back what was read plus one. That it is one transaction does not help: others read
//! the same number before it commits.

use sqlx::Connection as _;

use super::{Recipe, Session};
use crate::compare::way::{Told, Try};

const READ: &str = "SELECT capacity, sold FROM allocation WHERE id = $1";
const WRITE: &str = "UPDATE allocation SET sold = $2 WHERE id = $1";
const RECORD: &str = "INSERT INTO purchase (allocation_id, buyer) VALUES ($1, $2)";

pub(in crate::compare) struct Racy;

impl Recipe for Racy {
    async fn buy(session: &mut Session, attempt: Try) -> sqlx::Result<Told> {
        let sale = attempt.sale.number;
        let mut transaction = session.connection.begin().await?;
        let (capacity, sold): (i32, i32) = sqlx::query_as(READ).bind(sale).fetch_one(&mut *transaction).await?;
        if sold >= capacity {
            transaction.rollback().await?;
            return Ok(Told::SoldOut);
        }
        sqlx::query(WRITE).bind(sale).bind(sold + 1).execute(&mut *transaction).await?;
        sqlx::query(RECORD).bind(sale).bind(attempt.number).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Told::Sold)
    }
}
