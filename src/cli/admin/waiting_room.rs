//! `admin waiting-room`: its settings, live. What is not named stays as it is, or takes its default where there was none.

use boxoffice_proto::v1::waiting_room::OnLoss;
use boxoffice_proto::v1::{Event, UpdateEventRequest, WaitingRoom};
use prost_types::Duration;
use serde_json::json;

use super::{mask, read_event};
use crate::cli::client::Session;
use crate::cli::conflict::refused_edit;
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::EventView;

/// Options of `waiting-room`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("edit").required(true).multiple(true))]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// Let so many people in a second; 0: nobody for now
    #[arg(long, value_name = "N", group = "edit", value_parser = clap::value_parser!(i32).range(0..))]
    rate: Option<i32>,
    /// Most people inside at once; 0: any number
    #[arg(long, value_name = "N", group = "edit", value_parser = clap::value_parser!(i32).range(0..))]
    inside_max: Option<i32>,
    /// While Redis is away: let people in by each server alone, or nobody
    #[arg(long, value_name = "CHOICE", group = "edit", value_enum)]
    on_loss: Option<OnLossChoice>,
    /// How long a pass lets its owner buy
    #[arg(long, value_name = "DURATION", group = "edit", value_parser = values::duration)]
    pass_lifetime: Option<Duration>,
    /// How long a place is kept of somebody who is not heard of
    #[arg(long, value_name = "DURATION", group = "edit", value_parser = values::duration)]
    grace: Option<Duration>,
    /// No waiting room any more: everybody may buy
    #[arg(long, group = "edit", conflicts_with_all = ["rate", "inside_max", "on_loss", "pass_lifetime", "grace"])]
    off: bool,
    /// The etag that was read: refuse if somebody has changed the event since [default: the present one]
    #[arg(long, value_parser = values::etag)]
    etag: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum OnLossChoice {
    Open,
    Closed,
}

/// Runs it. The settings are edited as a whole, so they are read first; the etag sees to it that nobody's edit in between is
/// undone.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let current = read_event(session, args.event.clone()).await?;
    let etag = args.etag.unwrap_or(current.etag);
    let waiting_room = if args.off {
        None
    } else {
        let mut room = match (current.waiting_room, args.rate) {
            (Some(room), _) => room,
            (None, Some(_)) => WaitingRoom::default(),
            (None, None) => {
                return Err(Failure::Usage("the event has no waiting room yet: say how fast with --rate".to_owned()));
            }
        };
        room.admissions_per_second = args.rate.unwrap_or(room.admissions_per_second);
        room.inside_max = args.inside_max.unwrap_or(room.inside_max);
        if let Some(choice) = args.on_loss {
            room.on_loss = match choice {
                OnLossChoice::Open => OnLoss::Open.into(),
                OnLossChoice::Closed => OnLoss::Closed.into(),
            };
        }
        room.pass_lifetime = args.pass_lifetime.or(room.pass_lifetime);
        room.grace = args.grace.or(room.grace);
        Some(room)
    };
    let event = Event { name: args.event, etag, waiting_room, ..Default::default() };
    let shown = json!(EventView::from(event.clone()));
    let yours = ["waiting_room", "etag"].map(|field| (field, shown.get(field).cloned().unwrap_or_default()));
    let request = UpdateEventRequest { event: Some(event), update_mask: mask("waiting_room") };
    let answer = session.admin().update_event(request).await.map_err(|status| refused_edit(status, yours.to_vec()))?;
    let view = EventView::from(answer.into_inner());
    session.output.show(&view, || view.as_text())
}
