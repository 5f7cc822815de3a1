//! A server's first process (PostgreSQL's postmaster, or Redis itself) and all that descend from it: backends, writers,
//! WAL senders.
//!
//! They are found by their parents in `/proc`. Process groups are no help, because each child of a postmaster makes a
//! session of its own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a signal may take to show its effect.
const SIGNAL_WAIT_MAX: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// What `/proc` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    state: char,
    /// In ticks since the machine's start. With the pid it tells a process from a later one of the same number.
    started: u64,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses, which may hold anything.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self { pid, parent, state, started })
    }

    /// Whether it still runs. What has ended but was not waited for (a zombie) does not.
    fn is_alive(self) -> bool {
        Self::read(self.pid).is_some_and(|now| now.started == self.started && !matches!(now.state, 'Z' | 'X'))
    }

    /// Sends a signal; a process that has ended by now does not mind.
    fn signal(self, signal: Signal) -> Result<()> {
        send(self.pid, signal)
    }
}

/// Sends a signal to a process, which may have ended already.
pub(crate) fn send(pid: i32, signal: Signal) -> Result<()> {
    let target = Pid::from_raw(pid).context("no process has the number 0")?;
    match kill_process(target, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot send {signal:?} to process {pid}")),
    }
}

/// Stops the postmaster and then all its descendants where they are, and returns the latter. While it is stopped, no more of
/// them come.
fn freeze(postmaster: i32) -> Result<Vec<Process>> {
    send(postmaster, Signal::STOP)?;
    wait_until("it did not stop", || {
        Process::read(postmaster).is_none_or(|process| matches!(process.state, 'T' | 't' | 'Z' | 'X'))
    })?;
    let descendants = descendants(postmaster)?;
    for process in &descendants {
        process.signal(Signal::STOP)?;
    }
    Ok(descendants)
}

/// Stops all where they are: the machine hangs, the network is silent.
pub(crate) fn pause(postmaster: i32) -> Result<()> {
    freeze(postmaster).map(drop)
}

/// Lets all go on.
pub(crate) fn resume(postmaster: i32) -> Result<()> {
    for process in descendants(postmaster)? {
        process.signal(Signal::CONT)?;
    }
    send(postmaster, Signal::CONT)
}

/// Kills all at one moment, as far as any of them can tell. Returns when the descendants are gone; the postmaster is the
/// caller's child, and so the caller's to wait for.
pub(crate) fn kill(postmaster: i32) -> Result<()> {
    let descendants = freeze(postmaster)?;
    send(postmaster, Signal::KILL)?;
    for process in &descendants {
        process.signal(Signal::KILL)?;
    }
    wait_until("its processes did not end", || !descendants.iter().any(|process| process.is_alive()))
}

fn descendants(ancestor: i32) -> Result<Vec<Process>> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").context("cannot read /proc")? {
        let pid = entry.ok().and_then(|entry| entry.file_name().to_str()?.parse().ok());
        if let Some(process) = pid.and_then(Process::read) {
            children.entry(process.parent).or_default().push(process);
        }
    }
    let mut found = children.remove(&ancestor).unwrap_or_default();
    let mut seen = 0;
    while let Some(process) = found.get(seen) {
        seen += 1;
        found.extend(children.remove(&process.pid).unwrap_or_default());
    }
    Ok(found)
}

fn wait_until(complaint: &str, condition: impl Fn() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !condition() {
        if begin.elapsed() > SIGNAL_WAIT_MAX {
            bail!("a server got a signal, but {complaint} within {} s", SIGNAL_WAIT_MAX.as_secs());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}
