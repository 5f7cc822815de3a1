//! Who used the machine's processors during the load: so that one sees when the generator was the limit.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Servers, generator_cpu_seconds};
use crate::WORKER_THREADS;

/// A generator that takes more of the machine than this, and more than the servers do, is likely what limits them.
const SHARE_OF_THE_LIMIT: f64 = 0.45;
/// So is one whose threads are busy for so much of the time, however many processors are left.
pub(crate) const BUSY_OF_THE_LIMIT: f64 = 0.9;

/// The beginning of the load.
#[derive(Debug)]
pub struct CpuShares {
    begun: Instant,
    generator_seconds: Option<f64>,
    servers_seconds: Option<f64>,
}

impl CpuShares {
    /// Notes what was used before the load.
    pub fn begin(servers: &Servers) -> Self {
        let servers_seconds = servers.cpu_seconds();
        Self { begun: Instant::now(), generator_seconds: generator_cpu_seconds(), servers_seconds }
    }

    /// What was used since.
    pub fn end(&self, servers: &Servers) -> Shares {
        let since = |before: Option<f64>, now: Option<f64>| Some((now? - before?).max(0.0));
        Shares {
            generator_seconds: since(self.generator_seconds, generator_cpu_seconds()),
            servers_seconds: since(self.servers_seconds, servers.cpu_seconds()),
            core_seconds: self.begun.elapsed().as_secs_f64() * cores(),
        }
    }
}

/// Who used how much of the machine's processors. What cannot be seen is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// CPU time of the load generator.
    pub generator_seconds: Option<f64>,
    /// CPU time of the servers, killed ones included; without a PostgreSQL below them.
    pub servers_seconds: Option<f64>,
    /// All that there was to use: the time of the load, on every core.
    pub core_seconds: f64,
}

impl Default for Shares {
    /// Of no load yet, to which others are added.
    fn default() -> Self {
        Self { generator_seconds: Some(0.0), servers_seconds: Some(0.0), core_seconds: 0.0 }
    }
}

impl Shares {
    /// Adds another load of the same run.
    pub fn add(&mut self, other: &Self) {
        let sum = |one: Option<f64>, other: Option<f64>| Some(one? + other?);
        self.generator_seconds = sum(self.generator_seconds, other.generator_seconds);
        self.servers_seconds = sum(self.servers_seconds, other.servers_seconds);
        self.core_seconds += other.core_seconds;
    }

    /// For the report: parts of the machine, 0 to 1; the last fact only where there is something to say.
    pub fn facts(&self) -> Vec<(&'static str, Value)> {
        let rounded = |seconds| json!(self.share(seconds).map(|share| (share * 1_000.0).round() / 1_000.0));
        let mut facts = vec![
            ("generator_cpu_share", rounded(self.generator_seconds)),
            ("server_cpu_share", rounded(self.servers_seconds)),
        ];
        facts.extend(self.limit().map(|text| ("limit", json!(text))));
        facts
    }

    /// Why the generator was likely the limit, if it was.
    pub fn limit(&self) -> Option<String> {
        self.limit_on(cores())
    }

    fn limit_on(&self, cores: f64) -> Option<String> {
        let generator = self.share(self.generator_seconds)?;
        let threads = WORKER_THREADS as f64;
        if generator * cores > BUSY_OF_THE_LIMIT * threads {
            return Some(format!("likely the load generator: its {threads} threads were busy nearly all the time"));
        }
        let servers = self.share(self.servers_seconds).filter(|servers| *servers < generator)?;
        (generator > SHARE_OF_THE_LIMIT).then(|| {
            let percent = |share: f64| format!("{:.0} %", share * 100.0);
            let (generator, servers) = (percent(generator), percent(servers));
            format!("likely the load generator: it took {generator} of the machine, the servers only {servers}")
        })
    }

    /// The time is counted in ticks: over a moment the share could come out above 1.
    fn share(&self, seconds: Option<f64>) -> Option<f64> {
        let seconds = seconds.filter(|_| self.core_seconds > 0.0)?;
        Some((seconds / self.core_seconds).min(1.0))
    }
}

/// Processors that this machine lets us use.
pub fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a load of a hundred seconds.
    fn shares(cores: f64, generator: f64, servers: Option<f64>) -> Shares {
        let core_seconds = 100.0 * cores;
        let seconds = |share: f64| share * core_seconds;
        Shares { generator_seconds: Some(seconds(generator)), servers_seconds: servers.map(seconds), core_seconds }
    }

    fn limit(cores: f64, generator: f64, servers: Option<f64>) -> Option<String> {
        shares(cores, generator, servers).limit_on(cores)
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
    fn loads_add_up_and_what_cannot_be_seen_is_null() {
        let mut all = Shares::default();
        all.add(&shares(2.0, 0.2, Some(0.3)));
        all.add(&shares(2.0, 0.4, Some(0.1)));
        assert_eq!(all.facts(), [("generator_cpu_share", json!(0.3)), ("server_cpu_share", json!(0.2))]);
        all.add(&shares(2.0, 0.3, None));
        assert_eq!(all.facts(), [("generator_cpu_share", json!(0.3)), ("server_cpu_share", Value::Null)]);
    }
}
