//! What a database's owner may have set, and must not matter.

use super::backend::PostgresBackend;
use crate::storage::conformance::Backend as _;
use crate::storage::conformance::writes::every_field_survives;

/// `NULL` in an array's text is then read as the text of that name.
const NULLS_ARE_TEXTS: &str =
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET array_nulls = off', current_database()); END $$";

#[tokio::test]
async fn what_is_not_there_is_written_as_such_whatever_null_means_in_an_array() {
    for mut backend in [PostgresBackend::fresh().await, PostgresBackend::pooled().await] {
        backend.execute(NULLS_ARE_TEXTS).await.unwrap();
        backend.reopen().await;
        every_field_survives(&mut backend).await;
    }
}
