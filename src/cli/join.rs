//! `join` and `leave`: the waiting room of an event.

use boxoffice::client::Client;
use boxoffice_proto::v1::{Place, place};
use serde_json::{Value, json};

use super::client::BuyerOfEventArgs as Args;
use super::failure::Failure;
use super::output::program;
use super::values;
use super::view::PlaceView;

/// Waits. For people, the way there goes to stderr, so that stdout has the pass and nothing else.
pub(crate) async fn join(args: Args) -> Result<(), Failure> {
    let session = args.buyer.open().await?;
    let json = session.output.json;
    let tell = |view: &PlaceView| if json { session.output.show_line(view, String::new) } else { told(view) };
    let place = wait(&session.buyer()?, &args.event, tell).await?;
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

/// The way in, for people: it does not belong to the answer.
pub(crate) fn told(view: &PlaceView) -> Result<(), Failure> {
    eprintln!("{}", view.as_text());
    Ok(())
}

/// Gives the place up.
pub(crate) async fn leave(args: Args) -> Result<(), Failure> {
    let session = args.buyer.open().await?;
    session.buyer()?.leave_waiting_room(&args.event).await?;
    let nothing: Value = json!({});
    session.output.show(&nothing, || "left".to_owned())
}

/// Waits until the caller is let in, or need not be; whatever he is told on the way goes to `tell`.
pub(crate) async fn wait(
    buyer: &Client,
    event: &str,
    tell: impl Fn(&PlaceView) -> Result<(), Failure>,
) -> Result<Place, Failure> {
    let (mut waiting, mut last) = (buyer.wait_in_room(event), Place::default());
    while let Some(place) = waiting.next().await? {
        tell(&PlaceView::from(&place))?;
        last = place;
    }
    Ok(last)
}
