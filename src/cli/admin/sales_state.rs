//! `admin open`, `pause`, `close` and `cancel`: one edit, of the sales state.

use boxoffice_proto::v1::{Event, SalesState, UpdateEventRequest};
use serde_json::json;

use super::mask;
use crate::cli::ask;
use crate::cli::client::Session;
use crate::cli::conflict::refused_edit;
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::EventView;

/// Options of `open`, `pause` and `close`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// The etag that was read: refuse if somebody has changed the event since [default: overwrite]
    #[arg(long, value_parser = values::etag)]
    etag: Option<String>,
}

/// Options of `cancel`.
#[derive(clap::Args)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    pub(super) edit: Args,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl CancelArgs {
    /// Asks the person, because there is no way back.
    pub(super) fn make_sure(&self) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let event = &self.edit.event;
        if !ask::somebody_is_there() {
            return Err(Failure::Usage(format!("cancelling {event} is final; where nobody can be asked, say --yes")));
        }
        let question = format!("Cancel {event}? What is held cannot be bought any more, and there is no way back.");
        ask::or_else(&question, &format!("{event} was not cancelled"))
    }
}

/// Runs it.
pub(super) async fn run(args: Args, state: SalesState, session: &Session) -> Result<(), Failure> {
    let etag = args.etag.unwrap_or_default();
    let name = state.as_str_name();
    let wanted = name.strip_prefix("SALES_STATE_").unwrap_or(name);
    let yours = vec![("sales_state", json!(wanted)), ("etag", json!(etag))];
    let event = Event { name: args.event, sales_state: state.into(), etag, ..Default::default() };
    let request = UpdateEventRequest { event: Some(event), update_mask: mask("sales_state") };
    let answer = session.admin().update_event(request).await.map_err(|status| refused_edit(status, yours))?;
    let view = EventView::from(answer.into_inner());
    session.output.show(&view, || view.as_text())
}
