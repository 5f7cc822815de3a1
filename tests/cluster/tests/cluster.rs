//! What a private cluster promises, shown on real servers.

mod support;

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use private_cluster::{Cluster, Options, fresh_database, shared};
use rustix::net::{AddressFamily, SocketType, bind, socket};

use support::{CHILD_VARIABLE, child, owned, public_directory, runs, stat, this_program, wait_until};

fn start() -> Cluster {
    Cluster::start(&Options::default()).expect("it starts")
}

fn psql(cluster: &Cluster, sql: &str) -> String {
    cluster.psql("postgres", sql).expect("the statements succeed")
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").expect("/proc is there");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn children(parent: i32) -> impl Iterator<Item = i32> {
    processes().filter(move |pid| stat(*pid).is_some_and(|fields| fields[1] == parent.to_string()))
}

/// The postmaster and its children.
fn family(postmaster: i32) -> Vec<i32> {
    let family: Vec<i32> = [postmaster].into_iter().chain(children(postmaster)).collect();
    assert!(family.len() > 4, "a server has processes for its log, checkpoints, vacuum, …: {family:?}");
    family
}

/// The ids of all segments of System V shared memory.
fn shared_segments() -> BTreeSet<u64> {
    let list = std::fs::read_to_string("/proc/sysvipc/shm").expect("the kernel lists them");
    list.lines().skip(1).map(|line| line.split_whitespace().nth(1).expect("an id").parse().expect("a number")).collect()
}

/// The id of the segment that a running server has.
fn shared_segment(directory: &Path) -> u64 {
    let pid_file = std::fs::read_to_string(directory.join("data/postmaster.pid")).expect("it runs");
    pid_file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)).expect("an id").parse().expect("a number")
}

#[test]
fn starts_and_answers() {
    let cluster = start();
    assert_eq!(psql(&cluster, "SELECT 1 + 1; SELECT 'a', 'b'"), "2\na|b");
    cluster.create_database("sale \"of\" it").expect("a fresh name");
    assert_eq!(cluster.psql("sale \"of\" it", "SELECT current_database()").expect("it is there"), "sale \"of\" it");
    assert_eq!(
        cluster.url("sale"),
        format!("postgres://postgres:pa55word-that-nobody-must-print@127.0.0.1:{}/sale", cluster.port())
    );
    assert_eq!(psql(&cluster, "SHOW server_encoding; SHOW fsync; SHOW lc_collate"), "UTF8\noff\nC");
    assert_eq!(
        psql(&cluster, "SHOW dynamic_shared_memory_type"),
        "mmap",
        "a killed server must leave nothing in /dev/shm"
    );
    let error = cluster.psql("postgres", "SELECT 1; SELECT nonsense; SELECT 2").expect_err("it fails").to_string();
    assert!(error.contains("column \"nonsense\" does not exist"), "{error}");
}

#[test]
fn many_rows_in_and_out_do_not_block() {
    let statements = "SELECT repeat('x', 100) FROM generate_series(1, 10);\n".repeat(10_000);
    assert_eq!(psql(shared(), &statements).lines().count(), 100_000);
}

#[test]
fn listens_on_the_loopback_interface_alone() {
    let cluster = start();
    assert_eq!(psql(&cluster, "SHOW listen_addresses; SHOW unix_socket_directories"), "127.0.0.1\n");
}

#[test]
fn two_at_once_do_not_meet() {
    let (one, other) = (start(), start());
    assert_ne!(one.port(), other.port());
    assert_ne!(one.directory(), other.directory());
    one.create_database("mine").expect("a fresh name");
    other.psql("mine", "SELECT 1").expect_err("it is not there");
}

#[test]
fn options_become_settings() {
    let base = public_directory();
    let options =
        Options::default().durable().setting("work_mem", "7MB").setting("cluster_name", "it's").base(base.path());
    let cluster = Cluster::start(&options).expect("it starts");
    assert_eq!(psql(&cluster, "SHOW fsync; SHOW work_mem; SHOW cluster_name"), "on\n7MB\nit's");
    assert!(cluster.directory().starts_with(base.path()));
}

