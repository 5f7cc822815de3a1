//! `admin force-release`.

use boxoffice_proto::v1::ForceReleaseReservationRequest;

use crate::cli::ask;
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
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Args {
    /// Checks what was typed, and asks a person who can be asked: the units may be gone before their owner gets them again.
    /// A script has given its reason, which is enough.
    pub(super) fn make_sure(&self) -> Result<(), Failure> {
        let name = self.name()?;
        if self.yes || !ask::somebody_is_there() {
            return Ok(());
        }
        ask::or_else(&format!("Take {name} away from its owner? There is no way back."), "nothing was released")
    }

    /// The reservation's full name.
    pub(super) fn name(&self) -> Result<String, Failure> {
        let own = format!("{}/reservations/", self.event);
        let id = self.reservation.strip_prefix(&own).unwrap_or(&self.reservation);
        if id.contains('/') {
            return Err(Failure::Usage(format!("{id} is not a reservation of {}", self.event)));
        }
        Ok(format!("{own}{id}"))
    }
}

/// Runs it.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let request = ForceReleaseReservationRequest { name: args.name()?, reason: args.reason };
    let view = ReservationView::from(session.admin().force_release_reservation(request).await?.into_inner());
    session.output.show(&view, || view.as_text())
}
