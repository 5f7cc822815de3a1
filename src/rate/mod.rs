//! How often owners and gateways may call.
//!
//! What this server saw is decided at once and in memory ([`RateLimits::admit_here`]). Where several servers share their limits,
//! what they saw together is asked after that ([`SharedRates`]), and only for what this server alone would admit: so whoever is
//! far over his limit costs nobody else anything. All that a call asks of them costs it one short wait at most ([`Wait`]).

mod gcra;
mod table;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

pub use self::gcra::{BURST_MAX, CALLS_PER_SECOND_MAX, CALLS_PER_SECOND_MIN, Cost, Quota};
use self::table::Table;

/// How long one call waits, all in all, to hear what the other servers saw. Then it passes: what this server saw was within the
/// limit, and whoever buys must not wait for others.
const WAIT_MAX: Duration = Duration::from_millis(15);

/// How much longer a call may wait for the others. It goes along with the call, so that whoever asks again on its behalf does
/// not make it wait again. (No moment in time: what its caller takes to send the rest of it is no wait of ours, and whoever
/// sends slowly must not escape the shared limits by that.)
#[derive(Debug, Clone, Copy)]
pub struct Wait(Duration);

impl Wait {
    /// Until when to wait, from now on.
    pub fn until(self) -> Instant {
        Instant::now() + self.0
    }

    /// What is left of it after a wait until now.
    pub fn left(until: Instant) -> Self {
        Self(until.saturating_duration_since(Instant::now()))
    }
}

/// Whom a limit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A buyer, whichever gateway he comes through.
    Owner,
    /// A trusted backend, with all the buyers for whom it calls.
    Gateway,
}

impl Scope {
    /// Its name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Gateway => "gateway",
        }
    }

    /// What the keys are called under which servers share what they saw.
    pub(crate) const fn redis_key(self) -> &'static str {
        match self {
            Self::Owner => "rate:owner",
            Self::Gateway => "rate:gateway",
        }
    }
}

/// Who is limited. Owners and gateways of the same name are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    /// Which limit.
    pub scope: Scope,
    /// Who.
    pub name: &'a str,
}

/// A limit was exceeded. The call had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose.
    pub scope: Scope,
    /// What he may.
    pub quota: Quota,
    /// After how long the same call would be admitted.
    pub retry_after: Duration,
}

/// What several servers saw together. It may refuse more than one server alone would, and never admits what that refused.
#[async_trait]
pub trait SharedRates: Send + Sync {
    /// Decides as [`Quota::decide`] does. What is not answered by `until` is admitted, and what would be asked later than that,
    /// too: the limits are there for the servers' sake, and each server still holds its own.
    ///
    /// # Errors
    /// The time to wait.
    async fn admit(&self, key: Key<'_>, quota: Quota, cost: Cost, until: Instant) -> Result<(), Duration>;
}

/// The limits of one server. Without any, everybody is admitted.
pub struct RateLimits {
    owners: Option<Limit>,
    gateways: Option<Limit>,
    shared: Option<Arc<dyn SharedRates>>,
    wait_max: Duration,
}

struct Limit {
    quota: Quota,
    table: Table,
    begun: Instant,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self::new(None, None)
    }
}

impl RateLimits {
    /// With a quota for each owner and one for each gateway; `None`: no limit.
    pub fn new(owner: Option<Quota>, gateway: Option<Quota>) -> Self {
        let limit = |quota: Quota| Limit { quota, table: Table::new(), begun: Instant::now() };
        Self { owners: owner.map(limit), gateways: gateway.map(limit), shared: None, wait_max: WAIT_MAX }
    }

    /// Asks others too.
    #[must_use]
    pub fn with_shared(self, shared: Arc<dyn SharedRates>) -> Self {
        Self { shared: Some(shared), ..self }
    }

