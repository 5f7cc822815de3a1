//! Events as files: export, import, apply.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers as well")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{boxoffice, stderr};
use crate::cli_with_server::{Server, allocation};
use crate::recorded;

const GALA: &str = r#"
[event]
id = "gala"
display_name = "Gala night"
sales_state = "ON_SALE"
on_sale_time = 2026-03-01T20:00:00+01:00
default_hold_ttl = "5m"

[[allocation]]
id = "floor"
capacity = 10

[[allocation]]
id = "box"
display_name = "The box, \"left\""
capacity = 4
limit_per_owner = 2
"#;

struct Office {
    directory: TempDir,
    server: Server,
}

impl Office {
    fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(&directory.path().join("data"));
        Self { directory, server }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn export(&self, arguments: &[&str]) -> String {
        let output = self.server.run(&[&["admin", "export", "gala"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn gala(&self) -> Value {
        self.server.json(&["admin", "show", "gala"])
    }
}

#[test]
fn an_event_is_imported_in_one_step_and_only_once() {
    let office = Office::open();
    let file = office.file("gala.toml", GALA);
    let done = office.server.json(&["admin", "import", &file]);
    assert_eq!((&done["applied"], done["changes"].as_array().unwrap().len()), (&true.into(), 3));
    let gala = office.gala();
    assert_eq!((&gala["sales_state"], &gala["on_sale_time"]), (&"ON_SALE".into(), &"2026-03-01T19:00:00Z".into()));
    assert_eq!((&gala["default_hold_ttl_seconds"], &gala["max_hold_ttl_seconds"]), (&300.into(), &3600.into()));
    assert_eq!(allocation(&gala, "box")["display_name"], "The box, \"left\"");
    assert_eq!(office.server.json(&["admin", "import", &file])["applied"], false, "it can be repeated");
    let other = office.file("other.toml", &GALA.replace("capacity = 10", "capacity = 11"));
    let output = office.server.run(&["admin", "import", &other]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("events/gala exists already"), "{}", stderr(&output));
    assert_eq!(allocation(&office.gala(), "floor")["capacity"], 10);
}

#[test]
fn what_was_exported_applies_as_nothing_to_do_and_makes_the_same_event_elsewhere() {
    let office = Office::open();
    office.server.json(&["admin", "import", &office.file("gala.toml", GALA)]);
    let elsewhere = Office::open();
    for format in ["toml", "csv"] {
        let exported = office.export(&["--format", format]);
        let file = office.file(&format!("exported.{format}"), &exported);
        let applied = office.server.json(&["admin", "apply", &file]);
        assert_eq!(
            (&applied["applied"], applied["changes"].as_array().unwrap().len()),
            (&false.into(), 0),
            "{exported}"
        );
        // The etags are of another server: what is not there yet has none.
        elsewhere.server.json(&["admin", "apply", &file]);
    }
    assert_eq!(elsewhere.export(&["--no-etags"]), office.export(&["--no-etags"]));
    assert_eq!(elsewhere.server.json(&["admin", "audit", "gala"])["agrees"], true);
}

#[test]
fn a_dry_run_shows_the_difference_and_does_nothing() {
    let office = Office::open();
    let file = office.file("gala.toml", GALA);
    let output = office.server.run(&["admin", "apply", &file, "--dry-run"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(output.stderr.is_empty());
    assert_eq!(office.server.refusal(&["admin", "show", "gala"])["reason"], "EVENT_NOT_FOUND");
    office.server.json(&["admin", "apply", &file]);
    assert_eq!(office.server.run(&["admin", "apply", &file, "--dry-run"]).status.code(), Some(0));
    let file = office.file("more.toml", &GALA.replace("capacity = 10", "capacity = 12"));
    let output = office.server.run(&["admin", "apply", &file, "--dry-run"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(5));
    let row = text.lines().find(|line| line.contains("floor")).unwrap();
    assert!(["capacity", "10", "12"].iter().all(|part| row.contains(part)), "{text}");
    assert_eq!(office.gala()["seq"], 3);
    // The server decides, in a dry run as well.
    office.server.json(&["buy", "gala", "floor", "6", "--owner", "alice"]);
    let file = office.file("less.toml", &GALA.replace("capacity = 10", "capacity = 5"));
    assert_eq!(office.server.refusal(&["admin", "apply", &file, "--dry-run"])["reason"], "CAPACITY_BELOW_COMMITTED");
}

#[test]
fn a_file_that_is_refused_in_part_is_not_applied_at_all() {
    let office = Office::open();
    office.server.json(&["admin", "import", &office.file("gala.toml", GALA)]);
    office.server.json(&["buy", "gala", "floor", "6", "--owner", "alice"]);
    let target = GALA.replace("Gala night", "Ball").replace("capacity = 4", "capacity = 9").replace("10", "5");
    let file = office.file("ball.toml", &target);
    assert_eq!(office.server.refusal(&["admin", "apply", &file])["reason"], "CAPACITY_BELOW_COMMITTED");
    let gala = office.gala();
    assert_eq!((&gala["display_name"], &allocation(&gala, "box")["capacity"]), (&"Gala night".into(), &4.into()));
    office.server.json(&["admin", "apply", &file, "--drain"]);
    let gala = office.gala();
    assert_eq!((&gala["display_name"], &allocation(&gala, "floor")["drain_target"]), (&"Ball".into(), &5.into()));
    assert_eq!(
        office.server.json(&["admin", "apply", &file])["applied"],
        false,
        "where it drains to is what was asked for"
    );
}

#[test]
fn csv_changes_what_its_columns_name_and_adds_what_is_missing() {
    let office = Office::open();
    office.server.json(&["admin", "import", &office.file("gala.toml", GALA)]);
    let csv = "event,allocation,capacity\ngala,box,5\ngala,terrace,7\n";
    let done = office.server.json(&["admin", "apply", &office.file("gala.csv", csv)]);
    assert_eq!(done["changes"].as_array().unwrap().len(), 2);
    let gala = office.gala();
    let boxes = allocation(&gala, "box");
    assert_eq!((&boxes["capacity"], &boxes["limit_per_owner"]), (&5.into(), &2.into()));
    assert_eq!(
        (&allocation(&gala, "terrace")["capacity"], gala["allocations"].as_array().unwrap().len()),
        (&7.into(), 3)
    );
    assert_eq!(gala["sales_state"], "ON_SALE");
}

#[test]
fn a_conflict_shows_theirs_beside_yours_and_keeps_what_was_typed() {
    let office = Office::open();
    office.server.json(&["admin", "import", &office.file("gala.toml", GALA)]);
    let yours = office.export(&[]).replace("capacity = 10", "capacity = 20").replace("Gala night", "Ball");
    let file = office.file("yours.toml", &yours);
    office.server.json(&["admin", "set-capacity", "gala", "floor", "15"]);
    for dry_run in [&["--dry-run"][..], &[]] {
        let error = office.server.failure(4, &[&["admin", "apply", &file], dry_run].concat());
        assert_eq!(error["reason"], "ETAG_MISMATCH");
        let fields = error["conflict"]["fields"].as_array().unwrap();
        assert_eq!(fields.len(), 1, "the event itself was not changed by others: {error}");
        let told = ["resource", "field", "yours", "theirs"].map(|key| fields[0][key].clone());
        assert_eq!(told, ["events/gala/allocations/floor".into(), "capacity".into(), 20.into(), Value::from(15)]);
        assert!(error["hint"].as_str().unwrap().contains("--overwrite"), "{error}");
    }
    assert_eq!(office.gala()["display_name"], "Gala night", "nothing of it was done");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), yours);

    // What comes through a pipe would be lost.
    let piped = pipe(&["admin", "apply", "-", "--server", &office.server.url], &yours);
    let kept = piped.split("kept in ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    assert_eq!(std::fs::read_to_string(Path::new(kept)).unwrap(), yours);
    office.server.json(&["admin", "apply", kept, "--overwrite"]);
    std::fs::remove_file(kept).unwrap();
    let gala = office.gala();
    assert_eq!((&gala["display_name"], &allocation(&gala, "floor")["capacity"]), (&"Ball".into(), &20.into()));
}

/// Runs what must be a conflict, and returns what it says.
fn pipe(arguments: &[&str], input: &str) -> String {
    let mut command = recorded::boxoffice();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    recorded::keep("output", &output.stdout);
    recorded::keep("output", &output.stderr);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    stderr(&output)
}

#[test]
fn cancelling_by_file_needs_a_yes() {
    let office = Office::open();
    office.server.json(&["admin", "import", &office.file("gala.toml", GALA)]);
    let file = office.file("off.toml", &GALA.replace("ON_SALE", "CANCELLED"));
    let output = office.server.run(&["admin", "apply", &file]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--yes"), "{}", stderr(&output));
    assert_eq!(office.gala()["sales_state"], "ON_SALE");
    office.server.json(&["admin", "apply", &file, "--yes"]);
    assert_eq!(office.gala()["sales_state"], "CANCELLED");
}

#[test]
fn a_file_that_cannot_be_meant_exits_with_2_and_says_where_without_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let cases = [
        ("a.toml", GALA.replace("capacity = 4", "capacity = four"), "line"),
        ("b.toml", GALA.replace("limit_per_owner", "limit"), "limit"),
        ("c.toml", GALA.replace("ON_SALE", "OPEN"), "sales_state must be"),
        ("d.toml", GALA.replace("\"5m\"", "\"5\""), "default_hold_ttl"),
        ("e.toml", GALA.replace("20:00:00+01:00", "20:00:00"), "on_sale_time"),
        ("f.toml", GALA.replace("\"box\"", "\"floor\""), "floor is there twice"),
        ("g.toml", GALA.replace("capacity = 4", "capacity = -4"), "must not be negative"),
        ("a.csv", "event,allocation,capacity\ngala,floor,5\nball,floor,5\n".to_owned(), "gala and ball"),
        ("b.csv", "event,allocation,price\ngala,floor,5\n".to_owned(), "price"),
        ("c.csv", "event,allocation,capacity\n".to_owned(), "no rows"),
    ];
    for (name, text, told) in cases {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        let output = boxoffice(&["admin", "apply", path.to_str().unwrap(), "--server", "http://127.0.0.1:1"]);
        assert_eq!(output.status.code(), Some(2), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{name}: {}", stderr(&output));
    }
    let output = boxoffice(&["admin", "apply", "/nowhere/x.toml", "--server", "http://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}
