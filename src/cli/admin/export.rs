//! `admin export`.

use super::read_event;
use crate::cli::client::Session;
use crate::cli::document::{Document, Format};
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::EventView;

/// Options of `export`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// How to write it; CSV has the allocations alone
    #[arg(long, value_enum, default_value_t = Format::Toml)]
    format: Format,
    /// Leave the etags out: a later `apply` does not notice what others change until then
    #[arg(long)]
    no_etags: bool,
}

/// Runs it.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let event = EventView::from(read_event(session, args.event).await?);
    let document = Document::of(&event, !args.no_etags);
    let text = document.write(args.format)?;
    session.output.show(&document, || text.trim_end().to_owned())
}
