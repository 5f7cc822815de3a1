//! The command line and a server of its own, both as programs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers as well")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::{boxoffice, stderr};
use crate::recorded::{self, Kept};
use crate::support::pause;

/// Longest wait for a server to come up or to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a program prints.
type Printed = BufReader<Kept<ChildStdout>>;

/// A program that is killed with the test that started it, failed or not.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Starts a program, whose answers the test reads.
    pub(crate) fn start(arguments: &[&str]) -> (Self, Printed) {
        let mut program = Self::spawn(arguments, recorded::unread());
        let stdout = BufReader::new(recorded::read(program.0.stdout.take().unwrap()));
        (program, stdout)
    }

    /// Starts a program, whose answers and complaints the test reads.
    pub(crate) fn start_and_hear(arguments: &[&str]) -> (Self, Printed, BufReader<Kept<ChildStderr>>) {
        let mut program = Self::spawn(arguments, Stdio::piped());
        let stdout = BufReader::new(recorded::read(program.0.stdout.take().unwrap()));
        let stderr = BufReader::new(recorded::read(program.0.stderr.take().unwrap()));
        (program, stdout, stderr)
    }

    fn spawn(arguments: &[&str], stderr: Stdio) -> Self {
        let mut command = recorded::boxoffice();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        Self(command.spawn().unwrap())
    }

    pub(crate) fn signal(&self, name: &str) {
        // The shell's own kill: a small machine may lack the program.
        in_shell(&format!("kill {name} {}", self.0.id()));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Server {
    pub(crate) process: Running,
    pub(crate) url: String,
    stdout: Printed,
}

impl Server {
    /// Starts one on any free port, and waits until it says where it listens.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_at(data, "127.0.0.1:0")
    }

    /// Starts one at this address.
    pub(crate) fn start_at(data: &Path, address: &str) -> Self {
        let data = data.to_str().unwrap();
        let (process, mut stdout) = Running::start(&["serve", "--dev", "--listen", address, "--data", data]);
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { process, url, stdout }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        boxoffice(&[arguments, &["--server", &self.url]].concat())
    }

    /// Runs what must succeed, and reads its JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs what must be refused, and reads the error's JSON.
    pub(crate) fn refusal(&self, arguments: &[&str]) -> Value {
        self.failure(1, arguments)
    }

    /// Runs what must fail with this exit code, and reads the error's JSON.
    pub(crate) fn failure(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        let error: Value = serde_json::from_str(&stderr(&output)).unwrap();
        error["error"].clone()
    }

    /// Reads what it printed until `wanted` turns up in a line.
    fn line_with(&mut self, wanted: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "{wanted} was not printed");
            if line.contains(wanted) {
                return line.trim().to_owned();
            }
        }
    }

    /// Waits for its end.
    fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.0.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the server did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn in_shell(line: &str) -> String {
    let output = recorded::output(Command::new("sh").args(["-c", line]).stdin(Stdio::null()));
    assert!(output.status.success(), "{line}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn allocation<'a>(event: &'a Value, id: &str) -> &'a Value {
    event["allocations"].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap()
}

#[test]
fn the_printed_lines_buy_from_the_demo_event_and_what_is_sold_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path());
    let bought = in_shell(&server.line_with(" buy demo "));
    let confirm = bought.lines().find(|line| line.contains(" confirm ")).unwrap();
    in_shell(confirm);
    in_shell(confirm);
    let bought = in_shell(&format!("{} buy demo floor 3 --owner bob --server {}", recorded::BOXOFFICE, server.url));
    in_shell(bought.lines().find(|line| line.contains(" release ")).unwrap());

    server.process.signal("-TERM");
    assert_eq!(server.end().code(), Some(0));

    let mut server = Server::start(directory.path());
    assert!(server.line_with("Try: ").contains("admin list"));
    let event = server.json(&["admin", "show", "demo"]);
    let floor = allocation(&event, "floor");
    assert_eq!((&floor["sold"], &floor["held"], &floor["available"]), (&2.into(), &0.into(), &98.into()));
    let own = server.json(&["reservations", "demo", "--owner", "alice"]);
    assert_eq!(own.as_array().unwrap().len(), 1);
    assert_eq!(own[0]["state"], "CONFIRMED");
    assert_eq!(server.json(&["admin", "audit", "demo"])["agrees"], true);
}

