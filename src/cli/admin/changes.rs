//! `admin changes`.

use boxoffice_proto::v1::{ListChangesRequest, WatchChangesRequest};

use crate::cli::client::Session;
use crate::cli::failure::Failure;
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
    if args.follow { follow(args, session).await } else { list(args, session).await }
}

async fn follow(args: Args, session: &Session) -> Result<(), Failure> {
    let request = WatchChangesRequest { parent: args.event, from_seq: args.from };
    let mut stream = session.patient_admin().watch_changes(request).await?.into_inner();
    while let Some(bite) = stream.message().await? {
        for change in bite.changes {
            let view = ChangeView::from(change);
            session.output.show_line(&view, || view.as_line())?;
        }
    }
    Err(Failure::Unreachable { message: "the server ended the stream".to_owned(), hint: None })
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
    session.output.show(&views, || match (views.is_empty(), from_seq) {
        (true, _) => "There are none.".to_owned(),
        (false, 0) => change_table(&views),
        (false, next) => format!("{}\nThere are more: go on with --from {next}.", change_table(&views)),
    })
}
