//! `join` and `leave`: the waiting room of an event.

use std::time::Duration;

use boxoffice_proto::v1::{LeaveWaitingRoomRequest, Place, WatchPlaceRequest, place};
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::client::{BuyerArgs, Session};
use super::failure::Failure;
use super::output::program;
use super::values;
use super::view::PlaceView;

/// How often in a row a broken stream is begun again: the place is kept for the grace time.
const TRIES_MAX: u32 = 30;
/// And after how long.
const PAUSE: Duration = Duration::from_secs(1);

/// Options of `join` and `leave`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    #[command(flatten)]
    pub(crate) buyer: BuyerArgs,
}

/// Waits. For people, the way there goes to stderr, so that stdout has the pass and nothing else.
pub(crate) async fn join(args: Args) -> Result<(), Failure> {
    let session = args.buyer.open().await?;
    let json = session.output.json;
    let tell = |view: &PlaceView| if json { session.output.show_line(view, String::new) } else { told(view) };
    let place = wait(&session, &args.event, tell).await?;
    if json {
        return Ok(());
    }
    match place.state() {
        place::State::NotNeeded => super::output::print_line("no pass is needed"),
        _ => {
            super::output::print_line(&place.pass)?;
            let (program, event, options) = (program(), &args.event, args.buyer.to_options());
            let event = values::last_segment(event);
            eprintln!("\nBuy with it, and let the next one in:");
            eprintln!("  {program} buy {event} ALLOCATION 1 {options} --pass {}", place.pass);
            eprintln!("  {program} leave {event} {options}");
            Ok(())
        }
    }
}

fn told(view: &PlaceView) -> Result<(), Failure> {
    eprintln!("{}", view.as_text());
    Ok(())
}

/// Gives the place up.
pub(crate) async fn leave(args: Args) -> Result<(), Failure> {
    let session = args.buyer.open().await?;
    session.waiting_room().leave_waiting_room(LeaveWaitingRoomRequest { parent: args.event }).await?;
    let nothing: Value = json!({});
    session.output.show(&nothing, || "left".to_owned())
}

/// Waits until the caller is let in, or need not be. A stream that breaks is begun again.
pub(crate) async fn wait(
    session: &Session,
    event: &str,
    tell: impl Fn(&PlaceView) -> Result<(), Failure>,
) -> Result<Place, Failure> {
    let mut tries = 0;
    loop {
        match watch(session, event, &tell, &mut tries).await {
            Ok(place) => return Ok(place),
            Err(Ended::Ours(failure)) => return Err(failure),
            Err(Ended::Theirs(status)) if status.code() == Code::Unavailable && tries < TRIES_MAX => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(Ended::Theirs(status)) => return Err(status.into()),
        }
    }
}

enum Ended {
    Ours(Failure),
    Theirs(Status),
}

async fn watch(
    session: &Session,
    event: &str,
    tell: impl Fn(&PlaceView) -> Result<(), Failure>,
    tries: &mut u32,
) -> Result<Place, Ended> {
    let request = WatchPlaceRequest { parent: event.to_owned() };
    let answers = session.patient_waiting_room().watch_place(request).await.map_err(Ended::Theirs)?;
    let mut answers = answers.into_inner();
    while let Some(answer) = answers.message().await.map_err(Ended::Theirs)? {
        *tries = 0;
        let place = answer.place.unwrap_or_default();
        tell(&PlaceView::from(&place)).map_err(Ended::Ours)?;
        if place.state() != place::State::Waiting {
            return Ok(place);
        }
    }
    Err(Ended::Theirs(Status::unavailable("the stream ended before anybody was let in")))
}
