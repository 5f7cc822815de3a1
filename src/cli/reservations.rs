//! `reservations`: lists one's own.

use boxoffice_proto::v1::ListReservationsRequest;

use super::client::BuyerOfEventArgs as Args;
use super::failure::Failure;
use super::pages;
use super::view::{ReservationView, reservation_table};

/// Reservations asked for at a time.
pub(crate) const PAGE_SIZE: usize = 1_000;

/// Runs it.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let session = args.buyer.open().await?;
    let mut client = session.inventory();
    let (found, _) = pages::collect(usize::MAX, PAGE_SIZE, async |page_size, page_token| {
        let request = ListReservationsRequest { parent: args.event.clone(), page_size, page_token };
        let page = client.list_reservations(request).await?.into_inner();
        Ok((page.reservations, page.next_page_token))
    })
    .await?;
    let views: Vec<ReservationView> = found.into_iter().map(Into::into).collect();
    session.output.show(&views, || {
        if views.is_empty() {
            format!("{} has none in {}.", args.buyer.owner.as_deref().unwrap_or("This buyer"), args.event)
        } else {
            reservation_table(&views)
        }
    })
}
