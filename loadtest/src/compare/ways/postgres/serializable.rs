//! Read and write as if one were alone, and try again where PostgreSQL finds that one was not.

use sqlx::Connection as _;
use tokio::time::sleep;

use super::{RETRIES_MAX, RETRY, Recipe, Session, TAKE_ONE, is_conflict};
use crate::compare::way::{Told, Try};

const BEGIN: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE";
const READ: &str = "SELECT sold < capacity FROM allocation WHERE id = $1";

pub(in crate::compare) struct Serializable;

impl Recipe for Serializable {
    async fn buy(session: &mut Session, attempt: Try) -> sqlx::Result<Told> {
        let mut tried = 0;
        loop {
            match transaction(session, attempt).await {
                Err(error) if is_conflict(&error) && tried < RETRIES_MAX => {
                    sleep(RETRY.pause(tried, &mut session.random)).await;
                    tried += 1;
                }
                answer => return answer,
            }
        }
    }
}

async fn transaction(session: &mut Session, attempt: Try) -> sqlx::Result<Told> {
    let sale = attempt.sale.number;
    let mut transaction = session.connection.begin_with(BEGIN).await?;
    if !sqlx::query_scalar(READ).bind(sale).fetch_one(&mut *transaction).await? {
        transaction.rollback().await?;
        return Ok(Told::SoldOut);
    }
    sqlx::query(TAKE_ONE).bind(sale).bind(attempt.number).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Told::Sold)
}
