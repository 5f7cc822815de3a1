//! The operators' tool on a terminal.

use crate::cli_with_server::{Server, allocation};
use crate::terminal::Terminal;

const LESS: &str = "event,allocation,capacity\ndemo,floor,40\n";

#[test]
fn before_an_event_is_changed_by_a_file_a_person_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"));
    let file = directory.path().join("less.csv");
    std::fs::write(&file, LESS).unwrap();
    let arguments = ["admin", "apply", file.to_str().unwrap(), "--server", &server.url];
    for (answer, code, capacity) in [("\n", 1, 100), ("n\n", 1, 100), ("y\n", 0, 40)] {
        let mut terminal = Terminal::start(&arguments, 100, 30, &[]);
        let seen = terminal.wait_for("[y/N]");
        assert!(seen.contains("floor gets smaller by 60"), "{seen}");
        terminal.type_in(answer);
        assert_eq!(terminal.end().code(), Some(code), "{}", terminal.seen());
        assert_eq!(allocation(&server.json(&["admin", "show", "demo"]), "floor")["capacity"], capacity);
    }
}

#[test]
fn before_a_hold_is_taken_away_a_person_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let held = server.json(&["buy", "demo", "floor", "2", "--owner", "alice"]);
    let id = held["id"].as_str().unwrap();
    let arguments = ["admin", "force-release", "demo", id, "--reason", "a test", "--server", &server.url];
    for (answer, code, left) in [("n\n", 1, 2), ("y\n", 0, 0)] {
        let mut terminal = Terminal::start(&arguments, 100, 30, &[]);
        terminal.wait_for("[y/N]");
        terminal.type_in(answer);
        assert_eq!(terminal.end().code(), Some(code), "{}", terminal.seen());
        assert_eq!(allocation(&server.json(&["admin", "show", "demo"]), "floor")["held"], left);
    }
}

#[test]
fn tables_keep_to_the_width_and_colours_to_who_wants_them() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    server.json(&["buy", "demo", "floor", "30", "--owner", "alice", "--up-to", "--order-ref", "o-1"]);
    let show = ["admin", "show", "demo", "--server", &server.url];
    for columns in [80, 100, 160] {
        let mut terminal = Terminal::start(&show, columns, 40, &[("NO_COLOR", "1")]);
        assert_eq!(terminal.end().code(), Some(0));
        let seen = terminal.wait_for("floor");
        let seen = if seen.ends_with('\n') { seen } else { terminal.seen() };
        assert!(!seen.contains('\u{1b}'), "{seen:?}");
        for line in seen.lines() {
            let width = line.trim_end().chars().count();
            assert!(width <= usize::from(columns), "{columns}: {line}");
        }
    }
    let mut terminal = Terminal::start(&show, 100, 40, &[]);
    terminal.wait_for("\u{1b}[32m█");
    assert_eq!(terminal.end().code(), Some(0));
    let output = server.run(&["admin", "show", "demo"]);
    assert!(!String::from_utf8(output.stdout).unwrap().contains('\u{1b}'), "this is no terminal");
}
