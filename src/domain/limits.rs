//! Every bound of the model, by name. The API documents them; `grpc` enforces the shapes, `decide` the rest.

use super::time::Duration;

/// Most allocations of one event.
pub const ALLOCATIONS_PER_EVENT_MAX: usize = 1_000;
/// Most lines of one reservation.
pub const LINES_MAX: usize = 100;
/// Most units of one line, after lines of the same allocation were added up.
pub const LINE_QUANTITY_MAX: i64 = 1_000_000;
/// Largest capacity of one allocation.
pub const CAPACITY_MAX: i64 = 1_000_000_000;
/// Most characters of a display name.
pub const DISPLAY_NAME_CHARS_MAX: usize = 200;
/// Most characters of the reason of a forced release.
pub const REASON_CHARS_MAX: usize = 500;
/// Shortest hold.
pub const HOLD_TTL_MIN: Duration = Duration::from_secs(1);
/// Longest hold that an event may allow.
pub const HOLD_TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Most people that a waiting room lets in a second.
pub const ADMISSIONS_PER_SECOND_MAX: i64 = 100_000;
/// Most people that may be inside at once.
pub const INSIDE_MAX: i64 = 10_000_000;
/// Shortest life of an admission pass.
pub const PASS_LIFETIME_MIN: Duration = Duration::from_secs(1);
/// Longest life of an admission pass: it cannot be taken back.
pub const PASS_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// Life of an admission pass where the event names none.
pub const PASS_LIFETIME_DEFAULT: Duration = Duration::from_secs(600);
/// Shortest time that a place is kept of somebody who is not heard of.
pub const GRACE_MIN: Duration = Duration::from_secs(1);
/// Longest such time.
pub const GRACE_MAX: Duration = Duration::from_secs(3600);
/// Such a time where the event names none.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(60);
/// `default_hold_ttl` of an event that names none.
pub const HOLD_TTL_DEFAULT: Duration = Duration::from_secs(600);
/// `max_hold_ttl` of an event that names none.
pub const HOLD_TTL_LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);
