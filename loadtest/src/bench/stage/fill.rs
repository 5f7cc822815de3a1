//! Makes many reservations that are not measured themselves.

use anyhow::Result;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{BATCH_ITEMS, BATCHES_IN_FLIGHT, BatchReserve, Stage};

impl Stage {
    /// Makes at least `count` reservations in the hot event by batches; answers them, and for whom. `tell` hears how many
    /// there are so far.
    ///
    /// # Errors
    /// Where a call fails.
    pub async fn fill(&mut self, count: u64, tell: impl Fn(u64)) -> Result<Vec<(Uuid, String)>> {
        self.fill_keeping(count, true, tell).await
    }

    /// As [`Self::fill`], for more than memory should hold.
    ///
    /// # Errors
    /// Where a call fails.
    pub async fn fill_and_forget(&mut self, count: u64, tell: impl Fn(u64)) -> Result<()> {
        self.fill_keeping(count, false, tell).await.map(drop)
    }

    async fn fill_keeping(&mut self, count: u64, keep: bool, tell: impl Fn(u64)) -> Result<Vec<(Uuid, String)>> {
        let mut tasks = JoinSet::new();
        let (mut kept, mut made, mut asked) = (Vec::new(), 0, 0);
        for task in 0..BATCHES_IN_FLIGHT {
            asked += BATCH_ITEMS as u64;
            tasks.spawn(one_batch(self.batch_work(task)));
        }
        while let Some(done) = tasks.join_next().await {
            let (work, batch) = done?.map_err(|error| self.servers.explain(error))?;
            made += batch.len() as u64;
            tell(made);
            if keep {
                kept.extend(batch);
            }
            if asked < count {
                asked += BATCH_ITEMS as u64;
                tasks.spawn(one_batch(work));
            }
        }
        self.reserved += made;
        Ok(kept)
    }
}

async fn one_batch(mut work: BatchReserve) -> Result<(BatchReserve, Vec<(Uuid, String)>)> {
    let batch = work.reserve().await?;
    Ok((work, batch))
}
