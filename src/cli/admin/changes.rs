//! `admin changes`.

use boxoffice_proto::v1::{ListChangesRequest, WatchChangesRequest};
use tokio::time::timeout;

use super::back_off::{BackOff, QUIET_MAX, until_interrupted};
use super::read_event;
use crate::cli::client::Session;
use crate::cli::failure::Failure;
use crate::cli::output::note;
use crate::cli::values;
use crate::cli::view::{ChangeView, change_table};

/// Changes asked for at a time.
const PAGE_SIZE: usize = 1_000;

/// Options of `changes`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// Begin with the change of this number
    #[arg(long, value_name = "SEQ", default_value_t = 1, value_parser = clap::value_parser!(i64).range(0..))]
    from: i64,
    /// Show at most this many
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "follow", value_parser = values::at_least_one())]
    limit: usize,
    /// Go on with each change as it happens; with --json, one object a line
    #[arg(long)]
    follow: bool,
}

/// Runs it.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    if args.follow { until_interrupted(follow(args, session)).await } else { list(args, session).await }
}

/// Goes on where it was when a server comes back, so that no change is left out and none is told twice.
async fn follow(args: Args, session: &Session) -> Result<(), Failure> {
    let mut back_off = BackOff::new();
    let mut from_seq = args.from;
    loop {
        let ended = follow_stream(&args.event, &mut from_seq, session, &mut back_off).await;
        let tell = |text: &str| {
            note(text);
            Ok(())
        };
        back_off.wait(ended, tell).await?;
    }
}

/// Shows what comes, until the stream ends.
async fn follow_stream(
    event: &str,
    from_seq: &mut i64,
    session: &Session,
    back_off: &mut BackOff,
) -> Result<(), Failure> {
    let request = WatchChangesRequest { parent: event.to_owned(), from_seq: *from_seq };
    let mut stream = session.patient_admin().watch_changes(request).await?.into_inner();
    loop {
        let bite = match timeout(QUIET_MAX, stream.message()).await {
            Ok(Ok(Some(bite))) => bite,
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(status)) => return Err(status.into()),
            Err(_quiet) => {
                read_event(session, event.to_owned()).await?;
                back_off.reset();
                continue;
            }
        };
        back_off.reset();
        for change in bite.changes {
            let next = change.seq + 1;
            let view = ChangeView::from(change);
            session.output.show_line(&view, || view.as_line())?;
            *from_seq = next;
        }
    }
}

async fn list(args: Args, session: &Session) -> Result<(), Failure> {
    let mut client = session.admin();
    let mut views: Vec<ChangeView> = Vec::new();
    let mut from_seq = args.from;
    while views.len() < args.limit {
        let page_size = i32::try_from(PAGE_SIZE.min(args.limit - views.len())).unwrap_or(i32::MAX);
        let request = ListChangesRequest { parent: args.event.clone(), from_seq, page_size };
        let page = client.list_changes(request).await?.into_inner();
        views.extend(page.changes.into_iter().map(Into::into));
        from_seq = page.next_from_seq;
        if from_seq == 0 {
            break;
        }
    }
    session.output.show(&views, || match views.is_empty() {
        true => "There are none.".to_owned(),
        false => change_table(&views),
    })?;
    if from_seq != 0 {
        note(&format!("There are more: go on with --from {from_seq}."));
    }
    Ok(())
}
