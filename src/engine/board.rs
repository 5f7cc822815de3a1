//! The seam to what servers tell each other of events: a board on which the newest view of each event is posted, so that a
//! server that sells nothing need not read the database for whoever looks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::{EventId, EventView};

/// How long after a reading of the database began its result may still be shown to anybody, on whatever way it came. It is
/// what the API promises for CONSISTENCY_CACHED.
pub const VIEW_LIFE: Duration = Duration::from_millis(250);

/// What hangs on the board of one event.
#[derive(Debug, Clone)]
pub struct Look {
    /// The newest view, and how long it may still be shown, as of the moment when the look began.
    pub posted: Option<(Arc<EventView>, Duration)>,
    /// Whether some server reads the database for all: then a new view will be there in a moment.
    pub is_kept: bool,
}

/// What became of a view that was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// Whether it is on this server to read the database for all from now on.
    pub keeps: bool,
    /// Whether anybody has looked lately.
    pub asked: bool,
}

/// The board cannot be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away;

/// A board that several servers share. It is advisory: without it each server reads the database for itself. No call waits
/// longer than a moment.
#[async_trait]
pub trait Board: Send + Sync + 'static {
    /// Whether it could be used a moment ago.
    fn is_up(&self) -> bool;

    /// What hangs there. Never anything older than what this server saw there lately.
    async fn look(&self, event: &EventId) -> Result<Look, Away>;

    /// Posts a view whose reading began at `read`, unless a newer one hangs there. It may be shown for `life` from then on, at
    /// most [`VIEW_LIFE`]. `sells`: whether this server sells units of
    /// the event; such a one reads for all, rather than one who only looks.
    async fn post(&self, view: &EventView, read: Instant, life: Duration, sells: bool) -> Result<Posted, Away>;

    /// The number of the newest change that was posted, in decimal digits, each time that there is one; also wakes, with
    /// whatever value, when messages may have been lost. (They get lost without that, too: whoever waits has to look from time
    /// to time.) `None`: it cannot be heard.
    fn hear(&self, event: &EventId) -> Option<watch::Receiver<Vec<u8>>>;
}
