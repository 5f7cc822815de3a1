//! The ways to sell tickets, a file for each.

pub(super) mod boxoffice;
pub(super) mod postgres;
pub(super) mod redis;

use anyhow::{Result, bail};

/// The ways by name, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Racy,
    ForUpdate,
    AtomicUpdate,
    Serializable,
    VersionColumn,
    SkipLocked,
    RedisDecr,
    RedisLua,
    Boxoffice,
}

/// All of them.
pub(super) const ALL: [Name; 9] = [
    Name::Racy,
    Name::ForUpdate,
    Name::AtomicUpdate,
    Name::Serializable,
    Name::VersionColumn,
    Name::SkipLocked,
    Name::RedisDecr,
    Name::RedisLua,
    Name::Boxoffice,
];

impl Name {
    /// As programs read it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Racy => "racy",
            Self::ForUpdate => "for_update",
            Self::AtomicUpdate => "atomic_update",
            Self::Serializable => "serializable",
            Self::VersionColumn => "version_column",
            Self::SkipLocked => "skip_locked",
            Self::RedisDecr => "redis_decr",
            Self::RedisLua => "redis_lua",
            Self::Boxoffice => "boxoffice",
        }
    }

    /// In a few words: how it is done.
    pub(super) const fn how(self) -> &'static str {
        match self {
            Self::Racy => "PostgreSQL: SELECT the counter, then write it back plus one",
            Self::ForUpdate => "PostgreSQL: SELECT … FOR UPDATE, then write",
            Self::AtomicUpdate => "PostgreSQL: one UPDATE … WHERE sold < capacity, with its INSERT",
            Self::Serializable => "PostgreSQL: SERIALIZABLE, retried with back-off",
            Self::VersionColumn => "PostgreSQL: UPDATE … WHERE version = …, retried with back-off",
            Self::SkipLocked => "PostgreSQL: one row a ticket, FOR UPDATE SKIP LOCKED",
            Self::RedisDecr => "Redis, appendfsync always: DECR, INCR if below 0, then HSET",
            Self::RedisLua => "Redis, appendfsync always: check, DECR and HSET in one script",
            Self::Boxoffice => "Boxoffice by gRPC on PostgreSQL, sold at once",
        }
    }

    /// Whether it needs Redis.
    pub(super) const fn is_redis(self) -> bool {
        matches!(self, Self::RedisDecr | Self::RedisLua)
    }
}

/// The ways of these names, in the order of the report; none: all.
///
/// # Errors
/// Where there is no way of a name.
pub(super) fn chosen(only: &[String]) -> Result<Vec<Name>> {
    for wanted in only {
        if !ALL.iter().any(|name| name.as_str() == wanted) {
            bail!("--only {wanted} is no way to sell; these are: {}", ALL.map(Name::as_str).join(", "));
        }
    }
    let is_wanted = |name: &Name| only.is_empty() || only.iter().any(|wanted| wanted == name.as_str());
    Ok(ALL.into_iter().filter(is_wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_chosen_by_name() {
        let chosen = |only: &[&str]| chosen(&only.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(chosen(&[]).unwrap(), ALL);
        assert_eq!(chosen(&["redis_lua", "racy"]).unwrap(), [Name::Racy, Name::RedisLua]);
        assert!(chosen(&["mutex"]).unwrap_err().to_string().contains("these are: racy, for_update,"));
    }
}