#[test]
fn settings_can_be_changed_while_it_runs() {
    let cluster = Cluster::start(&Options::default().setting("work_mem", "7MB")).expect("it starts");
    cluster.set("work_mem", "8MB").expect("a valid value");
    assert_eq!(psql(&cluster, "SHOW work_mem"), "8MB");
    let error = cluster.set("work_mem", "much").expect_err("no valid value").to_string();
    assert!(error.contains("invalid value"), "{error}");
}

#[test]
fn what_cannot_start_tells_its_log() {
    let error =
        Cluster::start(&Options::default().setting("work_mem", "much")).expect_err("no valid value").to_string();
    assert!(error.contains("invalid value for parameter \"work_mem\""), "{error}");
}

#[test]
fn kill_and_start_again_keeps_what_was_committed() {
    let cluster = start();
    psql(&cluster, "CREATE TABLE t AS SELECT 7 AS n");
    let (family, port) = (family(cluster.pid().expect("it runs")), cluster.port());
    cluster.kill().expect("it can be killed");
    assert!(!family.iter().any(|pid| runs(*pid)), "the whole family has gone");
    cluster.psql("postgres", "SELECT 1").expect_err("it is down");
    cluster.kill().expect("nothing is left to do");
    cluster.start_again().expect("it recovers");
    assert_eq!(psql(&cluster, "SELECT n FROM t"), "7");
    assert_eq!(cluster.port(), port);
    assert!(cluster.log().contains("automatic recovery in progress"), "{}", cluster.log());
    cluster.start_again().expect_err("it runs already");
}

#[test]
fn stop_and_start_again_needs_no_recovery() {
    let cluster = start();
    cluster.stop().expect("it stops");
    assert_eq!(cluster.pid(), None);
    cluster.wait_until_accepting().expect_err("it is down");
    cluster.start_again().expect("it starts");
    assert!(!cluster.log().contains("recovery in progress"), "{}", cluster.log());
}

#[test]
fn nobody_gets_the_port_while_it_is_down() {
    let cluster = start();
    cluster.kill().expect("it can be killed");
    let refused = TcpStream::connect(("127.0.0.1", cluster.port())).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    // What the kernel gives to others, it chooses among the ports that can be bound like this.
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, cluster.port());
    assert_eq!(bind(&socket, &address), Err(rustix::io::Errno::ADDRINUSE));
    cluster.start_again().expect("it can have its own port");
    TcpStream::connect(address).expect("it listens again");
}

#[test]
fn a_paused_server_is_silent_until_it_is_resumed() {
    let cluster = start();
    let family = family(cluster.pid().expect("it runs"));
    cluster.pause().expect("it can be paused");
    wait_until("all have stopped", || {
        family.iter().all(|pid| !runs(*pid) || stat(*pid).is_none_or(|fields| fields[0] == "T"))
    });
    cluster.resume().expect("it can be resumed");
    assert_eq!(psql(&cluster, "SELECT 1"), "1");
    cluster.pause().expect("it can be paused");
    cluster.kill().expect("a paused one can be killed");
}

#[test]
fn sessions_can_be_terminated() {
    let cluster = start();
    cluster.create_database("busy").expect("a fresh name");
    std::thread::scope(|scope| {
        let session = scope.spawn(|| cluster.psql("busy", "SELECT pg_sleep(30)"));
        let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'busy'";
        wait_until("the session is there", || psql(&cluster, sleeping) == "1");
        assert_eq!(cluster.terminate_backends("postgres").expect("it answers"), 0);
        assert_eq!(cluster.terminate_backends("busy").expect("it answers"), 1);
        let error = session.join().expect("it ends").expect_err("it was ended").to_string();
        assert!(error.contains("terminating connection due to administrator command"), "{error}");
    });
}

#[test]
fn a_standby_follows_and_can_be_promoted() {
    let primary = start();
    psql(&primary, "CREATE TABLE t (n int)");
    let standby = primary.standby("second", &Options::default()).expect("it starts");
    let names = "SELECT application_name, state FROM pg_stat_replication";
    wait_until("it streams", || psql(&primary, names) == "second|streaming");
    primary.set("synchronous_standby_names", "second").expect("a valid name");
    psql(&primary, "SET synchronous_commit = remote_apply; INSERT INTO t VALUES (7)");
    assert_eq!(psql(&standby, "SELECT n FROM t"), "7");
    standby.psql("postgres", "INSERT INTO t VALUES (8)").expect_err("it only reads");

    primary.kill().expect("it can be killed");
    standby.promote().expect("it becomes the primary");
    psql(&standby, "INSERT INTO t VALUES (8)");
    assert_eq!(psql(&standby, "SELECT count(*) FROM t"), "2");
}

