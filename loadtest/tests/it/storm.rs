//! Faults, caused to real servers while a client calls them through their fronts.

use std::ffi::OsString;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use loadtest::cli;
use loadtest::client::Connections;
use loadtest::clock::{Micros, now};
use loadtest::event::{SaleEvent, Terms};
use loadtest::faults::{Fault, Fronts, Load, Storm};
use loadtest::fetch;
use loadtest::misdeed::Misdeed;
use loadtest::report::course::FaultMark;
use loadtest::server::{Children, Options, Servers};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take that must come about.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How long a call may take: longer than any fault.
const CALL_WAIT_MAX: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// Short, so that the tests are.
const CALM: std::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_millis(60);
const MILLI: Micros = 1_000;

/// Servers with an event, and their fronts.
struct Scene {
    servers: Servers,
    fronts: Fronts,
    event: SaleEvent,
}

impl Scene {
    async fn start(options: &str, faults: &[Fault]) -> Self {
        let line = format!("loadtest sale{options}");
        let common = cli::parse(line.split(' ').map(OsString::from)).scenario.common().clone();
        let servers = Servers::start(&common, Options::default()).await.unwrap();
        let fronts = Fronts::start(&servers, faults, 1).await.unwrap();
        let terms = Terms { limit_per_owner: 0, limit_per_allocation: 0, hold_seconds: 1, hold_seconds_max: 2 };
        let connections = Connections::new(fronts.urls(), 1).unwrap();
        let event = SaleEvent::create(&mut connections.admin(0), "storm", 10, terms).await.unwrap();
        Self { servers, fronts, event }
    }

    fn children(&mut self) -> &mut Children {
        match &mut self.servers {
            Servers::Children(children) => children,
            Servers::Running { .. } => unreachable!("they are not ours"),
        }
    }

    fn pids(&mut self) -> Vec<u32> {
        let children = self.children();
        (0..children.count()).map(|index| children.server(index).unwrap().pid().unwrap()).collect()
    }

    /// The PostgreSQL's number of its present life.
    async fn database_life(&self) -> String {
        self.servers.database().unwrap().psql("postgres", "SELECT pg_postmaster_start_time()").await.unwrap()
    }

    /// Each server answers through its front, with what is in the database.
    async fn is_whole(&mut self) {
        for url in self.fronts.urls() {
            let connections = Connections::new(std::slice::from_ref(url), 1).unwrap();
            let begun = Instant::now();
            while !answers(&connections, &self.event).await {
                // The servers connect to their database again by themselves, and need a moment for that.
                assert!(self.servers.database().is_some() && begun.elapsed() < WAIT_MAX, "{url} does not answer");
                sleep(POLL_INTERVAL).await;
            }
        }
        self.servers.check_alive().unwrap();
        assert!(!self.pids().into_iter().any(is_stopped), "a server is stopped");
    }
}

/// Whether a call is answered, and in time.
async fn answers(connections: &Connections, event: &SaleEvent) -> bool {
    let mut inventory = connections.inventory(0);
    timeout(CALL_WAIT_MAX, fetch::counters(&mut inventory, event)).await.is_ok_and(|answer| answer.is_ok())
}

/// Whether a process is stopped by a signal.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

/// A load that is done when so many faults have struck, and a call has met what the test is about: how long that takes is for the
/// machine to say.
struct Struck {
    wanted: usize,
    met: fn(&Seen) -> bool,
    pids: Vec<u32>,
    seen: Mutex<Seen>,
}

impl Struck {
    fn new(wanted: usize, met: fn(&Seen) -> bool, pids: Vec<u32>) -> Self {
        Self { wanted, met, pids, seen: Mutex::default() }
    }
}

impl Load for Struck {
    fn done(&self) -> f64 {
        let is_stopped = self.pids.iter().copied().any(is_stopped);
        let mut seen = self.seen.lock().unwrap();
        seen.stopped |= is_stopped;
        f64::from(seen.marks.len() >= self.wanted && (self.met)(&seen))
    }

    fn struck(&self, mark: &FaultMark) {
        assert!(mark.from <= mark.to && mark.to <= now());
        self.seen.lock().unwrap().marks.push(mark.clone());
    }
}

/// A call of the client: when it began and ended, and whether it was answered.
#[derive(Debug)]
struct Probe {
    from: Micros,
    to: Micros,
    answered: bool,
}

