//! `admin show`.

use super::read_event;
use crate::cli::client::Session;
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::EventView;

/// Options of `show`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
}

/// Runs it.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let view = EventView::from(read_event(session, args.event).await?);
    session.output.show(&view, || view.as_text())
}