#[test]
fn a_buyer_holds_for_longer_and_is_refunded_in_part_and_then_wholly() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let sold = || allocation(&server.json(&["admin", "show", "demo"]), "floor")["sold"].clone();
    let held = server.json(&["buy", "demo", "floor", "3", "--owner", "alice"]);
    let name = held["name"].as_str().unwrap();
    let own = |command: &[&'static str]| server.json(&[command, &[name, "--owner", "alice"]].concat());

    let short = server.json(&["buy", "demo", "balcony", "1", "--owner", "alice", "--ttl", "1m"]);
    assert!(short["expire_time"].as_str().unwrap() < held["expire_time"].as_str().unwrap(), "{short}");
    let extended = own(&["extend", "--ttl", "30m"]);
    assert!(extended["expire_time"].as_str().unwrap() > held["expire_time"].as_str().unwrap(), "{extended}");
    assert_eq!(own(&["extend", "--ttl", "1m"])["expire_time"], extended["expire_time"], "it is never shortened");
    let refusal = |arguments: &[&'static str], owner| {
        server.refusal(&[arguments, &[name, "--owner", owner]].concat())["reason"].clone()
    };
    assert_eq!(refusal(&["refund"], "alice"), "NOT_CONFIRMED");

    own(&["confirm", "--order-ref", "o-1"]);
    for _ in 0..2 {
        let refunded = own(&["refund", "--units", "floor=1"]);
        assert_eq!((&refunded["state"], &refunded["lines"][0]["cancelled_quantity"]), (&"CONFIRMED".into(), &1.into()));
        assert_eq!(sold(), 2);
    }
    let text = server.run(&["refund", name, "--owner", "alice", "--units", "floor=2"]).stdout;
    assert!(String::from_utf8(text).unwrap().contains("3 floor (2 refunded): sold to alice, order o-1"));
    assert_eq!(refusal(&["refund", "--units", "balcony=1"], "alice"), "INVALID_LINES");
    assert_eq!(refusal(&["refund"], "bob"), "RESERVATION_NOT_FOUND");
    assert_eq!(sold(), 1);
    for _ in 0..2 {
        assert_eq!(own(&["refund"])["state"], "CANCELLED");
        assert_eq!(sold(), 0);
    }
    assert_eq!(refusal(&["extend", "--ttl", "10m"], "alice"), "ALREADY_CANCELLED");
    assert_eq!(server.json(&["admin", "audit", "demo"])["agrees"], true);
}

#[test]
fn a_hold_that_has_lapsed_is_sold_only_where_its_units_are_to_be_taken_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let held = server.json(&["buy", "demo", "floor", "3", "--owner", "alice", "--ttl", "1s"]);
    let confirm = ["confirm", held["name"].as_str().unwrap(), "--owner", "alice", "--order-ref", "o-1"];
    let begun = Instant::now();
    while server.json(&["reservations", "demo", "--owner", "alice"])[0]["state"] == "HELD" {
        assert!(begun.elapsed() < PATIENCE, "it lapses");
    }
    assert_eq!(server.refusal(&confirm)["reason"], "RESERVATION_EXPIRED");
    let sold = server.json(&[&confirm[..], &["--reacquire"]].concat());
    assert_eq!((&sold["state"], &sold["order_ref"]), (&"CONFIRMED".into(), &"o-1".into()));
}

