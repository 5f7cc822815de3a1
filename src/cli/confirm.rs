//! `confirm`: sells what is held.

use boxoffice_proto::v1::{ConfirmReservationRequest, OnExpired};

use super::client::BuyerArgs;
use super::failure::Failure;
use super::values;
use super::view::ReservationView;

/// Options of `confirm`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The reservation's full name, as `buy` prints it
    #[arg(value_parser = values::reservation)]
    reservation: String,
    /// The order or payment that it is sold for
    #[arg(long, value_name = "ORDER")]
    order_ref: String,
    /// Where the hold has lapsed, take the same units again if they are still there
    #[arg(long)]
    reacquire: bool,
    #[command(flatten)]
    pub(crate) buyer: BuyerArgs,
}

/// Runs it.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let session = args.buyer.open().await?;
    let on_expired = if args.reacquire { OnExpired::Reacquire } else { OnExpired::Fail };
    let request =
        ConfirmReservationRequest { name: args.reservation, order_ref: args.order_ref, on_expired: on_expired.into() };
    let answer = session.buyer()?.confirm_reservation(request).await.map_err(|error| {
        let hint = || "it may have been done: repeat it with the same order, and nothing happens twice".to_owned();
        Failure::from(error).with_hint_if_unknown(hint)
    })?;
    let view = ReservationView::from(answer);
    session.output.show(&view, || view.as_text())
}
