//! `admin watch`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers as well")]

use std::io::BufRead as _;
use std::time::{Duration, Instant};

use crate::cli_with_server::{PATIENCE, Running, Server};
use crate::terminal::Terminal;

/// Waits for a program's end, and returns its exit code.
fn end(program: &mut Running) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = program.0.try_wait().unwrap() {
            return status.code();
        }
        assert!(begun.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn without_a_terminal_each_update_is_a_line_and_a_server_that_comes_back_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path());
    let url = server.url.clone();
    let (mut watcher, lines, errors) = Running::start_and_hear(&["admin", "watch", "demo", "--server", &url]);
    let (mut lines, mut errors) = (lines.lines(), errors.lines());
    let mut line_with = |part: &str| loop {
        let line = lines.next().unwrap().unwrap();
        if line.contains(part) {
            return line;
        }
    };
    line_with("seq 3 ON_SALE sold 0 held 0 available 150");
    server.json(&["buy", "demo", "floor", "2", "--owner", "alice", "--order-ref", "o-1"]);
    line_with("seq 4 ON_SALE sold 2 held 0 available 148");

    server.process.0.kill().unwrap();
    server.process.0.wait().unwrap();
    let told = errors.next().unwrap().unwrap();
    assert!(told.contains("trying again in"), "{told}");
    let address = url.strip_prefix("http://").unwrap();
    let server = Server::start_at(directory.path(), address);
    line_with("seq 4 ON_SALE");
    server.json(&["buy", "demo", "floor", "1", "--owner", "alice", "--order-ref", "o-2"]);
    line_with("sold 3");

    watcher.signal("-INT");
    assert_eq!(end(&mut watcher), Some(0));
}

#[test]
fn for_programs_each_update_is_an_object() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let (mut watcher, stdout) = Running::start(&["admin", "watch", "demo", "--json", "--server", &server.url]);
    let update: serde_json::Value = serde_json::from_str(&stdout.lines().next().unwrap().unwrap()).unwrap();
    assert_eq!((&update["sold"], &update["event"]["id"]), (&0.into(), &"demo".into()));
    watcher.signal("-INT");
    assert_eq!(end(&mut watcher), Some(0));
}

#[test]
fn an_event_that_is_not_there_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    assert_eq!(server.refusal(&["admin", "watch", "none"])["reason"], "EVENT_NOT_FOUND");
}

#[test]
fn on_a_terminal_it_is_drawn_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let watch = ["admin", "watch", "demo", "--server", &server.url];
    let mut terminal = Terminal::start(&watch, 80, 24, &[("NO_COLOR", "1")]);
    let first = terminal.wait_for("Ctrl-C ends it");
    assert!(first.contains("Demo night") && first.contains("last changes:"), "{first}");
    assert!(!first.contains('\u{1b}'), "nothing is there yet to be overwritten: {first:?}");
    server.json(&["buy", "demo", "floor", "7", "--owner", "alice", "--up-to", "--order-ref", "o-1"]);
    let seen = terminal.wait_for("sold 6");
    // Up over the lines of the first frame, and these are cleared.
    assert!(seen.contains("\u{1b}[10A") && seen.contains("\u{1b}[2K"), "{seen:?}");
    assert!(seen.contains("SOLD  owner:alice  floor sold +6; order o-1"), "{seen}");
    drop(server);
    terminal.wait_for("trying again in");
    terminal.interrupt();
    assert_eq!(terminal.end().code(), Some(0));
}