#[test]
fn an_operator_runs_a_sale() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let create: &[&str] =
        &["admin", "create-event", "gala", "--name", "Gala", "--allocation", "floor=10", "--hold-ttl", "5m"];
    assert_eq!(server.json(create)["sales_state"], "DRAFT");
    assert_eq!(server.json(create)["default_hold_ttl_seconds"], 300, "it can be repeated");
    let other = ["admin", "create-event", "gala", "--name", "Gala", "--allocation", "floor=11", "--hold-ttl", "5m"];
    let refusal = server.refusal(&other);
    assert_eq!(refusal["reason"], "ALLOCATION_EXISTS");
    assert_eq!(refusal["hint"], "events/gala is there; floor and what comes after it were not made");
    server.json(&["admin", "create-allocation", "gala", "box", "4", "--limit-per-owner", "2"]);

    let buy: &[&str] = &["buy", "gala", "floor", "3", "--owner", "alice"];
    assert_eq!(server.refusal(buy)["reason"], "SALES_NOT_OPEN");
    assert_eq!(server.json(&["admin", "open", "gala"])["sales_state"], "ON_SALE");
    let held = server.json(buy);
    assert_eq!(held["state"], "HELD");
    assert_eq!(server.refusal(&["buy", "gala", "box", "3", "--owner", "alice"])["reason"], "OWNER_LIMIT_EXCEEDED");
    let most = server.json(&["buy", "gala", "box", "9", "--owner", "bob", "--up-to", "--order-ref", "o-1"]);
    assert_eq!((&most["state"], &most["lines"][0]["quantity"]), (&"CONFIRMED".into(), &2.into()));

    assert_eq!(server.refusal(&["admin", "set-capacity", "gala", "floor", "2"])["reason"], "CAPACITY_BELOW_COMMITTED");
    let draining = server.json(&["admin", "set-capacity", "gala", "floor", "2", "--drain"]);
    assert_eq!((&draining["capacity"], &draining["drain_target"]), (&3.into(), &2.into()));
    let name = held["name"].as_str().unwrap();
    let released = server.json(&["admin", "force-release", "gala", name, "--reason", "a test", "--actor", "carol"]);
    assert_eq!(released["state"], "RELEASED");
    let moved = server.json(&["admin", "transfer", "gala", "box", "floor", "1"]);
    assert_eq!((&moved["from"]["capacity"], &moved["to"]["capacity"]), (&3.into(), &3.into()));
    assert_eq!((&moved["from"]["id"], &moved["to"]["id"]), (&"box".into(), &"floor".into()));
    assert_eq!(server.json(&["admin", "set-limit", "gala", "5"])["limit_per_owner"], 5);
    let edit: &[&str] = &["admin", "update-event", "gala", "--name", "Ball", "--on-sale-at", "2026-01-01T00:00:00Z"];
    let ball = server.json(&[edit, &["--off-sale-at", "none", "--hold-ttl", "1m", "--max-hold-ttl", "2m"]].concat());
    assert_eq!((&ball["display_name"], &ball["max_hold_ttl_seconds"]), (&"Ball".into(), &120.into()));
    assert_eq!((&ball["on_sale_time"], &ball["limit_per_owner"]), (&"2026-01-01T00:00:00Z".into(), &5.into()));
    assert_eq!(server.json(&["admin", "update-event", "gala", "--on-sale-at", "none"])["on_sale_time"], Value::Null);
    let error = server.failure(4, &["admin", "update-event", "gala", "--name", "Gala", "--etag", "1"]);
    let told = ["field", "yours", "theirs"].map(|key| error["conflict"]["fields"][0][key].clone());
    assert_eq!(told, ["display_name", "Gala", "Ball"]);
    let floor =
        server.json(&["admin", "update-allocation", "gala", "floor", "--name", "Floor", "--limit-per-owner", "4"]);
    assert_eq!((&floor["display_name"], &floor["limit_per_owner"]), (&"Floor".into(), &4.into()));
    for (command, state) in [("pause", "PAUSED"), ("close", "CLOSED"), ("cancel", "CANCELLED")] {
        let yes: &[&str] = if command == "cancel" { &["--yes"] } else { &[] };
        assert_eq!(server.json(&[&["admin", command, "gala"], yes].concat())["sales_state"], state);
    }
    assert_eq!(server.refusal(&["admin", "open", "gala"])["reason"], "INVALID_SALES_STATE");

    assert_eq!(server.json(&["admin", "reservations", "gala"]).as_array().unwrap().len(), 2);
    assert_eq!(server.json(&["admin", "reservations", "gala", "--owner", "bob"]).as_array().unwrap().len(), 1);
    let two = server.json(&["admin", "changes", "gala", "--from", "3", "--limit", "2"]);
    let seqs: Vec<_> = two.as_array().unwrap().iter().map(|change| change["seq"].clone()).collect();
    assert_eq!(seqs, [3, 4]);
    let changes = server.json(&["admin", "changes", "gala"]);
    let release = changes.as_array().unwrap().iter().find(|change| change["kind"] == "RELEASED").unwrap();
    assert_eq!((&release["actor"], &release["reason"]), (&"admin:carol".into(), &"a test".into()));
    assert_eq!(server.json(&["admin", "audit", "gala"])["agrees"], true);
    let ids: Vec<_> = server.json(&["admin", "list"]).as_array().unwrap().iter().map(|e| e["id"].clone()).collect();
    assert_eq!(ids, ["demo", "gala"]);
}

