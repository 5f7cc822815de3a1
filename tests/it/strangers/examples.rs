//! The programs of `examples/` buy, and say so.

#[expect(dead_code, reason = "its main function")]
#[path = "../../../examples/buyer.rs"]
mod buyer;

use boxoffice::client::{Error, Refusal};
use boxoffice_proto::v1;
use tokio::process::Command;

use super::{left_out, node, output, python, set_up};
use crate::proxy::lose_the_first_answer;
use crate::support::{Server, assert_audit_is_clean, event, name, server_with_event};
use crate::unanswered::{failing_server, server_with_rate};

async fn sale() -> (tempfile::TempDir, Server) {
    server_with_event(v1::Event::default(), &[("floor", 2)]).await
}

/// Runs an example twice: the second time nothing is left.
async fn buys(mut example: impl FnMut() -> Command) {
    let (_data, server) = sale().await;
    let mut printed = Vec::new();
    for _ in 0..2 {
        let done = output(example().args([server.address(), "sale", "floor"])).await;
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        printed.extend(String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned));
    }
    let name = printed.get(1).and_then(|line| line.strip_prefix("held: ")).expect("a reservation's name");
    let available = |count: i32| format!("events/sale/allocations/floor: {count} of 2 available");
    let (held, sold) = (format!("held: {name}"), format!("sold: {name} for order-1"));
    assert_eq!(printed, [available(2), held, sold, available(0), "refused: SOLD_OUT".to_owned()]);
    assert_all_is_sold(&server).await;
}

/// Runs an example to which nobody says what became of its reservation: it tells with which id to ask again. `calls`: how many it
/// makes as a known buyer until it has one.
async fn says_that_it_does_not_know(mut example: impl FnMut() -> Command, calls: &str) {
    let mut run = async |address: &str, event: &str, why: &str| {
        let done = output(example().args([address, event, "floor"])).await;
        let (printed, told) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert_eq!((done.status.code(), printed.contains("refused")), (Some(1), false), "{printed}{told}");
        let begin = format!("what became of events/{event}/reservations/");
        let id = told.lines().find_map(|line| line.strip_prefix(&begin)?.split_once(' ')).map(|(id, _)| id.to_owned());
        assert!(told.contains(&format!("is not known ({why})")), "{told}");
        id.expect("an id")
    };
    let (_data, failing) = failing_server().await;
    run(failing.address(), "demo", "INTERNAL").await;
    // The library repeats the call by itself, and is turned away.
    let (_data, server) = server_with_rate(calls, 1_000).await;
    let (url, _lost) = lose_the_first_answer(&server).await;
    let id = run(url.trim_start_matches("http://"), "sale", "RESOURCE_EXHAUSTED").await;
    let request = v1::AdminServiceListReservationsRequest { parent: "events/sale".to_owned(), ..Default::default() };
    let found = server.admin().list_reservations(request).await.expect("a list").into_inner().reservations;
    assert_eq!(found.iter().map(|each| each.name.as_str()).collect::<Vec<_>>(), [name(&id)], "it was done");
}

async fn assert_all_is_sold(server: &Server) {
    let floor = &event(server).await.allocations[0];
    assert_eq!((floor.sold, floor.held), (2, 0));
    assert_eq!(assert_audit_is_clean(server).await.reservations, 1);
}

#[tokio::test]
async fn the_example_in_python_buys() {
    if left_out() {
        return;
    }
    let home = set_up("python").await;
    buys(|| python(&home, "examples/python/buyer.py")).await;
    says_that_it_does_not_know(|| python(&home, "examples/python/buyer.py"), "1").await;
}

#[tokio::test]
async fn the_example_in_typescript_buys() {
    if left_out() {
        return;
    }
    let home = set_up("node").await;
    buys(|| node(&home, "examples/typescript/dist/buyer.js")).await;
    says_that_it_does_not_know(|| node(&home, "examples/typescript/dist/buyer.js"), "2").await;
}

#[tokio::test]
async fn the_example_in_rust_buys() {
    let (_data, server) = sale().await;
    buyer::buy(server.address(), "sale", "floor").await.expect("sold");
    let refused = buyer::buy(server.address(), "sale", "floor").await.expect_err("nothing is left");
    assert!(matches!(refused, Error::Refused(refused) if refused.refusal == Refusal::SoldOut));
    assert_all_is_sold(&server).await;
    let (_data, failing) = failing_server().await;
    let unknown = buyer::buy(failing.address(), "demo", "floor").await.expect_err("it fails");
    assert!(unknown.to_string().starts_with("what became of events/demo/reservations/"), "{unknown}");
}
