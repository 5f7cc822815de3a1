//! The write-ahead log is copied beside the lane, and stays short however steadily the lane writes.

use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::super::owner_index::OWNER_RUN_ENTRIES;
use super::backend::SqliteBackend;
use crate::storage::conformance::{Draft, begin, create, plain_hold, v7};
use crate::storage::{LaneConnection, Store as _};

/// Far longer than copying takes, on the slowest of machines.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store, its lane, and how many have reserved so far.
struct Sale {
    backend: SqliteBackend,
    lane: Box<dyn LaneConnection>,
    reserved: u64,
}

impl Sale {
    async fn begin() -> Self {
        let backend = SqliteBackend::fresh().await;
        let mut lane = backend.store.open_lane().await.unwrap();
        create(&mut *lane, "e1", &[("ga", 1_000_000)]).await;
        Self { backend, lane, reserved: 0 }
    }

    async fn reserve(&mut self, count: u64, mut draft: Draft) {
        let (long_name, now) = ("n".repeat(120), draft.now);
        (self.reserved..self.reserved + count).for_each(|n| draft.insert(plain_hold(v7(n), &long_name, now)));
        self.lane.commit(&[draft.finish()]).await.unwrap();
        self.reserved += count;
    }

    /// Waits until all reservations are in the database's own file.
    async fn copied(&self) {
        self.counted_in_file("SELECT count(*) FROM reservations", self.reserved).await;
    }

    async fn counted_in_file(&self, count: &'static str, expected: u64) {
        let copying = async {
            while self.count_in_file(count).await != Some(expected) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, copying).await.expect("what is committed is copied");
    }

    /// What the database's own file says, without its log. `None`: it is being written.
    async fn count_in_file(&self, count: &'static str) -> Option<u64> {
        let file = self.backend.dir.path().join("boxoffice.db");
        let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
        let mut connection = options.connect().await.ok()?;
        let count = sqlx::query_scalar(count).fetch_one(&mut connection).await.ok();
        connection.close().await.ok()?;
        count.map(i64::cast_unsigned)
    }

    /// How often the log was begun anew, which its header counts (<https://www.sqlite.org/fileformat2.html#walformat>), and how
    /// many pages it had at its longest: its file keeps that length.
    fn log(&self) -> (u32, u64) {
        let mut log = File::open(self.backend.dir.path().join("boxoffice.db-wal")).unwrap();
        let mut header = [0; 16];
        log.read_exact(&mut header).unwrap();
        let [.., a, b, c, d] = header;
        (u32::from_be_bytes([a, b, c, d]), log.metadata().unwrap().len() / (4096 + 24))
    }
}

#[tokio::test]
async fn what_is_committed_is_soon_in_the_database_itself() {
    let mut sale = Sale::begin().await;
    for _ in 0..2 {
        let draft = begin(&mut *sale.lane, "e1", &[], &["ga"]).await;
        sale.reserve(10, draft).await;
        sale.copied().await;
    }
}

#[tokio::test]
async fn what_upkeep_writes_is_copied_though_no_batch_follows() {
    let mut sale = Sale::begin().await;
    let draft = begin(&mut *sale.lane, "e1", &[], &["ga"]).await;
    sale.reserve(OWNER_RUN_ENTRIES.cast_unsigned(), draft).await;
    sale.copied().await;
    // All that was signalled before is over by then.
    tokio::time::sleep(Duration::from_millis(500)).await;
    while sale.lane.upkeep().await.unwrap() {}
    sale.counted_in_file("SELECT count(*) FROM owner_runs", 1).await;
}

#[tokio::test]
async fn a_long_log_is_begun_anew_though_something_is_always_being_written() {
    let mut sale = Sale::begin().await;
    let (begun, _) = sale.log();
    loop {
        // This is a transaction from now on; whatever is copied, its pages will not be.
        let draft = begin(&mut *sale.lane, "e1", &[], &["ga"]).await;
        sale.copied().await;
        sale.reserve(1_000, draft).await;
        sale.lane.upkeep().await.unwrap();
        let (times, pages) = sale.log();
        if times > begun {
            break;
        }
        assert!(pages < 3 * 2_000, "{pages} pages after {} reservations", sale.reserved);
    }
}
