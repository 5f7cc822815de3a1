//! `admin set-capacity`.

use boxoffice_proto::v1::{Allocation, CapacityMode, UpdateAllocationRequest};
use serde_json::json;

use super::mask;
use crate::cli::client::Session;
use crate::cli::conflict::refused_edit;
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::{AllocationView, allocation_table};

/// Options of `set-capacity`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// The allocation, like floor
    allocation: String,
    /// How many units it shall have
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    capacity: i32,
    /// Where more are held or sold already: go as low as possible now, and on as units come back
    #[arg(long)]
    drain: bool,
    /// The etag that was read: refuse if somebody has changed the allocation since [default: overwrite]
    #[arg(long, value_parser = values::etag)]
    etag: Option<String>,
}

/// Runs it.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let etag = args.etag.unwrap_or_default();
    let yours = vec![("capacity", json!(args.capacity)), ("etag", json!(etag))];
    let mode = if args.drain { CapacityMode::Drain } else { CapacityMode::Strict };
    let request = UpdateAllocationRequest {
        allocation: Some(Allocation {
            name: values::allocation_of(&args.event, &args.allocation),
            capacity: args.capacity,
            etag,
            ..Default::default()
        }),
        update_mask: mask("capacity"),
        capacity_mode: mode.into(),
    };
    let answer = session.admin().update_allocation(request).await.map_err(|status| refused_edit(status, yours))?;
    let view = AllocationView::from(answer.into_inner());
    session.output.show(&view, || allocation_table([&view]))
}
