//! What an audit found.

use std::collections::BTreeMap;

/// Kinds of violations. The first six are keys of the report's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Units held and sold beyond capacity, at any moment.
    Oversold,
    /// Something was acknowledged that the journal or the reservation does not show.
    Lost,
    /// One id had two effects, or units came back twice.
    Duplicated,
    /// Units still held after their hold expired.
    Leaked,
    /// Units that nobody has and nobody can buy.
    Stranded,
    /// A buyer was told that units lack although enough were there all the time.
    FalseSoldOut,
    /// An owner had more than he may.
    LimitPassed,
    /// The journal has gaps, or tells what cannot be.
    Journal,
    /// Counters or reservations are not what the journal adds up to.
    Mismatched,
    /// An answer told somebody of another owner's reservation.
    Disclosed,
    /// Any other answer that was not true.
    WrongAnswer,
    /// The order of a waiting room, its bounds or its passes were broken.
    OutOfTurn,
    /// Answers that no order of the calls makes true.
    NotLinearizable,
    /// No violation, and no pass: answers of which nobody could find out whether some order of the calls makes them true.
    Unproven,
}

impl Key {
    /// Every key.
    pub const ALL: [Self; 14] = [
        Self::Oversold,
        Self::Lost,
        Self::Duplicated,
        Self::Leaked,
        Self::Stranded,
        Self::FalseSoldOut,
        Self::LimitPassed,
        Self::Journal,
        Self::Mismatched,
        Self::Disclosed,
        Self::WrongAnswer,
        Self::OutOfTurn,
        Self::NotLinearizable,
        Self::Unproven,
    ];

    /// The name in the report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oversold => "oversold",
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Leaked => "leaked",
            Self::Stranded => "stranded",
            Self::FalseSoldOut => "false_sold_out",
            Self::LimitPassed => "limit_passed",
            Self::Journal => "journal",
            Self::Mismatched => "mismatched",
            Self::Disclosed => "disclosed",
            Self::WrongAnswer => "wrong_answer",
            Self::OutOfTurn => "out_of_turn",
            Self::NotLinearizable => "not_linearizable",
            Self::Unproven => "unproven",
        }
    }
}

/// One violation, in words, with what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Of which kind.
    pub key: Key,
    /// In words.
    pub text: String,
    /// Calls and journal entries, at most [`EVIDENCE_LINES_MAX`].
    pub evidence: Vec<String>,
}

/// Most violations of one kind that are told in words; all are counted.
pub const TOLD_PER_KEY_MAX: usize = 10;

/// Most lines of evidence for one violation.
pub const EVIDENCE_LINES_MAX: usize = 24;

/// All that an audit found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Units or cases of each kind; none where it is zero.
    counts: BTreeMap<Key, u64>,
    /// The first violations of each kind.
    pub violations: Vec<Violation>,
}

impl Findings {
    /// Adds a violation that weighs `count` units or cases.
    pub fn add(&mut self, key: Key, count: i64, text: String, evidence: Vec<String>) {
        *self.counts.entry(key).or_default() += count.unsigned_abs();
        if self.violations.iter().filter(|violation| violation.key == key).count() < TOLD_PER_KEY_MAX {
            let evidence = evidence.into_iter().take(EVIDENCE_LINES_MAX).collect();
            self.violations.push(Violation { key, text, evidence });
        }
    }

    /// Takes back whatever follows from comparing times: it is unproven, and `why` says so. The sums of the journal and of the
    /// answers, and whose a reservation is, follow from no times.
    pub fn doubt(&mut self, why: &str) {
        let is_sure = |key: &Key| matches!(key, Key::Oversold | Key::Disclosed);
        let doubtful: u64 = self.counts.iter().filter(|(key, _)| !is_sure(key)).map(|(_, count)| count).sum();
        self.counts.retain(|key, _| is_sure(key));
        if doubtful > 0 {
            self.counts.insert(Key::Unproven, doubtful);
        }
        for violation in self.violations.iter_mut().filter(|violation| !is_sure(&violation.key)) {
            violation.text = format!("{why}: {}", violation.text);
            violation.key = Key::Unproven;
        }
    }

    /// Units or cases of one kind.
    pub fn count(&self, key: Key) -> u64 {
        self.counts.get(&key).copied().unwrap_or_default()
    }

    /// Whether there is nothing to find fault with.
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }
}
