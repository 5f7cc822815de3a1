//! The empty call, sent by `h2load` (of nghttp2), a load generator in C that others wrote: what a call costs the least, to hold
//! the cost of our own generator against.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use super::driver::Turn;
use crate::report::latency_histogram;

/// The program; Debian's package is nghttp2-client.
pub const PROGRAM: &str = "h2load";

/// The empty call's path, and its message: no compression, no bytes.
const PATH: &str = "/grpc.health.v1.Health/Check";
const MESSAGE: [u8; 5] = [0; 5];

/// Threads of the program: as many as our generator has.
const THREADS: usize = 2;

/// How long it may take beyond what was asked for.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Whether it is installed.
pub async fn is_installed() -> bool {
    let mut command = Command::new(PROGRAM);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}

/// One turn: so many calls at once over so many connections, for `length` (whole seconds, at least one). It tells no
/// percentiles, so there are no latencies.
///
/// # Errors
/// Where the program fails, or a call did.
pub async fn turn(url: &str, in_flight: usize, connections: usize, length: Duration) -> Result<Turn> {
    let connections = connections.min(in_flight).max(1);
    let seconds = length.as_secs_f64().ceil().max(1.0).to_string();
    let message = tempfile::NamedTempFile::new()?;
    std::fs::write(message.path(), MESSAGE)?;
    let mut command = Command::new(PROGRAM);
    command.args(["-t", &THREADS.min(connections).to_string(), "-c", &connections.to_string()]);
    command.args(["-m", &(in_flight / connections).to_string(), "-D", &seconds, "-d"]).arg(message.path());
    command.args(["-H", "content-type: application/grpc", "-H", "te: trailers", &format!("{url}{PATH}")]);
    // A group of its own: an interruption is ours to handle, and dropping ends it.
    command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    let output = timeout(length + WAIT_MAX, command.output()).await.context("h2load does not end")?;
    let output = output.context("h2load cannot be started")?;
    let (printed, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "h2load failed ({}): {complaint}", output.status);
    read(&printed).with_context(|| format!("h2load prints what is not understood: {printed}"))
}

/// Reads `finished in 2.00s, 48730.50 req/s, 1.77MB/s` and `requests: 97461 total, …, 97461 succeeded, 0 failed, …`.
fn read(printed: &str) -> Option<Turn> {
    let after = |start: &str| printed.lines().find_map(|line| line.strip_prefix(start));
    let rate: f64 = after("finished in ")?.split(' ').nth(1)?.parse().ok()?;
    let counts = after("requests: ")?;
    let count = |name: &str| counts.split(", ").find_map(|count| count.strip_suffix(name)?.trim().parse::<u64>().ok());
    let (units, failed) = (count("succeeded")?, count("failed")? + count("errored")? + count("timeout")?);
    let seconds = units as f64 / rate;
    let done = units > 0 && failed == 0 && seconds.is_finite();
    done.then(|| Turn { units, seconds, latency: latency_histogram(), units_in_all: units })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_h2load_prints_is_understood() {
        let printed = |failed| {
            format!(
                "starting benchmark...\n\nfinished in 2.00s, 1500.00 req/s, 1.77MB/s\nrequests: 3010 total, 3010 started, \
                 3000 done, 3000 succeeded, {failed} failed, 0 errored, 0 timeout\n"
            )
        };
        let turn = read(&printed(0)).unwrap();
        assert_eq!((turn.units, turn.seconds), (3_000, 2.0));
        assert!(read(&printed(1)).is_none() && read("finished in 2.00s").is_none());
    }
}
