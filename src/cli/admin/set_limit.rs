//! `admin set-limit`.

use boxoffice_proto::v1::{Allocation, CapacityMode, Event, UpdateAllocationRequest, UpdateEventRequest};
use serde_json::json;

use super::mask;
use crate::cli::client::Session;
use crate::cli::conflict::refused_edit;
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::{AllocationView, EventView, allocation_table};

/// Options of `set-limit`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// Most units that one owner may hold and buy; 0: no limit. It applies to what is asked for from now on
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    limit: i32,
    /// Limit this allocation, not the event
    #[arg(long, value_name = "ID")]
    allocation: Option<String>,
    /// The etag that was read: refuse if somebody has changed it since [default: overwrite]
    #[arg(long, value_parser = values::etag)]
    etag: Option<String>,
}

/// Runs it.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let etag = args.etag.unwrap_or_default();
    let yours = vec![("limit_per_owner", json!(args.limit)), ("etag", json!(etag))];
    let update_mask = mask("limit_per_owner");
    if let Some(id) = args.allocation {
        let allocation = Allocation {
            name: values::allocation_of(&args.event, &id),
            limit_per_owner: args.limit,
            etag,
            ..Default::default()
        };
        let capacity_mode = CapacityMode::Unspecified.into();
        let request = UpdateAllocationRequest { allocation: Some(allocation), update_mask, capacity_mode };
        let answer = session.admin().update_allocation(request).await.map_err(|status| refused_edit(status, yours))?;
        let view = AllocationView::from(answer.into_inner());
        return session.output.show(&view, || allocation_table([&view]));
    }
    let event = Event { name: args.event, limit_per_owner: args.limit, etag, ..Default::default() };
    let request = UpdateEventRequest { event: Some(event), update_mask };
    let answer = session.admin().update_event(request).await.map_err(|status| refused_edit(status, yours))?;
    let view = EventView::from(answer.into_inner());
    session.output.show(&view, || view.as_text())
}
