//! `admin watch`: an event as it sells.

mod screen;
mod speed;

use std::time::Duration;

use boxoffice_proto::v1::{Event, ListChangesRequest, WatchEventRequest};

use self::screen::{Frame, Screen};
use self::speed::Speed;
use super::read_event;
use crate::cli::client::Session;
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::{ChangeView, EventView};

/// First and longest wait before it is tried again to reach a server that went away.
const BACK_OFF_MIN: Duration = Duration::from_millis(250);
const BACK_OFF_MAX: Duration = Duration::from_secs(10);
/// After so long without news the server is asked, to find out whether it is still there (and whether holds have lapsed).
const QUIET_MAX: Duration = Duration::from_secs(5);
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
    tokio::select! {
        result = Watch::new(args, session).run() => result,
        stopped = tokio::signal::ctrl_c() => {
            stopped.map_err(|error| Failure::Failed(format!("cannot listen to signals: {error}")))
        }
    }
}

struct Watch<'a> {
    session: &'a Session,
    name: String,
    screen: Screen,
    speed: Speed,
    back_off: Duration,
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
            back_off: BACK_OFF_MIN,
            seq: 0,
        }
    }

    async fn run(mut self) -> Result<(), Failure> {
        loop {
            let ended = match self.follow().await {
                Err(failure) if !may_pass(&failure) => return Err(failure),
                Err(failure) => failure,
                Ok(()) => Failure::Unreachable { message: "the server ended the stream".to_owned(), hint: None },
            };
            self.screen.note(&format!("trying again in {:?}: {}", self.back_off, ended.in_short()))?;
            tokio::time::sleep(self.back_off).await;
            self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
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
                Err(_quiet) => Some(read_event(self.session, self.name.clone()).await?),
            };
            let Some(event) = event else { continue };
            self.back_off = BACK_OFF_MIN;
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

/// Whether it may be well again by and by.
fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable { .. } => true,
        Failure::Refused(refused) => refused.code == "UNAVAILABLE" || refused.code == "DEADLINE_EXCEEDED",
        _ => false,
    }
}
