//! `admin transfer`.

use boxoffice_proto::v1::{Event, TransferCapacityRequest};
use serde::Serialize;
use serde_json::json;

use super::read_event;
use crate::cli::client::Session;
use crate::cli::conflict::refused_edit;
use crate::cli::failure::Failure;
use crate::cli::output::counted;
use crate::cli::values;
use crate::cli::view::{AllocationView, allocation_table};

/// Options of `transfer`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// The allocation that gives
    from: String,
    /// The allocation that takes
    to: String,
    /// How many units
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    quantity: i32,
}

#[derive(Serialize)]
struct Transferred {
    from: AllocationView,
    to: AllocationView,
}

/// Runs it. The etags make it safe against everybody else's edits between the reading and the moving.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let event = read_event(session, args.event.clone()).await?;
    let from = values::allocation_of(&args.event, &args.from);
    let to = values::allocation_of(&args.event, &args.to);
    let (from_etag, to_etag) = (etag_of(&event, &from)?, etag_of(&event, &to)?);
    let yours = vec![("etag", json!(format!("{from_etag} and {to_etag}")))];
    let request = TransferCapacityRequest { from, to, quantity: args.quantity, from_etag, to_etag };
    let answer = session.admin().transfer_capacity(request).await.map_err(|status| {
        let hint = || "it may have been done: look with `boxoffice admin show`".to_owned();
        refused_edit(status, yours).with_hint_if_unknown(hint)
    })?;
    let answer = answer.into_inner();
    let (from, to) = answer.from.zip(answer.to).ok_or_else(|| {
        Failure::Failed("the server's answer lacks an allocation; look with `boxoffice admin show`".to_owned())
    })?;
    let view = Transferred { from: from.into(), to: to.into() };
    session.output.show(&view, || {
        let Transferred { from, to } = &view;
        format!("{} moved.\n{}", counted(args.quantity, "unit"), allocation_table([from, to]))
    })
}

fn etag_of(event: &Event, name: &str) -> Result<String, Failure> {
    let found = event.allocations.iter().find(|one| one.name == name);
    found.map(|one| one.etag.clone()).ok_or_else(|| {
        let ids: Vec<_> = event.allocations.iter().map(|one| values::last_segment(&one.name)).collect();
        let (id, event) = (values::last_segment(name), &event.name);
        Failure::Failed(format!("{event} has no allocation {id:?}; it has: {}", ids.join(", ")))
    })
}
