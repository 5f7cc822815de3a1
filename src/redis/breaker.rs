//! A circuit breaker: once Redis does not answer, callers are told so at once and no longer wait for it one by one.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// So many commands in a row without an answer open it. (A broken connection opens it at once.)
const SILENCES_MAX: u32 = 3;

/// How long it stays open before one caller is let through to find out.
pub(super) const REST: Duration = Duration::from_millis(250);

/// Breakers of a Redis Cluster: each is for a range of slots, and each node has some of the ranges. So a node that is away does
/// not keep anybody from the others.
const CLUSTER_BREAKERS: usize = 64;

/// Hash slots of a Redis Cluster.
const SLOTS: u16 = 16_384;

/// One breaker for each part of Redis that can be away by itself.
#[derive(Debug)]
pub(super) struct Breakers {
    each: Vec<Breaker>,
    epoch: Instant,
    open: AtomicU32,
}

/// Closed while Redis answers.
#[derive(Debug, Default)]
struct Breaker {
    silences: AtomicU32,
    /// In microseconds after the epoch; 0: it is closed.
    open_until: AtomicU64,
}

/// What changed for Redis as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    None,
    /// The first breaker opened.
    Away,
    /// The last breaker closed.
    Back,
}

impl Breakers {
    pub(super) fn new(cluster: bool) -> Self {
        let count = if cluster { CLUSTER_BREAKERS } else { 1 };
        let each = (0..count).map(|_| Breaker::default()).collect();
        Self { each, epoch: Instant::now(), open: AtomicU32::new(0) }
    }

    /// The breaker of a key.
    pub(super) fn of(&self, key: &str) -> usize {
        match self.each.len() {
            1 => 0,
            count => usize::from(slot(key)) * count / usize::from(SLOTS),
        }
    }

    /// Whether a caller may try.
    pub(super) fn enter(&self, index: usize, now: Instant) -> bool {
        let breaker = &self.each[index];
        let until = breaker.open_until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let now = self.since_epoch(now);
        // One of those who come after the rest finds out for all. Should he go away before he knows, the next one may after
        // another rest.
        let next = now + micros(REST);
        until <= now && breaker.open_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Redis answered.
    pub(super) fn answered(&self, index: usize) -> Turn {
        let breaker = &self.each[index];
        // The common case writes nothing.
        if breaker.silences.load(Ordering::Relaxed) != 0 {
            breaker.silences.store(0, Ordering::Relaxed);
        }
        if breaker.open_until.load(Ordering::Relaxed) == 0 || breaker.open_until.swap(0, Ordering::Relaxed) == 0 {
            return Turn::None;
        }
        if self.open.fetch_sub(1, Ordering::Relaxed) == 1 { Turn::Back } else { Turn::None }
    }

    /// A command got no answer in time. Returns whether the breaker is open now.
    pub(super) fn silent(&self, index: usize, now: Instant) -> (bool, Turn) {
        if self.each[index].silences.fetch_add(1, Ordering::Relaxed) + 1 < SILENCES_MAX {
            return (false, Turn::None);
        }
        (true, self.broken(index, now))
    }

    /// Redis is away for certain.
    pub(super) fn broken(&self, index: usize, now: Instant) -> Turn {
        let until = self.since_epoch(now) + micros(REST);
        if self.each[index].open_until.swap(until, Ordering::Relaxed) != 0 {
            return Turn::None;
        }
        if self.open.fetch_add(1, Ordering::Relaxed) == 0 { Turn::Away } else { Turn::None }
    }

    /// There is a new connection: all are closed.
    pub(super) fn reset(&self) {
        for index in 0..self.each.len() {
            self.answered(index);
        }
    }

    fn since_epoch(&self, now: Instant) -> u64 {
        micros(now.saturating_duration_since(self.epoch)).max(1)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The hash slot of a key: CRC-16 (XMODEM) of what stands between the first braces, else of the whole.
/// See <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>.
fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // As CLUSTER KEYSLOT tells them.
        for (key, expected) in [("foo", 12182), ("{user1000}.following", 3443), ("foo{}{bar}", 8363), ("", 0)] {
            assert_eq!(slot(key), expected, "{key}");
        }
        assert_eq!(slot("a:{sale}:view"), slot("{sale}"));
    }

    #[test]
    fn three_silences_in_a_row_open_it_and_one_caller_finds_out_that_it_is_over() {
        let breakers = Breakers::new(false);
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(breakers.silent(0, now), (false, Turn::None));
            assert_eq!(breakers.silent(0, now), (false, Turn::None));
            assert_eq!(breakers.answered(0), Turn::None);
        }
        breakers.silent(0, now);
        breakers.silent(0, now);
        assert!(breakers.enter(0, now));
        assert_eq!(breakers.silent(0, now), (true, Turn::Away));
        assert!(!breakers.enter(0, now));
        let now = now + REST * 2;
        assert_eq!((breakers.enter(0, now), breakers.enter(0, now)), (true, false));
        // He went away without knowing.
        let now = now + REST * 2;
        assert_eq!((breakers.enter(0, now), breakers.enter(0, now)), (true, false));
        assert_eq!(breakers.answered(0), Turn::Back);
        assert!(breakers.enter(0, now) && breakers.enter(0, now));
    }

    #[test]
    fn a_node_that_is_away_does_not_keep_anybody_from_the_others() {
        let breakers = Breakers::new(true);
        let now = Instant::now();
        let (one, other) = (breakers.of("{foo}"), breakers.of("{user1000}"));
        assert_ne!(one, other);
        assert_eq!((breakers.broken(one, now), breakers.broken(one, now)), (Turn::Away, Turn::None));
        assert!(!breakers.enter(one, now) && breakers.enter(other, now));
        assert_eq!((breakers.broken(other, now), breakers.answered(one)), (Turn::None, Turn::None));
        assert_eq!(breakers.answered(other), Turn::Back);
    }
}
