//! `admin create-allocation`.

use boxoffice_proto::v1::{Allocation, CreateAllocationRequest};

use crate::cli::client::Session;
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::{AllocationView, allocation_table};

/// Options of `create-allocation`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// Its id: 1 to 63 of a-z, 0-9 and '-'
    id: String,
    /// How many units it has
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    capacity: i32,
    /// Its name, for people
    #[arg(long, default_value = "")]
    name: String,
    /// Most units of it that one owner may hold and buy; 0: no limit
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..))]
    limit_per_owner: i32,
}

/// Runs it.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let request = CreateAllocationRequest {
        parent: args.event,
        allocation_id: args.id,
        allocation: Some(Allocation {
            display_name: args.name,
            capacity: args.capacity,
            limit_per_owner: args.limit_per_owner,
            ..Default::default()
        }),
    };
    let view = AllocationView::from(session.admin().create_allocation(request).await?.into_inner());
    session.output.show(&view, || allocation_table([&view]))
}
