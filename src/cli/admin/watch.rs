//! `admin watch`: an event as it sells.

mod screen;
mod speed;

use std::time::Duration;

use boxoffice_proto::v1::{Event, ListChangesRequest, WatchEventRequest};

use self::screen::{Frame, Screen};
use self::speed::Speed;
use super::back_off::{BackOff, QUIET_MAX, until_interrupted};
use super::read_event;
use crate::cli::client::Session;
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::{ChangeView, EventView};

/// On a terminal, people cannot read faster.
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);
/// Changes shown below the counts.
const CHANGES_SHOWN: i32 = 5;

/// Options of `watch`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// One line for each update, also on a terminal
    #[arg(long)]
    lines: bool,
}

/// Runs it until it is told to stop, which is no failure.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    until_interrupted(Watch::new(args, session).run()).await
}

struct Watch<'a> {
    session: &'a Session,
    name: String,
    screen: Screen,
    speed: Speed,
    back_off: BackOff,
    /// The newest state that was shown.
    seq: i64,
}

impl<'a> Watch<'a> {
    fn new(args: Args, session: &'a Session) -> Self {
        Self {
            session,
            name: args.event,
            screen: Screen::new(session.output.json, args.lines),
            speed: Speed::default(),
            back_off: BackOff::new(),
            seq: 0,
        }
    }

    async fn run(mut self) -> Result<(), Failure> {
        loop {
            let ended = self.follow().await;
            self.back_off.wait(ended, |text| self.screen.note(text)).await?;
        }
    }

    /// Shows what comes, until the stream ends.
    async fn follow(&mut self) -> Result<(), Failure> {
        let request = WatchEventRequest { name: self.name.clone(), from_seq: 0 };
        let mut stream = self.session.patient_inventory().watch_event(request).await?.into_inner();
        loop {
            let event = match tokio::time::timeout(QUIET_MAX, stream.message()).await {
                Ok(Ok(Some(update))) => update.event,
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(status)) => return Err(status.into()),
                // Holds may have lapsed meanwhile, too.
                Err(_quiet) => Some(read_event(self.session, self.name.clone()).await?),
            };
            let Some(event) = event else { continue };
            self.back_off.reset();
            self.show(event).await?;
            if self.screen.is_redrawn() {
                tokio::time::sleep(REDRAW_INTERVAL).await;
            }
        }
    }

    async fn show(&mut self, event: Event) -> Result<(), Failure> {
        let is_new = event.seq != self.seq;
        self.seq = event.seq;
        let event = EventView::from(event);
        let [_, sold, held, _] = event.totals();
        let per_second = self.speed.of(tokio::time::Instant::now(), sold);
        let changes = if self.screen.is_redrawn() { self.last_changes().await? } else { Vec::new() };
        if is_new || self.screen.is_redrawn() || self.screen.has_note() {
            self.screen.show(&Frame { event: &event, sold, held, per_second, changes: &changes })?;
        }
        Ok(())
    }

    async fn last_changes(&self) -> Result<Vec<ChangeView>, Failure> {
        let from_seq = (self.seq - i64::from(CHANGES_SHOWN) + 1).max(1);
        let request = ListChangesRequest { parent: self.name.clone(), from_seq, page_size: CHANGES_SHOWN };
        let page = self.session.admin().list_changes(request).await?.into_inner();
        Ok(page.changes.into_iter().map(Into::into).collect())
    }
}
