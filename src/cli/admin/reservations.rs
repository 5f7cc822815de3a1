//! `admin reservations`.

use boxoffice_proto::v1::AdminServiceListReservationsRequest;

use crate::cli::client::Session;
use crate::cli::failure::Failure;
use crate::cli::output::note;
use crate::cli::reservations::PAGE_SIZE;
use crate::cli::view::{ReservationView, reservation_table};
use crate::cli::{pages, values};

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
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = values::at_least_one())]
    limit: usize,
}

/// Runs it.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let mut client = session.admin();
    let (found, more) = pages::collect(args.limit, PAGE_SIZE, async |page_size, page_token| {
        let request = AdminServiceListReservationsRequest {
            parent: args.event.clone(),
            owner: args.owner.clone(),
            page_size,
            page_token,
        };
        let page = client.list_reservations(request).await?.into_inner();
        Ok((page.reservations, page.next_page_token))
    })
    .await?;
    let views: Vec<ReservationView> = found.into_iter().map(Into::into).collect();
    session.output.show(&views, || match views.is_empty() {
        true => "There are none.".to_owned(),
        false => reservation_table(&views),
    })?;
    if more {
        note("There are more: raise --limit to see them.");
    }
    Ok(())
}
