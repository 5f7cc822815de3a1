//! Something to buy for whoever starts the server for the first time.

use std::net::SocketAddr;

use boxoffice::causes::in_one_line;
use boxoffice::domain::{
    Action, Actor, AllocationId, Command, EventConfig, EventId, HOLD_TTL_DEFAULT, HOLD_TTL_LIFETIME_DEFAULT, OwnerId,
    Refusal, SalesState,
};
use boxoffice::engine::{Engine, Failure as Failed};

use super::Failure;
use crate::cli::client::SERVER_DEFAULT;
use crate::cli::output::program;

const EVENT: &str = "demo";
const ALLOCATIONS: [(&str, i64); 2] = [("floor", 100), ("balcony", 50)];
const LIMIT_PER_OWNER: i64 = 6;

/// Makes the demo event where there is no event at all. Tells whether it did.
pub(super) async fn make_if_empty(engine: &Engine) -> Result<bool, Failure> {
    let failed = |what: &dyn std::fmt::Display| Failure::Failed(format!("cannot make the demo event: {what}"));
    let events = engine.store().events(None, 1).await.map_err(|error| failed(&in_one_line(&error)))?;
    if !events.items.is_empty() {
        return Ok(false);
    }
    let event = EventId::new(EVENT).map_err(|error| failed(&error))?;
    let actor = Actor::Admin(OwnerId::new("serve").map_err(|error| failed(&error))?);
    let mut actions = vec![Action::CreateEvent(EventConfig {
        display_name: "Demo night".to_owned(),
        sales_state: SalesState::OnSale,
        on_sale_at: None,
        off_sale_at: None,
        hold_ttl_default: HOLD_TTL_DEFAULT,
        hold_ttl_max: HOLD_TTL_LIFETIME_DEFAULT,
        limit_per_owner: Some(LIMIT_PER_OWNER),
        waiting_room: None,
    })];
    for (id, capacity) in ALLOCATIONS {
        let id = AllocationId::new(id).map_err(|error| failed(&error))?;
        actions.push(Action::CreateAllocation { id, display_name: String::new(), capacity, limit_per_owner: None });
    }
    for action in actions {
        let command = Command { actor: actor.clone(), action };
        match engine.run(event.clone(), command, None).await {
            // Another server on the same database was as fast.
            Ok(_) | Err(Failed::Refused(Refusal::EventExists | Refusal::AllocationExists)) => {}
            Err(failure) => return Err(failed(&format!("{failure:?}"))),
        }
    }
    Ok(true)
}

/// Where the printed commands find the server.
fn server_option(address: SocketAddr) -> String {
    let url = format!("http://{address}");
    if url == SERVER_DEFAULT { String::new() } else { format!(" --server {url}") }
}

/// How to buy from the demo event, by hand and with any gRPC client.
pub(super) fn lines_to_copy(address: SocketAddr) -> String {
    let (program, server) = (program(), server_option(address));
    let allocations: Vec<_> = ALLOCATIONS.iter().map(|(id, capacity)| format!("{id} ({capacity})")).collect();
    let [(floor, _), _] = ALLOCATIONS;
    format!(
        "An event is on sale, to try it out: events/{EVENT} with {}, at most {LIMIT_PER_OWNER} for one owner.
Buy from it in another terminal; each answer says what can be done next:

  {program} buy {EVENT} {floor} 2 --owner alice{server}
  {program} admin show {EVENT}{server}

Or with any gRPC client, for example buf:

  npx --yes @bufbuild/buf@1.75.0 curl --protocol grpc --http2-prior-knowledge --header 'boxoffice-owner: bob' \\
    --data '{{\"parent\": \"events/{EVENT}\", \"reservation_id\": \"0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71\", \
\"reservation\": {{\"lines\": [{{\"allocation\": \"events/{EVENT}/allocations/{floor}\", \"quantity\": 2}}]}}}}' \\
    http://{address}/boxoffice.v1.InventoryService/CreateReservation
",
        allocations.join(" and ")
    )
}

/// For later starts.
pub(super) fn short_hint(address: SocketAddr) -> String {
    format!("Try: {} admin list{}", program(), server_option(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_name_the_server_where_it_is_not_the_default() {
        let lines = lines_to_copy(SocketAddr::from(([127, 0, 0, 1], 50_051)));
        assert!(lines.contains("buy demo floor 2 --owner alice\n"), "{lines}");
        let lines = lines_to_copy(SocketAddr::from(([127, 0, 0, 1], 7)));
        assert!(lines.contains("buy demo floor 2 --owner alice --server http://127.0.0.1:7\n"), "{lines}");
    }

    #[test]
    fn the_request_to_copy_is_json() {
        let lines = lines_to_copy(SocketAddr::from(([127, 0, 0, 1], 50_051)));
        assert!(lines.contains("--protocol grpc"), "buf speaks another protocol unless told: {lines}");
        let body = lines.split("--data '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["reservation"]["lines"][0]["quantity"], 2);
    }
}
