//! Tools that speak to any server: `buf curl`, and nghttp2's `nghttp` and `h2load`, which send the bytes that they are given.

use std::path::Path;

use base64::Engine as _;
use boxoffice_proto::v1;
use prost::Message;
use serde_json::{Value, json};
use tokio::process::Command;
use tonic_types::pb;

use super::{left_out, output, repository};
use crate::support::{Server, assert_audit_is_clean, event, new_id, server_with_event, wants};

const INVENTORY: &str = "boxoffice.v1.InventoryService";

/// Calls a method through reflection: buf has not seen our protos. What it prints, and whether that is an error.
async fn curl(server: &Server, method: &str, request: &Value) -> Result<Value, Value> {
    let mut command = Command::new(repository().join("scripts/buf"));
    // Its working directory holds no protos.
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.args(["curl", "--protocol", "grpc", "--http2-prior-knowledge", "--header", "boxoffice-owner: ann"]);
    command.args(["--data", &request.to_string(), &format!("{}/{INVENTORY}/{method}", server.url())]);
    let done = output(&mut command).await;
    let (printed, complaint) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    if done.status.success() {
        return Ok(serde_json::from_str(&printed).expect("JSON"));
    }
    // npm may have something to say before.
    let begin = complaint.find('{').expect(&complaint);
    Err(serde_json::from_str(&complaint[begin..]).expect("JSON"))
}

#[tokio::test]
async fn buf_curl_calls_through_reflection_and_gets_the_details_of_refusals() {
    if left_out() {
        return;
    }
    let (_data, server) = server_with_event(v1::Event::default(), &[("floor", 3)]).await;
    let seen = curl(&server, "GetEvent", &json!({ "name": "events/sale" })).await.expect("the event");
    assert_eq!((&seen["allocations"][0]["available"], &seen["salesState"]), (&json!(3), &json!("SALES_STATE_ON_SALE")));

    let id = new_id();
    let wanted = |id: &str, quantity: i32| {
        let lines = [json!({ "allocation": "events/sale/allocations/floor", "quantity": quantity })];
        json!({ "parent": "events/sale", "reservation_id": id, "reservation": { "lines": lines } })
    };
    let hold = curl(&server, "CreateReservation", &wanted(&id, 2)).await.expect("a hold");
    assert_eq!(hold["name"], format!("events/sale/reservations/{id}"));
    assert_eq!((&hold["state"], &hold["owner"]), (&json!("STATE_HELD"), &json!("ann")));

    let refused = curl(&server, "CreateReservation", &wanted(&new_id(), 2)).await.expect_err("one is left");
    assert_eq!(refused["code"], "failed_precondition");
    let details = refused["details"].as_array().expect("details");
    let info: pb::ErrorInfo = detail(details, "google.rpc.ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INSUFFICIENT_AVAILABILITY", "boxoffice"));
    assert_eq!(info.metadata["available"], "1");
    let wrong = curl(&server, "CreateReservation", &wanted("no", 1)).await.expect_err("not a UUID");
    let fields: pb::BadRequest = detail(wrong["details"].as_array().expect("details"), "google.rpc.BadRequest");
    assert_eq!(fields.field_violations[0].field, "reservation_id");
}

/// A detail of an error, which buf shows as the base64 of its bytes.
fn detail<T: Message + Default>(details: &[Value], kind: &str) -> T {
    let found = details.iter().find(|detail| detail["type"] == kind).expect(kind);
    let value = found["value"].as_str().expect("text").trim_end_matches('=');
    T::decode(&*base64::engine::general_purpose::STANDARD_NO_PAD.decode(value).expect("base64")).expect("a message")
}

/// A message as it goes over the wire, in a file.
fn body(directory: &Path, message: &impl Message) -> String {
    let message = message.encode_to_vec();
    // A byte for "not compressed", and the length in four.
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).expect("short").to_be_bytes());
    bytes.extend(message);
    let path = directory.join(new_id());
    std::fs::write(&path, bytes).expect("written");
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn raw(program: &str, server: &Server, method: &str, body: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["--data", body, "-H", "content-type: application/grpc", "-H", "te: trailers"]);
    command.args(["-H", "boxoffice-owner: ann"]).arg(format!("{}/{method}", server.url()));
    command
}

/// The `grpc-status` that `nghttp` shows for one call.
async fn status(server: &Server, method: &str, body: &str) -> String {
    let done = output(raw("nghttp", server, method, body).arg("--verbose")).await;
    let printed = String::from_utf8_lossy(&done.stdout);
    let values: Vec<_> = printed.lines().filter_map(|line| line.split_once(" grpc-status: ")).collect();
    assert_eq!(values.len(), 1, "{printed}");
    values[0].1.to_owned()
}

/// Sends the same call many times with `h2load`, forty at once over four connections, and fails unless each is answered.
async fn flood(server: &Server, method: &str, body: &str, calls: u32) {
    let mut command = raw("h2load", server, method, body);
    let done = output(command.args(["-n", &calls.to_string(), "-c", "4", "-m", "10"])).await;
    let printed = String::from_utf8_lossy(&done.stdout);
    let answered = format!("{calls} succeeded, 0 failed, 0 errored, 0 timeout");
    assert!(printed.contains(&answered), "{printed}");
    assert!(printed.contains(&format!("status codes: {calls} 2xx, 0 3xx, 0 4xx, 0 5xx")), "{printed}");
}

#[tokio::test]
async fn raw_calls_of_h2load_are_all_answered_and_one_id_takes_units_once() {
    let (data, server) = server_with_event(v1::Event::default(), &[("floor", 5)]).await;
    let directory = data.path();

    let health = "grpc.health.v1.Health/Check";
    let empty = body(directory, &());
    assert_eq!(status(&server, health, &empty).await, "0");
    flood(&server, health, &empty, 2_000).await;

    let seen = v1::GetEventRequest { name: "events/sale".to_owned(), consistency: 0 };
    let seen = body(directory, &seen);
    let get_event = format!("{INVENTORY}/GetEvent");
    assert_eq!(status(&server, &get_event, &seen).await, "0");
    flood(&server, &get_event, &seen, 1_000).await;

    let create = format!("{INVENTORY}/CreateReservation");
    let granted = body(directory, &wants(&new_id(), &[("floor", 2)]));
    flood(&server, &create, &granted, 1_000).await;
    assert_eq!(status(&server, &create, &granted).await, "0");
    let refused = body(directory, &wants(&new_id(), &[("floor", 4)]));
    flood(&server, &create, &refused, 1_000).await;
    assert_eq!(status(&server, &create, &refused).await, "9", "FAILED_PRECONDITION");

    let floor = &event(&server).await.allocations[0];
    assert_eq!((floor.held, floor.available), (2, 3), "a thousand requests with one id take its units once");
    assert_eq!(assert_audit_is_clean(&server).await.reservations, 1);
}
