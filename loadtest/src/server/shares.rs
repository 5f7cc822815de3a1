//! Who used the machine's processors during the load: so that one sees when the generator was the limit.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Servers, generator_cpu_seconds};
use crate::WORKER_THREADS;

/// A generator that takes more of the machine than this, and more than the servers do, is likely what limits them.
const SHARE_OF_THE_LIMIT: f64 = 0.45;
/// So is one whose threads are busy for so much of the time, however many processors are left.
const BUSY_OF_THE_LIMIT: f64 = 0.9;

/// The beginning of the load.
#[derive(Debug)]
pub struct CpuShares {
    begun: Instant,
    generator_seconds: Option<f64>,
    servers_seconds: Option<f64>,
}

/// What was used of all the machine's processors, 0 to 1; `None` where it cannot be seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// By the load generator.
    pub generator: Option<f64>,
    /// By the servers, killed ones included; not by a PostgreSQL below them.
    pub servers: Option<f64>,
    cores: f64,
}

impl CpuShares {
    /// Notes what was used before the load.
    pub fn begin(servers: &Servers) -> Self {
        let servers_seconds = servers.cpu_seconds();
        Self { begun: Instant::now(), generator_seconds: generator_cpu_seconds(), servers_seconds }
    }

    /// What was used since.
    pub fn end(&self, servers: &Servers) -> Shares {
        let cores = cores();
        let available = self.begun.elapsed().as_secs_f64() * cores;
        // The time is counted in ticks: over a moment the share could come out above 1.
        let share = |before: Option<f64>, now: Option<f64>| Some(((now? - before?) / available).clamp(0.0, 1.0));
        Shares {
            generator: share(self.generator_seconds, generator_cpu_seconds()),
            servers: share(self.servers_seconds, servers.cpu_seconds()),
            cores,
        }
    }
}

impl Shares {
    /// For the report; the last only where there is something to say.
    pub fn facts(&self) -> Vec<(&'static str, Value)> {
        let rounded = |share: Option<f64>| json!(share.map(|share| (share * 1_000.0).round() / 1_000.0));
        let mut facts =
            vec![("generator_cpu_share", rounded(self.generator)), ("server_cpu_share", rounded(self.servers))];
        facts.extend(self.limit().map(|text| ("limit", json!(text))));
        facts
    }

    /// Why the generator was likely the limit, if it was.
    pub fn limit(&self) -> Option<String> {
        let generator = self.generator?;
        #[allow(clippy::cast_precision_loss, reason = "the number of threads is small")]
        let threads = WORKER_THREADS as f64;
        if generator * self.cores > BUSY_OF_THE_LIMIT * threads {
            return Some(format!("likely the load generator: its {threads} threads were busy nearly all the time"));
        }
        let servers = self.servers.filter(|servers| *servers < generator)?;
        (generator > SHARE_OF_THE_LIMIT).then(|| {
            let percent = |share: f64| format!("{:.0} %", share * 100.0);
            let (generator, servers) = (percent(generator), percent(servers));
            format!("likely the load generator: it took {generator} of the machine, the servers only {servers}")
        })
    }
}

/// Processors that this machine lets us use.
#[allow(clippy::cast_precision_loss, reason = "the number of processors is small")]
pub fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(cores: f64, generator: f64, servers: Option<f64>) -> Option<String> {
        Shares { generator: Some(generator), servers, cores }.limit()
    }

    #[test]
    fn the_generator_was_the_limit_where_it_took_most_of_the_machine() {
        assert!(limit(2.0, 0.55, Some(0.30)).unwrap().contains("55 % of the machine, the servers only 30 %"));
        assert_eq!(limit(2.0, 0.46, Some(0.50)), None);
        assert_eq!(limit(2.0, 0.30, Some(0.10)), None);
        assert_eq!(limit(2.0, 0.60, None), None, "what the servers used cannot be seen");
    }

    #[test]
    fn the_generator_was_the_limit_where_its_threads_had_no_time_left() {
        assert!(limit(16.0, 0.12, Some(0.80)).unwrap().contains("busy nearly all the time"));
        assert_eq!(limit(16.0, 0.08, Some(0.10)), None);
    }

    #[test]
    fn what_cannot_be_seen_is_null() {
        let facts = Shares { generator: None, servers: None, cores: 2.0 }.facts();
        assert_eq!(facts, [("generator_cpu_share", Value::Null), ("server_cpu_share", Value::Null)]);
    }
}
