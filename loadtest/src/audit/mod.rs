//! The auditor: holds what the buyers were told against what the server wrote down. Pure.
//!
//! Every rule is conservative: it reports only what no honest server can have caused, however slow, given that the buyers' clock
//! and the server's are the same machine's, and that it is not set meanwhile. What slowness can explain is at most unproven.

mod answers;
mod availability;
mod causes;
pub mod evidence;
pub mod findings;
mod ledger;
mod linear;
mod pauses;
mod shown;
mod story;
mod tables;
#[cfg(test)]
mod tests;
mod visible;

pub(crate) use answers::CLOCK_TOLERANCE;

use crate::history::Told;
use evidence::Evidence;
use findings::{Findings, Key};
use visible::Visible;

/// What came out of an audit.
#[derive(Debug)]
pub struct Verdict {
    /// Units in all.
    pub capacity: i32,
    /// Units sold.
    pub sold: i32,
    /// Attempts whose outcome the buyer did not learn; the journal has told since.
    pub unknown: u64,
    /// All violations.
    pub findings: Findings,
}

/// Judges a sale.
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut findings = Findings::default();
    let ledger = ledger::replay(&evidence.journal, evidence.limits, &mut findings);
    let visible = Visible::of(evidence, &ledger);
    answers::check(evidence, &ledger, &visible, &mut findings);
    causes::check(evidence, &ledger, &mut findings);
    tables::check(evidence, &ledger, &mut findings);
    check_promises(evidence, &mut findings);
    linear::check(evidence, &ledger, &mut findings);
    shown::check(evidence, &visible, &mut findings);
    if evidence.clock_step.abs() > answers::CLOCK_TOLERANCE {
        let step = evidence.clock_step / 1_000;
        findings.doubt(&format!("the machine's clock was set by {step} ms meanwhile, so that nobody knows"));
    }
    let unknown = evidence.calls.iter().filter(|call| matches!(call.told, Told::Unknown(_))).count() as u64;
    Verdict { capacity: evidence.counters.capacity(), sold: evidence.counters.sold(), unknown, findings }
}

/// Whatever the server wrote down: it must not have promised more units than there are.
fn check_promises(evidence: &Evidence, findings: &mut Findings) {
    let capacity = i64::from(evidence.counters.capacity());
    let promised = answers::sold_by_answers(&evidence.calls);
    if promised > capacity {
        let text = format!("buyers were told that {promised} units are theirs, of {capacity}");
        findings.add(Key::Oversold, promised - capacity, text, Vec::new());
    }
}