#[test]
fn client_programs_know_the_server_and_run_in_its_directory() {
    let cluster = start();
    let mut psql = cluster.client("psql").expect("it is installed");
    let output =
        psql.args(["-At", "-c", "SELECT current_user", "-c", "\\! pwd", "postgres"]).output().expect("it runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(printed, format!("postgres\n{}\n", cluster.directory().display()));
    let missing = cluster.client("psql-of-nobody").expect_err("there is no such program").to_string();
    assert!(missing.contains("psql-of-nobody is not installed in /"), "{missing}");
}

#[test]
fn a_dropped_cluster_leaves_nothing_behind() {
    let cluster = start();
    let (directory, family) = (cluster.directory().to_owned(), family(cluster.pid().expect("it runs")));
    let segment = shared_segment(&directory);
    assert!(shared_segments().contains(&segment) && directory.exists());
    drop(cluster);
    assert!(!family.iter().any(|pid| runs(*pid)), "a process is left");
    assert!(!directory.exists(), "the directory is left");
    assert!(!shared_segments().contains(&segment), "shared memory is left");
}

#[test]
fn a_pooler_shares_connections_and_goes_when_it_is_dropped() {
    let cluster = start();
    let pooler = cluster.pooler(1).expect("it starts");
    let backend = || {
        let mut psql = cluster.client("psql").expect("it is installed");
        let output = psql.args(["-At", "-c", "SELECT pg_backend_pid()", &pooler.url("postgres")]).output();
        String::from_utf8(output.expect("it runs").stdout).expect("text")
    };
    let first = backend();
    assert!(first.trim_end().parse::<i32>().is_ok(), "{first:?}");
    assert_eq!(first, backend());
    let pid = pooler.pid();
    assert!(runs(pid));
    drop(pooler);
    assert!(!runs(pid), "it is left");
}

#[test]
fn a_killed_owner_leaves_no_pooler_behind() {
    let mut owner = child(&this_program(), "helper_owns_a_pooler").spawn().expect("this program starts");
    let (directory, pid) = owned(&mut BufReader::new(owner.stdout.take().expect("it is piped")));
    assert!(runs(pid) && directory.exists());
    owner.kill().expect("it runs");
    owner.wait().expect("it is our child");
    wait_until("the directory is gone", || !directory.exists());
    assert!(!runs(pid), "the pooler is left");
}

#[test]
fn a_killed_owner_leaves_nothing_behind() {
    let mut owner = child(&this_program(), "helper_owns_a_cluster").spawn().expect("this program starts");
    let mut output = BufReader::new(owner.stdout.take().expect("it is piped"));
    let (directory, pid) = owned(&mut output);
    let (family, segment) = (family(pid), shared_segment(&directory));
    assert!(directory.exists());

    owner.kill().expect("it runs");
    owner.wait().expect("it is our child");
    wait_until("the directory is gone", || !directory.exists());
    assert!(!family.iter().any(|pid| runs(*pid)), "a process is left");
    assert!(!shared_segments().contains(&segment), "shared memory is left");
    // Nor has anybody kept the pipe that a test runner reads to its end.
    assert_eq!(output.lines().count(), 0);
}

#[test]
fn an_owner_killed_in_the_midst_of_starting_leaves_nothing_behind() {
    let place = public_directory();
    let count = || std::fs::read_dir(place.path()).expect("it is there").count();
    for delay_millis in [0, 100, 300, 500, 700, 900] {
        let mut owner =
            child(&this_program(), "helper_owns_a_cluster").env("TMPDIR", place.path()).spawn().expect("it starts");
        wait_until("it has made a directory", || count() > 0);
        // Not to let anything come up, but to meet it at different moments.
        std::thread::sleep(Duration::from_millis(delay_millis));
        owner.kill().expect("it runs");
        owner.wait().expect("it is our child");
        wait_until("the directory is gone", || count() == 0);
    }
    // A program that ran on would make its directory again, or at least stay in it.
    let stayed =
        |pid: &i32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(place.path()));
    wait_until("all its programs are gone", || !processes().any(|pid| stayed(&pid)));
    assert_eq!(count(), 0);
}

