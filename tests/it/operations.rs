//! What monitoring sees: `/metrics`, `/healthz` and gRPC health.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use boxoffice_proto::v1;
use private_cluster::{Cluster, HeldPort, Options, Redis, RedisOptions};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{self, Server, by, confirm, create_event, new_id, wants};

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How soon a store that is away must be noticed, and one that is back; with something for a busy machine.
const NOTICED: Duration = Duration::from_secs(4);

/// A server with an address for monitoring.
struct Monitored {
    server: Server,
    address: String,
    _port: HeldPort,
}

impl Monitored {
    fn start(launch: impl FnOnce(&[&str]) -> Server) -> Self {
        let port = HeldPort::take().expect("a free port");
        let address = format!("127.0.0.1:{}", port.number());
        Self { server: launch(&["--operations-listen", &address]), address, _port: port }
    }

    /// The whole answer to a request, as it came.
    fn exchange(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.write_all(request.as_bytes()).expect("it reads");
        // This is all; the answer may have come already, and the connection be closed.
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// The status and the body of an answer.
    fn get(&self, path: &str) -> (u16, String) {
        let answer = self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }

    async fn grpc_status(&self) -> i32 {
        let mut client = HealthClient::new(self.server.channel());
        client.check(HealthCheckRequest::default()).await.expect("health answers").into_inner().status
    }

    /// Waits until both ways to ask say that it serves, or that it does not. Returns how long that took, and the line.
    async fn wait_until_serving(&self, serving: bool) -> (Duration, String) {
        let begun = Instant::now();
        loop {
            let (status, line) = self.get("/healthz");
            let grpc = self.grpc_status().await == i32::from(ServingStatus::Serving);
            if (status == 200) == serving && grpc == serving {
                return (begun.elapsed(), line);
            }
            assert!(begun.elapsed() < PATIENCE, "serving: {serving} is awaited, {status} {line} is said");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The names of the documented metrics with their types.
fn documented() -> BTreeSet<(String, String)> {
    let text = include_str!("../../docs/metrics.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let metrics = rows.filter(|(name, _)| !name.starts_with('/') && !name.contains(' '));
    metrics.map(|(name, rest)| (name.to_owned(), rest.split(' ').next().unwrap_or_default().to_owned())).collect()
}

/// The names of the metrics that are served with their types. A counter's samples have a suffix that its family has not.
fn served(text: &str) -> BTreeSet<(String, String)> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types
        .map(|(name, kind)| {
            let suffix = if kind == "counter" { "_total" } else { "" };
            (format!("{name}{suffix}"), kind.to_owned())
        })
        .collect()
}

/// The value of a sample.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    assert!(line.is_some(), "{name} is not in\n{text}");
    line.unwrap_or_default().parse().expect("a number")
}

/// Sells 3 of 4, and refuses one.
async fn small_sale(server: &Server) {
    create_event(server, v1::Event::default(), &[("ga", 4)]).await;
    let mut inventory = server.inventory();
    let id = new_id();
    inventory.create_reservation(by("ann", wants(&id, &[("ga", 3)]))).await.expect("there are enough");
    inventory.confirm_reservation(by("ann", confirm(&id, "order-1"))).await.expect("it is held");
    inventory.create_reservation(by("bob", wants(&new_id(), &[("ga", 2)]))).await.expect_err("there is one left");
}

#[tokio::test]
async fn every_metric_is_documented_and_every_documented_metric_is_served() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let redis = Redis::start(&RedisOptions::default()).expect("it starts");
    let redis_url = redis.url();
    let monitored =
        Monitored::start(|more| Server::start_with(data.path(), &[more, &["--redis-url", &redis_url]].concat()));
    small_sale(&monitored.server).await;
    let (status, text) = monitored.get("/metrics");
    assert_eq!(status, 200);
    assert_eq!(served(&text), documented());
    assert!(text.ends_with("# EOF\n"));
    let call = |method: &str, code: &str| {
        let labels = format!("grpc_service=\"boxoffice.v1.InventoryService\",grpc_method=\"{method}\"");
        sample(&text, &format!("boxoffice_grpc_requests_total{{{labels},grpc_code=\"{code}\"}}"))
    };
    assert_eq!(call("CreateReservation", "OK"), 1.0);
    assert_eq!(call("CreateReservation", "FAILED_PRECONDITION"), 1.0);
    assert_eq!(call("ConfirmReservation", "OK"), 1.0);
    assert_eq!(sample(&text, "boxoffice_refusals_total{reason=\"INSUFFICIENT_AVAILABILITY\"}"), 1.0);
    assert_eq!(sample(&text, "boxoffice_refusals_total{reason=\"SOLD_OUT\"}"), 0.0);
    assert_eq!(sample(&text, "boxoffice_journal_changes_total{kind=\"RESERVED\"}"), 1.0);
    assert_eq!(sample(&text, "boxoffice_journal_changes_total{kind=\"CONFIRMED\"}"), 1.0);
    assert_eq!(
        sample(&text, "boxoffice_batch_commands_bucket{le=\"1.0\"}"),
        sample(&text, "boxoffice_batch_commands_count")
    );
    assert!(sample(&text, "boxoffice_batch_commit_duration_seconds_sum") > 0.0);
    assert_eq!(sample(&text, "boxoffice_grpc_requests_in_flight"), 0.0);
    assert_eq!(sample(&text, "boxoffice_serving"), 1.0);
}

#[test]
fn nothing_but_metrics_and_health_is_served_and_only_to_those_who_read() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let monitored = Monitored::start(|more| Server::start_with(data.path(), more));
    assert_eq!(monitored.get("/healthz"), (200, "ok\n".to_owned()));
    for path in ["/", "/metrics/", "/healthz/x", "/debug", "/boxoffice.v1.InventoryService/GetEvent"] {
        assert_eq!(monitored.get(path).0, 404, "{path}");
    }
    assert!(monitored.exchange("POST /metrics HTTP/1.1\r\nHost: here\r\n\r\n").starts_with("HTTP/1.1 405 "));
    let many: String = (0..100).map(|n| format!("X-{n}: x\r\n")).collect();
    assert!(monitored.exchange(&format!("GET /metrics HTTP/1.1\r\n{many}\r\n")).starts_with("HTTP/1.1 431 "));
    assert!(monitored.exchange("hello\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

#[test]
fn whoever_is_slow_to_ask_is_cut_off_and_keeps_nobody_waiting() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let monitored = Monitored::start(|more| Server::start_with(data.path(), more));
    let slow: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(&monitored.address).expect("it listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
            stream.write_all(b"GET /met").expect("it reads");
            stream
        })
        .collect();
    // More of them than there may be connections: this one waits until the first are cut off.
    assert_eq!(monitored.get("/healthz").0, 200);
    for mut stream in slow {
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{ended:?}");
    }
}

#[tokio::test]
async fn health_follows_postgres_when_it_is_paused_killed_and_back() {
    let cluster = Cluster::start(&Options::default()).expect("a database server");
    let url = private_cluster::fresh_database(&cluster).expect("a database");
    let monitored = Monitored::start(|more| Server::start_on(&url, more));
    monitored.wait_until_serving(true).await;
    cluster.pause().expect("it runs");
    let (took, line) = monitored.wait_until_serving(false).await;
    assert!(took < NOTICED, "{took:?}");
    assert!(line.starts_with("the store does not answer: "), "{line}");
    cluster.resume().expect("it is paused");
    let (took, _) = monitored.wait_until_serving(true).await;
    assert!(took < NOTICED, "{took:?}");
    cluster.kill().expect("it runs");
    let (took, line) = monitored.wait_until_serving(false).await;
    assert!(took < NOTICED && line.lines().count() == 1, "{took:?}: {line}");
    assert_eq!(sample(&monitored.get("/metrics").1, "boxoffice_serving"), 0.0);
    cluster.start_again().expect("it starts");
    monitored.wait_until_serving(true).await;
    create_event(&monitored.server, v1::Event::default(), &[("ga", 4)]).await;
    assert_eq!(support::event(&monitored.server).await.allocations.len(), 1);
}

#[tokio::test]
async fn health_notices_that_the_database_file_is_gone() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let monitored = Monitored::start(|more| Server::start_with(data.path(), more));
    monitored.wait_until_serving(true).await;
    let (file, away) = (data.path().join("boxoffice.db"), data.path().join("away"));
    std::fs::rename(&file, &away).expect("it is there");
    let (took, line) = monitored.wait_until_serving(false).await;
    assert!(took < NOTICED, "{took:?}");
    // The second, where it went away in the midst of a look.
    let told = ["No such file", "unable to open database file"];
    assert!(told.iter().any(|told| line.contains(told)), "{line}");
    std::fs::rename(&away, &file).expect("it is there");
    monitored.wait_until_serving(true).await;
}

/// The names of metrics in a PromQL expression.
fn names_in(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("boxoffice_") || word.starts_with("process_"))
}

#[test]
fn the_dashboard_shows_documented_metrics_and_all_of_them() {
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../docs/dashboard.json")).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let expressions: Vec<_> = targets.map(|target| target["expr"].as_str().expect("an expression")).collect();
    let mut shown = BTreeSet::new();
    let documented = documented();
    for name in expressions.iter().flat_map(|expression| names_in(expression)) {
        let found = documented.iter().find(|(known, kind)| match kind.as_str() {
            "histogram" => ["_bucket", "_sum", "_count"].iter().any(|part| name.strip_suffix(part) == Some(known)),
            _ => name == known,
        });
        assert!(found.is_some(), "{name} is not documented");
        shown.extend(found.map(|(known, _)| known));
    }
    let all: BTreeSet<_> = documented.iter().map(|(name, _)| name).collect();
    assert_eq!(shown, all, "what is documented is shown");
}
