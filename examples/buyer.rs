//! A buyer: looks at an event, takes two units, and pays. Start `boxoffice serve --dev`, then
//! `cargo run --example buyer [HOST:PORT [EVENT [ALLOCATION]]]`.

use boxoffice::client::{Caller, Client, Config, Error};
use boxoffice_proto::v1::reservation::Line;
use boxoffice_proto::v1::{ConfirmReservationRequest, CreateReservationRequest, Event, GetEventRequest, Reservation};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |otherwise: &str| arguments.next().unwrap_or_else(|| otherwise.to_owned());
    match buy(&next("127.0.0.1:50051"), &next("demo"), &next("floor")).await {
        // Programs tell refusals apart by `refused.refusal`, an enum.
        Err(Error::Refused(refused)) => println!("refused: {}", refused.reason),
        done => done?,
    }
    Ok(())
}

/// Buys two units of an allocation.
pub(crate) async fn buy(target: &str, event: &str, allocation: &str) -> Result<(), Error> {
    // Several URLs may be named; an attempt that fails is repeated at the next. With tokens: Caller::token.
    let client = Client::connect(&[format!("http://{target}")], Caller::owner("ann")?, Config::default())?;

    let seen = client.get_event(GetEventRequest { name: format!("events/{event}"), ..Default::default() }).await?;
    show(&seen);

    let line =
        Line { allocation: format!("{}/allocations/{allocation}", seen.name), quantity: 2, ..Default::default() };
    let wanted = CreateReservationRequest {
        parent: seen.name,
        reservation: Some(Reservation { lines: vec![line], ..Default::default() }),
        ..Default::default()
    };
    // Whatever becomes of the connection, all attempts send the same id, which the client chooses here.
    let hold = client.create_reservation(wanted).await?;
    println!("held: {}", hold.name);

    // The order's own number, chosen once: with it, a repeated confirmation happens once.
    let order_ref = "order-1".to_owned();
    let request = ConfirmReservationRequest { name: hold.name, order_ref, ..Default::default() };
    let sold = client.confirm_reservation(request).await?;
    println!("sold: {} for {}", sold.name, sold.order_ref);
    Ok(())
}

fn show(event: &Event) {
    for allocation in &event.allocations {
        println!("{}: {} of {} available", allocation.name, allocation.available, allocation.capacity);
    }
}
