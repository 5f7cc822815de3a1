//! The session that `docs/admin-session.txt` shows can be played, and is the one that the script plays today.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers as well")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli_with_server::Running;
use crate::recorded;

/// It plays for a few seconds.
const SESSION_MAX: Duration = Duration::from_secs(120);

/// What is typed, and how it ends, without what is another one each time.
fn commands(session: &str) -> Vec<String> {
    let typed = session.lines().filter(|line| line.starts_with("$ ") || line.starts_with("(exit code"));
    typed.map(|line| line.split("/reservations/").next().unwrap().to_owned()).collect()
}

#[test]
fn the_session_in_the_documentation_can_be_played_again() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("session.txt");
    let mut command = Command::new(root.join("scripts/admin-session"));
    command.arg(&file).env("BOXOFFICE_BIN", recorded::BOXOFFICE).stdin(Stdio::null()).stdout(Stdio::null());
    let mut script = Running(command.spawn().unwrap());
    let begun = Instant::now();
    let status = loop {
        match script.0.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed() > SESSION_MAX => panic!("it takes too long"),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert!(status.success(), "what it said is above");
    let played = std::fs::read_to_string(&file).unwrap();
    recorded::keep("session", played.as_bytes());
    for line in [
        "Done: 3 changes, as one step.",
        "Nothing to do: events/gala is as the file says.",
        "error: CAPACITY_BELOW_COMMITTED",
        "│ floor │ capacity │ 14    │ 11     │",
        "nothing was changed, and your input is kept in anna.toml",
        "sold 19 held 0 available 0",
        "error: SOLD_OUT",
        "Everything agrees: 15 changes replayed up to seq 15, 7 reservations compared.",
        "Everything agrees: 2 events, 18 changes replayed, 7 reservations compared",
    ] {
        assert!(played.contains(line), "{line:?} is not in\n{played}");
    }
    let shown = std::fs::read_to_string(root.join("docs/admin-session.txt")).unwrap();
    assert_eq!(commands(&played), commands(&shown), "run scripts/admin-session again");
}
