//! What PostgreSQL's errors mean to the engine (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).

use std::borrow::Cow;

use crate::storage::write::NEW_EVENTS;
use crate::storage::{StoreError, unwrapped};

/// Classes of SQLSTATE, its first two characters, and some single codes.
mod code {
    /// Raised by `boxoffice_guard`.
    pub(super) const GUARD: &str = "BX001";
    pub(super) const UNIQUE_VIOLATION: &str = "23505";
    pub(super) const CHECK_VIOLATION: &str = "23514";
    /// `serialization_failure` and `deadlock_detected` among them.
    pub(super) const TRANSACTION_ROLLBACK: &str = "40";
    /// Of that class, and yet it may have had its effect.
    pub(super) const STATEMENT_COMPLETION_UNKNOWN: &str = "40003";
    /// A prepared statement that is gone: a pooler gave the connection to somebody else.
    pub(super) const INVALID_STATEMENT_NAME: &str = "26";
    /// Somebody took a right away, and may give it back.
    pub(super) const INSUFFICIENT_PRIVILEGE: &str = "42501";
    /// Bad values, syntax errors and missing tables: ours to mend.
    pub(super) const OURS: [&str; 3] = ["22", "42", "23"];
    /// The connection is broken, the server only lets others read (`read_only_sql_transaction`), or it ends or begins its work.
    pub(super) const SERVER_IN_DOUBT: [&str; 3] = ["08", "25", "57"];
    /// Of class 57, and yet it is only the statement that ended: it has taken too long.
    pub(super) const QUERY_CANCELED: &str = "57014";
    /// What a connection has prepared does not fit the tables any more.
    pub(super) const FEATURE_NOT_SUPPORTED: &str = "0A000";
}

/// Why a write that must meet `expected` rows failed: a guard (see the migrations), or a key that exists or a CHECK that fails,
/// which are guards like any other: the statement then met no rows.
pub(super) fn guard_error(error: sqlx::Error, what: &'static str, expected: u64) -> StoreError {
    let Some(refused) = error.as_database_error() else { return store_error(error) };
    let actual = match refused.code().as_deref() {
        Some(code::GUARD) => refused.message().split(' ').rev().find_map(|word| word.parse().ok()).unwrap_or(0),
        // An event that is not there yet cannot be locked: another server has created it meanwhile.
        Some(code::UNIQUE_VIOLATION) if what == NEW_EVENTS => return StoreError::Retry(unwrapped(error)),
        Some(code::UNIQUE_VIOLATION | code::CHECK_VIOLATION) => 0,
        _ => return store_error(error),
    };
    tracing::error!(%error, "the database refused {what}");
    StoreError::Guard { what, expected, actual }
}

/// Tells whether to try again, to report that the database is away, or that it holds nonsense. Whatever is not known to be
/// otherwise counts as "away": no room, no connections, shutting down, read-only after a failover, the network, and a lock that
/// was waited for in vain: that has taken long already, and callers would rather know than wait several times as long.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    let code = code_of(&error).unwrap_or_default().into_owned();
    let class = code.get(..2).unwrap_or_default();
    let again = [code::TRANSACTION_ROLLBACK, code::INVALID_STATEMENT_NAME].contains(&class)
        && code != code::STATEMENT_COMPLETION_UNKNOWN;
    if again {
        StoreError::Retry(unwrapped(error))
    } else if is_undecodable(&error) || (code::OURS.contains(&class) && code != code::INSUFFICIENT_PRIVILEGE) {
        StoreError::Corrupt(unwrapped(error).to_string())
    } else {
        StoreError::Unavailable(unwrapped(error))
    }
}

/// Whether the connection may be useless after a read that failed so, or its server not be the primary any more. A server that has
/// said why it does not run a statement is there, and would say it again.
pub(super) fn leaves_server_in_doubt(error: &sqlx::Error) -> bool {
    match code_of(error).as_deref() {
        Some(code::QUERY_CANCELED) => false,
        Some(code::FEATURE_NOT_SUPPORTED) => true,
        Some(code) => code::SERVER_IN_DOUBT.contains(&code.get(..2).unwrap_or_default()),
        None => !is_undecodable(error) && !matches!(error, sqlx::Error::Encode(_)),
    }
}

/// Its SQLSTATE, where it is the server's.
fn code_of(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code)
}

fn is_undecodable(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnIndexOutOfBounds { .. }
    )
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fmt;

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    /// What a server says with a code.
    #[derive(Debug)]
    struct Told(&'static str);

    impl fmt::Display for Told {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.message())
        }
    }

    impl Error for Told {}

    impl DatabaseError for Told {
        fn message(&self) -> &str {
            "it must meet 5 rows and met 3"
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    fn told(code: &'static str) -> sqlx::Error {
        sqlx::Error::Database(Box::new(Told(code)))
    }

    /// Whether to try again, away or nonsense; and whether a reader's server is in doubt.
    #[test]
    fn each_code_is_what_it_means_to_the_engine() {
        let cases = [
            ("40001", "again", false),
            ("40P01", "again", false),
            ("40003", "away", false),
            ("26000", "again", false),
            ("22P02", "nonsense", false),
            ("23502", "nonsense", false),
            ("42P01", "nonsense", false),
            ("42501", "away", false),
            ("53100", "away", false),
            ("53300", "away", false),
            ("55P03", "away", false),
            ("08006", "away", true),
            ("25006", "away", true),
            ("57P01", "away", true),
            ("57014", "away", false),
            ("0A000", "away", true),
        ];
        for (code, meaning, doubt) in cases {
            let found = match store_error(told(code)) {
                StoreError::Retry(_) => "again",
                StoreError::Unavailable(_) => "away",
                StoreError::Corrupt(_) => "nonsense",
                StoreError::Guard { .. } => "guard",
            };
            assert_eq!((found, leaves_server_in_doubt(&told(code))), (meaning, doubt), "{code}");
        }
        assert!(leaves_server_in_doubt(&sqlx::Error::PoolTimedOut));
        assert!(!leaves_server_in_doubt(&sqlx::Error::Decode("no number".into())));
    }

    #[test]
    fn a_write_that_meets_other_rows_is_refused_by_a_guard() {
        for (code, met) in [(code::GUARD, 3), (code::UNIQUE_VIOLATION, 0), (code::CHECK_VIOLATION, 0)] {
            let error = guard_error(told(code), "the insert of reservations", 5);
            let StoreError::Guard { what, expected, actual } = error else { panic!("{code}: {error:?}") };
            assert_eq!((what, expected, actual), ("the insert of reservations", 5, met), "{code}");
        }
        let twice = guard_error(told(code::UNIQUE_VIOLATION), NEW_EVENTS, 1);
        assert!(matches!(twice, StoreError::Retry(_)), "somebody else has made it: {twice:?}");
        assert!(matches!(guard_error(told("53100"), NEW_EVENTS, 1), StoreError::Unavailable(_)));
    }
}
