//! Feeds a target until its time is up.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::corpus;
use crate::rng::Rng;

/// How long each target is attacked, in seconds.
pub const SECONDS_VARIABLE: &str = "BOXOFFICE_HOSTILE_SECONDS";
/// Where chance begins: a number, or `random`.
pub const SEED_VARIABLE: &str = "BOXOFFICE_HOSTILE_SEED";
/// Where it is set, attacks write those of their inputs to the corpus that came furthest: for a target that has none yet.
pub const KEEP_VARIABLE: &str = "BOXOFFICE_HOSTILE_KEEP";

/// The seed where none is given: the same inputs on every machine, so that a change alone decides whether they pass.
const SEED_DEFAULT: u64 = 0x0b0c_0f1c_e000_0001;
/// Inputs for a target in the bounded form.
const INPUTS: usize = 1_000;
/// Most inputs from which an attack goes on.
const POOL_MAX: usize = 2_048;
/// Most time of the processor that one input may take. An input has at most 64 KiB and an unoptimized build reads those within a
/// few milliseconds; whatever takes this long does more work than its length explains.
const CPU_MAX: Duration = Duration::from_secs(1);

/// How long attacks last: `None` is the bounded form.
pub fn length() -> Option<Duration> {
    let seconds = std::env::var(SECONDS_VARIABLE).ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// Where chance begins.
pub fn seed() -> u64 {
    match std::env::var(SEED_VARIABLE).as_deref() {
        Ok("random") => RandomState::new().build_hasher().finish(),
        Ok(number) => number.parse().unwrap_or(SEED_DEFAULT),
        Err(_) => SEED_DEFAULT,
    }
}

/// An attack on one target.
#[derive(Debug)]
pub struct Attack {
    target: String,
    rng: Rng,
    /// Inputs in the bounded form.
    inputs: usize,
    /// What came further than others, and the inputs that are kept.
    pool: Vec<Vec<u8>>,
    heard: BTreeSet<String>,
    fed: usize,
    slowest: Duration,
    /// Where an input is written that breaks its target.
    reports: PathBuf,
}

impl Attack {
    /// On what has this name, which names its corpus.
    pub fn on(target: &str) -> Self {
        let rng = Rng::new(seed());
        Self {
            target: target.to_owned(),
            rng,
            inputs: INPUTS,
            pool: Vec::new(),
            heard: BTreeSet::new(),
            fed: 0,
            slowest: Duration::ZERO,
            reports: std::env::temp_dir(),
        }
    }

    /// Fewer inputs in the bounded form, for a target that takes long.
    pub fn at_most(self, inputs: usize) -> Self {
        Self { inputs, ..self }
    }

    /// Feeds `target` with the inputs that are kept, and then with what `generate` makes and what becomes of both. The target
    /// tells in a few words what it made of an input: the same words for what it took in the same way.
    ///
    /// # Panics
    /// Where the target does, and where it takes too long for an input.
    pub fn run(mut self, generate: impl Fn(&mut Rng) -> Vec<u8>, target: impl Fn(&[u8]) -> String) {
        println!("hostile: {}: {SEED_VARIABLE}={}", self.target, seed());
        for input in corpus::of(&self.target) {
            self.feed(input, &target);
        }
        let (begun, length) = (Instant::now(), length());
        let (mut made, mut inputs) = (0, self.inputs);
        if length.is_some() {
            inputs = usize::MAX;
        }
        while made < inputs && length.is_none_or(|length| begun.elapsed() < length) {
            made += 1;
            let input = if self.pool.is_empty() || self.rng.once_in(3) {
                generate(&mut self.rng)
            } else {
                let mut input = self.rng.pick(&self.pool).clone();
                let other = self.rng.pick(&self.pool).clone();
                self.rng.mutate(&mut input, &other);
                input
            };
            self.feed(input, &target);
        }
        if std::env::var_os(KEEP_VARIABLE).is_some() {
            corpus::keep(&self.target, &self.pool);
        }
        let Self { target, fed, heard, slowest, .. } = self;
        println!("hostile: {target}: {fed} inputs, {} kinds of answers, slowest {slowest:?}", heard.len());
    }

    fn feed(&mut self, input: Vec<u8>, target: &impl Fn(&[u8]) -> String) {
        let before = cpu();
        let heard = catch_unwind(AssertUnwindSafe(|| target(&input)));
        let took = cpu().saturating_sub(before);
        let heard = heard.unwrap_or_else(|panic| {
            self.report(&input);
            resume_unwind(panic)
        });
        if took > CPU_MAX {
            self.report(&input);
        }
        assert!(took <= CPU_MAX, "{}: an input took {took:?}", self.target);
        self.fed += 1;
        self.slowest = self.slowest.max(took);
        if self.pool.len() < POOL_MAX && self.heard.insert(heard) {
            self.pool.push(input);
        }
    }

    /// Says how to make it again. The line is one of the corpus.
    fn report(&self, input: &[u8]) {
        let line = corpus::encode(input);
        let name = format!("hostile-{}-{}.hex", self.target.replace('/', "."), self.fed);
        let path = self.reports.join(name);
        let written = std::fs::write(&path, format!("{line}\n"));
        let place = written.map_or_else(|_| line.clone(), |()| path.display().to_string());
        eprintln!("hostile: {} broke at an input of {} bytes: {place}", self.target, input.len());
    }
}

/// The processor's time of this thread: how long something takes while others work beside it.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_is_behind_several_doors_is_found_by_what_was_heard_on_the_way() {
        let deepest = Cell::new(0);
        // One byte is all that is made; the rest must come from what got through the doors before.
        Attack::on("doors").run(
            |_| b"a".to_vec(),
            |input| {
                let through = input.iter().take_while(|byte| **byte == b'a').count().min(6);
                deepest.set(deepest.get().max(through));
                through.to_string()
            },
        );
        assert_eq!(deepest.get(), 6);
    }

    #[test]
    fn a_target_that_panics_fails_its_test_and_its_input_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let attack = Attack { reports: dir.path().to_owned(), ..Attack::on("fragile") };
        let attack = || attack.run(|_| b"ab".to_vec(), |input| format!("{}", 1 / (2 - input.len())));
        assert!(catch_unwind(AssertUnwindSafe(attack)).is_err());
        assert_eq!(std::fs::read_to_string(dir.path().join("hostile-fragile-0.hex")).unwrap(), "6162\n");
    }
}
