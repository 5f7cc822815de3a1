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
/// `default_hold_ttl` of an event that names none.
pub const HOLD_TTL_DEFAULT: Duration = Duration::from_secs(600);
/// `max_hold_ttl` of an event that names none.
pub const HOLD_TTL_LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);
