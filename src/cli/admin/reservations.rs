//! `admin reservations`.

use boxoffice_proto::v1::AdminServiceListReservationsRequest;

use crate::cli::client::Session;
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::{ReservationView, reservation_table};

/// Reservations asked for at a time.
const PAGE_SIZE: usize = 1_000;

/// Options of `reservations`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// Only those of this owner
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    owner: String,
    /// Show at most this many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// Runs it.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let mut client = session.admin();
    let mut views: Vec<ReservationView> = Vec::new();
    let mut page_token = String::new();
    while views.len() < args.limit {
        let page_size = i32::try_from(PAGE_SIZE.min(args.limit - views.len())).unwrap_or(i32::MAX);
        let request = AdminServiceListReservationsRequest {
            parent: args.event.clone(),
            owner: args.owner.clone(),
            page_size,
            page_token,
        };
        let page = client.list_reservations(request).await?.into_inner();
        views.extend(page.reservations.into_iter().map(Into::into));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    session.output.show(&views, || match (views.is_empty(), page_token.is_empty()) {
        (true, _) => "There are none.".to_owned(),
        (false, true) => reservation_table(&views),
        (false, false) => format!("{}\nThere are more: raise --limit to see them.", reservation_table(&views)),
    })
}
