//! `admin create-event`.

use std::collections::HashSet;

use boxoffice_proto::v1::{Allocation, CreateAllocationRequest, CreateEventRequest, Event, SalesState};
use prost_types::{Duration, Timestamp};

use super::read_event;
use crate::cli::client::Session;
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::EventView;

/// Options of `create-event`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Its id: 1 to 63 of a-z, 0-9 and '-'
    id: String,
    /// Its name, for people
    #[arg(long, default_value = "")]
    name: String,
    /// Sell nothing before this time
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    on_sale_at: Option<Timestamp>,
    /// Sell nothing from this time on
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    off_sale_at: Option<Timestamp>,
    /// How long a hold lives when its buyer does not say [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    hold_ttl: Option<Duration>,
    /// The longest life of a hold, extensions included [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    max_hold_ttl: Option<Duration>,
    /// Most units that one owner may hold and buy in the event; 0: no limit
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..))]
    limit_per_owner: i32,
    /// Put it on sale at once
    #[arg(long)]
    open: bool,
    /// An allocation and its capacity, like floor=100; repeat it for more
    #[arg(long = "allocation", value_name = "ID=CAPACITY", value_parser = values::sized_allocation)]
    allocations: Vec<(String, i32)>,
}

impl Args {
    /// No allocation is named twice: the second would be refused after the event and the first were created.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let mut ids = HashSet::new();
        match self.allocations.iter().find(|(id, _)| !ids.insert(id)) {
            Some((id, _)) => Err(Failure::Usage(format!("--allocation {id} is there twice"))),
            None => Ok(()),
        }
    }
}

/// Runs it. Each of its calls can be repeated without harm, and so can the whole command if it fails on the way.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let sales_state = if args.open { SalesState::OnSale } else { SalesState::Draft };
    let event = Event {
        display_name: args.name,
        sales_state: sales_state.into(),
        on_sale_time: args.on_sale_at,
        off_sale_time: args.off_sale_at,
        default_hold_ttl: args.hold_ttl,
        max_hold_ttl: args.max_hold_ttl,
        limit_per_owner: args.limit_per_owner,
        ..Default::default()
    };
    let mut client = session.admin();
    let created = client.create_event(CreateEventRequest { event_id: args.id, event: Some(event) }).await?.into_inner();
    for (allocation_id, capacity) in args.allocations {
        let request = CreateAllocationRequest {
            parent: created.name.clone(),
            allocation_id: allocation_id.clone(),
            allocation: Some(Allocation { capacity, ..Default::default() }),
        };
        client.create_allocation(request).await.map_err(|status| {
            let (event, failure) = (&created.name, Failure::from(status));
            let hint = match failure.leaves_effect_unknown() {
                true => format!(
                    "{event} is there, {allocation_id} perhaps, and what comes after it not: repeat the command"
                ),
                false => format!("{event} is there; {allocation_id} and what comes after it were not made"),
            };
            failure.with_hint(|| hint)
        })?;
    }
    let view = EventView::from(read_event(session, created.name).await?);
    session.output.show(&view, || view.as_text())
}
