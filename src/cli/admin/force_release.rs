//! `admin force-release`.

use boxoffice_proto::v1::ForceReleaseReservationRequest;

use crate::cli::client::Session;
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::ReservationView;

/// Options of `force-release`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// The reservation: its id or its full name
    reservation: String,
    /// Why, for the journal
    #[arg(long)]
    reason: String,
}

/// Runs it.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let own = format!("{}/reservations/", args.event);
    let id = args.reservation.strip_prefix(&own).unwrap_or(&args.reservation);
    if id.contains('/') {
        return Err(Failure::Usage(format!("{id} is not a reservation of {}", args.event)));
    }
    let request = ForceReleaseReservationRequest { name: format!("{own}{id}"), reason: args.reason };
    let view = ReservationView::from(session.admin().force_release_reservation(request).await?.into_inner());
    session.output.show(&view, || view.as_text())
}
