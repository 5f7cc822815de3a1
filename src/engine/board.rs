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

/// What is to be seen on the board of one event.
#[derive(Debug, Clone)]
pub struct Look {
    /// The newest view.
    pub hung: Option<Hung>,
    /// Who reads the database for all.
    pub keeper: Keeper,
    /// Whether anybody has looked lately.
    pub is_asked: bool,
}

/// Who reads the database for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// Each for himself.
    Nobody,
    /// This server.
    Oneself,
    /// Another server: a new view will be there in a moment.
    Other,
}

/// A view that hangs on the board.
#[derive(Debug, Clone)]
pub struct Hung {
    /// The view.
    pub view: Arc<EventView>,
    /// How long it may still be shown, as of the moment when the look began. At most [`VIEW_LIFE`].
    pub life: Duration,
    /// How long ago it was posted, as of the moment when the look ended.
    pub age: Duration,
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

    /// What hangs there. Never anything older than what this server saw there lately. `asks`: whether somebody wants to be shown
    /// it.
    async fn look(&self, event: &EventId, asks: bool) -> Result<Look, Away>;

    /// Posts a view whose reading began at `read`, unless a newer one hangs there. `sells`: whether this server sells units of
    /// the event; such a one reads for all, rather than one who only looks.
    async fn post(&self, view: &EventView, read: Instant, sells: bool) -> Result<Posted, Away>;

    /// The number of the newest change that was posted, in decimal digits, each time that there is one; also wakes, with
    /// whatever value, when messages may have been lost. (They get lost without that, too: whoever waits has to look from time
    /// to time.) `None`: it cannot be heard.
    fn hear(&self, event: &EventId) -> Option<watch::Receiver<Vec<u8>>>;
}
