//! Options of Redis.

use std::path::PathBuf;
use std::time::Duration;

use boxoffice::redis::{RedisAddress, RedisConfig};

use crate::cli::failure::Failure;
use crate::cli::values;

/// What servers share beside the database. `docs/redis.md` tells of it.
#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Share with other servers through Redis (7 or newer) what need not be in the database: redis:// or
    /// rediss://user:password@host:port/database, or several host:port with commas between, of which the primary is used;
    /// redis+cluster:// or rediss+cluster:// for a Redis Cluster
    #[arg(long, value_name = "URL", env = "BOXOFFICE_REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
    /// Redis: the password, which then does not stand in the URL. Read again with each connection
    #[arg(long, value_name = "FILE", requires = "redis_url")]
    redis_password_file: Option<PathBuf>,
    /// Redis: the authorities of its certificates (PEM) [default: those that the system trusts]. Read again with each connection
    #[arg(long, value_name = "FILE", requires = "redis_url")]
    redis_ca: Option<PathBuf>,
    /// Redis: how long a command may take; after that its work is done without it
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = timeout)]
    redis_timeout: Duration,
    /// Redis: what keys and channels begin with; each database needs its own where several share a Redis
    #[arg(long, value_name = "TEXT", default_value = "boxoffice", value_parser = prefix)]
    redis_prefix: String,
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = values::span(text)?;
    if (Duration::from_millis(5)..=Duration::from_secs(5)).contains(&timeout) {
        Ok(timeout)
    } else {
        Err("must be 5ms to 5s".to_owned())
    }
}

/// A brace would be taken for the beginning of a hash tag.
fn prefix(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 64 letters, digits, '-', '_', '.' or ':'".to_owned())
    }
}

impl Args {
    /// How to use Redis, if at all.
    pub(super) fn config(&self) -> Result<Option<RedisConfig>, Failure> {
        let Some(url) = &self.redis_url else { return Ok(None) };
        let address = || {
            let mut address = RedisAddress::parse(url)?;
            if let Some(path) = &self.redis_password_file {
                address = address.with_password_file(path.clone())?;
            }
            if let Some(path) = &self.redis_ca {
                address = address.with_ca_file(path.clone())?;
            }
            Ok(address)
        };
        let address = address().map_err(|wrong: String| Failure::Usage(format!("--redis-url: {wrong}")))?;
        Ok(Some(RedisConfig { address, timeout: self.redis_timeout, prefix: self.redis_prefix.clone() }))
    }
}
