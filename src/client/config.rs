//! How long and how often a client tries.

use std::time::Duration;

use tonic::transport::Endpoint;
use uuid::Uuid;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection on which calls wait is asked for a sign of life after this time; without one in as long again, it is closed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long and how often a client tries, and where its random numbers and ids come from.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// The longest that a call takes, all attempts and pauses included.
    pub deadline: Duration,
    /// The longest that one attempt takes. The server is told, too.
    pub attempt_timeout: Duration,
    /// The most attempts that a call makes.
    pub attempts_max: u32,
    /// The longest first pause; the longest pause doubles from attempt to attempt.
    pub back_off_min: Duration,
    /// The longest that any pause may become, but for what the server asks for.
    pub back_off_max: Duration,
    /// A number from 0 (included) to 1 (excluded), evenly distributed: callers must not come back all at the same moment.
    pub chance: fn() -> f64,
    /// A new id for a reservation.
    pub new_id: fn() -> Uuid,
}

impl Default for Config {
    /// 30 s in all, 5 s and at most 12 attempts, pauses of up to 50 ms at first and up to 2 s later, version-7 ids.
    #[expect(clippy::disallowed_methods, reason = "clients choose ids; version 7 is stored in time order")]
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(5),
            attempts_max: 12,
            back_off_min: Duration::from_millis(50),
            back_off_max: Duration::from_secs(2),
            chance: fastrand::f64,
            new_id: Uuid::now_v7,
        }
    }
}

impl Config {
    /// How long to wait after so many attempts: what the server asked for, and on top of it anything from nothing to a bound
    /// that doubles ("full jitter": of all ways to spread callers it costs the servers least;
    /// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter>).
    pub(super) fn pause(&self, attempts: u32, asked_for: Option<Duration>, chance: f64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(u32::BITS - 1);
        let longest = self.back_off_min.saturating_mul(1 << doublings).min(self.back_off_max);
        asked_for.unwrap_or_default().saturating_add(longest.mul_f64(chance.clamp(0.0, 1.0)))
    }

    /// Connections that are opened in time, and given up where the other side falls silent: for [`Client::over`](super::Client::over).
    /// (`Endpoint::timeout` would end a call here, but not tell the server.)
    #[must_use]
    pub fn prepare(&self, endpoint: Endpoint) -> Endpoint {
        endpoint
            .connect_timeout(CONNECT_TIMEOUT.min(self.attempt_timeout))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
    }
}