/// What a storm did, and what a client saw of it.
#[derive(Debug, Default)]
struct Seen {
    marks: Vec<FaultMark>,
    probes: Vec<Probe>,
    stopped: bool,
}

impl Seen {
    /// What the client saw while a fault was at work.
    fn during(&self) -> impl Iterator<Item = &Probe> {
        let meets = |probe: &Probe, mark: &FaultMark| probe.from < mark.to && probe.to > mark.from;
        self.probes.iter().filter(move |probe| self.marks.iter().any(|mark| meets(probe, mark)))
    }

    /// The calls that had nothing but a fault.
    fn within(&self) -> impl Iterator<Item = &Probe> {
        let lies_in = |probe: &Probe, mark: &FaultMark| probe.from > mark.from && probe.to < mark.to;
        self.probes.iter().filter(move |probe| self.marks.iter().any(|mark| lies_in(probe, mark)))
    }

    fn is_slow(&self) -> bool {
        self.during().any(|probe| probe.to - probe.from >= 50 * MILLI)
    }
}

/// Calls again and again, until the storm is over and the call that it met is.
async fn probe(connections: &Connections, event: &SaleEvent, load: &Struck, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let from = now();
        let answered = answers(connections, event).await;
        load.seen.lock().unwrap().probes.push(Probe { from, to: now(), answered });
        sleep(POLL_INTERVAL).await;
    }
}

