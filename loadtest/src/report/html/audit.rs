//! The audit in figures, and what it found, in words.

use maud::{Markup, html};

use crate::audit::findings::Violation;
use crate::report::{AuditCounts, words};

/// The counters: calm where they are zero.
pub(super) fn section(audit: &AuditCounts) -> Markup {
    html! {
        section {
            h2 { "Audit" }
            dl.counts {
                div { dt { "capacity" } dd { (words::count(audit.capacity)) } }
                div { dt { "sold" } dd { (words::count(audit.sold)) } }
                @for (name, count) in violations_of(audit) {
                    div.(if count == 0 { "calm" } else { "loud" }) { dt { (words::name(name)) } dd { (words::count(count)) } }
                }
                div { dt { "unknown" } dd { (words::count(audit.unknown)) } }
            }
            p.quiet {
                "Unknown are calls whose outcome the buyer did not learn, because the server was killed or did not answer in time. "
                "They are no violation: the buyer asked again, and the audit holds what came of it against the journal."
            }
        }
    }
}

fn violations_of(audit: &AuditCounts) -> [(&'static str, u64); 13] {
    [
        ("oversold", audit.oversold),
        ("lost", audit.lost),
        ("duplicated", audit.duplicated),
        ("leaked", audit.leaked),
        ("stranded", audit.stranded),
        ("false_sold_out", audit.false_sold_out),
        ("limit_passed", audit.limit_passed),
        ("journal", audit.journal),
        ("mismatched", audit.mismatched),
        ("disclosed", audit.disclosed),
        ("wrong_answer", audit.wrong_answer),
        ("not_linearizable", audit.not_linearizable),
        ("unproven", audit.unproven),
    ]
}

/// Each violation with what shows it.
pub(super) fn violations(violations: &[Violation]) -> Markup {
    if violations.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Violations" }
            @for violation in violations {
                article.violation {
                    h3 { (words::name(violation.key.as_str())) }
                    p { (violation.text) }
                    @if !violation.evidence.is_empty() { pre { (violation.evidence.join("\n")) } }
                }
            }
        }
    }
}
