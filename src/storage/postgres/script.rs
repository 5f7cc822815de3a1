//! Runs several statements in one round trip.
//!
//! sqlx waits for the answer of each statement that has bound parameters. A simple query may hold any number of
//! statements, so a script names prepared ones (`EXECUTE name (…)`), whose plans are kept; behind a connection pooler,
//! where a prepared statement may be gone with the next transaction, it holds their text.

use futures::TryStreamExt as _;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Either, Executor as _, PgConnection};

use super::literal::Arg;
use super::queries::Statement;

/// How a script names its statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Those of [`super::queries::OF_LANES`] were prepared on the connection.
    Prepared,
    /// By their text.
    Inline,
}

/// A script in the making.
#[derive(Debug)]
pub(super) struct Script {
    sql: String,
    mode: Mode,
}

/// What one statement of a script came to.
#[derive(Default)]
pub(super) struct Ran {
    pub(super) rows: Vec<PgRow>,
    /// Rows written, for a statement that writes.
    pub(super) changed: u64,
}

/// A statement of a script failed.
pub(super) struct Failed {
    /// How many before it did not.
    pub(super) ran: usize,
    pub(super) source: sqlx::Error,
}

impl Script {
    pub(super) const fn new(mode: Mode) -> Self {
        Self { sql: String::new(), mode }
    }

    /// Adds a statement: by its name, if it was prepared.
    pub(super) fn call(&mut self, statement: Statement, args: &[Arg<'_>]) {
        if self.mode == Mode::Inline || !statement.is_prepared() {
            return self.inline(statement, args);
        }
        self.sql.push_str("EXECUTE ");
        self.sql.push_str(statement.name);
        for (index, arg) in args.iter().enumerate() {
            self.sql.push(if index == 0 { '(' } else { ',' });
            arg.push(&mut self.sql);
        }
        self.sql.push_str(if args.is_empty() { ";" } else { ");" });
    }

    /// Adds a statement by its text, with the values in the places of its parameters.
    pub(super) fn inline(&mut self, statement: Statement, args: &[Arg<'_>]) {
        let mut parts = statement.body().split('$');
        self.sql.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, rest) = part.split_at(digits);
            match number.parse::<usize>().ok().and_then(|number| args.get(number.checked_sub(1)?)) {
                Some(arg) => arg.push(&mut self.sql),
                // Not a parameter, or one that is missing: PostgreSQL will say so.
                None => self.sql.extend(["$", number]),
            }
            self.sql.push_str(rest);
        }
        self.sql.push(';');
    }

    /// Adds SQL without parameters.
    pub(super) fn text(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Adds what prepares a statement for [`Self::call`].
    pub(super) fn prepare(&mut self, statement: Statement) {
        self.sql.extend(["PREPARE ", statement.name, " AS ", statement.body(), ";"]);
    }

    /// Runs it to its end: what each statement came to.
    pub(super) async fn run(self, connection: &mut PgConnection) -> Result<Vec<Ran>, Failed> {
        // The text of a query ends at a NUL: what came after it would silently not be run.
        if self.sql.contains('\0') {
            return Err(Failed { ran: 0, source: sqlx::Error::Encode("a text with a NUL character".into()) });
        }
        let mut finished = Vec::new();
        let mut current = Ran::default();
        let mut results = connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(self.sql)));
        loop {
            match results.try_next().await {
                Ok(Some(Either::Right(row))) => current.rows.push(row),
                Ok(Some(Either::Left(done))) => {
                    current.changed = done.rows_affected();
                    finished.push(std::mem::take(&mut current));
                }
                Ok(None) => return Ok(finished),
                Err(source) => return Err(Failed { ran: finished.len(), source }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::queries::{LAST_SEQ, LOAD_EXPIRED, LOCK_EVENT};
    use super::*;

    #[test]
    fn a_statement_is_named_or_written_out() {
        let mut script = Script::new(Mode::Prepared);
        script.call(LOCK_EVENT, &[Arg::Text("e'1")]);
        script.call(LAST_SEQ, &[Arg::Text("e'1")]);
        assert_eq!(script.sql, "EXECUTE lock_event('e''1');SELECT last_seq FROM events WHERE id = 'e''1';");
        let mut script = Script::new(Mode::Inline);
        script.call(LAST_SEQ, &[Arg::Text("$1")]);
        assert_eq!(script.sql, "SELECT last_seq FROM events WHERE id = '$1';");
    }

    #[test]
    fn comments_are_not_part_of_it() {
        assert!(LOAD_EXPIRED.body().starts_with("SELECT") && !LOAD_EXPIRED.body().contains("--"));
        for statement in super::super::queries::ALL {
            assert!(!statement.body().contains("--") && !statement.body().contains(';'), "{}", statement.name);
        }
    }

    /// Behind a pooler the values stand in a statement's text.
    #[test]
    fn what_may_be_long_stands_in_a_statement_once() {
        for statement in super::super::queries::ALL {
            let arrays = statement.body().split('$').filter_map(|part| part.split_once("[]")).map(|(before, _)| before);
            let mut seen = HashSet::new();
            for parameter in arrays.filter_map(|before| before.split_once("::")).map(|(number, _)| number) {
                assert!(seen.insert(parameter), "${parameter} of {}", statement.name);
            }
        }
    }
}
