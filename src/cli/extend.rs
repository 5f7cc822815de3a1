//! `extend`: holds for longer.

use boxoffice_proto::v1::ExtendReservationRequest;

use super::client::BuyerArgs;
use super::failure::Failure;
use super::values;
use super::view::ReservationView;

/// Options of `extend`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The reservation's full name, as `buy` prints it
    #[arg(value_parser = values::reservation)]
    reservation: String,
    /// How long it is to be held from now on; never longer than the event's longest hold, counted from when it was made
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    ttl: prost_types::Duration,
    #[command(flatten)]
    pub(crate) buyer: BuyerArgs,
}

/// Runs it.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let session = args.buyer.open().await?;
    let request = ExtendReservationRequest { name: args.reservation, ttl: Some(args.ttl) };
    let view = ReservationView::from(session.buyer()?.extend_reservation(request).await?);
    session.output.show(&view, || view.as_text())
}
