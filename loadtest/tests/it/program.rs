//! The program itself, with real servers of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take here; building a server that is older than its sources takes the longest.
const WAIT_MAX: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A place for temporary files, in which PostgreSQL's account too may make a directory.
pub(crate) fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    place
}

/// Starts `loadtest LINE`, all of whose temporary files lie in `place`.
pub(crate) fn start(place: &Path, line: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(line.split(' ')).env("TMPDIR", place).env_remove("BOXOFFICE_DATABASE_URL");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub(crate) fn run(place: &Path, line: &str) -> Output {
    recorded(start(place, line).wait_with_output().unwrap())
}

/// Keeps what a program printed for `scripts/no-secrets`, where `scripts/test` wants it.
pub(crate) fn recorded(output: Output) -> Output {
    static OUTPUTS: AtomicU32 = AtomicU32::new(0);
    if let Some(logs) = std::env::var_os("BOXOFFICE_TEST_LOGS") {
        let number = OUTPUTS.fetch_add(1, Ordering::Relaxed);
        let file = Path::new(&logs).join(format!("{}-{number}-loadtest-output.log", std::process::id()));
        std::fs::write(file, [&output.stdout[..], &output.stderr].concat()).unwrap();
    }
    output
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < WAIT_MAX, "{what} did not come about");
        std::thread::sleep(POLL_INTERVAL);
    }
}

pub(crate) fn entries(place: &Path) -> Vec<String> {
    std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Processes that were told to keep their temporary files in `place`, or that run there.
pub(crate) fn processes(place: &Path) -> Vec<String> {
    let place = place.to_str().unwrap();
    let belongs = |process: &Path| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        let directory = std::fs::read_link(process.join("cwd")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(place) || directory.starts_with(place)
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    all.filter(|process| belongs(process)).map(|process| process.display().to_string()).collect()
}

#[test]
fn two_servers_pass_the_sale_though_they_are_killed_and_whatever_becomes_of_their_redis() {
    let place = place();
    // Of these faults the first comes before any kill does.
    let line = "sale --store postgres --servers 2 --redis --kills 3 --faults pause-redis,fail-over-redis,garble-redis --seed 1 \
                --tickets 400 --buyers 1200 --seconds 3 --shape steady --hold-seconds 1 --in-flight 64 --json";
    let (file, page) = (place.path().join("sale.json"), place.path().join("sale.html"));
    let output = run(place.path(), &format!("{line} {} --html {}", file.display(), page.display()));
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!((&report["store"], &report["servers"]), (&"postgres".into(), &2.into()));
    assert_eq!(report["audit"]["sold"], 400);
    let faults = report["courses"][0]["faults"].as_array().unwrap();
    assert_eq!(faults.iter().filter(|mark| mark["fault"] == "kill-server").count(), 3);
    assert!(faults.iter().any(|mark| mark["fault"].as_str().unwrap().ends_with("-redis")), "{faults:?}");
    assert_eq!(report["courses"][0]["felt"].as_array().unwrap().len(), faults.len());
    let facts = &report["facts"];
    assert!(facts["looks"].as_u64() > Some(0) && facts["updates_to_those_who_follow"].as_u64() > Some(0), "{facts}");
    let lines = facts["log_lines_of_each_server_redis_is_away"].as_str().unwrap().split(", ");
    let lines: Vec<u64> = lines.map(|count| count.parse().unwrap()).collect();
    assert_eq!(lines.len(), 2, "{facts}");
    // A short pause may pass unnoticed, and a server that is down. But one of them always runs, and has lost its connection.
    let failed_over = faults.iter().any(|mark| mark["fault"] == "fail-over-redis");
    assert!(!failed_over || lines.iter().any(|count| *count > 0), "{facts}");
    let (course, last) = (&report["courses"][0], &report["courses"][0]["stock"].as_array().unwrap().last().unwrap());
    assert_eq!((&last["sold"], &last["held"], &last["capacity"]), (&400.into(), &0.into(), &400.into()));
    assert_eq!(
        (course["title"].as_str(), course["latencies"][0]["rpc"].as_str()),
        (Some("sale"), Some("CreateReservation"))
    );
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.ends_with("</html>") && page.contains("400 of 400 sold, none oversold"), "{page}");
    assert!(page.contains("What buyers felt of it"), "{page}");
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("p99.99") && table.contains("CreateReservation"), "{table}");
    let mut left = entries(place.path());
    left.sort();
    assert_eq!(left, ["sale.html", "sale.json"]);
}

