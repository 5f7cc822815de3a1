//! What goes along with the command line's answers.

use serde_json::Value;

use crate::cli::stderr;
use crate::cli_with_server::Server;

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
