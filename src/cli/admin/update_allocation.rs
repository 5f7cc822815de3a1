//! `admin update-allocation`: any fields of an allocation, in one edit.

use boxoffice_proto::v1::{Allocation, CapacityMode, UpdateAllocationRequest};
use prost_types::FieldMask;
use serde_json::json;

use crate::cli::client::Session;
use crate::cli::conflict::refused_edit;
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::{AllocationView, allocation_table};

/// Options of `update-allocation`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("edit").required(true).multiple(true))]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// The allocation, like floor
    allocation: String,
    /// Its name, for people
    #[arg(long, group = "edit")]
    name: Option<String>,
    /// How many units it shall have
    #[arg(long, value_name = "N", group = "edit", value_parser = clap::value_parser!(i32).range(0..))]
    capacity: Option<i32>,
    /// Most units of it that one owner may hold and buy; 0: no limit
    #[arg(long, value_name = "N", group = "edit", value_parser = clap::value_parser!(i32).range(0..))]
    limit_per_owner: Option<i32>,
    /// Where more are held or sold already: go as low as possible now, and on as units come back
    #[arg(long)]
    drain: bool,
    /// The etag that was read: refuse if somebody has changed the allocation since [default: overwrite]
    #[arg(long, value_parser = values::etag)]
    etag: Option<String>,
}

/// Runs it.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let mut allocation = Allocation {
        name: values::allocation_of(&args.event, &args.allocation),
        etag: args.etag.unwrap_or_default(),
        ..Default::default()
    };
    let mut yours = Vec::new();
    if let Some(name) = args.name {
        yours.push(("display_name", json!(name)));
        allocation.display_name = name;
    }
    if let Some(capacity) = args.capacity {
        yours.push(("capacity", json!(capacity)));
        allocation.capacity = capacity;
    }
    if let Some(limit) = args.limit_per_owner {
        yours.push(("limit_per_owner", json!(limit)));
        allocation.limit_per_owner = limit;
    }
    let paths = yours.iter().map(|(path, _)| (*path).to_owned()).collect();
    yours.push(("etag", json!(allocation.etag)));
    let mode = if args.drain { CapacityMode::Drain } else { CapacityMode::Strict };
    let request = UpdateAllocationRequest {
        allocation: Some(allocation),
        update_mask: Some(FieldMask { paths }),
        capacity_mode: mode.into(),
    };
    let answer = session.admin().update_allocation(request).await.map_err(|status| refused_edit(status, yours))?;
    let view = AllocationView::from(answer.into_inner());
    session.output.show(&view, || allocation_table([&view]))
}
