//! What a private Redis promises, shown on real servers.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use private_cluster::{AppendSync, REDIS_BINARIES_VARIABLE, Redis, RedisOptions};

use support::{CHILD_VARIABLE, child, owned, public_directory, runs, stat, this_program, wait_until};

fn start() -> Redis {
    Redis::start(&RedisOptions::default()).expect("it starts")
}

/// Sends one command, and answers the first line of what comes back.
fn tell(redis: &Redis, command: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", redis.port()))?;
    connection.set_read_timeout(Some(Duration::from_millis(500)))?;
    connection.write_all(format!("{command}\r\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(connection).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}

fn told(redis: &Redis, command: &str) -> String {
    tell(redis, command).expect("it answers")
}

/// The value of a setting, which comes in the fifth line.
fn setting(redis: &Redis, name: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", redis.port())).expect("it listens");
    connection.write_all(format!("CONFIG GET {name}\r\n").as_bytes()).expect("it reads");
    BufReader::new(connection).lines().nth(4).expect("a fifth line").expect("text")
}

#[test]
fn starts_empty_and_answers_on_the_loopback_interface_alone() {
    let redis = start();
    assert_eq!(
        (told(&redis, "DBSIZE"), told(&redis, "SET a 1"), told(&redis, "INCR a")),
        (":0".into(), "+OK".into(), ":2".into())
    );
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}", redis.port()));
    assert_eq!((setting(&redis, "bind"), setting(&redis, "save")), ("127.0.0.1".into(), String::new()));
}

#[test]
fn two_at_once_do_not_meet() {
    let (one, other) = (start(), start());
    told(&one, "SET mine 1");
    assert_eq!(told(&other, "DBSIZE"), ":0");
    assert_ne!((one.port(), one.directory()), (other.port(), other.directory()));
}

#[test]
fn options_become_settings() {
    let base = public_directory();
    let options = RedisOptions::default().append_only(AppendSync::Always).setting("maxmemory", "7mb").base(base.path());
    let redis = Redis::start(&options).expect("it starts");
    assert_eq!((setting(&redis, "appendfsync"), setting(&redis, "maxmemory")), ("always".into(), "7340032".into()));
    assert!(redis.directory().starts_with(base.path()));
    let redis = Redis::start(&RedisOptions::default().append_only(AppendSync::EverySecond)).expect("it starts");
    assert_eq!((setting(&redis, "appendonly"), setting(&redis, "appendfsync")), ("yes".into(), "everysec".into()));
    // The last one wins.
    let locked = Redis::start(&RedisOptions::default().setting("requirepass", "secret")).expect("it starts");
    assert!(told(&locked, "DBSIZE").starts_with("-NOAUTH"));
}

#[test]
fn what_cannot_start_tells_its_log() {
    let refused = Redis::start(&RedisOptions::default().setting("maxmemory", "much"));
    let error = refused.expect_err("no valid value").to_string();
    assert!(error.contains("maxmemory much"), "{error}");
}

#[test]
fn an_append_only_server_keeps_what_it_acknowledged_though_it_is_killed() {
    let redis = Redis::start(&RedisOptions::default().append_only(AppendSync::Always)).expect("it starts");
    told(&redis, "SET a 7");
    let (pid, port) = (redis.pid().expect("it runs"), redis.port());
    redis.kill().expect("it can be killed");
    assert!(!runs(pid) && redis.pid().is_none());
    tell(&redis, "PING").expect_err("it is down");
    redis.kill().expect("nothing is left to do");
    redis.start_again().expect("it reads its file");
    assert_eq!((told(&redis, "INCR a"), redis.port()), (":8".into(), port));
    redis.start_again().expect_err("it runs already");
}

#[test]
fn without_a_file_everything_dies_with_it() {
    let redis = start();
    told(&redis, "SET a 7");
    redis.stop().expect("it stops");
    redis.wait_until_answering().expect_err("it is down");
    redis.start_again().expect("it starts");
    assert_eq!(told(&redis, "DBSIZE"), ":0");
}

#[test]
fn a_paused_server_is_silent_until_it_is_resumed() {
    let redis = start();
    let pid = redis.pid().expect("it runs");
    redis.pause().expect("it can be paused");
    wait_until("it has stopped", || stat(pid).is_some_and(|fields| fields[0] == "T"));
    tell(&redis, "PING").expect_err("it is silent");
    redis.resume().expect("it can be resumed");
    assert_eq!(told(&redis, "PING"), "+PONG");
}

#[test]
fn a_replica_follows_and_takes_writes_once_it_is_promoted() {
    let redis = start();
    told(&redis, "SET a 7");
    let replica = redis.replica(&RedisOptions::default()).expect("it follows");
    assert_eq!(replica.tell("GET a").expect("it answers"), "7");
    assert!(replica.tell("SET a 8").expect_err("it is a replica").to_string().contains("READONLY"));
    redis.kill().expect("it runs");
    replica.promote().expect("it is there");
    assert_eq!(told(&replica, "INCR a"), ":8");
}

#[test]
fn a_dropped_server_leaves_nothing_behind() {
    let redis = Redis::start(&RedisOptions::default().append_only(AppendSync::EverySecond)).expect("it starts");
    told(&redis, "SET a 7");
    let (directory, pid) = (redis.directory().to_owned(), redis.pid().expect("it runs"));
    assert!(directory.exists() && runs(pid));
    drop(redis);
    assert!(!directory.exists() && !runs(pid));
}

#[test]
fn a_killed_owner_leaves_nothing_behind() {
    let mut owner = child(&this_program(), "helper_owns_a_server").spawn().expect("this program starts");
    let mut output = BufReader::new(owner.stdout.take().expect("it is piped"));
    let (directory, pid) = owned(&mut output);
    assert!(directory.exists() && runs(pid));
    owner.kill().expect("it runs");
    owner.wait().expect("it is our child");
    wait_until("the directory is gone", || !directory.exists());
    assert!(!runs(pid), "the server is left");
    // Nor has anybody kept the pipe that a test runner reads to its end.
    assert_eq!(output.lines().count(), 0);
}

#[test]
fn an_owner_killed_in_the_midst_of_starting_leaves_nothing_behind() {
    let place = public_directory();
    let count = || std::fs::read_dir(place.path()).expect("it is there").count();
    for delay_millis in [0, 2, 4, 6, 8, 10, 15, 20, 30, 50] {
        let mut owner =
            child(&this_program(), "helper_owns_a_server").env("TMPDIR", place.path()).spawn().expect("it starts");
        wait_until("it has made a directory", || count() > 0);
        // Not to let anything come up, but to meet it at different moments.
        std::thread::sleep(Duration::from_millis(delay_millis));
        owner.kill().expect("it runs");
        owner.wait().expect("it is our child");
        wait_until("the directory is gone", || count() == 0);
    }
    let entries = || std::fs::read_dir("/proc").expect("/proc is there").flatten();
    let stays = |cwd: std::path::PathBuf| cwd.starts_with(place.path());
    let stayed = || entries().any(|process| std::fs::read_link(process.path().join("cwd")).is_ok_and(stays));
    wait_until("all its programs are gone", || !stayed());
    assert_eq!(count(), 0);
}

/// Owns a server in a `static`, as tests do, until it is killed.
#[test]
fn helper_owns_a_server() {
    static KEPT: OnceLock<Redis> = OnceLock::new();
    if std::env::var_os(CHILD_VARIABLE).is_none() {
        return;
    }
    let redis = KEPT.get_or_init(start);
    println!("\nOWNED {} {}", redis.directory().display(), redis.pid().expect("it runs"));
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn nothing_runs_as_root() {
    let redis = start();
    let pid = redis.pid().expect("it runs");
    assert_ne!(std::fs::metadata(format!("/proc/{pid}")).expect("it runs").uid(), 0);
}

#[test]
fn a_missing_program_is_told_with_what_to_install() {
    let run = |variable: &str| {
        let mut command: Command = child(&this_program(), "helper_cannot_start");
        command.env(variable, "/nowhere");
        let output = command.output().expect("this program starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(run("PATH").contains("apt-get install redis-server"), "{}", run("PATH"));
    assert!(
        run(REDIS_BINARIES_VARIABLE).contains("BOXOFFICE_REDIS_BIN names a directory without redis-server: /nowhere")
    );
}

/// Says why it cannot start.
#[test]
fn helper_cannot_start() {
    if std::env::var_os(CHILD_VARIABLE).is_some() {
        println!("{:#}", Redis::start(&RedisOptions::default()).expect_err("there is no program"));
    }
}
