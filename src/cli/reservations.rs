//! `reservations`: lists one's own.

use boxoffice_proto::v1::ListReservationsRequest;

use super::client::BuyerArgs;
use super::failure::Failure;
use super::values;
use super::view::{ReservationView, reservation_table};

/// Reservations asked for at a time.
const PAGE_SIZE: i32 = 1_000;

/// Options of `reservations`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    #[command(flatten)]
    pub(crate) buyer: BuyerArgs,
}

/// Runs it.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let session = args.buyer.open().await?;
    let mut client = session.inventory();
    let mut views: Vec<ReservationView> = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListReservationsRequest { parent: args.event.clone(), page_size: PAGE_SIZE, page_token };
        let page = client.list_reservations(request).await?.into_inner();
        views.extend(page.reservations.into_iter().map(Into::into));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    session.output.show(&views, || {
        if views.is_empty() {
            format!("{} has none in {}.", args.buyer.owner.as_deref().unwrap_or("This buyer"), args.event)
        } else {
            reservation_table(&views)
        }
    })
}
