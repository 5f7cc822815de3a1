//! The schema's migrations, as parts of the program.
//!
//! What `sqlx::migrate!` would make of the directory. That macro has the drivers of all databases, and SQLite itself, compiled
//! a second time, for the compiler's own use.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// A file of `migrations/`: its number, its name without that (spaces for underscores), and what it holds.
pub(super) type Script = (i64, &'static str, &'static str);

/// What runs those that a database has not seen yet.
pub(super) fn migrator(scripts: &[Script]) -> Migrator {
    let migrations = scripts.iter().map(|&(version, description, sql)| {
        // By this sqlx knows what cannot run in a transaction.
        let no_tx = sql.starts_with("-- no-transaction");
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), no_tx)
    });
    Migrator::with_migrations(migrations.collect())
}

/// Fails unless a migrator is what sqlx itself reads from a directory of `migrations/`.
#[cfg(test)]
pub(super) async fn assert_has_all_of(directory: &str, migrator: &Migrator) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(directory);
    let read = Migrator::new(path).await.unwrap();
    let facts = |migrator: &Migrator| {
        let each = migrator.iter().map(|it| (it.version, it.description.clone(), it.checksum.clone(), it.no_tx));
        each.collect::<Vec<_>>()
    };
    assert_eq!(facts(migrator), facts(&read), "migrations/{directory}");
}