#[test]
fn an_old_etag_is_refused_with_their_edit_beside_yours() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let event = server.json(&["admin", "show", "demo"]);
    let etag = allocation(&event, "floor")["etag"].as_str().unwrap().to_owned();
    server.json(&["admin", "set-capacity", "demo", "floor", "150", "--etag", &etag]);
    let late: &[&str] = &["admin", "set-capacity", "demo", "floor", "120", "--etag", &etag];
    let error = server.failure(4, late);
    assert_eq!(error["reason"], "ETAG_MISMATCH");
    assert_eq!(error["conflict"]["fields"][0]["yours"], 120);
    assert_eq!(error["conflict"]["fields"][0]["theirs"], 150);
    let again = format!(" admin set-capacity demo floor 120 --etag {}", 2);
    assert!(error["hint"].as_str().unwrap().contains(&again), "{error}");
    let text = stderr(&server.run(late));
    assert!(text.lines().any(|line| line.contains("120") && line.contains("150")), "{text}");
}

#[test]
fn a_refused_request_names_its_fields() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let output = server.run(&["buy", "demo", "Floor!", "2", "--owner", "alice"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.starts_with("error: INVALID_"), "{text}");
    assert!(text.contains("reservation.lines[0].allocation"), "{text}");
}

#[test]
fn changes_can_be_followed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let follow = ["admin", "changes", "demo", "--follow", "--json", "--server", &server.url];
    let (_follower, stdout) = Running::start(&follow);
    let mut lines = stdout.lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let begin: Vec<_> = (0..3).map(|_| next()["kind"].clone()).collect();
    assert_eq!(begin, ["EVENT_CREATED", "ALLOCATION_CREATED", "ALLOCATION_CREATED"]);
    server.json(&["buy", "demo", "floor", "1", "--owner", "alice"]);
    let change = next();
    assert_eq!((&change["seq"], &change["kind"], &change["owner"]), (&4.into(), &"RESERVED".into(), &"alice".into()));
    let (_later, later) = Running::start(&[&follow[..], &["--from", "4"]].concat());
    let first: Value = serde_json::from_str(&later.lines().next().unwrap().unwrap()).unwrap();
    assert_eq!(first, change);
}

/// Killed or stopped in good order, a server that comes back is found again, and the journal goes on where it was.
#[test]
fn changes_are_followed_from_one_server_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path());
    let url = server.url.clone();
    let follow = ["admin", "changes", "demo", "--follow", "--json", "--server", &url];
    let (mut follower, lines, errors) = Running::start_and_hear(&follow);
    let (mut lines, mut errors) = (lines.lines(), errors.lines());
    let mut next_seq = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["seq"].clone();
    assert_eq!([next_seq(), next_seq(), next_seq()], [1, 2, 3]);
    for (round, signal) in [(0, "-KILL"), (1, "-INT")] {
        server.process.signal(signal);
        server.end();
        let told = errors.next().unwrap().unwrap();
        assert!(told.starts_with("trying again in "), "{told}");
        server = Server::start_at(directory.path(), url.strip_prefix("http://").unwrap());
        server.json(&["buy", "demo", "floor", "1", "--owner", "alice"]);
        assert_eq!(next_seq(), 4 + round);
    }
    follower.signal("-INT");
    assert_eq!(follower.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_interrupt_ends_the_server_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path());
    // A client that does not answer any more keeps the server draining.
    let (follower, mut stdout) = Running::start(&["admin", "changes", "demo", "--follow", "--server", &server.url]);
    stdout.read_line(&mut String::new()).unwrap();
    pause(&follower.0);

    let begun = Instant::now();
    while server.process.0.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < PATIENCE, "the server did not end");
        server.process.signal("-INT");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(server.end().code(), Some(130));
}

#[test]
fn a_server_that_cannot_start_says_why_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("used"));
    let taken = server.url.strip_prefix("http://").unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let fresh = directory.path().join("fresh");
    let corrupt = directory.path().join("corrupt");
    std::fs::create_dir(&corrupt).unwrap();
    for entry in std::fs::read_dir(directory.path().join("used")).unwrap() {
        let name = entry.unwrap().file_name();
        if name.to_string_lossy().ends_with("db") {
            std::fs::write(corrupt.join(name), "this is no database, and it is long enough to tell".repeat(100))
                .unwrap();
        }
    }
    for (listen, data) in [
        (taken, fresh.as_path()),
        ("127.0.0.1:0", file.as_path()),
        ("127.0.0.1:0", &directory.path().join("used")),
        ("127.0.0.1:0", &corrupt),
    ] {
        let output = boxoffice(&["serve", "--dev", "--listen", listen, "--data", data.to_str().unwrap()]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{listen} {}: {text}", data.display());
        let errors: Vec<_> = text.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{text}");
        assert!(!text.contains("panicked") && !text.contains("backtrace"), "{text}");
        assert!(output.stdout.is_empty());
    }
}
