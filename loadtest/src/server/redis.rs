//! A Redis of this run's own, which the servers under test share.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use private_cluster::{Redis, RedisOptions};
use tokio::time::sleep;

/// What the servers' keys begin with, unless they are told otherwise.
const PREFIX: &str = "boxoffice";

/// How long a replica that follows again may take until it has all that its primary has.
const FOLLOW_WAIT_MAX: Duration = Duration::from_secs(30);
const FOLLOW_POLL: Duration = Duration::from_millis(5);

/// Puts something that is none of ours in the place of each key: of two kinds, in turns, and without an end of life.
const GARBLE: &str = "for i, key in ipairs(redis.call('KEYS', '{prefix}:*')) do redis.call('DEL', key) \
                      if i % 2 == 0 then redis.call('SET', key, 'garbage') else redis.call('RPUSH', key, 'garbage') end end return 0";

/// One server, or a primary with a replica that can take its place.
#[derive(Clone)]
pub struct PrivateRedis(Arc<Pair>);

struct Pair {
    servers: Vec<Redis>,
    /// Which of them is the primary.
    primary: Mutex<usize>,
}

impl PrivateRedis {
    /// Starts it. Nothing in it is kept on a disk: it is advisory.
    ///
    /// # Errors
    /// Where Redis is not installed, or does not come up.
    pub(super) async fn start(with_replica: bool) -> Result<Self> {
        tokio::task::spawn_blocking(move || {
            // A replica gets what it lacks at once, rather than after five seconds in which others might want the same.
            let options = RedisOptions::default().setting("repl-diskless-sync-delay", "0");
            // And it keeps no copy, from which it would read again what it had long ago.
            let options = options.setting("rdb-del-sync-files", "yes");
            let primary = Redis::start(&options)?;
            let replica = with_replica.then(|| primary.replica(&options)).transpose()?;
            let servers = std::iter::once(primary).chain(replica).collect();
            Ok(Self(Arc::new(Pair { servers, primary: Mutex::new(0) })))
        })
        .await?
    }

    /// What servers are given as `--redis-url`.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.0.servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        format!("redis://{}", hosts.join(","))
    }

    /// Whether there is a replica.
    pub fn has_replica(&self) -> bool {
        self.0.servers.len() > 1
    }

    /// Bytes that it takes for all that is in it.
    ///
    /// # Errors
    /// Where it does not say.
    pub async fn memory_bytes(&self) -> Result<u64> {
        let told = self.blocking(|pair| pair.primary()?.tell("INFO memory")).await?;
        let used = told.lines().find_map(|line| line.strip_prefix("used_memory:"));
        used.and_then(|bytes| bytes.trim().parse().ok()).context("Redis does not say how much memory it takes")
    }

    /// Empties it.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn flush(&self) -> Result<()> {
        self.tell("FLUSHALL".to_owned()).await
    }

    /// Lets all commands wait for this long.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn hold_answers(&self, length: Duration) -> Result<()> {
        self.tell(format!("CLIENT PAUSE {} ALL", length.as_millis())).await
    }

    /// Makes its memory full, so that it takes nothing more, or gives it room again.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn set_full(&self, full: bool) -> Result<()> {
        self.tell(format!("CONFIG SET maxmemory {}", u8::from(full))).await
    }

    /// Puts garbage in the place of all that the servers have put there.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn garble(&self) -> Result<()> {
        self.tell(format!("EVAL \"{}\" 0", GARBLE.replace("{prefix}", PREFIX))).await
    }

    /// Kills the primary with SIGKILL.
    ///
    /// # Errors
    /// Where it does not end.
    pub async fn kill(&self) -> Result<()> {
        self.blocking(|pair| pair.primary()?.kill()).await
    }

    /// Starts the primary that was killed again, empty.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start_again(&self) -> Result<()> {
        self.blocking(|pair| {
            let primary = pair.primary()?;
            set_role(primary, None)?;
            primary.start_again()
        })
        .await?;
        self.follow_again().await
    }

    /// Stops the primary where it is (SIGSTOP), until [`Self::resume`].
    ///
    /// # Errors
    /// Where it is down.
    pub async fn pause(&self) -> Result<()> {
        self.blocking(|pair| pair.primary()?.pause()).await
    }

    /// Lets a paused primary go on.
    ///
    /// # Errors
    /// Where it is down.
    pub async fn resume(&self) -> Result<()> {
        self.blocking(|pair| pair.primary()?.resume()).await
    }

    /// Kills the primary, and puts the replica into its place, which then has not heard for `lag` what the primary was told.
    ///
    /// # Errors
    /// Where there is no replica, or one of them does not do what it is told.
    pub async fn fail_over(&self, lag: Duration) -> Result<()> {
        self.blocking(|pair| pair.other()?.pause()).await?;
        sleep(lag).await;
        self.blocking(|pair| {
            pair.primary()?.kill()?;
            pair.other()?.resume()?;
            pair.other()?.promote()?;
            pair.swap();
            Ok(())
        })
        .await
    }

    /// Starts the primary that [`Self::fail_over`] killed again, as the replica of the new one.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn replace_replica(&self) -> Result<()> {
        self.blocking(|pair| {
            let replica = pair.other()?;
            // From its first moment on: nobody may take it for the primary.
            set_role(replica, Some(pair.primary()?))?;
            replica.start_again()
        })
        .await?;
        self.follow_again().await
    }

    /// Waits until the replica, if there is one, has all that its primary has.
    async fn follow_again(&self) -> Result<()> {
        let follows = |pair: &Pair| -> Result<bool> {
            Ok(pair.other()?.tell("INFO replication")?.contains("master_link_status:up"))
        };
        let wait = async {
            while self.has_replica() && !self.blocking(follows).await? {
                sleep(FOLLOW_POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(FOLLOW_WAIT_MAX, wait).await.context("the replica of Redis does not follow its primary")?
    }

    async fn tell(&self, command: String) -> Result<()> {
        self.blocking(move |pair| pair.primary()?.tell(&command).map(drop)).await
    }

    async fn blocking<T: Send + 'static>(&self, call: impl FnOnce(&Pair) -> Result<T> + Send + 'static) -> Result<T> {
        let pair = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || call(&pair)).await?
    }
}

