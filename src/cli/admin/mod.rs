//! `admin`: what operators do.

mod apply;
mod audit;
mod back_off;
mod changes;
mod create_allocation;
mod create_event;
mod export;
mod force_release;
mod list;
mod reservations;
mod sales_state;
mod set_capacity;
mod set_limit;
mod show;
mod transfer;
mod update_allocation;
mod update_event;
mod waiting_room;
mod watch;

use boxoffice_proto::v1::{Consistency, Event, GetEventRequest, SalesState};
use clap::Subcommand;

use super::client::{ServerArgs, Session};
use super::failure::Failure;

/// Options of `admin`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Who does it, for the journal. A token says so itself, and the server refuses any other name beside it [default: the
    /// token's, else operator]
    #[arg(long, global = true, value_name = "NAME", env = "BOXOFFICE_ACTOR", hide_env_values = true)]
    actor: Option<String>,
    /// Answer for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create an event, with its allocations
    CreateEvent(create_event::Args),
    /// Add an allocation to an event
    CreateAllocation(create_allocation::Args),
    /// Change any fields of an event
    UpdateEvent(update_event::Args),
    /// Change any fields of an allocation
    UpdateAllocation(update_allocation::Args),
    /// Write an event and its allocations as a file
    Export(export::Args),
    /// Create an event from a file, wholly or not at all; one that exists with other content is left alone
    Import(apply::Input),
    /// Make an event what a file says, wholly or not at all. Safe to repeat; nothing is ever deleted
    Apply(apply::Args),
    /// Show an event and its counts
    Show(show::Args),
    /// List all events
    List,
    /// Change how many units an allocation has
    SetCapacity(set_capacity::Args),
    /// Put an event on sale
    Open(sales_state::Args),
    /// Take no new reservations for now; what is held can be bought
    Pause(sales_state::Args),
    /// Take no new reservations; what is held can be bought
    Close(sales_state::Args),
    /// Call an event off: what is held cannot be bought any more. Final
    Cancel(sales_state::CancelArgs),
    /// Limit how much one owner may hold and buy
    SetLimit(set_limit::Args),
    /// Give an event a waiting room, or change or close it
    WaitingRoom(waiting_room::Args),
    /// Move capacity from one allocation to another
    Transfer(transfer::Args),
    /// List reservations of everybody, or of one owner
    Reservations(reservations::Args),
    /// Give somebody's hold back
    ForceRelease(force_release::Args),
    /// Show the journal, and follow it
    Changes(changes::Args),
    /// Watch an event as it sells: counts, speed and the last changes; Ctrl-C ends it
    Watch(watch::Args),
    /// Compare the counts and reservations of an event with its journal; exit code 1 if they differ
    Audit(audit::Args),
}

/// Runs the command.
pub(crate) async fn run(mut args: Args) -> Result<(), Failure> {
    // What can be found out or asked without a server is, before anything is done.
    match &mut args.command {
        Command::CreateEvent(create) => create.check()?,
        Command::Cancel(cancel) => cancel.make_sure()?,
        Command::ForceRelease(release) => release.make_sure()?,
        Command::Import(input) | Command::Apply(apply::Args { input, .. }) => input.read()?,
        _ => {}
    }
    let session = Session::open(&args.server, args.actor.as_deref(), args.json).await?;
    let session = &session;
    match args.command {
        Command::CreateEvent(args) => create_event::run(args, session).await,
        Command::CreateAllocation(args) => create_allocation::run(args, session).await,
        Command::UpdateEvent(args) => update_event::run(args, session).await,
        Command::UpdateAllocation(args) => update_allocation::run(args, session).await,
        Command::Export(args) => export::run(args, session).await,
        Command::Import(input) => apply::import(input, session).await,
        Command::Apply(args) => apply::apply(args, session).await,
        Command::Show(args) => show::run(args, session).await,
        Command::List => list::run(session).await,
        Command::SetCapacity(args) => set_capacity::run(args, session).await,
        Command::Open(args) => sales_state::run(args, SalesState::OnSale, session).await,
        Command::Pause(args) => sales_state::run(args, SalesState::Paused, session).await,
        Command::Close(args) => sales_state::run(args, SalesState::Closed, session).await,
        Command::Cancel(args) => sales_state::run(args.edit, SalesState::Cancelled, session).await,
        Command::SetLimit(args) => set_limit::run(args, session).await,
        Command::WaitingRoom(args) => waiting_room::run(args, session).await,
        Command::Transfer(args) => transfer::run(args, session).await,
        Command::Reservations(args) => reservations::run(args, session).await,
        Command::ForceRelease(args) => force_release::run(args, session).await,
        Command::Changes(args) => changes::run(args, session).await,
        Command::Watch(args) => watch::run(args, session).await,
        Command::Audit(args) => audit::run(args, session).await,
    }
}

/// An event as it is in the database now.
async fn read_event(session: &Session, name: String) -> Result<Event, Failure> {
    let request = GetEventRequest { name, consistency: Consistency::Strong.into() };
    Ok(session.inventory().get_event(request).await?.into_inner())
}

/// A mask of one field.
fn mask(path: &str) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: vec![path.to_owned()] })
}
