//! One row a ticket: each buyer takes a free one that nobody else is taking. The tuned form: a partial index leads to free
//! tickets, and buyers begin to look at different places, or each would step over the tickets of all the others.

use rand::Rng as _;

use super::{Recipe, Session};
use crate::compare::way::{Told, Try};

/// One row where a ticket from `$3` on is free and nobody is taking it, else none.
const TAKE: &str = "UPDATE ticket SET buyer = $2, bought_at = now() WHERE allocation_id = $1 AND id = \
                    (SELECT id FROM ticket WHERE allocation_id = $1 AND buyer IS NULL AND id >= $3 \
                     ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)";

pub(in crate::compare) struct SkipLocked;

impl Recipe for SkipLocked {
    const OPEN: &str = "INSERT INTO ticket (allocation_id, id) SELECT $1, generate_series(1, $2)";
    const TAKEN: &str = "SELECT count(*) FROM ticket WHERE allocation_id = $1 AND buyer IS NOT NULL";
    const PURCHASES: &str = "SELECT buyer FROM ticket WHERE allocation_id = $1 AND buyer IS NOT NULL";

    async fn buy(session: &mut Session, attempt: Try) -> sqlx::Result<Told> {
        // From anywhere to the end, and where nothing is free there, from the first one.
        for from in [session.random.random_range(1..=attempt.sale.capacity), 1] {
            let take = sqlx::query(TAKE).bind(attempt.sale.number).bind(attempt.number).bind(from);
            if take.execute(&mut session.connection).await?.rows_affected() == 1 {
                return Ok(Told::Sold);
            }
        }
        Ok(Told::SoldOut)
    }
}