impl Pair {
    fn primary(&self) -> Result<&Redis> {
        self.servers.get(self.number()).context("there is no Redis")
    }

    fn other(&self) -> Result<&Redis> {
        match &*self.servers {
            [one, other] => Ok(if self.number() == 0 { other } else { one }),
            _ => bail!("this Redis has no replica"),
        }
    }

    fn number(&self) -> usize {
        *self.primary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn swap(&self) {
        let mut primary = self.primary.lock().unwrap_or_else(PoisonError::into_inner);
        *primary = 1 - *primary;
    }
}

/// Says what a server that is down will be from its next start on. The last line of its configuration counts.
fn set_role(server: &Redis, primary: Option<&Redis>) -> Result<()> {
    let path = server.directory().join("redis.conf");
    let of = primary.map_or_else(|| "no one".to_owned(), |primary| format!("127.0.0.1 {}", primary.port()));
    let mut file = std::fs::File::options().append(true).open(&path)?;
    writeln!(file, "replicaof {of}").with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_replica_takes_the_place_of_the_primary_and_gives_it_back() {
        let redis = PrivateRedis::start(true).await.unwrap();
        let held = async |key: &'static str| {
            redis.blocking(move |pair| pair.primary()?.tell(&format!("EXISTS {key}"))).await.unwrap()
        };
        for turn in 0..2 {
            redis.tell("SET boxoffice:early 1".to_owned()).await.unwrap();
            redis.follow_again().await.unwrap();
            let arrived = |pair: &Pair| pair.other()?.tell("EXISTS boxoffice:early");
            let begun = std::time::Instant::now();
            while redis.blocking(arrived).await.unwrap() != "1" {
                assert!(begun.elapsed() < FOLLOW_WAIT_MAX, "the replica never hears of it");
                sleep(FOLLOW_POLL).await;
            }
            redis.fail_over(Duration::from_millis(1)).await.unwrap();
            redis.replace_replica().await.unwrap();
            assert_eq!((redis.0.number(), held("boxoffice:early").await), (1 - turn, "1".to_owned()));
        }
        redis.garble().await.unwrap();
        let kind = redis.blocking(|pair| pair.primary()?.tell("TYPE boxoffice:early")).await.unwrap();
        assert_eq!(kind, "list");
        redis.kill().await.unwrap();
        redis.start_again().await.unwrap();
        assert_eq!(held("boxoffice:early").await, "0", "it comes back empty, and as the primary");
    }
}
