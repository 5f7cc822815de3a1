//! No more are let in than the rate and the cap allow.

use super::add;
use crate::audit::findings::Findings;
use crate::clock::{Micros, SECOND};
use crate::waiting_room::history::{History, SEEN_WITHIN, Setting, name};

/// Counts those who were let in, and those inside, at each moment at which somebody learnt that he is.
///
/// Whoever is let in learns of it later, so more may be told within a span than were let in in it: the rate bounds only how many
/// there are since the beginning.
pub(super) fn check(history: &History, findings: &mut Findings) {
    let mut admitted: Vec<_> = history.admitted().map(|(who, at)| (at, who)).collect();
    admitted.sort_unstable();
    let inside: std::collections::BTreeMap<_, _> = admitted.iter().map(|(at, who)| (*who, *at)).collect();
    // Somebody who was inside and leaves is out, at the earliest, when he says so. A place in the line frees nothing.
    let leaves = history.leaves.iter().filter(|leave| inside.get(&leave.who).is_some_and(|at| *at <= leave.sent));
    let mut left: Vec<_> = leaves.map(|leave| leave.sent).collect();
    left.sort_unstable();
    for ((at, who), count) in admitted.into_iter().zip(1_u64..) {
        let allowed = allowed_by(&history.settings, at);
        if count > allowed {
            let who = name(who);
            add(findings, format!("{who} was the {count}th to be let in when at most {allowed} could be"));
        }
        let gone = left.partition_point(|sent| *sent <= at) as u64;
        let cap = history.settings.iter().filter(|setting| setting.sent <= at).map(|setting| setting.inside_max).max();
        let cap = u64::from(cap.unwrap_or_default());
        if count - gone.min(count) > cap {
            let who = name(who);
            add(findings, format!("with {who} there were {} inside, of at most {cap}", count - gone));
        }
    }
}

/// As many as could have been let in by then: each rate for as long as it could hold, and a second's worth at once.
fn allowed_by(settings: &[Setting], at: Micros) -> u64 {
    let mut micro_people = 0_i64;
    let mut burst = 0;
    for (index, setting) in settings.iter().enumerate().filter(|(_, setting)| setting.sent <= at) {
        let replaced = settings.get(index + 1).map_or(Micros::MAX, |next| next.answered.saturating_add(SEEN_WITHIN));
        micro_people += i64::from(setting.rate) * (at.min(replaced) - setting.sent);
        burst = burst.max(i64::from(setting.rate));
    }
    u64::try_from(micro_people / SECOND + burst).unwrap_or_default()
}
