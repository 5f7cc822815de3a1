//! The programs of `examples/` buy, and say so.

#[expect(dead_code, reason = "its main function")]
#[path = "../../../examples/buyer.rs"]
mod buyer;

use boxoffice::client::{Error, Refusal};
use boxoffice_proto::v1;
use tokio::process::Command;

use super::{left_out, node, output, python, set_up};
use crate::support::{Server, assert_audit_is_clean, event, server_with_event};

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
}

#[tokio::test]
async fn the_example_in_typescript_buys() {
    if left_out() {
        return;
    }
    let home = set_up("node").await;
    buys(|| node(&home, "examples/typescript/dist/buyer.js")).await;
}

#[tokio::test]
async fn the_example_in_rust_buys() {
    let (_data, server) = sale().await;
    buyer::buy(server.address(), "sale", "floor").await.expect("sold");
    let refused = buyer::buy(server.address(), "sale", "floor").await.expect_err("nothing is left");
    assert!(matches!(refused, Error::Refused(refused) if refused.refusal == Refusal::SoldOut));
    assert_all_is_sold(&server).await;
}
