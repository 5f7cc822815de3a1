//! `release`: gives back what is held.

use super::client::BuyerArgs;
use super::failure::Failure;
use super::values;
use super::view::ReservationView;

/// Options of `release`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The reservation's full name, as `buy` prints it
    #[arg(value_parser = values::reservation)]
    reservation: String,
    #[command(flatten)]
    pub(crate) buyer: BuyerArgs,
}

/// Runs it.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let session = args.buyer.open().await?;
    let view = ReservationView::from(session.buyer()?.release_reservation(&args.reservation).await?);
    session.output.show(&view, || view.as_text())
}
