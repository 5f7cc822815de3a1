//! What a server did that ends a run before there is anything to audit.

use std::fmt;

use crate::audit::findings::{EVIDENCE_LINES_MAX, Key, Violation};

/// A violation that nothing can be measured or audited after: the run could be held, and the server has failed it.
#[derive(Debug)]
pub struct Misdeed(Violation);

impl Misdeed {
    /// What the server did.
    pub fn new(key: Key, text: impl Into<String>) -> Self {
        Self(Violation { key, text: text.into(), evidence: Vec::new() })
    }

    /// Adds lines that show it; of too many the last ones.
    #[must_use]
    pub fn with(mut self, lines: &str) -> Self {
        self.0.evidence.extend(lines.lines().map(str::to_owned));
        let surplus = self.0.evidence.len().saturating_sub(EVIDENCE_LINES_MAX);
        self.0.evidence.drain(..surplus);
        self
    }

    /// It for the report.
    pub fn into_violation(self) -> Violation {
        self.0
    }
}

impl fmt::Display for Misdeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl std::error::Error for Misdeed {}