/// Found by the test above on a busy machine: the reaper died of SIGPIPE, and left the directory that it had just made.
#[test]
fn an_owner_killed_before_it_knows_the_directory_leaves_nothing_behind() {
    let place = public_directory();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut reaper = Command::new("sh");
    reaper.args(["-c", include_str!("../src/reaper.sh"), "reaper"]).arg(place.path()).arg("/nowhere");
    reaper.stdin(Stdio::null()).stdout(writer).status().expect("sh is there");
    assert_eq!(std::fs::read_dir(place.path()).expect("it is there").count(), 0);
}

#[test]
fn a_server_does_not_inherit_what_its_owner_inherited() {
    let place = public_directory();
    let inherited = place.path().join("inherited");
    let mut owner = Command::new("sh")
        .args(["-c", r#"exec 7>"$0" && exec "$@""#])
        .arg(&inherited)
        .args([
            this_program().as_os_str(),
            "--exact".as_ref(),
            "helper_owns_a_cluster".as_ref(),
            "--nocapture".as_ref(),
        ])
        .env(CHILD_VARIABLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh is there");
    let (_, pid) = owned(&mut BufReader::new(owner.stdout.take().expect("it is piped")));
    let holds = |pid: i32| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it may be looked at");
        open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()).any(|path| path == inherited)
    };
    assert!(holds(owner.id().cast_signed()), "the owner itself has inherited it");
    // The postmaster and the reaper.
    let children: Vec<i32> = children(owner.id().cast_signed()).collect();
    assert!(children.len() == 2 && children.contains(&pid), "{children:?}");
    assert!(!children.into_iter().any(holds), "a child has inherited it");
    owner.kill().expect("it runs");
    owner.wait().expect("it is our child");
}

/// Owns a cluster with a pooler until it is killed.
#[test]
fn helper_owns_a_pooler() {
    if std::env::var_os(CHILD_VARIABLE).is_none() {
        return;
    }
    let cluster = start();
    let pooler = cluster.pooler(1).expect("it starts");
    println!("\nOWNED {} {}", cluster.directory().display(), pooler.pid());
    let _ = std::io::stdin().read(&mut [0]);
}

/// Owns a cluster in a `static`, as tests do, until it is killed.
#[test]
fn helper_owns_a_cluster() {
    static KEPT: OnceLock<Cluster> = OnceLock::new();
    if std::env::var_os(CHILD_VARIABLE).is_none() {
        return;
    }
    let cluster = KEPT.get_or_init(start);
    println!("\nOWNED {} {}", cluster.directory().display(), cluster.pid().expect("it runs"));
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn nothing_runs_as_root() {
    let cluster = start();
    // Helpers of PostgreSQL come and go meanwhile; the postmaster stays.
    let user = |pid: i32| std::fs::metadata(format!("/proc/{pid}")).ok().map(|process| process.uid());
    let postmaster = cluster.pid().expect("it runs");
    assert!(user(postmaster).is_some_and(|user| user != 0), "the server runs as root");
    for pid in family(postmaster) {
        assert_ne!(user(pid), Some(0), "a process of the server runs as root");
    }
}

/// If we are root, this very test program runs once more as nobody; else every other test shows it.
#[test]
fn an_ordinary_user_can_use_it() {
    if !rustix::process::geteuid().is_root() || std::env::var_os(CHILD_VARIABLE).is_some() {
        return;
    }
    let place = public_directory();
    let program = place.path().join("test");
    std::fs::copy(this_program(), &program).expect("there is room");
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("it is ours");
    let nobody = 65534;
    let mut command = child(&program, "kill_and_start_again_keeps_what_was_committed");
    command.uid(nobody).gid(nobody).current_dir("/");
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn fresh_databases_have_names_of_their_own() {
    let (one, other) = (fresh_database(shared()).expect("it answers"), fresh_database(shared()).expect("it answers"));
    assert_ne!(one, other);
    assert_eq!(psql(shared(), "SHOW max_connections"), "300");
    assert!(std::ptr::eq(shared(), shared()));
}
