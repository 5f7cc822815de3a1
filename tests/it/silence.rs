//! The command line over connections that fall silent: nothing comes any more, and nobody says that the other side has gone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers as well")]

use std::io::BufRead;
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use crate::cli_with_server::{Running, Server};
use crate::proxy::Proxy;

/// Longest wait for what must come about. (A connection is asked for a sign of life after 10 s, and given up after as long again.)
const PATIENCE: Duration = Duration::from_secs(90);

/// Lines that wait for the test; more wait in the program.
const LINES_MAX: usize = 16;

/// The lines that a program prints, as they come.
fn lines(printed: impl BufRead + Send + 'static) -> Receiver<String> {
    let (tell, told) = sync_channel(LINES_MAX);
    std::thread::spawn(move || printed.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    told
}

fn line_with(lines: &Receiver<String>, part: &str) {
    while !lines.recv_timeout(PATIENCE).unwrap().contains(part) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_over_a_connection_that_falls_silent_goes_on_over_another() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let proxy = Proxy::start(server.url.rsplit(':').next().unwrap().parse().unwrap()).await;
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let (_follower, changes) = Running::start(&["admin", "changes", "demo", "--follow", "--json", "--server", &url]);
    let (_watcher, updates) = Running::start(&["admin", "watch", "demo", "--server", &url]);
    let (changes, updates) = (lines(changes), lines(updates));
    line_with(&changes, "\"seq\":3");
    line_with(&updates, "seq 3 ");
    proxy.fall_silent();
    server.json(&["buy", "demo", "floor", "1", "--owner", "alice"]);
    line_with(&changes, "\"seq\":4");
    line_with(&updates, "seq 4 ");
}

#[test]
fn an_audit_has_time_but_not_over_a_silent_connection() {
    // Connections are made without it, and nobody ever reads what comes over them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (mut auditor, _answer, errors) = Running::start_and_hear(&["admin", "audit", "demo", "--server", &url]);
    let told = lines(errors).recv_timeout(PATIENCE).unwrap();
    assert!(told.starts_with("error: the connection to the server broke: "), "{told}");
    let begun = Instant::now();
    let ended = loop {
        if let Some(ended) = auditor.0.try_wait().unwrap() {
            break ended;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(ended.code(), Some(3));
}
