//! What goes along with the command line's answers, and what becomes of them where nobody reads.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers as well")]

use std::process::{Output, Stdio};

use serde_json::Value;

use crate::cli::stderr;
use crate::cli_with_server::{Server, allocation};
use crate::recorded;
use crate::verify::doctor;

#[test]
fn a_list_that_is_cut_says_so_beside_the_answer() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    for owner in ["ann", "bob", "carol"] {
        server.json(&["buy", "demo", "floor", "1", "--owner", owner]);
    }
    for (list, limit, told) in [
        ("reservations", "2", "There are more: raise --limit to see them.\n"),
        ("reservations", "3", ""),
        ("changes", "2", "There are more: go on with --from 3.\n"),
        ("changes", "6", ""),
    ] {
        let list = ["admin", list, "demo", "--limit", limit];
        let text = server.run(&list);
        assert!(!text.stdout.is_empty() && !String::from_utf8_lossy(&text.stdout).contains("more"), "{text:?}");
        let json = server.run(&[&list[..], &["--json"]].concat());
        let items: Vec<Value> = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(items.len().to_string(), limit);
        assert_eq!([stderr(&text), stderr(&json)], [told, told], "{list:?}");
    }
}

/// Runs a command whose answer nobody reads.
fn unread(arguments: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    recorded::output(recorded::boxoffice().args(arguments).stdin(Stdio::null()).stdout(writer))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_no_further_is_told_by_the_exit_code_what_was_found() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    drop(Server::start(directory.path()));
    assert_eq!(unread(&["verify", "--data", data]).status.code(), Some(0));
    doctor(directory.path(), "UPDATE allocations SET capacity = capacity + 1 WHERE id = 'floor'").await;
    let verified = unread(&["verify", "--data", data]);
    let server = Server::start(directory.path());
    let audited = unread(&["admin", "audit", "demo", "--server", &server.url]);
    for found in [verified, audited] {
        assert_eq!(found.status.code(), Some(1), "{}", stderr(&found));
        assert!(stderr(&found).contains("is not as its journal says"), "{}", stderr(&found));
    }
}

#[test]
fn what_nobody_reads_about_is_applied_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let file = directory.path().join("demo.toml");
    std::fs::write(&file, "[event]\nid = \"demo\"\n[[allocation]]\nid = \"floor\"\ncapacity = 90\n").unwrap();
    let apply = ["admin", "apply", file.to_str().unwrap(), "--server", &server.url];
    let capacity = || allocation(&server.json(&["admin", "show", "demo"]), "floor")["capacity"].clone();
    let tried = unread(&[&apply[..], &["--dry-run"]].concat());
    assert_eq!((tried.status.code(), capacity()), (Some(5), 100.into()), "{}", stderr(&tried));
    let done = unread(&[&apply[..], &["--yes"]].concat());
    assert_eq!((done.status.code(), capacity()), (Some(0), 90.into()), "{}", stderr(&done));
}
