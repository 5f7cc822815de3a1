//! `admin audit`.

use boxoffice_proto::v1::AuditEventRequest;

use crate::cli::client::Session;
use crate::cli::failure::Failure;
use crate::cli::output::read_or_not;
use crate::cli::values;
use crate::cli::view::AuditView;

/// Options of `audit`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
}

/// Runs it.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let request = AuditEventRequest { name: args.event.clone() };
    let view = AuditView::from(session.patient_admin().audit_event(request).await?.into_inner());
    read_or_not(session.output.show(&view, || view.as_text()))?;
    if view.agrees {
        return Ok(());
    }
    Err(Failure::Failed(format!("{} is not as its journal says; differences: {}", args.event, view.difference_count)))
}
