//! The stores of a comparison, and how they are killed in mid-sale.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use private_cluster::{AppendSync, Redis, RedisOptions};
use tokio::time::sleep;

use super::sale::Progress;
use crate::server::{PrivateDatabase, Servers};

/// A PostgreSQL that was killed makes sure of each of its files, one by one, before it recovers, which takes far longer than
/// recovering. Newer ones than 13 can do it in one go.
const SYNC_AT_ONCE: &str = "SELECT 'ALTER SYSTEM SET recovery_init_sync_method = syncfs' FROM pg_settings \
                            WHERE name = 'recovery_init_sync_method' \\gexec";

/// How closely a sale is watched.
const POLL: Duration = Duration::from_micros(200);

/// A PostgreSQL, and a Redis where one is needed; both make sure that what they acknowledge is on the disk.
pub(super) struct Stores {
    pub(super) database: PrivateDatabase,
    pub(super) redis: Option<Arc<Redis>>,
}

impl Stores {
    /// Starts them.
    ///
    /// # Errors
    /// Where one is not installed (the error says so of both) or does not come up.
    pub(super) async fn start(with_redis: bool) -> Result<Self> {
        let start_redis = || Redis::start(&RedisOptions::default().append_only(AppendSync::Always));
        let redis = tokio::task::spawn_blocking(move || with_redis.then(start_redis).transpose()).await?;
        let (database, redis) = match (PrivateDatabase::start(None).await, redis) {
            (Ok(database), Ok(redis)) => (database, redis.map(Arc::new)),
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error),
            (Err(database), Err(redis)) => bail!("{database:#}; {redis:#}"),
        };
        database.psql("postgres", SYNC_AT_ONCE).await?;
        Ok(Self { database, redis })
    }
}

/// What is killed in a sale.
pub(super) enum Victim<'a> {
    Postgres(&'a PrivateDatabase),
    Redis(&'a Arc<Redis>),
    /// Boxoffice's servers, and the database below them.
    Servers(&'a mut Servers, &'a PrivateDatabase),
}

impl Victim<'_> {
    /// Kills it `kills` times while `tickets` are sold, at even distances, and starts it again each time. Answers how often
    /// it was killed: where too much is stranded, buyers have gone before the last time has come.
    ///
    /// # Errors
    /// Where it does not come up again.
    pub(super) async fn torment(&mut self, kills: u32, tickets: u32, progress: &Progress) -> Result<u32> {
        let moment = |kill: u32| {
            let sold = u64::from(tickets) * u64::from(kill) / u64::from(kills + 1);
            if kill > kills { u32::MAX } else { u32::try_from(sold).unwrap_or(u32::MAX) }
        };
        progress.close_door_at(moment(1));
        for kill in 1..=kills {
            while progress.sold() < moment(kill) {
                if progress.is_over() {
                    return Ok(kill - 1);
                }
                sleep(POLL).await;
            }
            progress.close_door_at(moment(kill + 1));
            self.kill().await?;
            self.start_again().await?;
        }
        Ok(kills)
    }

    async fn kill(&mut self) -> Result<()> {
        match self {
            Self::Postgres(database) => database.kill().await,
            Self::Redis(redis) => {
                let redis = Arc::clone(redis);
                tokio::task::spawn_blocking(move || redis.kill()).await?
            }
            // All at one moment, as when a machine dies.
            Self::Servers(servers, database) => tokio::try_join!(kill_servers(servers), database.kill()).map(drop),
        }
    }

    async fn start_again(&mut self) -> Result<()> {
        match self {
            Self::Postgres(database) => database.start_again().await,
            Self::Redis(redis) => {
                let redis = Arc::clone(redis);
                tokio::task::spawn_blocking(move || redis.start_again()).await?
            }
            Self::Servers(servers, database) => {
                database.start_again().await?;
                if let Servers::Children(children) = servers {
                    for index in 0..children.count() {
                        children.server(index)?.restart().await?;
                    }
                }
                Ok(())
            }
        }
    }
}

async fn kill_servers(servers: &mut Servers) -> Result<()> {
    let Servers::Children(children) = servers else { return Ok(()) };
    for index in 0..children.count() {
        children.server(index)?.kill().await?;
    }
    Ok(())
}
