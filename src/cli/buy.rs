//! `buy`: takes units.

use boxoffice::client::Config;
use boxoffice_proto::v1::reservation::Line;
use boxoffice_proto::v1::{CreateReservationRequest, Reservation, ReservationMode};
use uuid::Uuid;

use super::client::BuyerArgs;
use super::failure::Failure;
use super::join;
use super::output::program;
use super::values;
use super::view::ReservationView;

/// Options of `buy`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// The allocation, like floor
    allocation: String,
    /// How many
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    quantity: i32,
    /// How long to hold them [default: as the event says]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    ttl: Option<prost_types::Duration>,
    /// Take fewer where there are not that many
    #[arg(long)]
    up_to: bool,
    /// The reservation's id: repeat a call with it, and nothing happens twice [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
    /// Buy at once, for this order, instead of holding
    #[arg(long, value_name = "ORDER")]
    order_ref: Option<String>,
    /// The pass of the event's waiting room
    #[arg(long)]
    pass: Option<String>,
    /// Wait in the event's waiting room first, if it has one
    #[arg(long, conflicts_with = "pass")]
    wait: bool,
    #[command(flatten)]
    pub(crate) buyer: BuyerArgs,
}

/// Runs it.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let session = args.buyer.open().await?;
    let mut buyer = session.buyer()?;
    let pass = match args.wait {
        true => Some(join::wait(&buyer, &args.event, join::told).await?.pass).filter(|pass| !pass.is_empty()),
        false => args.pass,
    };
    if let Some(pass) = pass {
        buyer = buyer
            .with_pass(&pass)
            .map_err(|_| Failure::Usage("--pass must be printable ASCII characters without spaces".to_owned()))?;
    }
    // The client would choose one, too, but it must be known for the advice below.
    let id = args.id.unwrap_or_else(Config::default().new_id).to_string();
    let mode = if args.up_to { ReservationMode::UpTo } else { ReservationMode::AllOrNothing };
    let line = Line {
        allocation: values::allocation_of(&args.event, &args.allocation),
        quantity: args.quantity,
        ..Default::default()
    };
    let request = CreateReservationRequest {
        parent: args.event,
        reservation_id: id.clone(),
        reservation: Some(Reservation { lines: vec![line], ttl: args.ttl, ..Default::default() }),
        mode: mode.into(),
        replaces: String::new(),
        order_ref: args.order_ref.unwrap_or_default(),
    };
    let answer = buyer.create_reservation(request).await.map_err(|error| {
        let hint = || format!("it may have been done: repeat it with --id {id}, and nothing happens twice");
        Failure::from(error).with_hint_if_unknown(hint)
    })?;
    let view = ReservationView::from(answer);
    session.output.show(&view, || format!("{}{}", view.as_text(), next_steps(&view, &args.buyer)))
}

/// What can be done with a hold, as lines to copy.
fn next_steps(view: &ReservationView, buyer: &BuyerArgs) -> String {
    if !view.is_held() {
        return String::new();
    }
    let (program, name, options) = (program(), &view.name, buyer.to_options());
    format!(
        "\nSell it, or give it back:\n  {program} confirm {name} {options} --order-ref order-1\n  {program} release {name} {options}"
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_hold_prints_commands_that_reach_the_same_server_as_the_same_buyer() {
        let line = ["buy", "demo", "floor", "2", "--owner", "o'neil", "--server", "http://127.0.0.1:7"];
        let args = Program::try_parse_from(line).ok().unwrap().args;
        let mut view = ReservationView::from(Reservation {
            name: "events/demo/reservations/x".to_owned(),
            state: boxoffice_proto::v1::reservation::State::Held.into(),
            ..Default::default()
        });
        let steps = next_steps(&view, &args.buyer);
        let expected = r"release events/demo/reservations/x --owner 'o'\''neil' --server http://127.0.0.1:7";
        assert!(steps.contains(expected), "{steps}");
        view.state = "CONFIRMED".to_owned();
        assert_eq!(next_steps(&view, &args.buyer), "");
    }
}