/// Lets each of the faults come, again and again until a call has met them, and sees to it that all is whole afterwards.
async fn storm(options: &str, faults: &[Fault], met: fn(&Seen) -> bool) -> Seen {
    let mut scene = Scene::start(options, faults).await;
    let connections = Connections::new(scene.fronts.urls(), 1).unwrap();
    assert!(answers(&connections, &scene.event).await, "before anything goes wrong");
    let load = Struck::new(faults.len(), met, scene.pids());
    let mut storm = Storm::new(faults, 1).calm(CALM);
    let over = AtomicBool::new(false);
    let raging = async {
        let marks = timeout(WAIT_MAX, storm.run(&mut scene.servers, &scene.fronts, &load)).await;
        over.store(true, Ordering::Relaxed);
        assert!(marks.is_ok(), "no call met it: {:?}", load.seen.lock().unwrap());
        marks.unwrap().unwrap()
    };
    let (marks, ()) = tokio::join!(raging, probe(&connections, &scene.event, &load, &over));
    scene.is_whole().await;
    assert!(faults.iter().all(|fault| marks.iter().any(|mark| mark.fault == fault.as_str())), "{marks:?}");
    Seen { marks, ..load.seen.into_inner().unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_away_and_comes_back() {
    let mut scene = Scene::start("", &[]).await;
    let before = scene.pids();
    let load = Struck::new(1, |_| true, vec![]);
    let mut storm = Storm::new(&[Fault::KillServer], 1).calm(CALM);
    storm.run(&mut scene.servers, &scene.fronts, &load).await.unwrap();
    scene.is_whole().await;
    assert_ne!(scene.pids(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_is_silent_for_a_while() {
    let seen = storm("", &[Fault::Pause], |seen| seen.stopped && seen.is_slow()).await;
    assert!(seen.probes.iter().all(|probe| probe.answered), "{:?}", seen.probes);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_replies_break_connections() {
    storm("", &[Fault::DropReplies], |seen| seen.during().any(|probe| !probe.answered)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_slows_every_call() {
    let seen = storm("", &[Fault::Delay], |seen| seen.within().count() >= 2).await;
    assert!(seen.within().all(|probe| probe.to - probe.from >= 10 * MILLI), "{:?}", seen.probes);
    assert!(seen.probes.iter().all(|probe| probe.answered), "{:?}", seen.probes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_holds_calls_back() {
    let seen = storm("", &[Fault::Partition], Seen::is_slow).await;
    assert!(seen.probes.iter().all(|probe| probe.answered), "{:?}", seen.probes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_database_comes_back_under_its_servers() {
    let mut scene = Scene::start(" --store postgres --servers 2", &[]).await;
    let (before, life) = (scene.pids(), scene.database_life().await);
    let mut storm = Storm::new(&[Fault::KillDatabase], 1).calm(CALM);
    let marks = storm.run(&mut scene.servers, &scene.fronts, &Struck::new(1, |_| true, vec![])).await.unwrap();
    assert_eq!(marks.iter().map(|mark| mark.fault).collect::<Vec<_>>(), ["kill-database"]);
    scene.is_whole().await;
    assert_eq!(scene.pids(), before, "the servers live on");
    assert_ne!(scene.database_life().await, life);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_together_leave_everything_whole() {
    let faults = [Fault::KillServer, Fault::DropReplies, Fault::Delay, Fault::Partition, Fault::Pause];
    let more = [Fault::KillDatabase, Fault::FlushRedis, Fault::KillRedis];
    storm(" --store postgres --servers 2 --redis", &[&faults[..], &more].concat(), |_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owed_kills_are_spread_over_the_load_and_exact() {
    let mut scene = Scene::start("", &[]).await;
    let (begun, length) = (now(), 600 * MILLI);
    let progress = || ((now() - begun) as f64 / length as f64).min(1.0);
    let marks = Storm::new(&[], 1).kills(3).run(&mut scene.servers, &scene.fronts, &progress).await.unwrap();
    assert_eq!(marks.iter().map(|mark| mark.fault).collect::<Vec<_>>(), ["kill-server"; 3]);
    assert!(marks[0].from >= begun + length / 50, "{marks:?} since {begun}");
    assert!(progress() >= 1.0, "it watches to the end");
    scene.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_that_are_owed_when_the_load_is_done_still_come() {
    let mut scene = Scene::start("", &[Fault::Partition]).await;
    let begun = Instant::now();
    let mut storm = Storm::new(&[Fault::Partition], 1).kills(2);
    let marks = storm.run(&mut scene.servers, &scene.fronts, &|| 1.0).await.unwrap();
    assert_eq!(marks.iter().map(|mark| mark.fault).collect::<Vec<_>>(), ["kill-server"; 2]);
    assert!(begun.elapsed() < WAIT_MAX);
    scene.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_by_itself_ends_the_storm() {
    let mut scene = Scene::start("", &[]).await;
    let pid = Pid::from_raw(scene.pids()[0].cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    let mut storm = Storm::new(&[], 1);
    let ended = timeout(WAIT_MAX, storm.run(&mut scene.servers, &scene.fronts, &|| 0.0)).await;
    let error = scene.servers.explain(ended.expect("it is noticed").unwrap_err());
    let violation = error.downcast::<Misdeed>().expect("it is the server's doing").into_violation();
    assert!(violation.text.contains("died by itself") && violation.text.contains("SIGKILL"), "{violation:?}");
    assert!(violation.evidence.iter().any(|line| line.contains("log ends with")), "{violation:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_that_is_dropped_lets_all_go_on() {
    let mut scene = Scene::start("", &[Fault::Partition]).await;
    let pid = scene.pids()[0];
    let mut storm = Storm::new(&[Fault::Pause], 1).calm(CALM);
    tokio::select! {
        ended = storm.run(&mut scene.servers, &scene.fronts, &|| 0.0) => panic!("{ended:?}"),
        () = until(|| is_stopped(pid)) => {}
    }
    scene.is_whole().await;
    let mut storm = Storm::new(&[Fault::Partition], 1).calm(CALM);
    let partitioned = async {
        let connections = Connections::new(scene.fronts.urls(), 1).unwrap();
        let call = async || fetch::counters(&mut connections.inventory(0), &scene.event).await;
        while timeout(Duration::from_millis(50), call()).await.is_ok() {}
    };
    tokio::select! {
        ended = storm.run(&mut scene.servers, &scene.fronts, &|| 0.0) => panic!("{ended:?}"),
        () = partitioned => {}
    }
    scene.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_is_gone_when_it_is_dropped() {
    let mut scene = Scene::start("", &[]).await;
    let pid = scene.pids()[0];
    std::mem::forget(scene.children().server(0).unwrap().pause().unwrap());
    until(|| is_stopped(pid)).await;
    drop(scene);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "it is still there");
}

async fn until(condition: impl Fn() -> bool) {
    let polled = async {
        while !condition() {
            sleep(POLL_INTERVAL).await;
        }
    };
    timeout(WAIT_MAX, polled).await.expect("it comes about");
}