#[test]
fn a_soak_goes_from_fault_to_fault() {
    let place = place();
    let file = place.path().join("soak.json");
    let line =
        "soak --duration 1ms --round-seconds 3 --rate 200 --store postgres --servers 2 --faults kill-database --json";
    let output = run(place.path(), &format!("{line} {}", file.display()));
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let course = &report["courses"][0];
    assert_eq!(
        (course["title"].as_str(), report["courses"][1].as_object()),
        (Some("round 1: mixed, kill-database"), None)
    );
    assert_eq!(course["faults"][0]["fault"].as_str(), Some("kill-database"));
    assert!(report["facts"]["operator_calls"].as_u64() > Some(0), "{}", report["facts"]);
}

#[test]
fn without_the_programs_of_redis_it_is_said_in_one_line() {
    let place = place();
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(["sale", "--redis"]).env("TMPDIR", place.path()).env("BOXOFFICE_REDIS_BIN", place.path());
    let output = recorded(command.output().unwrap());
    let told = stderr(&output);
    assert_eq!((output.status.code(), told.lines().count()), (Some(2), 1), "{told}");
    assert!(told.contains("redis-server"), "{told}");
}

#[test]
fn the_network_loses_answers_and_nothing_else_is_lost() {
    let place = place();
    let output =
        run(place.path(), "duplicates --tickets 300 --buyers 1200 --hold-seconds 1 --rate 300 --faults drop-replies");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", stderr(&output));
    assert!(printed.contains("drop-replies") && printed.contains("300 of 300 sold"), "{printed}");
}

#[test]
fn faults_that_these_servers_cannot_have_are_refused() {
    let place = place();
    for (line, why) in [
        ("mixed --faults kill-database", "--faults kill-database needs --store postgres"),
        ("soak --target http://127.0.0.1:1 --faults pause", "--faults pause needs a server of the load test's own"),
        ("storm --shape closed --rate 5", "--shape closed knows no times"),
        ("sale --faults kill-redis", "--faults kill-redis needs --redis"),
        ("sale --redis --target http://127.0.0.1:1", "--redis needs servers of the load test's own"),
        ("views --store sqlite", "views needs a PostgreSQL, a Redis and servers of its own"),
        ("waiting-room --joined 1000", "--joined must be 14810 at least"),
    ] {
        let output = run(place.path(), line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(stderr(&output).contains(why), "{line}: {}", stderr(&output));
    }
}

#[test]
fn a_database_of_the_callers_keeps_what_is_in_it() {
    let (place, cluster) = (place(), private_cluster::shared());
    let url = private_cluster::fresh_database(cluster).unwrap();
    let line = format!("sale --store {url} --tickets 100 --buyers 300 --seconds 1 --hold-seconds 1 --kills 1");
    for events in ["1", "2"] {
        let output = run(place.path(), &line);
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
        let database = url.rsplit('/').next().unwrap();
        assert_eq!(cluster.psql(database, "SELECT count(*) FROM events WHERE id LIKE 'sale-%'").unwrap(), events);
    }
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let place = place();
    let child = start(place.path(), "sale --store postgres --servers 2 --seconds 600");
    let homes = || entries(place.path()).into_iter().filter(|name| name.starts_with("boxoffice-loadtest-")).count();
    wait_until("the second server's directory", || homes() == 2);
    assert!(processes(place.path()).len() > 3, "the load test, a server, PostgreSQL");
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    let output = recorded(child.wait_with_output().unwrap());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("interrupted by SIGINT"), "{}", stderr(&output));
    assert_eq!((entries(place.path()), processes(place.path())), (vec![], vec![]));
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_starts() {
    let place = place();
    for option in ["--json", "--html"] {
        let output = run(place.path(), &format!("sale --seconds 600 {option} {}/none/out", place.path().display()));
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("none/out cannot be written"), "{}", stderr(&output));
    }
}

#[test]
fn whoever_reads_no_further_still_gets_the_verdict_and_the_file() {
    let place = place();
    let file = place.path().join("sale.json");
    let line = "storm --tickets 20 --buyers 50 --hold-seconds 1 --json";
    let mut child = start(place.path(), &format!("{line} {}", file.display()));
    drop(child.stdout.take());
    let output = recorded(child.wait_with_output().unwrap());
    assert!(output.status.success(), "{:?} {}", output.status, stderr(&output));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(report["verdict"], "pass");
}

