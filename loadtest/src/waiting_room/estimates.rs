//! Estimates that people were told, against what came true.

use std::collections::BTreeMap;

use super::history::{History, Told};
use crate::clock::{Micros, SECOND};

/// Of a shorter wait a relative error says nothing: people near the front ask once a second.
const WAIT_MIN: Micros = SECOND;

/// How honest they were. Only those can be judged that were told to somebody who was let in later.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Honesty {
    /// Of waits that were a second or longer.
    pub(super) told: usize,
    /// The part of which what came true lay in the range; `None` where none were told.
    pub(super) held: Option<f64>,
    /// Distances of the middle of the range from what came true, as parts of it, in ascending order.
    errors: Vec<f64>,
}

impl Honesty {
    /// Of the estimates that were told from this moment on.
    pub(super) fn of(history: &History, from: Micros) -> Self {
        let admitted: BTreeMap<_, _> = history.admitted().collect();
        let (mut errors, mut held) = (Vec::new(), 0_usize);
        for ask in history.asks.iter().filter(|ask| ask.answered >= from) {
            let Told::Waiting { estimate: Some(estimate), .. } = ask.told else { continue };
            let Some(wait) = admitted.get(&ask.who).map(|at| at - ask.answered).filter(|wait| *wait >= WAIT_MIN) else {
                continue;
            };
            held += usize::from((estimate.min..=estimate.max).contains(&wait));
            let middle = (estimate.min + estimate.max) as f64 / 2.0;
            errors.push((middle - wait as f64).abs() / wait as f64);
        }
        errors.sort_unstable_by(f64::total_cmp);
        let told = errors.len();
        Self { told, held: (told > 0).then(|| held as f64 / told as f64), errors }
    }

    /// The relative error that so many of them do not exceed; `None` where none were told.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    pub(super) fn error_at(&self, quantile: f64) -> Option<f64> {
        let last = self.errors.len().checked_sub(1)?;
        self.errors.get((last as f64 * quantile).round() as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{Ask, Estimate};
    use super::*;

    #[test]
    fn an_estimate_is_judged_by_when_its_owner_was_let_in() {
        let told = |who, at, estimate: Option<(i64, i64)>| {
            let estimate = estimate.map(|(min, max)| Estimate { min: min * SECOND, max: max * SECOND });
            let told = Told::Waiting { position: 1, estimate };
            Ask { who, sent: at * SECOND, answered: at * SECOND, told }
        };
        let let_in = |who, at| Ask { told: Told::Admitted, ..told(who, at, None) };
        let asks = vec![
            told(0, 0, Some((8, 12))),
            told(0, 5, Some((1, 3))),
            told(0, 6, None),
            let_in(0, 10),
            let_in(0, 20),
            told(1, 0, Some((1, 2))),
        ];
        let history = History { asks, ..History::default() };
        let honesty = Honesty::of(&history, 0);
        assert_eq!((honesty.told, honesty.held), (2, Some(0.5)));
        assert_eq!((honesty.error_at(0.0), honesty.error_at(1.0)), (Some(0.0), Some(0.6)));
        let none = Honesty::of(&history, 7 * SECOND);
        assert_eq!((none.told, none.held, none.error_at(0.5)), (0, None, None));
    }
}
