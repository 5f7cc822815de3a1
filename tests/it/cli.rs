//! The command line, seen from outside: help, usage errors and exit codes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers as well")]

use std::process::{Command, Output, Stdio};

use crate::recorded;
use crate::tokens::test_key;

/// Nothing listens there: the port is reserved for a service that nobody runs, and not one that is given out.
const NO_SERVER: &str = "http://127.0.0.1:1";

pub(crate) fn boxoffice(arguments: &[&str]) -> Output {
    let mut command = recorded::boxoffice();
    for variable in ["BOXOFFICE_SERVER", "BOXOFFICE_OWNER", "BOXOFFICE_ACTOR", "RUST_LOG"] {
        command.env_remove(variable);
    }
    recorded::output(command.args(arguments).stdin(Stdio::null()))
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_names_the_commands_and_the_exit_codes() {
    let output = boxoffice(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for part in ["serve", "buy", "extend", "confirm", "release", "refund", "reservations", "admin", "Exit codes:"] {
        assert!(help.contains(part), "{part} is not in\n{help}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_names_the_argument() {
    let reservation = "events/demo/reservations/0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71";
    let cases: &[(&[&str], &str)] = &[
        (&["sell"], "'sell'"),
        (&["completions", "tcsh"], "tcsh"),
        (&["verify", "--data", "a", "--database-url", "b"], "--database-url"),
        (&["serve"], "--dev"),
        (&["serve", "--dev", "--listen", "0.0.0.0:50051"], "--listen"),
        (&["serve", "--dev", "--sweep-interval", "often"], "--sweep-interval"),
        (&["buy", "demo", "floor", "2"], "--owner"),
        (&["buy", "demo", "floor", "0", "--owner", "alice"], "<QUANTITY>"),
        (&["buy", "demo", "floor", "2", "--owner", "alice", "--id", "first"], "--id"),
        (&["buy", "demo", "floor", "2", "--owner", "alice", "--ttl", "10"], "--ttl"),
        (&["buy", "demo", "floor", "2", "--owner", "al ice"], "--owner"),
        (&["confirm", "demo", "--owner", "alice", "--order-ref", "o-1"], "<RESERVATION>"),
        (&["confirm", reservation, "--owner", "alice"], "--order-ref"),
        (&["extend", reservation, "--owner", "alice"], "--ttl"),
        (&["extend", "demo", "--owner", "alice", "--ttl", "10m"], "<RESERVATION>"),
        (&["refund", "demo", "--owner", "alice"], "<RESERVATION>"),
        (&["refund", reservation, "--owner", "alice", "--units", "floor=0"], "--units"),
        (&["admin", "--actor", "", "list"], "--actor"),
        (&["admin", "list", "--server", "ftp://127.0.0.1:1"], "--server"),
        (&["admin", "create-event", "gala", "--allocation", "floor"], "--allocation"),
        (
            &["admin", "create-event", "gala", "--allocation", "a=1", "--allocation", "b=1", "--allocation", "a=2"],
            "--allocation",
        ),
        (&["admin", "changes", "demo", "--limit", "0"], "--limit"),
        (&["admin", "reservations", "demo", "--limit", "0"], "--limit"),
        (&["token", "mint", "--key", "/nowhere/auth.pem", "--role", "admin", "--owner", "olga"], "/nowhere/auth.pem"),
        (&["token", "mint", "--key", "Cargo.toml", "--role", "admin", "--owner", "olga"], "Cargo.toml"),
        (&["admin", "create-event", "gala", "--on-sale-at", "2027-03-01T20:00:00"], "--on-sale-at"),
        (&["admin", "set-capacity", "demo", "floor", "-1"], "'-1'"),
        (&["admin", "force-release", "demo", "events/gala/reservations/x", "--reason", "typo"], "events/gala"),
        (&["admin", "cancel", "demo"], "--yes"),
        (&["admin", "update-event", "demo"], "--name"),
        (&["admin", "update-event", "demo", "--on-sale-at", "soon"], "--on-sale-at"),
        (&["admin", "update-allocation", "demo", "floor", "--drain"], "--capacity"),
        (&["admin", "export", "demo", "--format", "xml"], "--format"),
        (&["admin", "apply", "/nowhere/gala.toml"], "/nowhere/gala.toml"),
    ];
    for (arguments, named) in cases {
        let mut arguments = arguments.to_vec();
        // What is found out before connecting must be found out without a server.
        let asks_a_server = !["serve", "sell", "completions", "verify", "token"].contains(&arguments[0]);
        if asks_a_server && !arguments.contains(&"--server") {
            arguments.extend(["--server", NO_SERVER]);
        }
        let output = boxoffice(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(named), "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

const RESERVATION: &str = "events/demo/reservations/0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71";
/// Commands that ask a server.
const ASKING: &[&[&str]] = &[
    &["buy", "demo", "floor", "2", "--owner", "alice"],
    &["confirm", RESERVATION, "--owner", "alice", "--order-ref", "o-1"],
    &["extend", RESERVATION, "--owner", "alice", "--ttl", "10m"],
    &["release", RESERVATION, "--owner", "alice"],
    &["refund", RESERVATION, "--owner", "alice", "--units", "floor=1"],
    &["reservations", "demo", "--owner", "alice"],
    &["join", "demo", "--owner", "alice"],
    &["leave", "demo", "--owner", "alice"],
    &["admin", "list"],
    &["admin", "audit", "demo"],
    &["admin", "cancel", "demo", "--yes"],
    &["admin", "changes", "demo", "--follow"],
    &["admin", "watch", "demo"],
    &["admin", "export", "demo"],
    &["admin", "update-event", "demo", "--name", "Gala"],
    &["admin", "update-allocation", "demo", "floor", "--capacity", "1"],
];

#[test]
fn a_server_that_is_not_there_exits_with_3_and_says_where_it_was_sought() {
    for arguments in ASKING {
        let output = boxoffice(&[*arguments, &["--server", NO_SERVER]].concat());
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).starts_with(&format!("error: cannot reach the server at {NO_SERVER}: ")));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn with_json_the_error_is_one_json_object_on_stderr() {
    for arguments in ASKING {
        let output = boxoffice(&[*arguments, &["--json", "--server", NO_SERVER]].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{arguments:?}");
        let error: serde_json::Value = serde_json::from_str(&stderr(&output)).unwrap();
        assert_eq!(error["error"]["code"], "UNREACHABLE", "{arguments:?}");
    }
    let nowhere = boxoffice(&["verify", "--json", "--data", "/nowhere"]);
    let error: serde_json::Value = serde_json::from_str(&stderr(&nowhere)).unwrap();
    assert_eq!((nowhere.status.code(), &error["error"]["code"]), (Some(1), &"FAILED".into()));
}

#[test]
fn with_json_wrong_usage_is_one_json_object_on_stderr() {
    let cases: &[(&[&str], &str)] = &[
        (&["admin", "show", "--json"], "<EVENT>"),
        (&["admin", "--json", "set-capacity", "demo", "floor", "many"], "'many'"),
        (&["buy", "demo", "floor", "0", "--owner", "alice", "--json"], "<QUANTITY>"),
    ];
    for (arguments, named) in cases {
        let output = boxoffice(arguments);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
        let error: serde_json::Value = serde_json::from_str(&stderr(&output)).unwrap();
        assert_eq!(error["error"]["code"], "USAGE");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(named), "{message}");
        assert!(!message.contains('\n') && !message.contains("error: ") && !message.contains("--help"), "{message}");
    }
    let help = boxoffice(&["admin", "--json", "--help"]);
    assert!(help.status.success() && help.stdout.starts_with(b"Run a sale"), "{help:?}");
    let name = boxoffice(&["admin", "show", "--", "--json", "more"]);
    assert!(stderr(&name).starts_with("error: unexpected argument"), "after --, it is no option");
}

#[test]
fn a_value_of_serve_that_cannot_be_meant_is_told_with_what_is_wanted() {
    let cases: &[(&[&str], &str)] = &[
        (&["--listen", "localhost:50051"], "'--listen <ADDR>': must be an IP address and a port, like 127.0.0.1:50051"),
        (&["--operations-listen", ":9464"], "must be an IP address and a port, like 127.0.0.1:50051"),
        (&["--sweep-interval", "often"], "write it like 90s, 10m or 1h30m"),
        (&["--database-timeout", "5"], "write it like 90s, 10m or 1h30m"),
        (&["--redis-timeout", "5"], "write it like 90s, 10m or 1h30m"),
        (&["--requests-max", "0"], "'--requests-max <N>': must be a number of at least 1"),
        (&["--connections-max", "many"], "must be a number of at least 1"),
    ];
    for (arguments, wanted) in cases {
        let output = boxoffice(&[&["serve", "--dev"], *arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(wanted), "{arguments:?}: {}", stderr(&output));
    }
    let output = boxoffice(&["serve", "--config", "/nowhere/boxoffice.toml"]);
    let told = "error: the configuration file /nowhere/boxoffice.toml: No such file or directory (os error 2)\n";
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(2), told));
    for command in [&["serve", "--dev"][..], &["migrate"], &["verify"]] {
        let output = boxoffice(&[command, &["--database-url", "tickets"]].concat());
        assert_eq!(stderr(&output), "error: --database-url: it has no ://\n", "{command:?}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_told() {
    let database = private_cluster::fresh_database(private_cluster::shared()).unwrap();
    let key = test_key("ed25519.private.pem");
    let cases: &[&[&str]] = &[
        &["token", "mint", "--key", key.to_str().unwrap(), "--role", "admin", "--owner", "olga"],
        &["migrate", "--database-url", &database],
    ];
    for arguments in cases {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = recorded::output(recorded::boxoffice().args(*arguments).stdin(Stdio::null()).stdout(full));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).starts_with("error: cannot write the answer"), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn whoever_reads_no_further_gets_no_error() {
    let key = test_key("ed25519.private.pem");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mint = ["token", "mint", "--key", key.to_str().unwrap(), "--role", "admin", "--owner", "olga"];
    let output = recorded::output(recorded::boxoffice().args(mint).stdin(Stdio::null()).stdout(writer));
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn shells_get_completions_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = boxoffice(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        for word in ["set-capacity", "completions", "dry-run", "verify"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    // What bash reads without complaint, it understands; where there is no bash, nothing is claimed.
    let Ok(mut bash) = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn() else { return };
    let script = boxoffice(&["completions", "bash"]).stdout;
    std::io::Write::write_all(&mut bash.stdin.take().unwrap(), &script).unwrap();
    assert!(bash.wait().unwrap().success());
}
