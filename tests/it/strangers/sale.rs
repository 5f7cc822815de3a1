//! Whole sales with the retries of gRPC's own libraries, as the service config of `examples/` sets them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use boxoffice_proto::v1;
use boxoffice_proto::v1::reservation::State;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{ChildStdout, Command};
use tokio::time::timeout;

use super::{PATIENCE, left_out, node, python, set_up};
use crate::support::{Server, assert_audit_is_clean, by, create_event, event};

/// Units on sale: two seconds of buying.
const CAPACITY: i32 = 4_000;
/// Units of each reservation.
const UNITS: i32 = 2;
/// Reservations that end before the server is killed.
const ENDED_BEFORE_KILL: usize = 300;
/// Buyers, who all share one connection.
const BUYERS: usize = 16;

/// What a buyer was told of a reservation.
#[derive(Deserialize)]
struct Told {
    name: String,
    owner: String,
    state: String,
    order_ref: String,
}

/// What a client says when everything is sold.
#[derive(Deserialize)]
struct Whole {
    /// How often it was refused, by reason.
    refused: BTreeMap<String, usize>,
    /// How often the library gave up, and the buyer had to ask again by himself.
    again: BTreeMap<String, usize>,
}

struct Sale(Lines<BufReader<ChildStdout>>);

impl Sale {
    async fn next(&mut self) -> Option<String> {
        timeout(PATIENCE, self.0.next_line()).await.expect("it goes on").expect("text")
    }
}

async fn sell_out_though_the_server_is_killed(mut program: Command, data: &Path, server: Server) {
    let address = server.address().to_owned();
    let mut child = program
        .args([&address, &BUYERS.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut sale = Sale(BufReader::new(child.stdout.take().expect("stdout is piped")).lines());
    let mut lines = Vec::new();
    while lines.len() < ENDED_BEFORE_KILL {
        lines.push(sale.next().await.expect("the sale goes on"));
    }
    assert!(event(&server).await.allocations[0].available > CAPACITY / 4, "most is not sold yet");
    server.kill();
    let server = Server::start_at(&address, data);
    while let Some(line) = sale.next().await {
        lines.push(line);
    }
    assert!(child.wait().await.expect("it ends").success());

    let whole: Whole = serde_json::from_str(&lines.pop().expect("a last line")).expect("a summary");
    assert_eq!(whole.refused["SOLD_OUT"], BUYERS, "each buyer goes on until then: {:?}", whole.refused);
    // Once an answer has begun to come, the libraries do not repeat its call.
    let given_up: usize = whole.again.values().sum();
    assert!(
        given_up <= 1,
        "the service config makes the libraries repeat what the kill interrupted: {:?}",
        whole.again
    );
    let told: Vec<Told> = lines.iter().map(|line| serde_json::from_str(line).expect("what a buyer was told")).collect();
    check(&server, &told).await;
}

/// Everybody was told the truth, nobody got anything twice, and everything is sold.
async fn check(server: &Server, told: &[Told]) {
    let mut inventory = server.inventory();
    let mut sold = 0;
    for told in told {
        let request = v1::GetReservationRequest { name: told.name.clone() };
        let found = inventory.get_reservation(by(&told.owner, request)).await.expect("it is there").into_inner();
        assert_eq!((found.state().as_str_name(), &found.order_ref), (told.state.as_str(), &told.order_ref));
        if found.state() == State::Confirmed {
            sold += UNITS;
        }
    }
    let floor = &event(server).await.allocations[0];
    assert_eq!((sold, floor.sold, floor.held), (CAPACITY, CAPACITY, 0));
    let report = assert_audit_is_clean(server).await;
    assert_eq!(usize::try_from(report.reservations).expect("a count"), told.len(), "there are no others");
}

async fn sale() -> (tempfile::TempDir, Server) {
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(data.path());
    create_event(&server, v1::Event::default(), &[("floor", CAPACITY)]).await;
    (data, server)
}

#[tokio::test]
async fn buyers_with_grpcio_sell_out_though_the_server_is_killed() {
    if left_out() {
        return;
    }
    let home = set_up("python").await;
    let (data, server) = sale().await;
    sell_out_though_the_server_is_killed(python(&home, "tests/strangers/sale.py"), data.path(), server).await;
}

#[tokio::test]
async fn buyers_with_grpc_js_sell_out_though_the_server_is_killed() {
    if left_out() {
        return;
    }
    let home = set_up("node").await;
    let (data, server) = sale().await;
    sell_out_though_the_server_is_killed(node(&home, "tests/strangers/sale.mjs"), data.path(), server).await;
}