#[test]
fn a_killed_run_leaves_nothing_behind() {
    let place = place();
    let mut child = start(place.path(), "sale --store postgres --servers 2 --seconds 600");
    let homes = || entries(place.path()).into_iter().filter(|name| name.starts_with("boxoffice-loadtest-")).count();
    let serving = || processes(place.path()).iter().filter(|process| runs(process, "boxoffice")).count();
    wait_until("the second server", || homes() == 2 && serving() == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the end of all processes", || processes(place.path()).is_empty());
    assert_eq!(entries(place.path()), Vec::<String>::new());
}

#[test]
fn a_killed_run_keeps_what_it_was_told_to_keep() {
    let place = place();
    let mut child = start(place.path(), "sale --keep --seconds 600");
    let serving = || processes(place.path()).iter().any(|process| runs(process, "boxoffice"));
    wait_until("the server", serving);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the end of all processes", || processes(place.path()).is_empty());
    assert!(entries(place.path())[0].starts_with("boxoffice-loadtest-"), "{:?}", entries(place.path()));
}

/// Whether a process of `/proc` runs the program of this name.
fn runs(process: &str, program: &str) -> bool {
    std::fs::read_link(format!("{process}/exe")).is_ok_and(|path| path.ends_with(program))
}

#[test]
fn several_servers_on_sqlite_are_refused() {
    let place = place();
    let output = run(place.path(), "sale --servers 2");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--servers 2 needs --store postgres"), "{}", stderr(&output));
}

/// Runs `bench` briefly; answers its report, and the names of its measurements.
fn bench(options: &str) -> (Value, String) {
    let place = place();
    let file = place.path().join("bench.json");
    let line = format!("bench --store postgres --turns 1 --seconds 1 {options} --json {}", file.display());
    let output = run(place.path(), &line);
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let measured = report["measurements"].as_array().unwrap().iter();
    let names: Vec<_> = measured.map(|m| format!("{}@{}", m["name"].as_str().unwrap(), m["in_flight"])).collect();
    (report, names.join(" "))
}

#[test]
fn the_hand_written_way_is_measured_beside_boxoffice() {
    let (report, names) = bench("--only reserve@1");
    assert_eq!(names, "empty@1 reserve@1 pgbench_update@1");
    let by_hand = &report["measurements"][2];
    assert!(by_hand["rate_per_s"].as_f64().unwrap() > 1.0 && by_hand["latency_us"]["p50"].as_u64().unwrap() > 0);
    let judged = report["measurements"][1]["targets"][0]["text"].as_str().unwrap();
    assert!(judged.contains("of empty@1 and pgbench_update@1 together"), "{judged}");
}

#[test]
fn a_commit_delay_makes_each_commit_wait() {
    let (report, names) = bench("--commit-delay 20ms --only pgbench_update@1");
    assert_eq!(names, "pgbench_update@1");
    let micros = report["facts"]["one_commit_by_hand_takes_us"].as_f64().unwrap();
    assert!(micros >= 20_000.0, "{micros}");
}

#[test]
fn several_servers_are_measured_against_one_of_them() {
    let (report, names) = bench("--servers 2 --only reserve@64");
    assert_eq!(names, "empty@64 reserve@64 reserve_one_server@64");
    assert_eq!((&report["servers"], &report["audit"]["lost"]), (&2.into(), &0.into()));
}

#[test]
fn a_crowd_is_let_in_in_its_order_with_and_without_redis() {
    let place = place();
    let file = place.path().join("room.json");
    let line = "waiting-room --joined 200 --admitted 20 --rate 60 --seconds 0.5 --in-flight 32 --json";
    let output = run(place.path(), &format!("{line} {}", file.display()));
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let names: Vec<_> =
        report["measurements"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["join_with_redis", "join_without_redis"]);
    let facts = &report["facts"];
    for kind in ["with_redis", "without_redis"] {
        assert_eq!(facts[format!("{kind}_let_in_for_those_who_left")], 15, "{facts}");
        // How many that were is for the machine to say, too.
        assert!(facts[format!("{kind}_let_in_at_the_rate")].is_u64(), "{facts}");
        assert!(facts[format!("{kind}_estimates")].as_u64() > Some(0), "{facts}");
    }
    assert_eq!((&report["verdict"], &report["audit"]["out_of_turn"]), (&"pass".into(), &0.into()));
}