    /// Lets a call wait for the others for another time than 15 ms.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn with_wait(self, wait_max: Duration) -> Self {
        Self { wait_max, ..self }
    }

    /// What a call that begins now has.
    pub const fn wait(&self) -> Wait {
        Wait(self.wait_max)
    }

    /// Whether there is anything to ask others: else [`Self::admit_here`] says all.
    pub const fn is_shared(&self) -> bool {
        self.shared.is_some() && (self.owners.is_some() || self.gateways.is_some())
    }

    /// Decides by what this server saw, on something that costs so much. What is admitted has been charged.
    ///
    /// # Errors
    /// Where it is too much.
    pub fn admit_here(&self, key: Key<'_>, cost: Cost) -> Result<(), Exceeded> {
        let Some(limit) = self.of(key.scope) else { return Ok(()) };
        let now = u64::try_from(limit.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        limit.table.decide(key.name, limit.quota, now, cost).map_err(|nanos| Exceeded {
            scope: key.scope,
            quota: limit.quota,
            retry_after: Duration::from_nanos(nanos),
        })
    }

    /// Asks the others, if there are any, on what was admitted here, and waits for them at most `until` ([`Wait::until`]).
    ///
    /// # Errors
    /// Where it is too much.
    pub async fn admit_elsewhere(&self, key: Key<'_>, cost: Cost, until: Instant) -> Result<(), Exceeded> {
        let (Some(limit), Some(shared)) = (self.of(key.scope), &self.shared) else { return Ok(()) };
        let quota = limit.quota;
        shared.admit(key, quota, cost, until).await.map_err(|retry_after| Exceeded {
            scope: key.scope,
            quota,
            retry_after,
        })
    }

    /// Decides here, and then elsewhere.
    ///
    /// # Errors
    /// Where it is too much.
    pub async fn admit(&self, key: Key<'_>, cost: Cost, until: Instant) -> Result<(), Exceeded> {
        self.admit_here(key, cost)?;
        self.admit_elsewhere(key, cost, until).await
    }

    const fn of(&self, scope: Scope) -> Option<&Limit> {
        match scope {
            Scope::Owner => self.owners.as_ref(),
            Scope::Gateway => self.gateways.as_ref(),
        }
    }
}

impl fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quota = |limit: &Option<Limit>| limit.as_ref().map(|limit| limit.quota);
        f.debug_struct("RateLimits")
            .field("owners", &quota(&self.owners))
            .field("gateways", &quota(&self.gateways))
            .field("shared", &self.is_shared())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Others who admit nothing.
    #[derive(Default)]
    struct Full(AtomicU32);

    #[async_trait]
    impl SharedRates for Full {
        async fn admit(&self, _key: Key<'_>, _quota: Quota, cost: Cost, _until: Instant) -> Result<(), Duration> {
            self.0.fetch_add(cost.calls, Ordering::Relaxed);
            Err(Duration::from_secs(7))
        }
    }

    const ANN: Key<'static> = Key { scope: Scope::Owner, name: "ann" };

    #[tokio::test]
    async fn others_are_asked_only_for_what_is_admitted_here() {
        let others = Arc::new(Full::default());
        let limits = RateLimits::new(Quota::new(0.001, 1), None).with_shared(others.clone());
        let until = limits.wait().until();
        let refused = limits.admit(ANN, Cost::of(1), until).await.unwrap_err();
        assert_eq!((refused.scope, refused.retry_after), (Scope::Owner, Duration::from_secs(7)));
        assert!(limits.admit(ANN, Cost::of(1), until).await.is_err());
        assert_eq!(others.0.load(Ordering::Relaxed), 1);
        let gateway = Key { scope: Scope::Gateway, name: "ann" };
        assert!(limits.admit(gateway, Cost::of(1), until).await.is_ok(), "there is no limit for gateways");
        assert!(limits.is_shared());
        assert!(!RateLimits::default().with_shared(others).is_shared(), "without limits nobody is asked");
    }

    #[test]
    fn owners_and_gateways_of_one_name_are_two() {
        let one = Quota::new(0.001, 1);
        let limits = RateLimits::new(one, one);
        assert!(limits.admit_here(ANN, Cost::of(1)).is_ok());
        assert!(limits.admit_here(Key { scope: Scope::Gateway, ..ANN }, Cost::of(1)).is_ok());
        assert!(limits.admit_here(ANN, Cost::of(1)).is_err());
        assert!(RateLimits::default().admit_here(ANN, Cost::of(1_000)).is_ok());
    }
}
