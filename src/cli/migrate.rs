//! `migrate`: brings the tables of a PostgreSQL database up to date.

use super::failure::Failure;
use super::output::print_line;

/// Options of `migrate`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The database itself, not a pooler before it: postgres://user:password@host:port/name
    #[arg(long, value_name = "URL", env = "BOXOFFICE_DATABASE_URL", hide_env_values = true)]
    database_url: String,
}

/// Does it.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let migrated = boxoffice::storage::postgres::migrate(&args.database_url).await;
    migrated.map_err(|error| Failure::of_database(&error))?;
    print_line("the tables are up to date")
}
