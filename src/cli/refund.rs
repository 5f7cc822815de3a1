//! `refund`: takes back what was sold; its units return to sale.

use boxoffice_proto::v1::CancelReservationRequest;
use boxoffice_proto::v1::cancel_reservation_request::Line;

use super::client::BuyerArgs;
use super::failure::Failure;
use super::values;
use super::view::ReservationView;

/// Options of `refund`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The reservation's full name, as `buy` prints it
    #[arg(value_parser = values::reservation)]
    reservation: String,
    /// Refund a part: how many units of an allocation shall be refunded in all, with those of earlier calls, so that a repeated
    /// call refunds nothing twice; may be given for several allocations [default: everything]
    #[arg(long = "units", value_name = "ALLOCATION=TOTAL", value_parser = values::refunded_units)]
    units: Vec<(String, i32)>,
    #[command(flatten)]
    pub(crate) buyer: BuyerArgs,
}

/// Runs it.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let session = args.buyer.open().await?;
    let event = values::event_of(&args.reservation);
    let line = |(allocation, total): &(String, i32)| Line {
        allocation: values::allocation_of(event, allocation),
        cancelled_quantity: *total,
    };
    let lines = args.units.iter().map(line).collect();
    let request = CancelReservationRequest { name: args.reservation, lines };
    let answer = session.buyer()?.cancel_reservation(request).await.map_err(|error| {
        let hint = || "it may have been done: repeat it, and nothing is refunded twice".to_owned();
        Failure::from(error).with_hint_if_unknown(hint)
    })?;
    let view = ReservationView::from(answer);
    session.output.show(&view, || view.as_text())
}
